"""What the tests of the Train tab share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QWidget


@pytest.fixture
def train(make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The tab of the widget *Train networks* in an empty viewer."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer_proxy()
    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
    panel.session.set_folder(tmp_path / "p.anlage")
    yield panel.tab
    panel.tab.retire()


@pytest.fixture
def controls() -> Callable[[Any], list[QWidget]]:
    """What can be set on a Train tab now, from top to bottom; not the device, which is the machine's."""

    def found(train: Any) -> list[QWidget]:
        return [widget for widget in train.setup.findChildren(QWidget) if _can_be_set(train, widget)]

    return found


def _can_be_set(train: Any, widget: QWidget) -> bool:
    own = isinstance(widget, QAbstractSpinBox | QComboBox | QCheckBox)
    line = isinstance(widget, QLineEdit) and not isinstance(widget.parent(), QAbstractSpinBox | QComboBox)
    length = isinstance(widget, QAbstractButton) and widget.parent() is train.length
    shown = widget.isVisibleTo(train.setup) and widget.isEnabled() and widget is not train.device.combo
    return shown and (own or line or length)
