"""Tables of other programs as tables of nuclei: napari's points, and tracks with POSITION_X (Celldetective)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from anlage.errors import AnlageError
from anlage.foreign import whole_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["are_places", "is_points_table", "translated"]

_AXIS = "axis-"
_BY_COUNT = {2: "yx", 3: "zyx", 4: "tzyx"}
"""What unnamed axes mean, as in images."""
_FRAMES = ("frame", "position_t", "t")
_MEANINGS = ("state", "label", "probability", "origin", "radius_um", "link_probability", "parent_id")
"""Columns that mean something else here, so they are kept under another name."""
_APART = "foreign_"
_IN_UM = ("position_t", "quality", "spot_source_id")
"""Columns of TrackMate's own CSV, whose positions are in its unit and no pixels."""


def is_points_table(names: Collection[str]) -> bool:
    """Whether these columns, in lower case, are those of the points that napari saves."""
    return {"index", "axis-0", "axis-1"} <= set(names)


def are_places(names: Collection[str]) -> bool:
    """Whether these columns, in lower case, give places of tracks as ``POSITION_X`` and ``POSITION_Y``."""
    return {"position_x", "position_y", "frame"} <= set(names)


def translated(
    frame: pd.DataFrame, name: str, shape_tzyx: tuple[int, int, int, int] | None, axes: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table of text with the columns id, t, y and x, and sentences that say how it was read; others stay as they are.

    Parameters
    ----------
    frame
        The cells as text.
    name
        Of the file, for messages.
    shape_tzyx
        Of the image; None where it is unknown.
    axes
        What napari's axes are, as letters; None: what the image, or their count, says.

    Raises
    ------
    AnlageError
        If napari's axes do not fit the image, or positions are in TrackMate's unit.
    """
    lower = {str(column).strip().lower(): column for column in frame.columns}
    if {"id", "t", "y", "x"} <= set(frame.columns):
        return frame, ()
    if is_points_table(lower):
        return _points(frame, name, shape_tzyx, axes)
    if are_places(lower):
        if any(column in lower for column in _IN_UM):
            raise AnlageError(
                f"'{name}' is a table of TrackMate, whose positions are in its own unit; save the XML there (File ▸ Save) and give that."
            )
        return _placed(frame, name, lower)
    return frame, ()


def _points(
    frame: pd.DataFrame, name: str, shape_tzyx: tuple[int, int, int, int] | None, axes: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The points of a layer; their index counts from 0, ids from 1."""
    columns = [column for column in frame.columns if str(column).startswith(_AXIS)]
    columns.sort(key=lambda column: whole_number(str(column)[len(_AXIS) :]) or 0)
    letters, why = _letters(len(columns), name, shape_tzyx, axes)
    found = frame.rename(columns=dict(zip(columns, letters, strict=True)))
    ids = [str(i) for i in range(1, len(found) + 1)]
    found = found.drop(columns=[column for column in found.columns if str(column).lower() in ("index", "id")])
    found.insert(0, "id", ids)
    if "t" not in found:
        found["t"] = "0"
    return found, (f"The axes of the points in '{name}' were read as {', '.join(letters)}{why}.",)


def _letters(n: int, name: str, shape_tzyx: tuple[int, int, int, int] | None, axes: str | None) -> tuple[str, str]:
    """What `n` axes of napari are, and who says so."""
    if axes is not None and len(axes.replace("c", "")) == n:
        return axes.replace("c", ""), " (given)"
    if shape_tzyx is not None:
        used = "".join(letter for letter, length in zip("tz", shape_tzyx, strict=False) if length > 1) + "yx"
        if len(used) == n:
            return used, ", as in the image"
        if n == 4:
            return "tzyx", ", by their count"
        missing = f"its points have {n} axes, but the image has {len(used)} ({', '.join(used)})"
        raise AnlageError(f"'{name}' does not fit the image: {missing}; save the points of a layer over this image.")
    if n not in _BY_COUNT:
        raise AnlageError(f"The points in '{name}' have {n} axes; 2 to 4 are read. Say what they are with --axes.")
    return _BY_COUNT[n], ", by their count; say --axes if that is wrong" if n == 3 else ", by their count"


def _placed(frame: pd.DataFrame, name: str, lower: dict[str, str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows with a track, a frame and POSITION_X, POSITION_Y, in pixels."""
    moved = {lower[f"position_{axis}"]: axis for axis in "zyx" if f"position_{axis}" in lower}
    moved[next(lower[column] for column in _FRAMES if column in lower)] = "t"
    gone = [column for column in ("id", "t") if column in frame.columns and column not in moved]
    moved |= {column: f"{_APART}{column}" for column in _MEANINGS if column in frame.columns and column not in moved}
    found = frame.drop(columns=gone).rename(columns=moved)
    found.insert(0, "id", [str(i) for i in range(1, len(found) + 1)])
    return found, (
        f"The positions in '{name}' (POSITION_X, POSITION_Y) were taken for pixels, its frames for those of the image.",
    )
