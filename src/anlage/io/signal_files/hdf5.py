"""Read arrays from untrusted HDF5 files, without external links and within size limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import border, check_size, printable

__all__ = ["Hdf5", "read_hdf5"]

_MOST_VALUES = 2**28
"""Of one array: an hour and a half at 50 kHz."""
_MOST_PACKED = 2_000
"""Compression makes values so many times smaller at most; what is smaller was never written and reads as a fill value."""
_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Hdf5:
    """What lies at the top of an HDF5 file.

    Parameters
    ----------
    shapes
        Of each array there.
    arrays
        Those that were asked for.
    attributes
        Of the file.
    """

    shapes: dict[str, tuple[int, ...]]
    arrays: dict[str, npt.NDArray[Any]]
    attributes: dict[str, Any] = field(default_factory=dict)


def read_hdf5(path: Path, wanted: Callable[[dict[str, tuple[int, ...]], dict[str, np.dtype[Any]]], list[str]]) -> Hdf5:
    """Read some of the arrays at the top of an HDF5 file.

    Parameters
    ----------
    path
        The file.
    wanted
        Says by their shapes and types which arrays to read.

    Raises
    ------
    AnlageError
        If it is no HDF5 or damaged, or an array lies in other files, was never written, or is too large.
    """
    import h5py

    with border(f"The HDF5 file '{path}'"), h5py.File(path, "r") as file:
        check_size(len(file), _MOST_NAMES, f"The number of arrays in '{path}'")
        found = {}
        for name in file:
            if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
                raise _elsewhere(path, name)
            item = file.get(name)
            if isinstance(item, h5py.Dataset):
                found[str(name)] = item
        shapes = {name: item.shape or () for name, item in found.items()}
        names = wanted(shapes, {name: item.dtype for name, item in found.items()})
        for name in names:
            _check(path, name, found[name])
        arrays = {name: np.asarray(found[name]) for name in names}
        return Hdf5(shapes, arrays, dict(file.attrs))


def _check(path: Path, name: str, item: Any) -> None:
    if item.external or item.is_virtual:
        raise _elsewhere(path, name)
    n = math.prod(item.shape or ())
    check_size(n, _MOST_VALUES, f"The number of values of '{printable(name)}' in '{path}'")
    if n * item.dtype.itemsize > 2**20 and item.id.get_storage_size() * _MOST_PACKED < n * item.dtype.itemsize:
        raise AnlageError(
            f"'{printable(name)}' in '{path}' is said to have {n:,} values, but hardly any were written: export it again."
        )


def _elsewhere(path: Path, name: str) -> AnlageError:
    return AnlageError(
        f"'{printable(name)}' in '{path}' lies in another file, which is not read; export it into one file, and do not open it "
        "elsewhere if it comes from somebody you do not know."
    )
