"""The whole dock in a real viewer: every number field in several languages, every text with names that are HTML."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QTextBrowser,
    QTextEdit,
    QWidget,
)

from anlage import Signals, starter_path, write_signals
from napari_anlage.dock import Dock
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.plain_text import Rich

pytestmark = pytest.mark.viewer
STEPS = ("data", "annotate", "train", "predict", "track", "review", "signals")
HTML = "<img src='file:///canary.png'><b>canary</b>"
LANGUAGES = ("de_DE", "fr_FR", "en_US", "ar_EG")


@pytest.fixture
def names(odd, blobs, make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Dock]:
    """A dock with every step made, over layers, a project, models and signals whose names are HTML."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name=f"movie {HTML}", **odd)
    viewer.add_image(blobs[0] // 2, name=f"second {HTML}", **odd)
    world = np.array([viewer.layers[0].data_to_world(c) for c in blobs[1]])
    viewer.add_points(world, name=f"nuclei {HTML}", units=odd["units"], axis_labels=odd["axis_labels"])
    viewer.add_labels((blobs[0] > 300).astype(int), name=f"labels {HTML}", **odd)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(tmp_path / "project <b>canary<i>.anlage")
    for step in STEPS:
        dock.go_to(step)
    yield dock
    dock.close()
    dock.session.close()


def hostile_model(folder: Path) -> Path:
    """The starter with a card in which every text is HTML, and Markdown."""
    text = f"{HTML} # big *big* [x](http://127.0.0.1) http://127.0.0.1/canary ![x](file:///canary.png)"
    with zipfile.ZipFile(starter_path()) as model:
        parts = {name: model.read(name) for name in model.namelist()}
    card = json.loads(parts["card.json"])
    card["name"] = "<b>canary"
    card["limits"] = card["created"] = text
    card["channels"] = [text]
    card["evidence"]["held_out"] = text
    card["trained_on"] = [{**card["trained_on"][0], "name": text, "source": text}]
    parts["card.json"] = json.dumps(card).encode()
    path = folder / "<b>canary<i>.anlage"
    with zipfile.ZipFile(path, "w") as model:
        for name, content in parts.items():
            model.writestr(name, content)
    return path


def rich_texts(top: QWidget) -> set[str]:
    """Whatever Qt would take for HTML and is not ours."""
    found = set()
    for widget in top.findChildren(QWidget):
        if isinstance(widget, QLabel) and not isinstance(widget, Rich):
            rich = widget.textFormat() != Qt.TextFormat.PlainText and Qt.mightBeRichText(widget.text())
            found |= {f"{type(widget).__name__}: {widget.text()}"} if rich else set()
        if isinstance(widget, Rich) and "<img" in widget.text():
            found.add(widget.text())
        if isinstance(widget, QTextEdit) and not isinstance(widget, QTextBrowser):
            found.add(f"text: {widget.toPlainText()}")
        tips = [widget.toolTip(), widget.statusTip(), widget.whatsThis()]
        if isinstance(widget, QComboBox):
            tips += [str(widget.itemData(i, Qt.ItemDataRole.ToolTipRole) or "") for i in range(widget.count())]
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            model = widget.model()
            for row in range(min(model.rowCount(), 50)):
                for column in range(model.columnCount()):
                    tips.append(str(model.data(model.index(row, column), Qt.ItemDataRole.ToolTipRole) or ""))
        found |= {f"{type(widget).__name__}: {tip}" for tip in tips if Qt.mightBeRichText(tip)}
    return found


def test_names_that_are_html_are_shown_letter_by_letter_all_over_the_dock(names, tmp_path, qtbot) -> None:
    dock = names
    path = hostile_model(tmp_path)
    dock.predict.models.add(path)
    models = dock.session.folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, models / path.name)
    dock.session.project_changed.emit()
    values = np.random.default_rng(0).normal(100, 5, (6, 2, 30))
    signals = Signals.of(values, (f"mean {HTML}", "<b>canary"), interval_s=60.0)
    table = tmp_path / "<b>canary.csv"
    write_signals(table, signals)
    dock.signals.open(table)
    qtbot.waitUntil(lambda: dock.signals.scoring is not None, timeout=30000)
    dock.session.need_document()
    for step in STEPS:
        dock.go_to(step)
        assert not rich_texts(dock), step
    card = dock.predict.models.text
    assert "canary" in card.toPlainText()
    html = card.toHtml()
    assert not any(sign in html for sign in ("<img", "href", "<h1"))
    names_shown = [dock.predict.models.combo.itemText(i) for i in range(dock.predict.models.combo.count())]
    assert "<b>canary<i>" in names_shown
    titles = [plot.titleLabel.text for plot in dock.signals.panel.plot._plots]
    assert titles
    assert all("<img" not in title and "<b>" not in title for title in titles)
    assert "canary" in dock.predict.models.about.text()


def test_every_number_field_of_the_dock_reads_both_signs_in_every_language(names) -> None:
    fields = names.findChildren(QAbstractSpinBox)
    assert len(fields) > 60
    others = [field for field in fields if not isinstance(field, NumberField)]
    assert not others
    words = {line.objectName() or type(line.parent()).__name__ for line in names.findChildren(QLineEdit)}
    assert words  # lines of text are names; see test_a_line_of_text_is_no_number
    before = QLocale()
    try:
        for language in LANGUAGES:
            QLocale.setDefault(QLocale(language))
            for field in fields:
                check(field)
    finally:
        QLocale.setDefault(before)


def check(field: NumberField) -> None:
    """Type 0.325 and 1.234,5 into a field as it stands; nothing hears of it."""
    field.blockSignals(True)
    first = field.value()
    enter(field, field.text())
    assert field.value() == first, f"{field.toolTip()}: {first} became {field.value()}"
    possible = not isinstance(field, CountField) and field.minimum() <= 0.325 <= field.maximum()
    for text in ("0,325", "0.325"):
        field.setValue(first)
        enter(field, text)
        assert field.value() == (0.325 if possible else first), f"{field.toolTip()}: {text} became {field.value()}"
        assert bool(field.take_refusal()) != possible
        assert ("0.325" in field.text()) == (possible or "0.325" in str(first))
    for text in ("1.234,5", "1,234.5", "1 234"):
        field.setValue(first)
        enter(field, text)
        assert field.value() == first, f"{field.toolTip()}: {text} became {field.value()}"
        assert text in field.take_refusal()
    field.setValue(first)
    field.blockSignals(False)


def enter(field: NumberField, text: str) -> None:
    field.lineEdit().selectAll()
    field.lineEdit().insert(text)
    field.interpretText()


def test_the_time_step_is_typed_with_a_comma_and_set_by_a_click(names) -> None:
    dock = names
    dock.go_to("data")
    scale = dock.data.findChildren(QWidget)
    fields = next(widget for widget in scale if hasattr(widget, "interval_fields")).interval_fields
    line = fields.spins[0].lineEdit()
    line.selectAll()
    QTest.keyClicks(line, "2,5")
    QTest.mouseClick(fields.apply, Qt.MouseButton.LeftButton)
    assert dock.session.image().interval_s == 2.5
