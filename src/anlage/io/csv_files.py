"""Write CSV tables, with a last column ``anlage`` that says which command wrote them.

::

    id,t,z,y,x,probability,anlage
    1,0,3.5,17.25,40.0,0.93,anlage:predict/nuclei:5f0c1d2e3a4b5c6d
    2,0,4.0,60.5,12.75,0.88,

Its first cell holds the mark by which the file is recognised. A comment above the header would say the same, but no other
program could then read the table without an option for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anlage.io.atomic import replacing
from anlage.io.seals import MARK, Writer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["without_mark", "write_csv"]


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
    import pandas as pd

    table = pd.DataFrame({name: values for name, values in columns.items() if name != MARK})
    cells = [""] * len(table)
    if cells:
        cells[0] = by.mark
    table[MARK] = cells
    with replacing(path, by) as temporary:
        table.to_csv(temporary, index=False, **how)


def without_mark(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without the column that is about itself."""
    return frame.drop(columns=MARK, errors="ignore")
