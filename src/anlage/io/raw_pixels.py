"""Read uncompressed pixels that lie in one piece of a file, block by block.

They are not mapped into memory: a mapped file that becomes shorter while it is open (a copy that goes on, a drive that
vanishes) ends the whole process, and no error can be caught.
"""

from __future__ import annotations

import copy
import math
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.foreign import open_regular

__all__ = ["RawPixels"]


class RawPixels:
    """An array in C order that begins at some byte of a file; several threads may read at once.

    Parameters
    ----------
    path
        The file, which stays open as long as this is used.
    dtype
        Type of the values, in their byte order.
    offset
        The first byte.
    shape
        Of the array.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], offset: int, shape: Sequence[int]) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = dtype
        self._offset = offset
        self._file = open_regular(path)
        self._lock = threading.Lock()
        self._whole: RawPixels | None = None
        weakref.finalize(self, self._file.close)

    def reshape(self, shape: Sequence[int]) -> RawPixels:
        """The same values with other axes; the file is shared."""
        other = copy.copy(self)
        other.shape = tuple(int(n) for n in shape)
        other._whole = self  # noqa: SLF001  whose file it is
        return other

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        """Read a part, given by slices.

        Raises
        ------
        EOFError
            If the file has become too short.
        """
        parts = index if isinstance(index, tuple) else (index,)
        spans = [part.indices(n) for part, n in zip(parts, self.shape, strict=True)]
        lengths = [len(range(*span)) for span in spans]
        if not all(lengths):
            return np.empty(lengths, self.dtype)
        whole = self._last_cut(spans)
        # all before the last axis that is cut is walked through, all from there on lies in one piece
        walked = [range(*span) for span in spans[:whole]]
        inner = self.shape[whole + 1 :]
        rows = range(*spans[whole])
        low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1
        piece = np.empty((*map(len, walked), high - low, *inner), self.dtype)
        flat = piece.reshape(-1, (high - low) * math.prod(inner))
        strides = [math.prod(self.shape[i + 1 :]) for i in range(len(self.shape))]
        for row, place in zip(flat, np.ndindex(*map(len, walked)), strict=False):
            at = sum(span[i] * stride for span, i, stride in zip(walked, place, strides, strict=False))
            self._fill(row, at + low * strides[whole])
        inside = (slice(None),) * len(walked)
        found = piece[(*inside, _among(rows, low), *map(_slice, spans[whole + 1 :]))]
        return np.ascontiguousarray(found)

    def _last_cut(self, spans: Sequence[tuple[int, int, int]]) -> int:
        """The axis from which on whole values are read: the last but one that is cut, as rows are read whole."""
        last = len(spans) - 1
        axes = [i for i, (span, n) in enumerate(zip(spans, self.shape, strict=True)) if i < last and span != (0, n, 1)]
        return axes[-1] if axes else 0

    def _fill(self, row: npt.NDArray[Any], first: int) -> None:
        """Read consecutive values from the file."""
        view = row.view(np.uint8).data
        start = self._offset + first * self.dtype.itemsize
        while view:
            n = self._read(view, start)
            if n <= 0:
                raise EOFError("the file has become shorter while it was open")
            view, start = view[n:], start + n

    def _read(self, view: memoryview, start: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], start)
        with self._lock:
            self._file.seek(start)
            return self._file.readinto(view)  # type: ignore[attr-defined, no-any-return]


def _slice(span: tuple[int, int, int]) -> slice:
    """What `slice.indices` gave, as a slice; a negative end means before the first."""
    start, stop, step = span
    return slice(start, None if stop < 0 else stop, step)


def _among(rows: range, low: int) -> slice:
    """The rows among those that were read, which begin with `low`."""
    return _slice((rows[0] - low, rows[-1] - low + (1 if rows.step > 0 else -1), rows.step))
