"""Names of controls for those who hear the window instead of seeing it."""

from __future__ import annotations

import html
import re

from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QFormLayout, QLabel, QLineEdit, QWidget
from superqt import QCollapsible

from napari_anlage.widgets.escaping import plain

__all__ = ["name_controls"]

_CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)
_LONGEST = 60


def name_controls(root: QWidget) -> None:
    """Name every control that has no name: by its label in a form, by its own words, or by its tooltip."""
    for control in root.findChildren(QWidget):
        if (
            isinstance(control, QAbstractButton)
            and isinstance(control.parentWidget(), QCollapsible)
            and not control.toolTip()
        ):
            control.setToolTip(plain(f"Shows or hides what belongs to '{_words_of(control)}'."))
        if isinstance(control, _CONTROLS) and not control.accessibleName():
            name = _label_of(control) or _words_of(control) or _first_sentence(control.toolTip())
            if name:
                control.setAccessibleName(name)


def _label_of(control: QWidget) -> str:
    """The words beside it in a form."""
    widget = control
    while (parent := widget.parentWidget()) is not None:
        for form in parent.findChildren(QFormLayout):
            label = form.labelForField(widget)
            if isinstance(label, QLabel):
                return str(label.text())
        if len(parent.findChildren(QWidget)) > len(_CONTROLS):  # no wrapper around a single control any more
            return ""
        widget = parent
    return ""


def _words_of(control: QWidget) -> str:
    words = control.text().replace("&", "") if isinstance(control, QAbstractButton) else ""
    return words if re.search(r"\w", words) else ""


def _first_sentence(tooltip: str) -> str:
    words = html.unescape(re.sub(r"<[^>]+>", "", tooltip)).strip()
    return re.split(r"[.:;]\s|\.$", words, maxsplit=1)[0][:_LONGEST]
