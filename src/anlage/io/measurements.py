"""Write measurements of objects as a CSV table."""

from __future__ import annotations

from pathlib import Path

from anlage.errors import AnlageError
from anlage.io.csv_files import write_csv
from anlage.io.seals import LIBRARY, Writer
from anlage.objects.measure import ObjectTable

__all__ = ["write_objects"]


def write_objects(path: str | Path, table: ObjectTable, by: Writer = LIBRARY) -> None:
    """Write a table of objects as CSV, whole or not at all; missing parent folders are made.

    It begins with the columns `id`, `t`, `z`, `y`, `x`, `label`, so that it is read wherever a table of nuclei is.

    Raises
    ------
    AnlageError
        If the name does not end in .csv, or the disk is full.
    """
    if Path(path).suffix.lower() != ".csv":
        raise AnlageError(f"A table of objects cannot be written as '{path}'; end the name in .csv.")
    write_csv(path, table.columns, by.of("objects"), float_format="%.7g")
