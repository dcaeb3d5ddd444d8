"""The training screen of events: several files, every control of it, a model to start from, and the way from the Signals tab."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QWidget

from anlage import Card, Run, Signals, write_signals
from anlage.calibration import Calibration
from anlage.model import save_model
from anlage.synthetic.signals import stepped_tracks
from anlage.tasks import TASKS
from anlage.tasks.events.config import EventsConfig
from anlage.tasks.task import Evidence, Setting
from napari_anlage.train import event_screen
from napari_anlage.train.event_screen import begin

pytestmark = pytest.mark.viewer


def windows(n: int, recording: str, length: int = 60) -> Signals:
    scores = np.arange(n) % 2
    values = np.random.default_rng(n).normal(size=(n, length)) - 9 * scores[:, None] * (np.arange(length) > 20)
    return Signals.of(values, kind="repeated", scores=scores, group=recording)


@pytest.fixture
def train(train):
    """Set to events."""
    train.cards.choose("events")
    return train


def add(train, qtbot, *paths: Path) -> None:
    train.events.sets.add(paths)
    qtbot.waitUntil(lambda: not train.events.sets.busy and train.cards.known, timeout=20000)


def run_json(train, folder: Path) -> dict:
    """What would be trained now."""
    order = train.events.request(train.settings(), train.begin_with.model)
    run = begin(event_screen.EventRequest(folder, order.files, order.settings, order.start_from))
    said = json.loads((run.path / "run.json").read_text())
    named = train.events.name.text()
    return {"name": named, **{key: said[key] for key in ("stores", "training", "settings", "start_from")}}


def test_files_and_folders_are_counted_and_learnt_from_together(train, qtbot, tmp_path, monkeypatch) -> None:
    assert "add files or a folder" in train.start.reason.text()
    folder = tmp_path / "sets"
    folder.mkdir()
    write_signals(folder / "a.h5", windows(20, "r1"))
    write_signals(folder / "b.h5", windows(12, "r2"))
    write_signals(tmp_path / "c.h5", windows(8, "r3"))
    write_signals(tmp_path / "t.csv", stepped_tracks(9, n_movies=3))
    add(train, qtbot, folder, tmp_path / "c.h5")
    sets = train.events.sets
    assert [one.path.name for one in sets.sets] == ["a.h5", "b.h5", "c.h5"]
    assert [sets.tree.topLevelItem(0).text(i) for i in range(5)] == ["a.h5", "10", "0", "0", "10"]
    assert sets.tree.topLevelItem(1).child(0).text(0) == "r2"
    assert "40 scored windows (20 clear events" in train.cards.cards["events"].line.plain
    add(train, qtbot, tmp_path / "t.csv")
    assert "Some of these files hold windows and some tracks" in train.start.reason.text()
    sets.tick(tmp_path / "t.csv", on=False)
    sets.tick(folder / "b.h5", on=False)
    started: list[Run] = []
    monkeypatch.setattr(Run, "start", lambda self: started.append(self))
    train.events.name.setText("my-net")
    train.start.button.click()
    qtbot.waitUntil(lambda: bool(started), timeout=20000)
    assert started[0].path == (tmp_path / "p.anlage" / "runs" / "my-net").resolve()
    assert [store.stem for store in started[0].config.stores] == ["a", "c"]
    assert train.events.request([], None).folder.name == "my-net-2"
    for name in ("../my-net", "a/b", "x."):
        train.events.name.setText(name)
        assert "becomes that of a folder" in train.events.readiness.lack


def test_the_mix_is_set_and_said(train, qtbot, tmp_path) -> None:
    write_signals(tmp_path / "a.h5", windows(20, "r1"))
    add(train, qtbot, tmp_path / "a.h5")
    mix = train.events.mix
    assert "As they are" in mix.said.text()
    mix.own.setChecked(True)
    mix.parts[0].setValue(3)
    assert "3 windows with an event for each without: liberal" in mix.said.text()
    mix.parts[0].setValue(0)
    assert "only those without one" in train.start.reason.text()


# ---- every control ----


def change(widget: QWidget) -> None:
    """Set it otherwise, as a user might."""
    if isinstance(widget, QAbstractSpinBox):
        up = min(widget.value() + widget.singleStep(), widget.maximum())
        widget.setValue(up if up != widget.value() else widget.value() - widget.singleStep())
    elif isinstance(widget, QComboBox) and widget.isEditable():
        names = [widget.itemText(i) for i in range(widget.count())] or ["death"]
        widget.setEditText(next(name for name in names if name != widget.currentText()))
        widget.lineEdit().editingFinished.emit()
    elif isinstance(widget, QComboBox):
        widget.setCurrentIndex((widget.currentIndex() + 1) % widget.count())
    elif isinstance(widget, QLineEdit):
        widget.setText(f"{widget.text()}1")
    elif isinstance(widget, QCheckBox):
        widget.toggle()
    else:
        widget.click()


def test_an_event_is_one_word_and_one_of_those_in_the_files(train, qtbot, tmp_path) -> None:
    signals = stepped_tracks(30, n_movies=3)
    write_signals(tmp_path / "a.csv", signals, event="division", others={"death": signals})
    add(train, qtbot, tmp_path / "a.csv")
    event = train.events.event
    assert [event.itemText(i) for i in range(event.count())] == ["death", "division"]
    for text, sentence in (("", "choose one of them"), ("a b", "one word of letters"), ("birth", "birth")):
        event.setEditText(text)
        event.lineEdit().editingFinished.emit()
        qtbot.waitUntil(lambda: not train.events.sets.busy, timeout=20000)
        assert sentence in train.start.reason.text()
    event.setEditText("division")
    event.lineEdit().editingFinished.emit()
    qtbot.waitUntil(train.start.button.isEnabled, timeout=20000)


def model(folder: Path, signals: Path, event: str) -> Path:
    """A network of events with fresh weights, as a training from these signals makes it."""
    task, config = TASKS["events"], EventsConfig(event=event, members=2)
    sources = [task.material.open(signals, config)]
    setting = Setting(cache=folder, seed=0, device="cpu", batch_size=8, augment=True)
    plan = task.prepare(sources, config, setting).plan
    evidence = Evidence(held_out="", n_positive=0, metrics={}, threshold=0.5, calibration=Calibration(), ece=None)
    card = Card(
        name="m", task="events", created="2026-11-21T10:00:00Z", version="0.1.0", plan=plan.model_dump(mode="json"),
        config=config.model_dump(mode="json"), evidence=evidence, **task.material.card_fields(sources, plan),
    )  # fmt: skip
    return save_model(folder / "m.anlage", card, task.network(plan, config).state_dict()).path


def name_of(widget: QWidget) -> str:
    return (
        f"{type(widget).__name__} {widget.accessibleName() or widget.toolTip()[:60] or type(widget.parent()).__name__}"
    )


def contradicts_others(before: dict, now: dict) -> bool:
    """Whether what was changed allows no other one: a window in samples and one in ms, a direction and a model's own."""
    return any(before["settings"].get(name) != now["settings"].get(name) for name in ("window", "window_ms", "invert"))


def change_back(widget: QWidget) -> None:
    """Undo `change` of a tick or a number."""
    if isinstance(widget, QCheckBox):
        widget.toggle()
    else:
        widget.setValue(widget.value() - widget.singleStep())


@pytest.mark.parametrize("kind", ["windows", "tracks"])
def test_every_control_reaches_the_run(train, controls, qtbot, tmp_path, kind) -> None:
    if kind == "windows":
        write_signals(tmp_path / "a.h5", windows(24, "r1"))
        add(train, qtbot, tmp_path / "a.h5")
    else:
        signals = stepped_tracks(30, n_movies=3)
        write_signals(tmp_path / "a.csv", signals, event="division", others={"death": signals})
        add(train, qtbot, tmp_path / "a.csv")
    train.advanced.expand(animate=False)
    train.begin_with.add(model(tmp_path, next(iter(train.events.sets.sets)).path, train.events.event.currentText()))
    train.begin_with.choose(None)
    number, seen = itertools.count(), {id(train.begin_with)}
    before = run_json(train, tmp_path / f"run{next(number)}")
    silent: list[str] = []
    while (new := [widget for widget in controls(train) if id(widget) not in seen]) or train.begin_with.model is None:
        widget = (new or [train.begin_with])[0]  # last, as it decides what others no longer do
        seen.add(id(widget))
        change(widget)
        qtbot.waitUntil(lambda: not train.events.sets.busy, timeout=20000)
        now = run_json(train, tmp_path / f"run{next(number)}")
        if now == before:
            silent.append(name_of(widget))
        elif contradicts_others(before, now):
            change_back(widget)
            now = run_json(train, tmp_path / f"run{next(number)}")
        before = now
    assert len(seen) > 35
    assert id(train.events.take.what) in seen
    assert not train.events.signals.isVisibleTo(train)
    # these open a field that holds the usual value, and the field is walked next
    assert [one for one in silent if "usual" not in one] == []


def test_the_widget_for_signals_opens_the_one_for_trainings(make_napari_viewer_proxy, qtbot, tmp_path) -> None:
    viewer = make_napari_viewer_proxy()
    _, signals = viewer.window.add_plugin_dock_widget("anlage", "Signals and events")
    signals.session.set_folder(tmp_path / "p.anlage")
    write_signals(tmp_path / "a.h5", windows(20, "r1"))
    for _ in range(2):  # the second time it is there already
        signals.tab.train_wanted.emit(tmp_path / "a.h5", "")
    panels = [dock for name, dock in viewer.window.dock_widgets.items() if name.startswith("Train networks")]
    assert len(panels) == 1
    train = panels[0].tab
    qtbot.waitUntil(lambda: len(train.events.sets.sets) == 1, timeout=20000)
    assert train.learns_events
    train.retire()
    signals.tab.retire()
