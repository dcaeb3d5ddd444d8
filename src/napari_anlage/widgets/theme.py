"""Plot colours for the light and the dark theme."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QWidget

__all__ = ["DARK", "LIGHT", "PlotColours", "plot_colours_for"]

_GREY_MIDDLE = 128


@dataclass(frozen=True, slots=True)
class PlotColours:
    """Colours that can be read on one kind of background."""

    train: str
    held_out: str
    score: str
    best: str
    runs: tuple[str, ...]
    """One for each of several runs, distinguishable with colour blindness too."""


DARK = PlotColours(
    "#5aa9e6", "#ffb000", "#3fc58a", "#ff6b70", ("#5aa9e6", "#ffb000", "#3fc58a", "#ff7fae", "#c3a6ff", "#e8e36b")
)
"""On a dark background."""


LIGHT = PlotColours(
    "#1f6fb2", "#a86200", "#187a4f", "#c2272d", ("#1f6fb2", "#a86200", "#187a4f", "#b3256d", "#6b3fb8", "#6e6a00")
)
"""On a light background."""


def plot_colours_for(widget: QWidget) -> PlotColours:
    """The colours for a widget's theme: bright ones where its text is bright."""
    text = widget.palette().color(QPalette.ColorRole.WindowText)
    return DARK if text.lightness() > _GREY_MIDDLE else LIGHT
