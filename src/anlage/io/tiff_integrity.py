"""Check that a TIFF is complete: every byte that its directories promise is there.

A TIFF is a chain of image file directories (IFDs). A cut file often still opens: readers then return fewer frames, or
zeros. The layout is that of the TIFF 6.0 and BigTIFF specifications.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["count_pages", "is_tiff"]

_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by TIFF type; one of the others has at least one."""
_PIECES = {273: 279, 324: 325}
"""Tags of where pixels lie, and of how many bytes: StripOffsets and StripByteCounts, TileOffsets and TileByteCounts."""
_PRIVATE = 32768
"""First of the tags that anybody may register."""
_INTEGERS = {3: "H", 4: "I", 16: "Q"}


class _CutError(Exception):
    """Something promised lies beyond the end of the file."""


class _Layout(NamedTuple):
    order: str
    first: int
    n_entries: str
    entry: str
    offset: str


def is_tiff(path: Path) -> bool:
    """Whether the first bytes are those of a TIFF or BigTIFF."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def count_pages(path: Path) -> int | None:
    """Number of pages in the chain; None if the chain, a tag or pixels reach beyond the end of the file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            layout = _layout(file, size)
            offset = _number(file, layout, layout.first, layout.offset, size)
            seen: set[int] = set()
            while offset and offset not in seen:
                seen.add(offset)
                offset = _next(file, layout, offset, size)
        except _CutError:
            return None
        return len(seen)


def _layout(file: BinaryIO, size: int) -> _Layout:
    head = _take(file, 0, 4, size)
    order = "<" if head[:2] == b"II" else ">"
    if head[2:] in (b"+\0", b"\0+"):
        return _Layout(order, 8, "Q", "HHQ", "Q")
    return _Layout(order, 4, "H", "HHI", "I")


def _next(file: BinaryIO, layout: _Layout, offset: int, size: int) -> int:
    """Check one directory; the offset of the next, 0 after the last."""
    n_entries = _number(file, layout, offset, layout.n_entries, size)
    start = offset + struct.calcsize(layout.order + layout.n_entries)
    inline = struct.calcsize(layout.order + layout.offset)
    length = struct.calcsize(layout.order + layout.entry) + inline
    block = _take(file, start, n_entries * length, size)
    pieces: dict[int, tuple[int, ...]] = {}
    for i in range(n_entries):
        entry = block[i * length : (i + 1) * length]
        tag, kind, count = struct.unpack(layout.order + layout.entry, entry[:-inline])
        n_bytes = _SIZES.get(kind, 1) * count
        if n_bytes <= inline:
            value = entry[-inline:][:n_bytes]
        elif tag >= _PRIVATE:
            continue  # makers' own tags may point anywhere; readers do without them
        else:
            (where,) = struct.unpack(layout.order + layout.offset, entry[-inline:])
            value = _take(file, where, n_bytes, size)
        if tag in {*_PIECES, *_PIECES.values()} and kind in _INTEGERS:
            pieces[tag] = struct.unpack(f"{layout.order}{count}{_INTEGERS[kind]}", value)
    _check_pixels(pieces, size)
    return _number(file, layout, start + n_entries * length, layout.offset, size)


def _check_pixels(pieces: dict[int, tuple[int, ...]], size: int) -> None:
    for offsets, counts in _PIECES.items():
        starts, lengths = pieces.get(offsets, ()), pieces.get(counts, ())
        if any(start + length > size for start, length in zip(starts, lengths, strict=False)):
            raise _CutError


def _number(file: BinaryIO, layout: _Layout, offset: int, kind: str, size: int) -> int:
    form = layout.order + kind
    (number,) = struct.unpack(form, _take(file, offset, struct.calcsize(form), size))
    return int(number)


def _take(file: BinaryIO, offset: int, length: int, size: int) -> bytes:
    if offset + length > size:
        raise _CutError
    file.seek(offset)
    return file.read(length)
