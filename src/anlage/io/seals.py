"""Mark and check sum by which a file that we wrote is recognised, so that nothing else is overwritten.

::

    anlage:predict/nuclei:5f0c1d2e3a4b5c6d

Each format has a place for it that other programs pass over: the first cell of the column ``anlage`` of a table, an attribute
of a zarr, the software tag of a TIFF, a comment. The check sum covers the rest of the file, so a file that somebody edited or
corrected is not taken for one that may be replaced.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["LIBRARY", "MARK", "Writer", "holds_nothing", "is_written_by", "seal"]

MARK = "anlage"
"""Name of the column, or attribute, that holds the mark."""

_MARK = re.compile(rb"anlage:([a-z][a-z/-]{0,60}):([0-9a-f]{16})")
_OPEN = "0" * 16
"""Stands for the check sum until everything is written."""
_WHOLE = 1 << 26
"""Bytes up to which a file is looked at from the first to the last; of larger ones both ends and the size are."""
_END = 1 << 20
_END_IN_FOLDER = 1 << 16
_MOST_MARKS = 16
_PNG = b"\x89PNG\r\n\x1a\n"
_CRC = 4
"""Bytes of the check sum behind a chunk of a PNG."""
_STRAY = ("Thumbs.db", "desktop.ini")
"""What file managers leave in folders that somebody looked at, besides hidden files."""
_ROOT = "zarr.json"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes a file, and whether it may take the place of one that somebody else wrote.

    Parameters
    ----------
    command
        Name of the command, or of the part of the program: small letters and ``-``. It stands in the file, and a file is
        replaced without a question only by the same.
    overwrite
        Whether the user consented to any file being replaced.
    kind
        What is written, in small letters and ``-``: a heat-map does not take the place of labels. Each function that writes
        says it by `of`; empty: not known yet.
    """

    command: str = "library"
    overwrite: bool = False
    kind: str = ""

    @property
    def name(self) -> str:
        """Command and kind."""
        return f"{self.command}/{self.kind}" if self.kind else self.command

    @property
    def mark(self) -> str:
        """What is put into the file, once; `anlage.io.atomic.replacing` completes it with the check sum."""
        return f"anlage:{self.name}:{_OPEN}"

    def of(self, kind: str) -> Writer:
        """The same, of something of this kind."""
        return replace(self, kind=kind)


LIBRARY = Writer()
"""Who writes where nothing else is said."""


def seal(path: Path, writer: Writer) -> None:
    """Complete the mark in a file, or in the first file of a folder, that is finished otherwise."""
    carrier = _carrier(path)
    if carrier is None:
        return
    wanted = writer.mark.encode()
    for offset, data in _ends(carrier):
        at = data.find(wanted)
        if at < 0:
            continue
        place = _Mark(carrier, offset, at, len(wanted))
        _write(place, data, _check_sum(path, place).encode())
        return


def is_written_by(path: Path, name: str = "") -> bool:
    """Whether a file or folder is as a command left it.

    Parameters
    ----------
    path
        What lies there.
    name
        Name of the command, with the kind (`Writer.name`) or without; empty: any.
    """
    try:
        carrier = _carrier(path)
        if carrier is None:
            return False
        return any(
            name in ("", found, found.partition("/")[0]) and check == _check_sum(path, place)
            for found, check, place in _marks(carrier)
        )
    except OSError:
        return False


def holds_nothing(path: Path) -> bool:
    """Whether a file or folder is empty, or a table of ours without a row: nobody's work can be lost with it."""
    if path.is_dir():
        return not any(path.iterdir())
    size = path.stat().st_size
    if not size or size > _END_IN_FOLDER or path.suffix.lower() not in (".csv", ".tsv"):
        return not size
    header = path.read_bytes()
    return header.count(b"\n") == 1 and re.split(rb"[,\t]", header.strip())[-1] == MARK.encode()


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a mark stands: in a file, of which a piece begins at `offset`."""

    file: Path
    offset: int
    at: int
    length: int

    def open(self, data: bytes) -> bytes:
        """The piece with the mark's check sum left open."""
        end = self.at + self.length
        return _repaired(data[: end - len(_OPEN)] + _OPEN.encode() + data[end:], self.at, end)


def _marks(file: Path) -> Iterator[tuple[str, str, _Mark]]:
    n = 0
    for offset, data in _ends(file):
        for match in _MARK.finditer(data):
            if (n := n + 1) > _MOST_MARKS:
                return
            place = _Mark(file, offset, match.start(), match.end() - match.start())
            yield match[1].decode(), match[2].decode(), place


def _write(place: _Mark, data: bytes, check: bytes) -> None:
    end = place.at + place.length
    complete = _repaired(data[: end - len(check)] + check + data[end:], place.at, end)
    with place.file.open("r+b") as out:
        out.seek(place.offset + place.at)
        out.write(complete[place.at : end + _CRC])


def _repaired(data: bytes, at: int, end: int) -> bytes:
    """The same where the check sum of a PNG's chunk, which ends with the mark, is right again."""
    if not data.startswith(_PNG):
        return data
    start = data.rfind(b"tEXt", 0, at)
    return data[:end] + struct.pack(">I", zlib.crc32(data[start:end])) + data[end + _CRC :]


def _check_sum(path: Path, place: _Mark) -> str:
    """Of everything but the check sum itself."""
    total = hashlib.sha256()
    if not path.is_dir():
        total.update(str(path.stat().st_size).encode())
        for offset, data in _ends(path):
            total.update(place.open(data) if offset == place.offset else data)
        return total.hexdigest()[: len(_OPEN)]
    for file in _files(path):
        total.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        for offset, data in _ends(file) if file == place.file else _ends(file, _END_IN_FOLDER):
            total.update(place.open(data) if file == place.file and offset == place.offset else data)
    return total.hexdigest()[: len(_OPEN)]


def _ends(file: Path, end: int | None = None) -> list[tuple[int, bytes]]:
    """A small file whole, of a large one the first and the last bytes; each with the place where it begins."""
    size = file.stat().st_size
    with file.open("rb") as data:
        if size <= (_WHOLE if end is None else 2 * end):
            return [(0, data.read())]
        end = end or _END
        head = data.read(end)
        data.seek(size - end)
        return [(0, head), (size - end, data.read(end))]


def _carrier(path: Path) -> Path | None:
    """The file that holds the mark: of a folder the root's metadata, or else the first TIFF."""
    if not path.is_dir():
        return path
    if (path / _ROOT).is_file():
        return path / _ROOT
    return next((file for file in _files(path) if file.suffix == ".tif"), None)


def _files(folder: Path) -> list[Path]:
    """Everything in a folder, in a fixed order; hidden files are passed over."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(where, name) for name in names if not name.startswith(".") and name not in _STRAY]
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())
