"""Nuclei as a CSV table: one row a nucleus, positions in voxels."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.scale_columns import SCALE_COLUMNS, scale_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "write_table"]

_NEEDED = ("id", "t", "y", "x")
_OURS = (
    "id", "t", "z", "y", "x", "parent_id", "link_probability", "label", "radius_um", "probability", "state", "origin",
    *SCALE_COLUMNS,
)  # fmt: skip
_FIRST_ROW = 2
"""Row of the first nucleus as a spreadsheet counts: the header is row 1."""


def read_table(path: Path, *, n_planes: int = 1) -> tuple[Annotations, npt.NDArray[np.int64]]:
    """Read a CSV with the columns ``id,t,z,y,x``.

    Also read are ``parent_id``, ``link_probability`` (of the link to the parent), ``label``, ``radius_um``,
    ``probability``, ``state`` and ``origin``; further columns become properties. Rows with a probability and no state are proposals of a network.

    Parameters
    ----------
    path
        The file; its columns may be separated by commas, semicolons or tabs.
    n_planes
        Z of the image: only where it is 1 may the column ``z`` be missing (all nuclei then lie in plane 0).

    Returns
    -------
    annotations, rows
        And the row of each nucleus in the file (the header is row 1), for messages.

    Raises
    ------
    AnlageError
        If a column is missing, or a value is no number: with the row and the value.
    """
    frame = _frame(path)
    rows = frame.index.to_numpy(dtype=np.int64) + _FIRST_ROW
    if "z" not in frame and n_planes > 1:
        raise AnlageError(f"'{path}' has no column z, but the image has {n_planes} planes; add the column.")
    columns = _Columns(frame, rows, path)
    ids = columns.whole("id")
    positions = np.column_stack([columns.number(a) if a in frame else np.zeros(len(frame)) for a in "tzyx"])
    probability = columns.number("probability", empty=np.nan)
    parents = columns.whole("parent_id", empty=0)
    certainty = columns.number("link_probability", empty=np.nan)[parents != 0]
    annotations = Annotations.of(
        positions,
        ids=ids,
        links=_parents(parents, ids),
        link_properties={"probability": certainty} if "link_probability" in frame else {},
        radius_um=columns.number("radius_um", empty=np.nan),
        label=columns.whole("label", empty=0),
        probability=probability,
        state=columns.state(np.where(np.isfinite(probability), State.PROPOSED, State.ACCEPTED)),
        origin=columns.text("origin", np.where(np.isfinite(probability), "model", HUMAN)),
        properties={str(name): _property(frame[name]) for name in frame.columns if name not in _OURS},
    )
    return annotations, rows


def write_table(
    path: str | Path, annotations: Annotations, spacing: Spacing | None = None, interval_s: float | None = None
) -> None:
    """Write a CSV with ``id,t,z,y,x`` and the columns that hold anything, ``parent_id`` where there are links.

    Of the links' columns, their probability is written, as ``link_probability``. Positions are in voxels to four decimals. States and origins are written only where they differ from what reading
    the other columns would give. Voxel size (µm) and time step (s), where they are known, are columns of one value: `scale_columns`.
    """
    import pandas as pd

    z, y, x = annotations.positions[:, 1:].T
    columns: dict[str, Any] = {"id": annotations.ids, "t": annotations.frames}
    columns |= {"z": z.round(4), "y": y.round(4), "x": x.round(4)}
    if np.isfinite(annotations.probability).any() or not len(annotations):
        columns["probability"] = annotations.probability.round(6)
    if np.isfinite(annotations.radius_um).any():
        columns["radius_um"] = annotations.radius_um.round(4)
    columns |= _links(annotations)
    if annotations.label.any():
        columns["label"] = annotations.label
    columns |= _standing(annotations)
    columns |= {name: values for name, values in annotations.properties.items() if values.ndim == 1}
    columns |= scale_columns(len(annotations), spacing, interval_s)
    with replacing(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False)


def _links(annotations: Annotations) -> dict[str, Any]:
    if not len(annotations.links):
        return {}
    order = np.argsort(annotations.ids, kind="stable")
    place = np.searchsorted(annotations.ids[order], annotations.links[:, 1])
    known = place < len(order)
    row, links = order[place[known]], annotations.links[known]
    parents = np.zeros(len(annotations), dtype=np.int64)
    parents[row] = links[:, 0]
    columns: dict[str, Any] = {"parent_id": parents}
    probability = annotations.link_properties.get("probability")
    if probability is not None and np.isfinite(probability).any():
        columns["link_probability"] = np.full(len(annotations), np.nan)
        columns["link_probability"][row] = np.asarray(probability[known], dtype=np.float64).round(6)
    return columns


def _standing(annotations: Annotations) -> dict[str, Any]:
    is_proposal = np.isfinite(annotations.probability)
    expected = np.where(is_proposal, State.PROPOSED, State.ACCEPTED)
    columns: dict[str, Any] = {}
    if (annotations.state != expected).any():
        columns["state"] = [State(s).name.lower() for s in annotations.state]
    if (annotations.origin != np.where(is_proposal, "model", HUMAN)).any():
        columns["origin"] = annotations.origin
    return columns


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            file.seek(0)
            frame = pd.read_csv(
                file, sep=separator, dtype=str, keep_default_na=False, skip_blank_lines=False, index_col=False
            )
    except UnicodeDecodeError:
        raise AnlageError(f"'{path}' is no text; save the table as CSV (UTF-8).") from None
    except pd.errors.EmptyDataError:
        raise AnlageError(f"'{path}' is empty; a table of nuclei needs the columns id,t,z,y,x.") from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise AnlageError(f"'{path}' is no regular table ({str(error).strip()}).") from error
    frame = frame.fillna("")
    seen = next(csv.reader([header], delimiter=separator))[: len(frame.columns)]
    if len(seen) != len(frame.columns):
        raise AnlageError(f"'{path}' has no plain line of column names, but begins with '{header.strip()}'.")
    frame.columns = pd.Index([_known(name) for name in seen])
    missing = [name for name in _NEEDED if name not in frame]
    if missing:
        raise AnlageError(
            f"'{path}' lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(seen)}, "
            "but a table of nuclei needs id,t,z,y,x (z may be missing in 2D)."
        )
    if frame.columns.has_duplicates:
        raise AnlageError(f"'{path}' has two columns of the same name among {', '.join(seen)}; rename one.")
    return frame[(frame != "").any(axis=1)]


def _known(name: str) -> str:
    """Our columns are found whatever their case and the spaces around them."""
    stripped = name.strip()
    return stripped.lower() if stripped.lower() in _OURS else stripped


class _Columns:
    """Columns of text as numbers; a value that is none is refused with its row."""

    def __init__(self, frame: pd.DataFrame, rows: npt.NDArray[np.int64], path: Path) -> None:
        self._frame, self._rows, self._path = frame, rows, path

    def number(self, name: str, empty: float | None = None) -> npt.NDArray[np.float64]:
        """A column of numbers; `empty` stands for an absent column and for empty cells (None refuses them)."""
        import pandas as pd

        if name not in self._frame:
            return np.full(len(self._frame), np.nan if empty is None else empty)
        text = self._frame[name].str.strip()
        values = np.array(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
        blank = np.array(text.str.lower().isin(("", "nan", "na", "none", "null")), dtype=bool)
        if empty is not None:
            values[blank] = empty
        bad = ~np.isfinite(values) if empty is None else ~np.isfinite(values) & ~blank
        self._refuse(name, bad, "is no number")
        return values

    def whole(self, name: str, empty: int | None = None) -> npt.NDArray[np.int64]:
        values = self.number(name, None if empty is None else float(empty))
        self._refuse(name, values != np.rint(values), "is no whole number")
        return values.astype(np.int64)

    def text(self, name: str, default: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
        if name not in self._frame:
            return default
        found = np.array(self._frame[name].str.strip(), dtype=np.str_)
        return np.where(found == "", default, found)

    def state(self, default: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        names: Mapping[str, int] = {state.name.lower(): state.value for state in State}
        numbers = {str(state.value): state.value for state in State}
        words = np.char.lower(self.text("state", np.full(len(default), "")))
        known = {**names, **numbers}
        self._refuse(
            "state", np.array([bool(w) and w not in known for w in words], dtype=bool), f"is none of {', '.join(names)}"
        )
        return np.array([known.get(str(w), int(d)) for w, d in zip(words, default, strict=True)], dtype=np.int64)

    def _refuse(self, name: str, bad: npt.NDArray[np.bool_], why: str) -> None:
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            value = self._frame[name].iloc[first]
            more = f" ({int(bad.sum()) - 1} more rows like it)" if bad.sum() > 1 else ""
            raise AnlageError(f"'{self._path}': row {self._rows[first]} has '{value}' for {name}, which {why}{more}.")


def _parents(parents: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    has = parents != 0
    links: npt.NDArray[np.int64] = np.column_stack([parents[has], ids[has]])
    return links


def _property(column: pd.Series[str]) -> npt.NDArray[Any]:
    """Whole numbers, numbers or text, whichever fits all cells; an empty cell makes a column of numbers a NaN there."""
    import pandas as pd

    text = column.str.strip()
    values = np.array(pd.to_numeric(text.where(text != "", "nan"), errors="coerce"), dtype=np.float64)
    if (np.isfinite(values) | np.array(text.str.lower().isin(("", "nan")), dtype=bool)).all() and len(values):
        is_whole = np.isfinite(values).all() and (values == np.rint(values)).all() and (np.abs(values) < 2**53).all()
        return values.astype(np.int64) if is_whole else values
    return np.array(column, dtype=np.str_)
