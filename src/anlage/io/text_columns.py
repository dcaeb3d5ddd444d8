"""A CSV as columns of text, read as numbers where they are wanted; what cannot be is refused with its row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EMPTY", "FIRST_ROW", "TextColumns"]

FIRST_ROW = 2
"""Row of the first entry as a spreadsheet counts: the names are row 1."""
EMPTY = ("", "nan", "na", "none", "null", "n/a", "-")
"""Cells that hold nothing."""


class TextColumns:
    """A CSV separated by commas, semicolons or tabs.

    Parameters
    ----------
    path
        The file.
    needs
        What such a table needs, as half a sentence, for messages.
    """

    def __init__(self, path: Path, needs: str) -> None:
        self.path = path
        self.frame = _frame(path, needs)

    def numbers(self, name: Any, *, strict: bool = True) -> npt.NDArray[np.float64]:
        """A column as numbers, NaN where the cell is empty; other text is refused if `strict`."""
        import pandas as pd

        text = self.frame[name].str.strip()
        values = np.array(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
        wrong = ~np.isfinite(values) & ~text.str.lower().isin(EMPTY).to_numpy()
        values[~np.isfinite(values)] = np.nan
        if strict and wrong.any():
            self.refuse(name, wrong, "is no number")
        return values

    def whole(self, name: Any, *, least: int = 0) -> npt.NDArray[np.int64]:
        values = self.numbers(name)
        self.refuse(name, ~(values == np.rint(values)), "is no whole number")
        self.refuse(name, values < least, f"is below {least}")
        return values.astype(np.int64)

    def refuse(self, name: Any, bad: npt.NDArray[np.bool_], why: str) -> None:
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            row = self.frame.index[first] + FIRST_ROW
            more = f" ({int(bad.sum()) - 1} more rows like it)" if bad.sum() > 1 else ""
            raise AnlageError(
                f"'{self.path}': row {row} has '{self.frame[name].iloc[first]}' for {name}, which {why}{more}."
            )


def _frame(path: Path, needs: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            file.seek(0)
            frame = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, index_col=False)
    except UnicodeDecodeError:
        raise AnlageError(f"'{path}' is no text; save the table as CSV (UTF-8).") from None
    except pd.errors.EmptyDataError:
        raise AnlageError(f"'{path}' is empty; {needs}.") from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise AnlageError(f"'{path}' is no regular table ({str(error).strip()}).") from error
    frame = frame.fillna("")
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise AnlageError(f"'{path}' has no rows below its line of names; {needs}.")
    return frame
