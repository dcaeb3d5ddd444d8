"""Read the columns of a CSV file as text or numbers; errors name the row.

Every table is read here, whatever it holds, so that a row with too many cells, a number that would change or a column without a
name is met once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, Range, shown, text_array, whole_number
from anlage.io.csv_files import without_mark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EMPTY", "EXACT", "TextColumns"]

EMPTY = ("", "nan", "na", "none", "null", "n/a", "-", "<na>")
"""Cells that hold nothing, as programs write them."""

EXACT = 2**53
"""Up to here a 64-bit float holds whole numbers exactly."""
_NAMELESS = re.compile(r"(Unnamed: \d+(_level_\d+)?(\.\d+)?)?")
"""No name, or the one that pandas gives to a column without one."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class TextColumns:
    """A CSV separated by commas, semicolons or tabs.

    Columns without a name, the row numbers that pandas and R write first, are left out; a note says so.

    Parameters
    ----------
    path
        The file.
    needs
        What such a table needs, as half a sentence, for messages.
    known
        What a name is called here, for tables whose names may be written in several ways.
    may_be_empty
        Whether a table without rows is one.

    Attributes
    ----------
    frame
        The cells as text, without blank rows; its index is the row as a spreadsheet counts: the names are row 1.
    notes
        Sentences: what was left out.

    Raises
    ------
    AnlageError
        If it is no table, a row has more cells than there are columns, or two columns have the same name.
    """

    def __init__(
        self, path: Path, needs: str, *, known: Callable[[str], str] = str.strip, may_be_empty: bool = False
    ) -> None:
        self.path = path
        self.notes = list[str]()
        header, records = _records(path, needs)
        self.frame = without_mark(self._frame([known(name) for name in header], records))
        if self.frame.empty and not may_be_empty:
            raise AnlageError(f"'{path}' has no rows below its line of names; {needs}.")

    def empty(self, name: Any) -> npt.NDArray[np.bool_]:
        """Which cells of a column hold nothing."""
        return np.array(self.frame[name].str.strip().str.lower().isin(EMPTY), dtype=bool)

    def numbers(self, name: Any, *, strict: bool = True, known: Range | None = None) -> npt.NDArray[np.float64]:
        """A column as numbers, NaN where the cell is empty; other text is refused if `strict`, and what is not in the range."""
        import pandas as pd

        values = np.array(pd.to_numeric(self.frame[name].str.strip(), errors="coerce"), dtype=np.float64)
        wrong = ~np.isfinite(values) & ~self.empty(name)
        values[~np.isfinite(values)] = np.nan
        if strict:
            self.refuse(name, wrong, "is no number")
        if known is not None:
            self.refuse(name, known.outside(values), str(known))
        return values

    def texts(self, name: Any) -> npt.NDArray[np.str_]:
        """A column as text, without the spaces around it."""
        return text_array(self.frame[name].str.strip().tolist(), f"The column '{shown(name)}' of '{self.path}'")

    def exactly(self, name: Any) -> npt.NDArray[Any]:
        """A column as numbers, NaN where there is none; as whole numbers where numbers with a point would change them."""
        values = self.numbers(name, strict=False)
        if (np.abs(values) > EXACT).any():
            whole = [whole_number(cell) for cell in self.frame[name].str.strip()]
            if all(value is not None and abs(value) <= LARGEST_ID for value in whole):
                return np.array(whole, dtype=np.int64)
        return values

    def whole(self, name: Any, *, least: int | None = 0, empty: int | None = None) -> npt.NDArray[np.int64]:
        """A column of whole numbers, exactly as they stand, up to 2⁶³ − 1.

        Parameters
        ----------
        name
            Of the column.
        least
            Smaller ones are refused; None: those that 64 bits do not hold.
        empty
            What stands for empty cells; None refuses them.
        """
        cells = self.frame[name].str.strip().tolist()
        found = [whole_number(cell) for cell in cells]
        if empty is not None:
            found = [empty if gone else value for value, gone in zip(found, self.empty(name), strict=True)]
        self.refuse(name, np.array([value is None for value in found], dtype=bool), "is no whole number")
        values = [value for value in found if value is not None]
        self.refuse(
            name, np.array([value > LARGEST_ID for value in values], dtype=bool),
            f"is above {LARGEST_ID} (2⁶³ − 1), the largest number that is kept exactly; number them anew",
        )  # fmt: skip
        lowest = -LARGEST_ID if least is None else least
        self.refuse(name, np.array([value < lowest for value in values], dtype=bool), f"is below {lowest}")
        return np.array(values, dtype=np.int64)

    def refuse(self, name: Any, bad: npt.NDArray[np.bool_], why: str) -> None:
        """Refuse the table where a value of a column is bad, with the first such row and value."""
        if not bad.any():
            return
        first = int(np.flatnonzero(bad)[0])
        value = str(self.frame[name].iloc[first])
        more = f" ({int(bad.sum()) - 1} more rows like it)." if bad.sum() > 1 else "." if why[-1] != "?" else ""
        if why == "is no number" and _DECIMAL_COMMA.fullmatch(value.strip()):
            why += "; write decimals with a point"
        raise AnlageError(
            f"'{self.path}': row {self.frame.index[first]} has '{shown(value)}' for {shown(name)}, which {why}{more}"
        )

    def _frame(self, names: Sequence[str], records: Sequence[Sequence[str]]) -> pd.DataFrame:
        import pandas as pd

        nameless = [bool(_NAMELESS.fullmatch(name)) for name in names]
        named = [name for name, without in zip(names, nameless, strict=True) if not without]
        if len(set(named)) < len(named):
            listed = shown(", ".join(names), 200)
            raise AnlageError(f"'{self.path}' has two columns of the same name among {listed}; rename one.")
        rows, kept = self._checked(len(names), records)
        columns = list(zip(*kept, strict=True)) if kept else [()] * len(names)
        if any(any(map(str.strip, column)) for column, without in zip(columns, nameless, strict=True) if without):
            self.notes.append(f"The column without a name in '{self.path.name}' was left out: row numbers are no data.")
        cells = [column for column, without in zip(columns, nameless, strict=True) if not without]
        return pd.DataFrame(
            {name: pd.Series(column, index=rows, dtype=str) for name, column in zip(named, cells, strict=True)},
            index=pd.Index(rows, dtype=np.int64),
        )

    def _checked(self, n: int, records: Sequence[Sequence[str]]) -> tuple[list[int], list[list[str]]]:
        """Rows of `n` cells each, without blank ones, and the row of the file that each is."""
        rows, kept = list[int](), list[list[str]]()
        for row, record in enumerate(records, start=2):
            if len(record) > n and any(map(str.strip, record[n:])):
                raise AnlageError(
                    f"'{self.path}': row {row} has {len(record)} cells, but there are {n} columns; are these decimal commas? "
                    "Write 5.25 instead of 5,25, or separate the columns with semicolons or tabs."
                )
            if any(map(str.strip, record)):
                rows.append(row)
                kept.append([*record[:n], *[""] * (n - len(record))])
        return rows, kept


def _records(path: Path, needs: str) -> tuple[list[str], list[list[str]]]:
    """The line of names, and the cells of all rows below it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            file.seek(0)
            records = [*csv.reader(file, delimiter=separator, strict=True)]
    except UnicodeDecodeError:
        raise AnlageError(f"'{path}' is no text; save the table as CSV (UTF-8).") from None
    except csv.Error as error:
        raise AnlageError(f"'{path}' is no regular table ({str(error).strip()}).") from error
    if not records:
        raise AnlageError(f"'{path}' is empty; {needs}.")
    names, *rows = records
    if not any(map(str.strip, names)) or any("\n" in name for name in names):
        raise AnlageError(f"'{path}' has no plain line of column names, but begins with '{shown(header.strip())}'.")
    return names, rows
