"""A long trace in the Signals tab: events are found, added, deleted, averaged, and are there again the next time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Events, Signals, open_signals, read_card, read_events, write_signals
from anlage.signals.event_proposals import propose_by_template, windows_around
from anlage.synthetic.signals import trace_of_events
from anlage.training.process import train
from anlage.training.run import Run
from napari_anlage.session.session import Session
from napari_anlage.signals.scoring import SortOrder
from napari_anlage.signals.tab import SignalsTab
from napari_anlage.signals.trace_marks import TraceMarks
from napari_anlage.signals.window_scores import WindowScores

WINDOW = 600


@pytest.fixture
def opened(qtbot, tmp_path):
    made = trace_of_events(3, seed=4, rate_hz=5, signal_to_noise=8)
    write_signals(tmp_path / "trace.h5", made.signals)
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.set_folder(tmp_path / "recording.anlage")

    def tab() -> SignalsTab:
        shown = SignalsTab(session)
        qtbot.addWidget(shown)
        shown.open(tmp_path / "trace.h5")
        qtbot.waitUntil(lambda: shown.traces.marks is not None or shown.status.kind == "error", timeout=30000)
        assert shown.traces.marks is not None, shown.status.plain
        return shown

    yield tab, made, session
    assert viewer is session.viewer  # a session does not keep its viewer alive


def test_events_are_marked_by_hand_and_are_there_the_next_time(opened, tmp_path) -> None:
    tab, made, _ = opened
    shown = tab()
    panel = shown.traces
    assert panel.isVisibleTo(shown)
    assert shown.scoring is None
    assert not shown.panel.isVisibleTo(shown)
    panel.window.setValue(WINDOW)
    for onset in made.onsets:
        panel.plot.go_to(onset + 10, WINDOW)
        panel.add_event.click()
        assert panel.status.kind != "error", panel.status.plain
    here = panel.marks.here
    assert np.abs(here.frames - np.sort(made.onsets)).max() < 30  # samples, at 50 kHz
    size = here.properties["amplitude"]
    assert (size < 0).all()  # they fall
    assert np.median(np.abs(size)) == pytest.approx(np.median(made.amplitudes), rel=0.35)
    assert "decays with a time constant of" in panel.average_words.text()
    assert f"{len(made.onsets)} events, {len(made.onsets)} of them by hand" in panel.summary.text()
    panel.add_event.click()
    assert "already" in panel.status.plain
    panel.plot.go_to(made.onsets[0], WINDOW)
    panel.delete.click()
    assert len(panel.marks.events) == len(made.onsets) - 1
    assert panel.table.cells()[0][1] != "–"
    kept = read_events(panel.marks.path)
    assert kept.frames == pytest.approx(panel.marks.events.frames, abs=1e-3)
    panel.undo.click()
    assert len(panel.marks.events) == len(made.onsets)
    panel.redo.click()
    again = tab().traces.marks.events
    assert again.frames == pytest.approx(kept.frames)
    assert again.properties["amplitude"] == pytest.approx(kept.properties["amplitude"], rel=1e-5)


def test_a_network_finds_them_and_undo_brings_back_what_was_there(opened, qtbot, tmp_path) -> None:
    tab, made, _ = opened
    found = propose_by_template(made.signals.values[0, 0], WINDOW, direction=-1)
    near = np.abs(found.samples[:, None] - made.onsets[None]).min(axis=1) < WINDOW / 8
    cut, _ = windows_around(made.signals, 0, found.samples, WINDOW, near.astype(np.int64))
    write_signals(tmp_path / "windows.h5", cut)
    run = Run.create(tmp_path / "run", "events", [tmp_path / "windows.h5"], ["steps=40", "members=1", "width=16"])
    train(run)
    shown = tab()
    panel = shown.traces
    assert not panel.find.button.isEnabled()
    assert "No network for events was trained" in panel.find.button.toolTip()
    panel.window.setValue(WINDOW)
    panel.plot.go_to(made.onsets[0], WINDOW)
    panel.add_event.click()
    panel.model.add(run.target_path)
    assert panel.window.value() == WINDOW
    assert (
        "windows of 600 samples (12 ms), once every 8 samples: 75 places across a window" in panel.network_note.text()
    )
    assert "events that fall" in panel.network_note.text()
    panel.find.button.click()
    qtbot.waitUntil(lambda: panel.status.kind in ("good", "error"), timeout=120000)
    assert panel.status.kind == "good", panel.status.plain
    told = panel.marks.events
    close = np.abs(told.frames[:, None] - made.onsets[None]).min(axis=0) < 100
    assert close.mean() > 0.8
    assert np.isfinite(told.probability).all()
    panel.undo.click()
    assert len(panel.marks.events) == 1

    # the network's threshold is the default; a trace the other way up is told, and found once that is ticked
    assert panel.threshold.value() == pytest.approx(read_card(run.target_path).evidence.threshold)
    upside = replace(made.signals, values=-made.signals.values)
    write_signals(tmp_path / "upside.h5", upside)
    shown.open(tmp_path / "upside.h5")
    qtbot.waitUntil(
        lambda: shown.traces.marks is not None and shown.traces.marks.path.stem.startswith("upside"), timeout=30000
    )
    assert panel.warning.isVisibleTo(panel)
    assert "seems to rise" in panel.warning.text()
    panel.invert.click()
    assert not panel.warning.isVisibleTo(panel)
    assert panel.way.currentText() == "rise"
    panel.filter.setValue(1.0)
    raw = panel.marks.signals.values[0, 0]
    assert np.abs(np.diff(panel.plot.drawn)).mean() < 0.2 * np.abs(np.diff(raw)).mean()
    assert len(panel.plot.drawn) == len(raw)
    panel.status.say("", "info")
    panel.find.button.click()
    qtbot.waitUntil(lambda: panel.status.kind in ("good", "error"), timeout=120000)
    assert panel.status.kind == "good", panel.status.plain
    assert len(panel.marks.events) == pytest.approx(len(told), abs=1)
    assert np.median(panel.marks.events.properties["amplitude"]) > 0
    panel.invert.click()
    panel.filter.setValue(0.0)

    # the same recording sampled five times as often: the window follows, and the network is given it
    np.save(tmp_path / "fast.npy", np.repeat(made.signals.values[0, 0], 5))
    shown.open(tmp_path / "fast.npy")
    qtbot.waitUntil(
        lambda: shown.traces.marks is not None and shown.traces.marks.signals.n_frames > 500_000, timeout=30000
    )
    assert panel.window.value() == WINDOW  # nobody has said how often it was sampled
    assert "set it if it is not" in panel.network_note.text()
    panel.window.setValue(5 * WINDOW)
    assert "A window is 3000 samples here (as asked) and 600 of the network's" in panel.network_note.text()
    panel.status.say("", "info")
    panel.find.button.click()
    qtbot.waitUntil(lambda: panel.status.kind in ("good", "error"), timeout=120000)
    assert panel.status.kind == "good", panel.status.plain
    again = panel.marks.events
    assert len(again) == pytest.approx(len(told), abs=1)
    assert (np.abs(again.frames[:, None] / 5 - told.frames[None]).min(axis=0) < 20).mean() >= 0.95


def test_adding_nothing_new_and_deleting_from_nothing_are_sentences(tmp_path) -> None:
    made = trace_of_events(1, seed=0)
    marks = TraceMarks(made.signals, tmp_path / "e.csv")
    with pytest.raises(Exception, match=r"There is no event to delete\."):
        marks.delete(5)
    with pytest.raises(Exception, match=r"The trace has the samples 0 to 49999, not 60000\."):
        marks.add(60000)
    assert marks.undo() is None
    marks.replace(Events(np.array([1]), "repeated", np.array([0]), np.array([50.0]), np.array([0.9]), 2e-5), "found")
    assert marks.undo() == "found"


def test_windows_are_cut_out_of_a_trace_scored_and_kept(opened, qtbot, tmp_path) -> None:
    tab, made, _ = opened
    shown = tab()
    panel = shown.traces
    panel.window.setValue(WINDOW)
    assert not shown.windows.isVisibleTo(shown)
    panel.cutting.click()
    windows = shown.windows
    assert windows.isVisibleTo(shown)
    scores = windows.scores
    event, nothing, unclear, not_yet = scores.counts
    assert event >= 0.6 * len(made.onsets)
    assert nothing >= 1
    assert not_yet == 0
    assert f"{event} with an event, {nothing} without, {unclear} unclear" in windows.balance.text()
    first = int(scores.scores[0])
    windows.answers[2].click()
    assert scores.scores[0] == 2
    assert scores.place == 1
    assert "window 1" in windows.title.text()
    kept = open_signals(scores.path)
    assert kept.scores.tolist() == scores.scores.tolist()
    assert kept.kind == "repeated"
    windows.undo.click()
    assert scores.scores[0] == first
    assert windows.train.button.isEnabled() == (event >= 4 and nothing >= 4)
    # the same windows cut anew bring the answers back; a file of windows is scored alike
    scores.go(-5)
    scores.cycle()
    changed = scores.scores.copy()
    panel.cutting.click()
    assert windows.scores is not scores
    assert windows.scores.scores.tolist() == changed.tolist()
    shown.open(scores.path)
    qtbot.waitUntil(lambda: shown.source.where.text().startswith(scores.path.name), timeout=30000)
    assert windows.scores.scores.tolist() == changed.tolist()
    assert not panel.isVisibleTo(shown)


def test_windows_are_gone_through_by_the_models_doubt() -> None:
    signals = Signals.of(np.random.default_rng(0).normal(size=(5, 40)), kind="repeated", scores=-1)
    scores = WindowScores(signals)
    scores.chance = np.array([0.9, 0.02, 0.55, 0.3, 1.0])
    scores.sort(SortOrder.DOUBT)
    seen = [scores.row]
    for _ in range(4):
        scores.go(1)
        seen.append(scores.row)
    assert seen == [2, 3, 0, 1, 4]
    scores.answer(1)
    scores.sort(SortOrder.NOT_YET)
    assert scores.row == 0
    assert scores.counts == (1, 0, 0, 4)
    assert scores.scored.scores.tolist() == [-1, -1, -1, -1, 1]
