"""A folder as a zarr store that checks metadata and refuses paths outside the folder.

Whatever library opens a zarr through this, no array reaches it whose types or codecs are not on our lists. This module
imports zarr; import it where it is needed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from anlage.errors import AnlageError
from anlage.foreign import check_size, is_inside, open_regular, parsed_json
from anlage.io.blosc_header import claimed_bytes
from anlage.io.zarr_files.array_description import ArrayLayout, checked_layout

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["CheckedFolder"]

_ARRAYS = ("zarr.json", ".zarray")
_DESCRIPTIONS = (*_ARRAYS, ".zgroup", ".zattrs")
_TOGETHER = ".zmetadata"
"""Copies of all descriptions in one file: not read, so that what is checked is what counts."""
_MOST_BYTES = 256 * 2**20
"""Of a description."""


class CheckedFolder(LocalStore):  # type: ignore[misc, unused-ignore]
    """A zarr in a folder. Reading raises AnlageError for what is not read; writing is zarr's own."""

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._layouts: dict[str, ArrayLayout] = {}
        self._was_there: Callable[[str], bool] | None = None

    def expect(self, was_there: Callable[[str], bool]) -> None:
        """Refuse to read as empty a chunk that was there when the array was opened.

        Parameters
        ----------
        was_there
            Says so of the name of a chunk.
        """
        self._was_there = was_there

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Bytes of a file; None where there is none."""
        return await asyncio.to_thread(self._found, key, prototype, byte_range)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The same, for versions of zarr that read without waiting for others."""
        return self._found(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """The same of several."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file, inside the folder."""
        self._check_place(self.root / key)
        await super().set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a file, inside the folder."""
        self._check_place(self.root / key)
        await super().delete(key)

    def _check_place(self, path: Path) -> None:
        if not is_inside(path.parent, self.root):
            raise AnlageError(f"'{path}' lies behind a link outside '{self.root}'; put the files themselves there.")

    def _check_still_there(self, key: str, folder: str) -> None:
        """A chunk that is absent reads as empty, but not where a drive is gone, or somebody removes the image meanwhile."""
        name = self._array_of(folder)
        if name is None:  # zarr looks for something that may or may not be there
            return
        array = self.root / name
        if not any((array / description).exists() for description in _ARRAYS):
            raise AnlageError(f"'{array}' is no longer there; connect its drive again, or open the image anew.")
        if self._was_there is not None and self._was_there(key):
            raise AnlageError(
                f"The chunk '{key}' of '{array}' was there when the image was opened, and is gone; copy the image again."
            )

    def _found(self, key: str, prototype: BufferPrototype | None, byte_range: ByteRequest | None) -> Buffer | None:
        content = self._content(key, byte_range)
        buffer = (prototype or default_buffer_prototype()).buffer
        return None if content is None else buffer.from_bytes(content)

    def _content(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        folder, _, name = key.rpartition("/")
        if name == _TOGETHER:
            return None
        path = self.root / key
        try:
            file = open_regular(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            if name not in _DESCRIPTIONS:
                self._check_still_there(key, folder)
            return None
        with file:
            if not is_inside(path, self.root):
                raise AnlageError(f"'{path}' is a link to a file outside '{self.root}'; put the file itself there.")
            size = os.fstat(file.fileno()).st_size
            if name not in _DESCRIPTIONS:
                layout = self._layout(folder)
                most = _MOST_BYTES if layout is None else layout.most_stored
                check_size(size, most, f"The number of bytes of the chunk '{path}'")
                start, length = _span(byte_range, size)
                file.seek(start)
                content = file.read(length)
                if layout is not None and layout.is_blosc and not 0 <= claimed_bytes(content) <= most:
                    # whoever reads says what of: see `anlage.foreign.border`
                    raise ValueError(f"the chunk '{key}' of {size} bytes is not what it says it is")
                return content
            check_size(size, _MOST_BYTES, f"The number of bytes of '{path}'")
            content = file.read()
        return self._checked(folder, name, content) if name in _ARRAYS else content

    def _checked(self, folder: str, name: str, content: bytes) -> bytes:
        """What zarr gets to see of a description."""
        path = self.root / folder
        found = parsed_json(content, f"'{path / name}'", nan=True)
        if isinstance(found, dict) and found.get("node_type") == "group":
            if "consolidated_metadata" not in found:
                return content
            return json.dumps({key: value for key, value in found.items() if key != "consolidated_metadata"}).encode()
        self._layouts[folder] = checked_layout(found, path)
        return content

    def _layout(self, folder: str) -> ArrayLayout | None:
        """Of the array whose chunk lies in `folder`; None where no description of one was read."""
        array = self._array_of(folder)
        return None if array is None else self._layouts[array]

    def _array_of(self, folder: str) -> str | None:
        """The folder of the array whose chunk lies in `folder`; None where no description of one was read."""
        while folder and folder not in self._layouts:
            folder = folder.rpartition("/")[0]
        return folder if folder in self._layouts else None


def _span(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    """First byte and number of bytes."""
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, max(0, min(byte_range.end, size) - byte_range.start)
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, max(0, size - byte_range.offset)
    if isinstance(byte_range, SuffixByteRequest):
        return max(0, size - byte_range.suffix), min(byte_range.suffix, size)
    return 0, size
