"""Runs side by side."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from anlage import Run
from anlage.project.trainings import differences, runs_in, summary
from anlage.training.progress import EventLog, Started, Step, Validated
from napari_anlage.train.compare import CompareDialog


def report(run: Run, scores: list[float]) -> None:
    """Write what a trainer would have."""
    with EventLog(run.events_path) as log:
        log.write(Started(time=time.time(), pid=1, version="0"))
        best = max(scores)
        for i, score in enumerate(scores, start=1):
            step = 10 * i
            log.write(
                Step(
                    step=step,
                    steps=100,
                    loss=1 / step,
                    parts={},
                    learning_rate=1e-3,
                    steps_per_s=1,
                    seconds=step,
                    eta_s=1,
                )
            )
            log.write(
                Validated(step=step, loss=2 / step, score=score, metrics={}, best=score == best, seconds=float(step))
            )


@pytest.fixture
def runs(run: Run, tmp_path: Path) -> list[Run]:
    """Three of one project, newest first: the last two with curves, told different things."""
    store = run.config.stores[0].path
    second = Run.create(tmp_path / "runs" / "2026-02-02-second", "nuclei", [store], ["learning_rate=0.001", "width=16"])
    third = Run.create(tmp_path / "runs" / "third", "nuclei", [store], ["learning_rate=0.002"])
    report(second, [0.2, 0.8, 0.6])
    report(third, [0.3])
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.json").write_text("{}")
    return [run, second, third]


def test_a_project_lists_its_runs_and_passes_over_what_is_none(runs, tmp_path) -> None:
    found = runs_in(tmp_path / "runs")
    assert {one.path for one in found} == {one.path for one in runs}
    created = [one.config.created for one in found]
    assert created == sorted(created, reverse=True)
    assert runs_in(tmp_path / "nowhere", [runs[0]]) == [runs[0]]


def test_a_summary_tells_what_became_of_a_run(runs) -> None:
    one = summary(runs[1])
    assert (one.run_summary.best_score, one.run_summary.step, one.run_summary.seconds) == (0.8, 30, 30.0)
    assert one.run_summary.state == "failed"  # its trainer is gone without a word
    assert one.data == "54 nuclei (s)"


def test_only_settings_that_differ_are_shown_in_words(runs) -> None:
    found = dict(differences([summary(run) for run in runs[1:]]))
    assert found == {"learning rate": ["0.001", "0.002"], "width": ["16", "32"]}
    assert differences([summary(runs[1])]) == []


def test_the_dialog_compares_what_is_ticked(qtbot, runs) -> None:
    dialog = CompareDialog(runs)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.ticked == [1, 2]  # those with a curve
    names = [dialog.table.item(row, 0).text() for row in range(3)]
    assert names == ["first", "second", "third"]
    assert dialog.table.item(1, 2).text() == "0.800"
    assert dialog.table.item(0, 2).text() == "–"
    headers = [dialog.settings.horizontalHeaderItem(i).text() for i in range(3)]
    assert headers == ["Setting", "second", "third"]
    assert [dialog.settings.item(0, i).text() for i in range(3)] == ["learning rate", "0.001", "0.002"]
    assert dialog.plot.shown() == [1, 2]
    _, _, score, best = dialog.plot._lines[1]
    assert list(score.yData) == [0.2, 0.8, 0.6]
    assert list(best.xData) == [20]
    dialog.tick([2])
    assert not dialog.settings.isVisible()
    assert dialog.same.text() == "Tick at least two runs."
    assert dialog.plot.shown() == [2]


def test_each_run_keeps_its_colour_when_others_go(qtbot, runs) -> None:
    dialog = CompareDialog(runs)
    qtbot.addWidget(dialog)

    def colour_of_third() -> str:
        return str(dialog.plot._lines[2][1].opts["pen"].color().name())

    before = colour_of_third()
    dialog.tick([2])
    assert colour_of_third() == before == dialog.plot.colour_of(2)


def test_a_run_under_way_is_read_again(qtbot, runs) -> None:
    dialog = CompareDialog(runs)
    qtbot.addWidget(dialog)
    with runs[2].lock():
        report(runs[2], [0.3, 0.9])
        dialog.refresh()
        assert dialog.table.item(2, 1).text() == "running"
        assert dialog.table.item(2, 2).text() == "0.900"


def test_a_double_click_asks_to_see_a_run(qtbot, runs) -> None:
    dialog = CompareDialog(runs)
    qtbot.addWidget(dialog)
    heard = []
    dialog.chosen.connect(heard.append)
    dialog.table.itemDoubleClicked.emit(dialog.table.item(1, 3))
    assert heard == [runs[1].path]
