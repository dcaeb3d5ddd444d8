"""Signals held back while the program changes a widget."""

from __future__ import annotations

import contextlib

from qtpy.QtWidgets import QCheckBox

from napari_anlage.widgets.silent import silent


def test_nothing_is_heard_within_and_all_afterwards_also_after_an_error(qtbot) -> None:
    one, other, heard = QCheckBox(), QCheckBox(), []
    for box in (one, other):
        qtbot.addWidget(box)
        box.toggled.connect(heard.append)
    with contextlib.suppress(ValueError), silent(one, other):
        one.setChecked(True)
        other.setChecked(True)
        raise ValueError("an error")
    assert heard == []
    one.setChecked(False)
    assert heard == [False]


def test_what_was_silent_before_stays_so(qtbot) -> None:
    box, heard = QCheckBox(), []
    qtbot.addWidget(box)
    box.toggled.connect(heard.append)
    with silent(box):
        with silent(box):
            pass
        box.setChecked(True)
    assert heard == []
