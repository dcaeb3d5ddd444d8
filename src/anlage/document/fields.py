"""Array fields of edits: given as lists or arrays, written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, PlainSerializer, PlainValidator

from anlage.document.table import MOST_ID
from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES

_FURTHEST = 2.0**31
"""No nucleus lies further out, in voxels, where the shape of the image is not known."""

__all__ = [
    "STRICT",
    "Column",
    "Ids",
    "Pairs",
    "Positions",
    "Properties",
    "after",
    "as_ids",
    "as_pairs",
    "check_once",
    "check_places",
    "count",
]


_FOREIGN_ID = 2**62
"""From here on ids were given by other programs, never by us."""


def as_ids(value: Any) -> npt.NDArray[np.int64]:
    """A fresh (N,) array of ids."""
    return _whole(value).reshape(-1)


def as_pairs(value: Any) -> npt.NDArray[np.int64]:
    """A fresh (M, 2) array of links."""
    return _whole(value).reshape(-1, 2)


def after(ids: npt.NDArray[np.int64]) -> int:
    """The first id that may be given to a new nucleus; those that other programs gave from 2⁶² on leave no room above them."""
    return int(ids[ids < _FOREIGN_ID].max(initial=0)) + 1


def _positions(value: Any) -> npt.NDArray[np.float64]:
    return np.array(_numbers(value), dtype=np.float64).reshape(-1, 4)


def _numbers(value: Any) -> npt.NDArray[Any]:
    """Numbers of any shape. Raises ValueError for anything else, which a journal may hold."""
    given = np.asarray(value)
    if given.size and given.dtype.kind not in "biuf":
        raise ValueError(f"{given.dtype} values are not numbers")
    return given


def _whole(value: Any) -> npt.NDArray[np.int64]:
    given = _numbers(value)
    if given.size and not ((given >= -MOST_ID) & (given <= MOST_ID)).all():
        raise ValueError(f"ids are whole numbers up to {MOST_ID:,}")
    whole = given.astype(np.int64)
    if given.dtype.kind == "f" and (whole != given).any():
        raise ValueError("ids are whole numbers")
    return whole


def _column(value: Any) -> Any:
    """One value or one for each nucleus; numbers that are missing are None in JSON."""
    return value if value is None or isinstance(value, str) else _flat(value)


def _flat(value: Any) -> npt.NDArray[Any]:
    """A fresh column of numbers or text, or one value. Raises ValueError for anything else, which a journal may hold."""
    given = np.asarray(value)
    if given.ndim > 1:
        raise ValueError(f"a column has one value for each nucleus, not a table of {given.shape}")
    if given.dtype.kind == "O":
        values = given.reshape(-1).tolist()
        if not all(v is None or isinstance(v, str | int | float) for v in values):
            raise ValueError("a column holds numbers or text")
        if not any(isinstance(v, str) for v in values):
            return np.array([np.nan if v is None else float(v) for v in values])
    elif given.dtype.kind not in "biufUS":
        raise ValueError(f"a column holds numbers or text, not {given.dtype}")
    return given.copy()


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    listed = value.tolist()
    if value.dtype.kind != "f" or np.isfinite(value).all():
        return listed
    return [v if np.isfinite(v) else None for v in listed] if value.ndim else [None]  # a bare None would mean: stays


def _properties(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("properties are columns by their names")
    return {str(name): _flat(column) for name, column in value.items()}


# ``Any`` towards the caller: lists and arrays are both welcome; inside they are arrays.
Ids = Annotated[Any, PlainValidator(as_ids), PlainSerializer(lambda a: a.tolist())]
Pairs = Annotated[Any, PlainValidator(as_pairs), PlainSerializer(lambda a: a.tolist())]
Positions = Annotated[Any, PlainValidator(_positions), PlainSerializer(lambda a: a.tolist())]
Column = Annotated[Any, PlainValidator(_column), PlainSerializer(_plain)]
Properties = Annotated[
    Any, PlainValidator(_properties), PlainSerializer(lambda p: {name: _plain(column) for name, column in p.items()})
]

STRICT = ConfigDict(extra="forbid", validate_default=True)


def count(n: int, one: str = "nucleus") -> str:
    """``1 nucleus``, ``3 nuclei``, ``2 links``."""
    many = "nuclei" if one == "nucleus" else f"{one}s"
    return f"{n} {one if n == 1 else many}"


def check_once(ids: npt.NDArray[np.int64]) -> None:
    """Refuse an id that is named twice."""
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise AnlageError(f"Nucleus {values[counts > 1][0]} is named twice; name each once.")


def check_places(
    positions: npt.NDArray[np.float64], shape_tzyx: tuple[int, int, int, int] | None, ids: npt.NDArray[np.int64]
) -> None:
    """Refuse positions that are no numbers, between frames, or outside the image."""
    if len(positions) != len(ids):
        raise AnlageError(
            f"There are {len(ids)} ids but {len(positions)} positions; give one (t, z, y, x) for each nucleus."
        )
    t = positions[:, 0]
    wrong = ~np.isfinite(positions).all(axis=1)
    wrong |= (t < 0) | (t != np.rint(t))
    with np.errstate(invalid="ignore"):
        wrong |= (t >= MOST_FRAMES) | (np.abs(positions[:, 1:]) > _FURTHEST).any(axis=1)
    if shape_tzyx is not None:
        # one voxel of grace in space: cut nuclei have their centres on the rim
        low, high = np.array((0, -1, -1, -1)), np.array(shape_tzyx) - (1, 0, 0, 0)
        with np.errstate(invalid="ignore"):
            wrong |= ((positions < low) | (positions > high)).any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        at = ", ".join(f"{v:g}" for v in positions[row])
        image = "" if shape_tzyx is None else f" of shape {shape_tzyx}"
        raise AnlageError(
            f"Nucleus {ids[row]} cannot lie at ({at}) (t, z, y, x): that is no place in a whole frame of the image{image}."
        )
