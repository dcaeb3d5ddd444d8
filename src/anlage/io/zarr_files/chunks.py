"""Count missing chunks of a zarr array: a missing chunk reads as 0, as if it had been recorded so.

Writers may leave out chunks that are 0 everywhere, so absence alone proves nothing; but a film of which half was copied
looks just the same. Files are listed, never read.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anlage.foreign import MOST_FRAMES
from anlage.io.zarr_files.array_description import ArrayLayout

__all__ = ["Chunks", "check_chunks", "count_chunks", "find_chunks", "presence"]

_MOST_LISTED = 200_000
"""Of more chunks than this only evenly chosen ones, along the first axis, are looked for."""
_MOST_KEPT = 10 * _MOST_LISTED
"""Files whose names are looked at."""
_MOST_ABSENT = 0.9
"""Of an image of which more is absent nothing is computed."""
_NUMBERS = re.compile(r"\d+(?:[./]\d+)*")


@dataclass(frozen=True, slots=True)
class Chunks:
    """The files of an array that were looked for.

    Parameters
    ----------
    grid
        Number of chunks, or shards, along each axis; along the first only of those that were looked for.
    numbers
        (N, axes) of those that are there; along the first axis counted among those that were looked for.
    step
        Along the first axis every so manieth was looked for.
    chunks
        Values in a chunk, along each axis.
    shape
        Of the array.
    others
        Files that look like chunks, but are named otherwise than the metadata say.
    """

    grid: tuple[int, ...]
    numbers: npt.NDArray[np.int64]
    step: int
    chunks: tuple[int, ...]
    shape: tuple[int, ...]
    others: int

    @property
    def n(self) -> int:
        """Chunks that were looked for."""
        return math.prod(self.grid)

    @property
    def n_absent(self) -> int:
        """Those that are not there."""
        return self.n - len(self.numbers)

    def frames(self, axis: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Positions along an axis of which something is absent, and those of which everything is; at most a million."""
        length = min(self.grid[axis], MOST_FRAMES)
        there, counts = np.unique(self.numbers[:, axis], return_counts=True)
        full, any_ = np.zeros(length, dtype=bool), np.zeros(length, dtype=bool)
        inside = there < length
        any_[there[inside]] = True
        full[there[inside & (counts == self.n // self.grid[axis])]] = True
        return self._positions(np.flatnonzero(~full), axis), self._positions(np.flatnonzero(~any_), axis)

    def sentence(self, path: object, axis: int | None = None) -> str:
        """How many are absent, and of which frames, without a full stop."""
        some = None if axis is None or self.shape[axis] == 1 else self.frames(axis)[0]
        where = "" if some is None or not len(some) else _named(some)
        sample = "" if self.step == 1 else " that were looked for"
        verb, reads = ("is", "it reads") if self.n_absent == 1 else ("are", "they read")
        return f"{self.n_absent} of {self.n} chunks{sample} of '{path}' {verb} missing{where}; {reads} as 0"

    def _positions(self, numbers: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.int64]:
        """Values along an axis that lie in chunks of these numbers."""
        numbers = numbers * self.step if axis == 0 else numbers
        size = min(self.chunks[axis], self.shape[axis])
        places = (numbers[:MOST_FRAMES, None] * self.chunks[axis] + np.arange(min(size, MOST_FRAMES))).reshape(-1)
        return places[places < self.shape[axis]][:MOST_FRAMES]


def find_chunks(path: Path, layout: ArrayLayout) -> Chunks:
    """Look which files of an array are there.

    Parameters
    ----------
    path
        The array's folder.
    layout
        What it says of itself.
    """
    grid = layout.grid or (1,)
    step = min(max(1, math.prod(grid) // _MOST_LISTED), max(1, grid[0]))
    wanted = (-(-grid[0] // step), *grid[1:])
    keys = (key for key in _keys(path, layout, step) if key[0] % step == 0)
    found = np.array(list(itertools.islice(keys, _MOST_KEPT)), dtype=np.int64).reshape(-1, len(grid))
    found[:, 0] //= step
    others = 0 if len(found) or not math.prod(wanted) else _others(path, layout)
    return Chunks(wanted, found, step, layout.chunks or (1,), layout.shape or (1,), others)


def presence(found: Chunks) -> Callable[[str], bool] | None:
    """A function that says of a chunk's name whether it was there; None where not all were looked for."""
    if found.step > 1:
        return None
    there = np.sort(np.ravel_multi_index(tuple(found.numbers.T), found.grid))

    def was_there(key: str) -> bool:
        numbers = tuple(map(int, re.findall(r"\d+", key)))
        if len(numbers) != len(found.grid) or any(i >= n for i, n in zip(numbers, found.grid, strict=True)):
            return False
        flat = np.ravel_multi_index(numbers, found.grid)
        place = int(np.searchsorted(there, flat))
        return place < len(there) and bool(there[place] == flat)

    return was_there


def count_chunks(array: Path) -> int:
    """Files of pixels in the folder of an array that we wrote (zarr v3, its numbers folders)."""
    return sum(path.is_file() for path in (array / "c").rglob("*"))


def check_chunks(
    found: Chunks, path: object, axis: int | None = None, *, written: int | None = None, sparse: bool = False
) -> tuple[str | None, str | None]:
    """What is to be said of absent chunks, and why nothing may be computed from what is left.

    Parameters
    ----------
    found
        What was looked for.
    path
        The image, for messages.
    axis
        Number of the axis of time; None where there is none.
    written
        Number of chunks that whoever wrote it counted; None where nobody did.
    sparse
        Most of it may be 0 everywhere, as in label images: a large part that is absent is no reason to refuse it.

    Returns
    -------
    doubt
        A sentence; None where there is nothing to say.
    refusal
        A sentence, in place of the doubt, if no chunk is there, or almost none.
    """
    n, lost = found.n, found.n_absent
    said = found.sentence(path, axis)
    if written is not None and found.step == 1:
        n, lost = written, written - len(found.numbers)
        said = f"{lost} of the {n} chunks that were written of '{path}' are missing; they read as 0"
    if lost <= 0:
        return None, None
    if found.others:
        return None, (
            f"None of the {found.n} chunks of '{path}' is where its metadata say, although chunks lie in "
            "its folder under other names: its dimension_separator (. or /) is wrong, or its metadata are those of another "
            "array; mend that, or save it again."
        )
    if len(found.numbers) == 0 or (lost > _MOST_ABSENT * n and not sparse):
        return None, (
            f"{said}, and what is left is too little to work with; copy the image again, whole, or save it with all its chunks "
            "if they are meant to be 0."
        )
    return f"{said}: if they are not meant to be, copy the image again.", None


def _keys(path: Path, layout: ArrayLayout, step: int) -> Iterator[tuple[int, ...]]:
    """Numbers of the chunks that have a file."""
    grid = layout.grid
    if not grid:
        if (path / (layout.prefix or "0")).is_file():
            yield (0,)
        return
    if layout.separator == "/":
        yield from _below(path / layout.prefix, grid, step, ())
        return
    prefix = f"{layout.prefix}." if layout.prefix else ""
    for name in _names(path):
        parts = name.removeprefix(prefix).split(".")
        if name.startswith(prefix) and len(parts) == len(grid) and all(part.isdecimal() for part in parts):
            key = tuple(map(int, parts))
            if all(i < n for i, n in zip(key, grid, strict=True)):
                yield key


def _below(folder: Path, grid: Sequence[int], step: int, known: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The same where each number is a folder; of the first numbers only every so manieth."""
    numbers = [int(name) for name in _names(folder) if name.isdecimal() and len(name) < 19]
    for number in numbers:
        if number >= grid[0] or (not known and number % step):
            continue
        if len(grid) == 1:
            yield (*known, number)
        else:
            yield from _below(folder / str(number), grid[1:], step, (*known, number))


def _names(folder: Path) -> Iterator[str]:
    """Names in a folder; none where there is none."""
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, _MOST_KEPT):
                yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return


def _others(path: Path, layout: ArrayLayout) -> int:
    """Files named like chunks of another array than the metadata describe."""
    n = len(layout.grid)
    found = 0
    for folder in (path, path / "c"):
        for name in _names(folder):
            bare = name.removeprefix("c.")
            if _NUMBERS.fullmatch(bare) is not None and (n == 1 or bare.count(".") in (0, n - 1)):
                found += (folder / name).is_file() or any(files for _, _, files in os.walk(folder / name))
    return found


def _named(frames: npt.NDArray[np.int64]) -> str:
    first, last = int(frames.min()), int(frames.max())
    if first == last:
        return f" (frame {first})"
    if len(frames) == last - first + 1:
        return f" (frames {first} to {last})"
    return f" (in {len(frames)} frames, from {first} to {last})"
