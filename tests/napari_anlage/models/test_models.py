"""Who can predict, what is said of them, and what in an image is unlike anything they saw."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from anlage import Run, Spacing, TimeLapse, starter_path
from anlage.project.models import Choice, classical, project_models, starter
from napari_anlage.models.image_check import CheckRequest, ImageCheck
from napari_anlage.models.panel import ModelPanel
from napari_anlage.session.session import Session
from napari_anlage.train.run_view import how_good


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session.of(viewer := ViewerModel())
    session.set_folder(tmp_path / "movie.anlage")
    session.viewer_kept = viewer  # sessions hold their viewer weakly
    return session


def names(panel: ModelPanel) -> list[str]:
    return [panel.combo.itemText(i) for i in range(panel.combo.count())]


def test_the_starter_tells_what_it_learnt_how_good_it_is_and_what_its_probabilities_are_worth() -> None:
    (choice,) = starter(flat=False)
    said = "\n".join(choice.lines())
    assert "Comes with the program" in said
    assert choice.argument == "starter"
    assert choice.path == starter_path()
    for word in ("Learnt from", "nuclei in", "frames of", "F1 0.", "found,", "missed,", "wrong.", "percentage points"):
        assert word in said
    assert 0 < choice.threshold < 1


def model_that_found(tp: int, fp: int, fn: int, path: Path) -> Path:
    """The starter with other counts in its card."""
    with zipfile.ZipFile(starter_path()) as model:
        parts = {name: model.read(name) for name in model.namelist()}
    card = json.loads(parts["card.json"])
    f1 = 2 * tp / (2 * tp + fp + fn)
    card["evidence"] |= {
        "metrics": {"f1": f1, "tp": tp, "fp": fp, "fn": fn},
        "n_positive": tp + fn,
        "held_out": "a block",
    }
    parts["card.json"] = json.dumps(card).encode()
    with zipfile.ZipFile(path, "w") as model:
        for name, content in parts.items():
            model.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("counts", "kind", "score", "word"),
    [
        ((60, 2, 2), "good", "F1 0.97, 62 nuclei, 0.92 to 0.99", ""),
        ((6, 0, 0), "warning", "F1 1.00, 6 nuclei, 0.76 to 1.00", "Only 6 nuclei were held out"),
        ((2, 300, 60), "error", "F1 0.01, 62 nuclei, 0.00 to 0.04", "not good enough"),
    ],
)
def test_a_score_comes_with_its_number_and_interval_and_a_verdict(
    session, tmp_path, qtbot, counts, kind, score, word
) -> None:
    path = model_that_found(*counts, tmp_path / "m.anlage")
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    panel.add(path)
    assert f"{score}, on a block" in panel.about.text()
    assert panel.doubt.isHidden() == (not word)
    assert word in panel.doubt.plain
    assert "--" not in panel.doubt.plain
    assert panel.doubt.kind == ("idle" if kind == "good" else kind)
    said, shown = how_good(SimpleNamespace(model_path=path))
    assert shown == kind
    assert said.startswith(f": {score}, on a block.")
    assert word in said
    tip = panel.combo.itemData(panel.combo.currentIndex(), Qt.ItemDataRole.ToolTipRole)
    assert score in tip
    assert word in tip


def test_a_file_that_cannot_be_used_is_offered_with_the_reason(session: Session, tmp_path: Path, qtbot) -> None:
    broken = tmp_path / "broken.anlage"
    broken.write_bytes(b"no model")
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    panel.add(broken)
    assert panel.choice.name == "broken"
    assert "is not a model" in panel.choice.problem
    assert panel.about.text() == panel.choice.problem
    assert not panel.card.isVisibleTo(panel)


def test_the_projects_models_come_first_newest_first_and_each_once(session: Session, qtbot, tmp_path: Path) -> None:
    for age, name in ((100, "2026-11-21-old-1.anlage"), (50, "2026-11-22-new-2.anlage")):
        path = session.folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(starter_path(), path)
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    panel.refresh()
    assert names(panel) == ["new-2", "old-1", "starter", "starter-outlines", "classical detector"]
    assert len(project_models(session.folder, [session.folder / "models" / "2026-11-22-new-2.anlage"])) == 2
    assert panel.card.isVisibleTo(panel)
    assert "What it should not be used for" in panel.text.toPlainText()
    panel.combo.setCurrentIndex(3)
    later = Path(shutil.copy(starter_path(), session.folder / "models" / "2026-11-23-latest.anlage"))
    session.project_changed.emit()
    assert panel.choice.path == later.resolve()  # what has just been made is what one wants to see


def test_a_run_that_trains_offers_its_newest_weights(session: Session, run: Run, qtbot) -> None:
    (run.path / "preview").mkdir()
    shutil.copy(starter_path(), run.path / "preview" / "model.anlage")
    session.set_run(run)
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    assert names(panel)[0] == "starter"
    with run.lock():
        panel.refresh()
        assert names(panel)[0] == "first (still training)"
        panel.combo.setCurrentIndex(0)
        assert panel.choice.training
        assert "so far" in panel.about.text()


def test_an_image_unlike_the_models_is_said_once_and_remembered(qtbot) -> None:
    (choice,) = starter(flat=False)
    rng = np.random.default_rng(0)
    pixels = np.where(rng.random((1, 8, 32, 32)) < 0.1, 100, rng.integers(900, 1000, (1, 8, 32, 32))).astype(np.uint16)
    bright = TimeLapse(pixels, "tzyx", spacing=Spacing(1, 1, 1))
    check = ImageCheck()
    with qtbot.waitSignal(check.answered, timeout=60000) as answer:
        check.ask(CheckRequest(bright, choice, None, 8.0))
    assert any("brighter than" in sentence for sentence in answer.args[0])
    with qtbot.waitSignal(check.answered, timeout=100) as again:  # without a thread
        check.ask(CheckRequest(bright, choice, None, 8.0))
    assert again.args == answer.args
    with qtbot.waitSignal(check.answered, timeout=100) as none:
        check.ask(CheckRequest(bright, classical(), None, 8.0))
    assert none.args == [()]


def test_a_model_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from anlage.project import models

    card = Choice.of(starter_path()).card.model_copy(update={"task": "divisions", "head": ""})
    monkeypatch.setattr(models, "read_card", lambda _: card)
    assert "is for divisions" in Choice.of(Path("d.anlage")).problem


def test_a_model_is_kept_for_other_projects_and_trained_from(
    session: Session, qtbot, tmp_path: Path, monkeypatch
) -> None:
    shelf = tmp_path / "shelf"
    monkeypatch.setenv("ANLAGE_MODELS", str(shelf))
    (session.folder / "models").mkdir(parents=True, exist_ok=True)
    shutil.copy(starter_path(), session.folder / "models" / "mine.anlage")
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    asked: list[Path] = []
    panel.train_from.connect(asked.append)
    panel.start.click()
    assert asked == [session.folder / "models" / "mine.anlage"]
    panel.keep.click()
    assert (shelf / "mine.anlage").is_file()
    told: list[Exception] = []
    panel.failed.connect(told.append)
    panel.keep.click()
    assert "lies in" in str(told[0]), "nothing is replaced"
    panel.combo.setCurrentIndex(1)
    assert (panel.choice.path, panel.keep.text()) == (shelf / "mine.anlage", "Kept")
    panel.combo.setCurrentIndex(panel.combo.findText("starter"))
    assert not panel.keep.isVisibleTo(panel), "it is there anyway"
    assert panel.start.isVisibleTo(panel)
    panel.combo.setCurrentIndex(panel.combo.findText("classical detector"))
    assert not panel.start.isVisibleTo(panel)


def in_catalogue(catalogue, name: str):
    """Click a model's line."""
    (item,) = catalogue.tree.findItems(name, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)
    catalogue.tree.setCurrentItem(item)


def test_all_models_are_browsed_used_trained_from_and_shown(qtbot, session, tmp_path, monkeypatch) -> None:
    """Those of the program, of the user's own folder, and of a lab's folder and list that are added."""
    shelf, lab = tmp_path / "shelf", tmp_path / "lab"
    for folder, name in ((shelf, "mine"), (lab, "theirs")):
        folder.mkdir()
        shutil.copy(starter_path(), folder / f"{name}.anlage")
    (lab / "broken.anlage").write_text("no model")
    (tmp_path / "lab.txt").write_text("lab/theirs.anlage # the best\n")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("ANLAGE_MODELS", str(shelf))
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.mouseClick(panel.browse, Qt.MouseButton.LeftButton)
    catalogue = panel.catalogue
    places = [catalogue.tree.topLevelItem(i).text(0) for i in range(catalogue.tree.topLevelItemCount())]
    assert places == ["With the program", "Your model folder"]
    assert not catalogue.use.isEnabled()  # a place is no model
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "empty"))
    qtbot.mouseClick(catalogue.folder, Qt.MouseButton.LeftButton)
    assert "There is no model" in catalogue.status.plain
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(lab))
    qtbot.mouseClick(catalogue.folder, Qt.MouseButton.LeftButton)
    in_catalogue(catalogue, "broken")
    assert not catalogue.use.isEnabled()
    in_catalogue(catalogue, "theirs")
    item = catalogue.tree.currentItem()
    assert item.text(1) == "Centres"
    assert item.text(2).startswith("F1 0.")
    qtbot.mouseClick(catalogue.show_card, Qt.MouseButton.LeftButton)
    assert catalogue.text.isVisible()
    assert "What it looks at" in catalogue.text.toPlainText()
    qtbot.mouseClick(catalogue.use, Qt.MouseButton.LeftButton)
    assert panel.choice.path == (lab / "theirs.anlage").resolve()

    # it knows the folder still; a list may be added, and what it names be trained from
    qtbot.mouseClick(panel.browse, Qt.MouseButton.LeftButton)
    catalogue = panel.catalogue
    in_catalogue(catalogue, "theirs")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "lab.txt"), ""))
    qtbot.mouseClick(catalogue.list, Qt.MouseButton.LeftButton)
    assert catalogue.tree.topLevelItem(3).text(0) == "lab.txt"
    catalogue.tree.setCurrentItem(catalogue.tree.topLevelItem(3).child(0))
    with qtbot.waitSignal(panel.train_from) as wanted:
        qtbot.mouseClick(catalogue.start, Qt.MouseButton.LeftButton)
    assert wanted.args == [(lab / "theirs.anlage").resolve()]


def test_a_model_of_another_kind_goes_where_it_is_used(qtbot, session, tmp_path) -> None:
    panel = ModelPanel(session)
    qtbot.addWidget(panel)
    one = starter(flat=False)[0]
    links = replace(one, card=one.card.model_copy(update={"task": "links"}))
    with qtbot.waitSignal(panel.elsewhere) as wanted:
        panel.use(links)
    assert wanted.args == [links]
    panel.use(one)
    assert panel.choice.argument == "starter"
