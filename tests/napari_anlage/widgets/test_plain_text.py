"""Names from files are shown letter by letter, whatever they hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt, QUrl
from qtpy.QtWidgets import QLabel

import napari_anlage
from napari_anlage.signals.plot import title_of_signal
from napari_anlage.widgets.basic import StatusLine, heading, note, small_button
from napari_anlage.widgets.escaping import as_html, plain
from napari_anlage.widgets.plain_text import CardBrowser, ElidingLabel, Label

HOSTILE = (
    "<img src='file:///canary.png'>", "<b>bold</b>", "<h1>BIG", "<a href='http://127.0.0.1/'>click</a>", "<!DOCTYPE html>x",
    "&lt;b&gt;", "a\n<b>b</b>", "<?xml version='1.0'?><b>x</b>", "x<br/>y", "<qt>x</qt>", "  <b>x</b>", "< b >x", "<B>x", "<p\tx>",
)  # fmt: skip
SOURCES = sorted(Path(napari_anlage.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_taken_for_html_and_none_is_changed_to_the_eye(text) -> None:
    shown = plain(text)
    assert not Qt.mightBeRichText(shown)
    assert shown.replace("\N{WORD JOINER}", "") == text
    assert plain(shown).replace("\N{WORD JOINER}", "") == text


def test_control_characters_are_written_out() -> None:
    assert plain("a\x1b[31m\u202ereversed") == "a\\x1b[31m\\u202ereversed"
    assert as_html("\x00<b>") == "\\x00&lt;b&gt;"


@pytest.mark.parametrize("text", HOSTILE)
def test_every_kind_of_label_shows_it_as_it_is(qtbot, text) -> None:
    status = StatusLine()
    status.say(text, "error", text)
    eliding = ElidingLabel()
    eliding.setText(text)
    labels: list[QLabel] = [Label(text), heading(text), note(text), status, eliding]
    for label in labels:
        qtbot.addWidget(label)
        assert label.textFormat() == Qt.TextFormat.PlainText
        assert text in (label.text(), status.plain)
    assert not Qt.mightBeRichText(status.toolTip())
    button = small_button("x", text)
    qtbot.addWidget(button)
    assert not Qt.mightBeRichText(button.toolTip())


def test_titles_of_plots_take_html_and_get_none() -> None:
    assert title_of_signal("<b>mean_red</b>", "µm") == "&lt;b&gt;mean red&lt;/b&gt; (µm)"


def test_a_card_loads_nothing_and_leads_nowhere(qtbot, tmp_path) -> None:
    browser = CardBrowser()
    qtbot.addWidget(browser)
    browser.show_markdown(
        "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "![picture](file:///etc/hostname) [link](http://127.0.0.1/x) <http://127.0.0.1/y> http://127.0.0.1/z www.example.org\n\n"
        "<img src='file:///etc/hostname'> <b>not bold</b>\n"
    )
    html = browser.toHtml()
    assert "<table" in html
    assert "href" not in html
    for words in ("http://127.0.0.1/z", "www.example.org"):
        assert words in browser.toPlainText()
    readable = tmp_path / "secret.txt"
    readable.write_text("secret")
    for kind in range(1, 5):
        assert not bytes(browser.document().resource(kind, QUrl.fromLocalFile(str(readable))))
    assert all(
        not browser.anchorAt(QPoint(x, y)) for x in range(0, browser.width(), 7) for y in range(0, browser.height(), 7)
    )


# ---- nobody goes around it ----


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node, node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_labels_tooltips_and_number_fields_are_made_in_one_place(path) -> None:
    source = path.read_text(encoding="utf-8")
    wrong = []
    for node, name in calls(path):
        if name in ("QLabel", "QElidingLabel", "QTextBrowser", "QTextEdit", "setHtml") and path.stem != "plain_text":
            wrong.append(f"{name}, line {node.lineno}: labels are those of plain_text.py")
        if name in ("show_info", "show_warning", "show_error"):
            said = ast.get_source_segment(source, node.args[0]) or ""
            if not said.startswith("plain("):
                wrong.append(f"{name}, line {node.lineno}: notifications go through plain()")
        if name in (
            "QSpinBox",
            "QDoubleSpinBox",
            "QInputDialog",
            "QLabeledSlider",
            "QLabeledRangeSlider",
            "QLargeIntSpinBox",
        ):
            wrong.append(f"{name}, line {node.lineno}: numbers are typed into number_fields.py's")
        tip = node.args[-1] if name in ("setToolTip", "setStatusTip", "setWhatsThis") and node.args else None
        if name == "setItemData" and len(node.args) == 3:
            tip = node.args[1]
        said = "" if tip is None else ast.get_source_segment(source, tip) or ""
        if (
            tip is not None
            and not isinstance(tip, ast.Constant)
            and not said.startswith("plain(")
            and not said.endswith(".toolTip()")
        ):
            wrong.append(f"{name}, line {node.lineno}: tooltips go through plain()")
    assert not wrong
