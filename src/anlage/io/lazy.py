"""Lazy arrays on disk: in the machine's byte order, and with errors that are sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import border
from anlage.timelapse import LazyArray, TimeLapse

__all__ = ["Pixels", "WholeNumbers", "present_frames"]


def present_frames(image: TimeLapse) -> tuple[int, ...]:
    """The frames that lie on disk: all, but for a folder that lacks the files of some."""
    present: tuple[int, ...] | None = getattr(image.data, "present", None)
    return tuple(range(image.n_frames)) if present is None else present


class Pixels:
    """Pixels of a file: native byte order, and one sentence where a piece cannot be decoded.

    Parameters
    ----------
    array
        Anything lazy.
    source
        The file's name, for the sentence.
    notes
        What was found amiss when the file was opened, as sentences.
    refusal
        Why nothing may be computed from them, as a sentence.
    """

    def __init__(self, array: LazyArray, source: str, notes: tuple[str, ...] = (), refusal: str | None = None) -> None:
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        self.notes, self.refusal = notes, refusal
        self.present: tuple[int, ...] | None = getattr(array, "present", None)
        self._array = array
        self._source = source
        if self.dtype.kind not in "buif":
            raise AnlageError(f"'{source}' holds values of type {self.dtype}; an image needs real numbers.")

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        # a damaged piece may claim to need any amount of memory
        with border(f"A part of '{self._source}'", MemoryError):
            piece = np.asarray(self._array[index])
        return piece.astype(self.dtype, copy=False)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001  numpy's protocol
        return np.asarray(self[(slice(None),) * self.ndim], dtype=dtype)


class WholeNumbers:
    """Labels: whole numbers ≥ 0 as integers, checked whenever a piece is read.

    Unsigned 64 bits become signed ones: numpy compares the two by way of numbers with a point, where large values are no longer
    apart.
    """

    def __init__(self, array: LazyArray, source: str) -> None:
        found = np.dtype(array.dtype)
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype({"b": np.uint8, "f": np.int64}.get(found.kind, found))
        if self.dtype.kind == "u" and self.dtype.itemsize == 8:
            self.dtype = np.dtype(np.int64)
        self.notes: tuple[str, ...] = getattr(array, "notes", ())
        self.refusal: str | None = getattr(array, "refusal", None)
        self.present: tuple[int, ...] | None = getattr(array, "present", None)
        self._array = array
        self._source = source
        if found.kind not in "buif":
            raise AnlageError(f"The labels '{source}' are of type {found}; they must be whole numbers.")

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        piece = np.asarray(self._array[index])
        if piece.dtype.kind == "f":
            self._refuse(piece[~(piece == np.rint(piece))], "whole numbers")
            self._refuse(piece[piece >= 2.0**63], "below 2⁶³")  # infinity, too
            # from there on neighbouring numbers have become one already
            exact = 2.0 ** (np.finfo(piece.dtype).nmant + 1)
            self._refuse(
                piece[piece > exact],
                f"at most {exact:,.0f} where they are saved as {piece.dtype}: save them as integers",
            )
        if piece.dtype.kind in "if":
            self._refuse(piece[piece < 0], "0 (background) or larger")
        if piece.dtype == np.uint64:
            self._refuse(piece[piece > np.iinfo(np.int64).max], "below 2⁶³")
        return piece.astype(self.dtype, copy=False)

    def _refuse(self, bad: npt.NDArray[Any], wanted: str) -> None:
        if bad.size:
            raise AnlageError(
                f"The labels '{self._source}' contain the value {bad.flat[0]!s}; labels must be {wanted}. "
                "Is this the image instead of its labels?"
            )
