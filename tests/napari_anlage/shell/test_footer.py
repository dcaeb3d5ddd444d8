"""The footer: project, device, the running training, and every other job, each with its way to stop."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Device
from napari_anlage.jobs.registry import Jobs
from napari_anlage.session.session import Session
from napari_anlage.shell.footer import Footer


@pytest.fixture
def footer(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = ViewerModel()
    footer = Footer(Session.of(viewer))
    footer.viewer = viewer
    qtbot.addWidget(footer)
    yield footer
    footer.close_down()


def test_jobs_begin_go_on_and_end() -> None:
    jobs, heard, stopped = Jobs(), [], []
    jobs.changed.connect(lambda: heard.append([job.text for job in jobs.running]))
    job = jobs.begin("Predicting", stop=lambda: stopped.append(1))
    other = jobs.begin("Writing")
    assert (job.can_stop, other.can_stop) == (True, False)
    job.update(1.7, "frame 1 of 2")
    assert job.fraction == 1.0
    job.stop()
    job.stop()
    assert stopped == [1]
    assert not job.can_stop
    job.end()
    job.end()
    other.end()
    assert heard == [[""], ["", ""], ["frame 1 of 2", ""], ["frame 1 of 2", ""], [""], []]


def test_it_names_the_project(footer, tmp_path) -> None:
    assert footer.project.text() == "untitled.anlage"
    footer._session.choose_image(footer.viewer.add_image(np.zeros((3, 4)), name="my movie"))
    assert footer.project.text() == "my-movie.anlage"
    footer._session.set_folder(tmp_path / "chosen.anlage")
    assert footer.project.text() == "chosen.anlage"
    assert str(tmp_path / "chosen.anlage") in footer.project.toolTip()


def test_it_tells_the_device_and_its_free_memory(footer, monkeypatch, qtbot) -> None:
    found = (Device("cuda:0", "Some Card", 24.0, 21.25), Device("cpu", "Some CPU, 4 cores", 16.0, 7.5))
    monkeypatch.setattr("napari_anlage.shell.footer.find_devices", lambda: found)
    footer.show()
    footer.wake()
    qtbot.waitUntil(lambda: bool(footer.device.text()), timeout=60000)
    assert footer.device.text() == "cuda:0 · 21.2 GB free"
    assert footer.device.toolTip() == (
        "cuda:0: Some Card, 21.2 of 24.0 GB free\ncpu: Some CPU, 4 cores, 7.5 of 16.0 GB free"
    )


def test_jobs_of_others_are_shown_and_stopped(footer) -> None:
    jobs, stopped = footer._session.jobs, []
    first = jobs.begin("Predicting all frames", stop=lambda: stopped.append("first"))
    second = jobs.begin("Exporting")
    assert len(footer.bars) == 2
    first.update(0.25, "frame 10 of 40")
    assert footer.bars[0].text.text() == "Predicting all frames · frame 10 of 40"
    assert footer.bars[0].bar.value() == 250
    assert footer.bars[1].bar.maximum() == 0  # nobody knows how long
    assert not footer.bars[1].stop.isEnabled()
    assert footer.bars[1].stop.toolTip() == "It cannot be stopped."
    footer.bars[0].stop.click()
    assert stopped == ["first"]
    assert not footer.bars[0].stop.isEnabled()
    first.end()
    assert len(footer.bars) == 1
    assert footer.bars[0].text.text() == "Exporting"
    second.end()
    assert not footer.bars


@pytest.mark.usefixtures("fake_anlage")
def test_the_running_training_is_shown_and_stopped(footer, run, qtbot) -> None:
    session = footer._session
    session.set_run(run)
    assert not footer.training.isVisibleTo(footer)
    run.start()
    session.run_changed.emit()  # as the Train tab tells
    assert footer.training.isVisibleTo(footer)
    assert footer.training.text.text() == f"Training {run.name} · preparing"
    assert footer.training.bar.maximum() == 0
    qtbot.waitUntil(lambda: footer.training.bar.value() > 0, timeout=90000)
    footer.training.stop.click()
    assert footer.training.text.text() == f"Training {run.name} · stopping"
    assert not footer.training.stop.isEnabled()
    qtbot.waitUntil(lambda: not footer.training.isVisibleTo(footer), timeout=60000)
    assert run.state == "stopped"
    run.start()
    session.run_changed.emit()
    assert footer.training.stop.isEnabled()
    run.request_stop()
    qtbot.waitUntil(lambda: not footer.training.isVisibleTo(footer), timeout=90000)


def test_it_fits_a_narrow_dock(footer) -> None:
    footer._session.jobs.begin("A very long title of a job that goes on and on and on", stop=lambda: None)
    assert footer.minimumSizeHint().width() <= 312
