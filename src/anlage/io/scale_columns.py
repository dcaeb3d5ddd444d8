"""Voxel size and time step as constant columns of a CSV table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from anlage.axes import Spacing
from anlage.errors import AnlageError

__all__ = ["INTERVAL_COLUMN", "SCALE_COLUMNS", "SPACING_COLUMNS", "TABLES", "scale_columns", "table_scale"]

SPACING_COLUMNS = ("spacing_z_um", "spacing_y_um", "spacing_x_um")
"""Edges of a voxel of the image in µm."""
INTERVAL_COLUMN = "interval_s"
"""Time between two frames of the image in seconds."""
SCALE_COLUMNS = (*SPACING_COLUMNS, INTERVAL_COLUMN)
TABLES = (".csv", ".tsv")
"""Suffixes of the files that have such columns."""


def scale_columns(n: int, spacing: Spacing | None, interval_s: float | None = None) -> dict[str, Any]:
    """The columns of a table of `n` rows; what is unknown has none."""
    known: dict[str, float] = {} if spacing is None else dict(zip(SPACING_COLUMNS, spacing.zyx, strict=True))
    if interval_s is not None:
        known[INTERVAL_COLUMN] = interval_s
    return {name: np.full(n, float(f"{value:.9g}")) for name, value in known.items()}


def table_scale(path: str | Path) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s that a table carries; None where it carries none.

    Raises
    ------
    AnlageError
        If a column of these holds several values, or one that can be no size.
    """
    place = Path(path)
    with place.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
        separator = max(",;\t", key=header.count)
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
        at = {name: names.index(name) for name in SCALE_COLUMNS if name in names}
        if not at:
            return None, None
        seen: dict[str, set[str]] = {name: set() for name in at}
        try:
            for row in csv.reader(file, delimiter=separator):
                for name, column in at.items():
                    if column < len(row) and row[column].strip():
                        seen[name].add(row[column].strip())
        except csv.Error as error:
            raise AnlageError(f"'{place}' is no regular table ({error}).") from error
    known = {name: _only(place, name, values) for name, values in seen.items() if values}
    sizes = [known.get(name) for name in SPACING_COLUMNS]
    z, y, x = (size or 0.0 for size in sizes)
    return Spacing(z, y, x) if min(z, y, x) > 0 else None, known.get(INTERVAL_COLUMN)


def _only(path: Path, name: str, values: set[str]) -> float:
    """The one value of a column."""
    if len(values) > 1:
        raise AnlageError(
            f"'{path}' has several values for {name} ({', '.join(sorted(values)[:3])}); the rows of a table are of one image, "
            "so give one table for each image."
        )
    text = values.pop()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (np.isfinite(value) and value > 0):
        raise AnlageError(
            f"'{path}' has '{text}' for {name}, which is no number above 0; correct or remove the column."
        )
    return value
