"""Read the feature columns of a layer that have the names of ours. Knows no Qt.

Other programs write `label`, `state`, `probability` or `id` with contents of their own: the part of a body, "good", "high".
Those are kept as properties under another name, and nothing is read into them.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from anlage import State

__all__ = ["columns_of"]

_FOREIGN = "napari_{}"
"""Name under which a column is kept that is called like one of ours and holds something else."""
_MOST = float(2**53)
"""From here on floats skip whole numbers."""
_LARGEST_UM = 1e5
_STATES = {state.name.lower(): int(state) for state in State}

Column = npt.NDArray[Any]


def columns_of(known: Mapping[str, Column]) -> tuple[dict[str, Any], dict[str, Column]]:
    """A table's columns that are arguments of `Annotations.of`, and all others, as properties.

    Parameters
    ----------
    known
        Name and values of each column, one value for each nucleus.
    """
    ours: dict[str, Any] = {}
    properties: dict[str, Column] = {}
    for name, column in known.items():
        reader = _READERS.get(name)
        if reader is None:
            properties[name] = column
            continue
        read = reader(column)
        if read is None:
            properties[_FOREIGN.format(name)] = column
        else:
            ours["ids" if name == "id" else name] = read
    return ours, properties


def _numbers(column: Column) -> Column | None:
    """A column's numbers, NaN where there is none; None where it holds anything else. Whole ones stay whole."""
    if column.dtype.kind in "iuf":
        return column
    if column.dtype.kind != "O" or not all(pd.isna(v) is True or _is_number(v) for v in column):
        return None
    return np.array([np.nan if pd.isna(v) else float(v) for v in column], dtype=np.float64)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _whole(column: Column, least: int) -> Column | None:
    """Whole numbers from `least` on, NaN taken for 0."""
    values = _numbers(column)
    if values is None:
        return None
    values = np.where(np.isnan(values), 0, values) if values.dtype.kind == "f" else values
    fit = (values >= least) & (values < _MOST) & (values == np.rint(values))
    return values.astype(np.int64) if bool(fit.all()) else None


def _ids(column: Column) -> Column | None:
    values = _whole(column, 1)
    return values if values is not None and len(np.unique(values)) == len(values) else None


def _labels(column: Column) -> Column | None:
    return _whole(column, 0)


def _between(low: float, high: float) -> Callable[[Column], Column | None]:
    def read(column: Column) -> Column | None:
        values = _numbers(column)
        if values is None:
            return None
        values = values.astype(np.float64)
        return values if bool((np.isnan(values) | ((values >= low) & (values <= high))).all()) else None

    return read


def _states(column: Column) -> Column | None:
    found = [_STATES.get(str(v).lower(), v) for v in column]
    fit = all(_is_number(v) and v in _STATES.values() for v in found)
    return np.array(found, dtype=np.int8) if fit else None


def _origins(column: Column) -> Column | None:
    return column.astype(np.str_) if all(isinstance(v, str) for v in column) else None


_READERS: dict[str, Callable[[Column], Column | None]] = {
    "id": _ids, "label": _labels, "radius_um": _between(-_LARGEST_UM, _LARGEST_UM), "probability": _between(0.0, 1.0),
    "state": _states, "origin": _origins,
}  # fmt: skip
