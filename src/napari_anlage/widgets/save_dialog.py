"""The dialogue that asks where to write a file."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from anlage import Writer
from napari_anlage.widgets.writers import CONSENTED, WINDOW

__all__ = ["ask_where"]


def ask_where(parent: QWidget, title: str, place: str | Path, types: str) -> tuple[Path, Writer] | None:
    """The file that the user chose, and who writes it; None where nothing was chosen.

    Qt asks before it gives the name of a file that is there, which is consent to replace it. That holds for the name as it was
    chosen alone, not for one that gets its ending here.

    Parameters
    ----------
    parent, title
        Of the dialogue.
    place
        A first name.
    types
        Qt's list of kinds of files, ``Table (*.csv);;Picture (*.png)``: the ending of the chosen kind is added where there is
        none.
    """
    chosen, kind = QFileDialog.getSaveFileName(parent, title, str(place), types)
    if not chosen:
        return None
    path = Path(chosen)
    if path.suffix:
        return path, CONSENTED
    ending = (kind or types).partition("*")[2].partition(")")[0].split()[0]
    return path.with_name(path.name + ending), WINDOW
