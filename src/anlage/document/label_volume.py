"""The painted labels of a whole movie, stored in chunks.

The array lies in a zarr; what is painted stays in memory until `flush`, because the journal has it already. A stroke
that is still being painted (by a viewer that writes into this array) is kept apart from what was committed, so that
the disk never holds half of one.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.document.array_index import around, basic, is_fancy
from anlage.document.edit import Paint
from anlage.document.label_statistics import Moments, add, replace
from anlage.errors import AnlageError
from anlage.foreign import border
from anlage.io.atomic import replacing
from anlage.io.zarr_files.nodes import is_zarr, open_array

__all__ = ["PaintedLabels"]

CHUNK_ZYX = (8, 128, 128)
"""A few planes: a plane is read without its whole stack, a ball painted in 3D touches few chunks."""
KEPT_BYTES = 256 * 2**20
"""Chunks that are kept in memory although the disk has them."""
WAITING = 256
"""So many changed chunks wait in memory for the disk."""

Key = tuple[int, int, int, int]
"""A chunk: frame, and the number of the chunk along z, y, x."""
Chunk = npt.NDArray[np.uint32]


class PaintedLabels:
    """Labels (t, z, y, x), uint32, 0 = background. Read and written like an array.

    Make it with `in_memory`, `create` or `open`.
    """

    ndim = 4
    dtype = np.dtype(np.uint32)

    def __init__(self, shape_tzyx: Sequence[int], folder: Path | None) -> None:
        t, z, y, x = (int(n) for n in shape_tzyx)
        self.shape: tuple[int, int, int, int] = (t, z, y, x)
        self.folder = folder
        """The zarr; None: in memory only."""
        self._array = None if folder is None else _opened(folder)
        self._chunk = tuple(min(n, c) for n, c in zip((z, y, x), CHUNK_ZYX, strict=True))
        if self._array is not None:
            self._chunk = tuple(self._array.chunks[1:])
        self._kept: OrderedDict[Key, Chunk] = OrderedDict()
        self._changed: dict[Key, Chunk] = {}
        self._unsynced: set[Key] = set()
        self._stroke: dict[Key, Chunk] = {}
        self._on_disk: dict[int, set[Key]] = {}
        self._moments: OrderedDict[int, dict[int, Moments]] = OrderedDict()
        self.highest = 0
        """The highest value that was painted while this was open; the table of nuclei knows the earlier ones."""
        self._lock = threading.RLock()
        self._flushing = threading.Lock()

    @classmethod
    def in_memory(cls, shape_tzyx: Sequence[int]) -> Self:
        """Nothing painted yet, and nowhere to write it."""
        return cls(shape_tzyx, None)

    @classmethod
    def create(cls, folder: Path, shape_tzyx: Sequence[int]) -> Self:
        """Make an empty zarr."""
        import zarr
        from zarr.codecs import BloscCodec

        chunks = (1, *(min(n, c) for n, c in zip(tuple(shape_tzyx)[1:], CHUNK_ZYX, strict=True)))
        with replacing(folder, lambda _: False) as temporary:  # whoever is killed here leaves no half of it
            zarr.create_array(
                temporary, shape=tuple(shape_tzyx), dtype=cls.dtype, chunks=chunks, fill_value=0, zarr_format=3,
                compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")], dimension_names=("t", "z", "y", "x"),
                config={"write_empty_chunks": False},
            )  # fmt: skip
        return cls(shape_tzyx, folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a zarr.

        Raises
        ------
        AnlageError
            If there is none, or it holds no painted labels.
        """
        return cls(_opened(folder).shape, folder)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        """Labels, with a stroke that is being painted; a fresh array."""
        with self._lock:
            if is_fancy(index):
                box, inner = around(index, self.shape)
                return self._read(box, with_stroke=True)[inner]
            found, squeezed = basic(index, self.shape)
            if found is None:
                return np.zeros(squeezed, dtype=self.dtype)
            return self._read(found, with_stroke=True).reshape(squeezed)[()]

    def __setitem__(self, index: Any, value: Any) -> None:
        """Paint as part of the stroke; nothing is committed."""
        with self._lock:
            if is_fancy(index):
                box, inner = around(index, self.shape)
                voxels = self._read(box, with_stroke=True)
                voxels[inner] = value
            else:
                found, squeezed = basic(index, self.shape)
                if found is None:
                    return
                box = found
                voxels = np.array(np.broadcast_to(np.asarray(value, dtype=self.dtype), squeezed)).reshape(box.shape)
            for key, here, there in self._parts(box):
                if key not in self._stroke:
                    self._stroke[key] = self._chunk_at(key).copy()
                self._stroke[key][there] = voxels[here]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001  numpy's protocol
        return np.asarray(self[:], dtype=dtype)

    def committed(self, box: Box) -> Chunk:
        """Labels of a box (t, z, y, x) without the stroke that is being painted."""
        with self._lock:
            return self._read(box, with_stroke=False)

    def stroke(self) -> tuple[Paint, ...]:
        """What was painted since the last commit, as edits: one box a frame."""
        with self._lock:
            boxes: dict[int, Box] = {}
            for key, painted in self._stroke.items():
                place = np.argwhere(painted[0] != self._chunk_at(key)[0])
                if len(place):
                    start = np.array(self._box(key).start)[1:]
                    low, high = place.min(axis=0) + start, place.max(axis=0) + start + 1
                    box = Box.of((key[0], *low), (key[0] + 1, *high))
                    boxes[key[0]] = boxes[key[0]].union(box) if key[0] in boxes else box
            return tuple(
                Paint(t, box.start[1:], self._read(box, with_stroke=False)[0], self._read(box, with_stroke=True)[0])
                for t, box in sorted(boxes.items())
            )

    def forget_stroke(self) -> None:
        """Drop what was painted since the last commit."""
        with self._lock:
            self._stroke.clear()

    def erasing(self, t: int, values: Sequence[int]) -> Paint | None:
        """The stroke that takes these values away from a frame; None where there are none. Reads the frame chunk by chunk."""
        with self._lock:
            around: Box | None = None
            for key in self._keys(t):
                place = np.argwhere(np.isin(self._chunk_at(key)[0], values))
                if len(place):
                    start = np.array(self._box(key).start)[1:]
                    box = Box.of((t, *(place.min(axis=0) + start)), (t + 1, *(place.max(axis=0) + start + 1)))
                    around = box if around is None else around.union(box)
            if around is None:
                return None
            before = self._read(around, with_stroke=False)[0]
            return Paint(t, around.start[1:], before, np.where(np.isin(before, values), 0, before))

    def check(self, paints: Iterable[Paint]) -> None:
        """Refuse strokes that did not start from what is painted.

        Raises
        ------
        AnlageError
            If one did not.
        """
        earlier: list[Paint] = []
        for paint in paints:
            now = self.committed(paint.box)[0]
            for other in earlier:
                if other.t == paint.t and (both := other.box.intersection(paint.box)) is not None:
                    target = both.shifted(-np.array(paint.box.start)).slices[1:]
                    now[target] = other.after.voxels()[both.shifted(-np.array(other.box.start)).slices[1:]]
            if not np.array_equal(now, paint.before.voxels()):
                raise AnlageError(
                    f"The labels in frame {paint.t} were changed since this stroke of paint began; paint it again."
                )
            earlier.append(paint)

    def commit(self, paint: Paint) -> None:
        """Paint in memory; the caller has it in a journal."""
        with self._lock:
            voxels, box = paint.after.voxels()[None], paint.box
            if paint.t in self._moments:
                replace(self._moments[paint.t], paint)
            self.highest = max(self.highest, int(voxels.max(initial=0)))
            for key, here, there in self._parts(box):
                chunk = self._changed.get(key)
                if chunk is None:
                    chunk = self._chunk_at(key).copy()
                    self._kept.pop(key, None)
                    self._changed[key] = chunk
                chunk[there] = voxels[here]
                if key in self._stroke:
                    self._stroke[key][there] = voxels[here]
                    if np.array_equal(self._stroke[key], chunk):
                        del self._stroke[key]

    def make_room(self) -> None:
        """Write changed chunks once many wait. Raises AnlageError if they cannot be written; nothing is lost then."""
        if len(self._changed) > WAITING and not self._flushing.locked():
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Write all changed chunks; with `sync` also wait until the disk has them. Painting may go on meanwhile.

        Raises
        ------
        AnlageError
            If they cannot be written; they stay in memory.
        """
        if self._array is None or self.folder is None:
            return
        with self._flushing:
            try:
                for key in list(self._changed):
                    chunk = self._changed[key].copy()
                    self._array[self._box(key).slices] = chunk
                    self._unsynced.add(key)
                    self._was_written(key, chunk)
                while sync and self._unsynced:
                    key = next(iter(self._unsynced))
                    _sync(self.folder.joinpath("c", *map(str, key)))
                    self._unsynced.discard(key)
            except OSError as error:
                raise AnlageError(
                    f"The painted labels cannot be written to '{self.folder}' ({(error.strerror or str(error)).lower()}); "
                    "free some space or check the disk, then save again. Nothing is lost so far."
                ) from error

    def _was_written(self, key: Key, chunk: Chunk) -> None:
        with self._lock:
            self._present(key[0]).add(key)
            if np.array_equal(self._changed[key], chunk):  # else it was painted on while it was being written
                del self._changed[key]
                self._keep(key, chunk)

    def moments(self, t: int) -> Mapping[int, Moments]:
        """Each label of a frame with its moments; the frame is read once, then they are kept up to date."""
        with self._lock:
            if t not in self._moments:
                found: dict[int, Moments] = {}
                for key in self._keys(t):
                    add(found, self._chunk_at(key)[0], self._box(key).start[1:])
                self._moments[t] = found
                while len(self._moments) > 64:
                    self._moments.popitem(last=False)
            return self._moments[t]

    # ---- chunks ----

    def _read(self, box: Box, *, with_stroke: bool) -> Chunk:
        voxels = np.zeros(box.shape, dtype=self.dtype)
        for key, here, there in self._parts(box):
            chunk = self._stroke.get(key) if with_stroke else None
            if chunk is None and (key in self._changed or key in self._kept or key in self._present(key[0])):
                chunk = self._chunk_at(key)
            if chunk is not None:
                voxels[here] = chunk[there]
        return voxels

    def _chunk_at(self, key: Key) -> Chunk:
        """The committed chunk; not to be written to."""
        chunk = self._changed.get(key)
        if chunk is None and (chunk := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        if chunk is None:
            if key not in self._present(key[0]):
                return np.zeros(self._box(key).shape, dtype=self.dtype)
            assert self._array is not None  # noqa: S101  only then is anything on disk
            with border(f"Frame {key[0]} of the painted labels '{self.folder}'", MemoryError):
                chunk = np.asarray(self._array[self._box(key).slices])
            self._keep(key, chunk)
        return chunk

    def _keep(self, key: Key, chunk: Chunk) -> None:
        self._kept[key] = chunk
        while len(self._kept) * chunk.nbytes > KEPT_BYTES:
            self._kept.popitem(last=False)

    def _keys(self, t: int) -> list[Key]:
        """Chunks of a frame that hold anything."""
        return sorted(self._present(t) | {key for key in self._changed if key[0] == t})

    def _present(self, t: int) -> set[Key]:
        """Chunks of a frame that the disk has."""
        if t not in self._on_disk:
            found: set[Key] = set()
            if self.folder is not None:
                top = self.folder / "c" / str(t)
                for place, _, names in os.walk(top):
                    levels = Path(place).relative_to(top).parts
                    if len(levels) == 2:
                        z, y = (int(level) for level in levels)
                        found |= {(t, z, y, int(name)) for name in names if name.isdigit()}
                        for name in names:
                            if name.endswith(".partial"):  # of a program that was killed while writing
                                Path(place, name).unlink(missing_ok=True)
            self._on_disk[t] = found
        return self._on_disk[t]

    def _box(self, key: Key) -> Box:
        start = (key[0], *(i * c for i, c in zip(key[1:], self._chunk, strict=True)))
        stop = np.minimum((key[0] + 1, *(a + c for a, c in zip(start[1:], self._chunk, strict=True))), self.shape)
        return Box.of(start, stop)

    def _parts(self, box: Box) -> Iterator[tuple[Key, tuple[slice, ...], tuple[slice, ...]]]:
        """Chunks that a box overlaps: their key, and the common part as seen from the box and from the chunk."""
        axes = [_pieces(span, size) for span, size in zip(box.ranges, (1, *self._chunk), strict=True)]
        for (t, t_here, t_there), (z, z_here, z_there), (y, y_here, y_there), (x, x_here, x_there) in itertools.product(
            *axes
        ):
            yield (t, z, y, x), (t_here, z_here, y_here, x_here), (t_there, z_there, y_there, x_there)


def _pieces(span: tuple[int, int], size: int) -> list[tuple[int, slice, slice]]:
    """How chunks of one size cut a range along an axis: the chunk's number, its part of the range, the range's part of it."""
    low, high = span
    pieces = []
    for i in range(low // size, -(-high // size)):
        start, stop = max(low, i * size), min(high, (i + 1) * size)
        pieces.append((i, slice(start - low, stop - low), slice(start - i * size, stop - i * size)))
    return pieces


def _opened(folder: Path) -> Any:
    if not is_zarr(folder):
        raise AnlageError(f"There are no painted labels at '{folder}'.")
    if folder.is_symlink():
        raise AnlageError(
            f"'{folder}' is a link, and painting would change files elsewhere; put the labels themselves there."
        )
    array = open_array(folder, "r+")
    if array.ndim != 4 or array.dtype != np.uint32 or array.chunks[0] != 1:
        raise AnlageError(
            f"The labels at '{folder}' are {array.ndim}-D {array.dtype}, not (t, z, y, x) of uint32 in chunks of a frame; "
            "they were not written by anlage."
        )
    return array.with_config({"write_empty_chunks": False})


def _sync(path: Path) -> None:
    """Wait until a chunk is on the disk; an empty one has no file."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
