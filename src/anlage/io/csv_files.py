"""Write CSV tables, with a last column ``anlage`` that says which command wrote them.

::

    id,t,z,y,x,probability,anlage
    1,0,3.5,17.25,40.0,0.93,anlage:predict/nuclei:5f0c1d2e3a4b5c6d
    2,0,4.0,60.5,12.75,0.88,

Its first cell holds the mark by which the file is recognised. A comment above the header would say the same, but no other
program could then read the table without an option for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anlage.io.atomic import replacing
from anlage.io.seals import MARK, Writer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["without_mark", "write_csv", "write_csv_blocks"]


def write_csv(path: str | Path, columns: Mapping[str, Any], by: Writer, **how: Any) -> None:
    """Write columns of equal length, whole or not at all; missing parent folders are made.

    Parameters
    ----------
    path
        The file.
    columns
        By their name, in order.
    by
        Who writes.
    how
        For `pandas.DataFrame.to_csv`: separator, format of numbers.

    Raises
    ------
    AnlageError
        If another file is there that may not be replaced, or the disk is full.
    """
    write_csv_blocks(path, [columns], by, **how)


def write_csv_blocks(path: str | Path, blocks: Iterable[Mapping[str, Any]], by: Writer, **how: Any) -> None:
    """The same, of a table that comes block by block of rows, all of which have the same columns."""
    import pandas as pd

    with replacing(path, by) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for i, columns in enumerate(blocks):
            table = pd.DataFrame({name: values for name, values in columns.items() if name != MARK})
            cells = [""] * len(table)
            if cells and not i:
                cells[0] = by.mark
            table[MARK] = cells
            table.to_csv(file, index=False, header=not i, **how)


def without_mark(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without the column that is about itself."""
    return frame.drop(columns=MARK, errors="ignore")
