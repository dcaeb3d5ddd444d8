"""Check untrusted files: names used as paths, text to display, numbers, sizes, JSON, and errors of reading libraries.

Every reader asks here, so that a rule is written once.
"""

from __future__ import annotations

import binascii
import csv
import errno
import os
import re
import stat
import struct
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

__all__ = [
    "INTERVALS_S", "LARGEST_ID", "LEAST_DIAMETER_UM", "MOST_DIAMETER_UM", "MOST_FRAMES", "PROBABILITIES", "RADII_UM",
    "VOXEL_EDGES_UM", "Range", "bare_name", "border", "check_diameter", "check_size", "checked_name", "is_inside", "is_name", "naming", "open_regular", "parsed_json",
    "path_inside",
    "printable", "read_json", "shown", "text_array", "whole_number",
]  # fmt: skip

LARGEST_ID = 2**63 - 1
"""Ids are kept in 64 bits; a larger one would change."""

MOST_FRAMES = 1_000_000
"""Frames that a movie may have: eleven days at a frame a second. A larger number in a file is a mistake, or malice."""
LEAST_DIAMETER_UM, MOST_DIAMETER_UM = 0.01, 10_000.0
"""Nucleus diameters in µm: from a tenth of a bacterium to a centimetre, for images whose voxel size was never set."""
_MOST_JSON_BYTES = 2**28
"""Of one JSON file: the largest of ours, the metadata of a store, has some megabytes."""


@dataclass(frozen=True, slots=True)
class Range:
    """What values of one kind can be, both ends included; NaN stands for unknown ones and is left to others."""

    low: float
    high: float
    unit: str = ""
    hint: str = ""
    slack: float = 0.0
    """How far beyond is still an error of rounding."""

    def outside(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which values lie outside."""
        array = np.asarray(values, dtype=np.float64)
        beyond: npt.NDArray[np.bool_] = (array < self.low - self.slack) | (array > self.high + self.slack)
        return beyond

    def holds(self, value: float) -> bool:
        """Whether a number lies inside; NaN does not."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"must lie between {self.low:g} and {self.high:g}{unit}{self.hint}"


PROBABILITIES = Range(0, 1, hint="; percent?", slack=1e-6)
VOXEL_EDGES_UM = Range(1e-6, 1e6, "µm", "; is it in another unit?")
"""From an atom's size to a metre."""
RADII_UM = Range(1e-6, 1e6, "µm", "; is it in another unit?")
INTERVALS_S = Range(1e-9, 1e9, "s", "; is it in another unit?")
"""Up to thirty years."""

_DIGITS = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LONG_TEXT, _MOST_LETTERS = 1_000, 100_000_000
"""Longer texts are taken as long as the array stays below so many letters (four bytes each)."""
_MOST_DIGITS = 19
"""Of a number of 64 bits."""
_LONGEST_NAME = 200
"""Bytes; file systems take 255, and suffixes are added."""
_DRIVE = re.compile(r"^[A-Za-z]:")
_SHOWN = ("\n", "\t")
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, marks that turn the direction of writing, half characters, line separators."""

_LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,  # an extension in C that passes on what a damaged file claims
    TypeError,
    ValueError,
    ElementTree.ParseError,
    binascii.Error,
    csv.Error,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What libraries raise on damaged files. RecursionError is a RuntimeError, OverflowError an ArithmeticError."""


def checked_name(name: str, what: str) -> str:
    """The name, which may become one part of a path.

    Parameters
    ----------
    name
        As it stands in a file.
    what
        What it names, for the message: ``"The name of the run '…/run.json'"``.

    Raises
    ------
    AnlageError
        If it is empty or too long, names another folder, or holds a separator or a control character.
    """
    if not is_name(name):
        raise AnlageError(
            f"{what} is '{printable(_short(name))}', which cannot be the name of a file; it must be up to {_LONGEST_NAME} "
            "letters without / and \\. Do not use this file if it comes from somebody you do not know."
        )
    return name


def is_name(text: str) -> bool:
    """Whether a text may become one part of a path; see `checked_name`."""
    return (
        bool(text.strip())
        and text not in (".", "..")
        and not any(separator in text for separator in "/\\")
        and not any(unicodedata.category(letter) in _INVISIBLE for letter in text)
        and _DRIVE.match(text) is None
        and len(text.encode("utf-8", "replace")) <= _LONGEST_NAME
    )


def bare_name(path: str) -> str:
    """A path without its folders, of whatever system; a text that is no path stays as it is.

    Files that are passed on say where something came from by its name alone: folders name people and computers.
    """
    parts = [part for part in re.split(r"[/\\]", path) if part]
    return parts[-1] if parts else path.strip("/\\")


def printable(text: str) -> str:
    r"""The text with every control character written out (``\x1b``), so that a terminal shows it and does not obey it.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter in _SHOWN or unicodedata.category(letter) not in _INVISIBLE else _escaped(letter)
        for letter in text
    )


def shown(value: object, most: int = 60) -> str:
    """A value of a file as a message shows it: without control characters, and not longer than `most` letters."""
    return printable(_short(str(value), most))


def whole_number(text: str) -> int | None:
    """A whole number as text states it, exactly; None where it is none.

    ``3.0`` and ``1e3`` are whole. Where it has more digits than 64 bits hold, the answer is merely beyond `LARGEST_ID`, or as far
    below 0.
    """
    if _DIGITS.fullmatch(text):
        if len(text.lstrip("+-0")) > _MOST_DIGITS:
            return -LARGEST_ID * 2 if text.startswith("-") else LARGEST_ID * 2
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() >= _MOST_DIGITS and number != 0:
        return -LARGEST_ID * 2 if number < 0 else LARGEST_ID * 2
    return int(number) if number == number.to_integral_value() else None


def text_array(values: Sequence[str], what: str) -> npt.NDArray[np.str_]:
    """Text as an array, in which each entry takes as much memory as the longest.

    Parameters
    ----------
    values
        As they stand in a file.
    what
        What they are, for the message: ``"The column 'note' of 'nuclei.csv'"``.

    Raises
    ------
    AnlageError
        If one is so long that the array would be far larger than the file.
    """
    longest = max(map(len, values), default=0)
    if longest > _LONG_TEXT and longest * len(values) > _MOST_LETTERS:
        raise AnlageError(
            f"{what} holds a text of {longest:,} letters, {shown(max(values, key=len))!r}; at most {_LONG_TEXT:,} are read in so many rows: "
            "shorten it, or remove the column."
        )
    return np.array(values, dtype=np.str_)


def check_size(size: float, most: float, what: str) -> None:
    """Refuse a size that a file claims, before memory is taken for it.

    Parameters
    ----------
    size
        As the file says.
    most
        What is taken.
    what
        What has this size, for the message: ``"The last frame of 'nuclei.csv'"``.

    Raises
    ------
    AnlageError
        If the size is larger, or no number.
    """
    if not size <= most:
        raise AnlageError(f"{what} is {size:,.10g}, and at most {most:,.10g} is read; check this number in the file.")


def check_diameter(diameter_um: float, what: str = "The nucleus diameter") -> float:
    """A nucleus diameter in µm, which is one.

    Raises
    ------
    AnlageError
        If it is no number, or so small or large that no nucleus has it.
    """
    if not LEAST_DIAMETER_UM <= diameter_um <= MOST_DIAMETER_UM:
        raise AnlageError(
            f"{what} is {diameter_um:g} µm, and nuclei of {LEAST_DIAMETER_UM:g} to {MOST_DIAMETER_UM:,.0f} µm are known; "
            "check it, and the voxel size."
        )
    return diameter_um


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading that is one: no pipe, at which a reader waits for ever, and no device, which never ends.

    Raises
    ------
    AnlageError
        If something else lies at the path.
    OSError
        If it cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise AnlageError(f"'{path}' is a pipe or a device, and no file with content; copy it again.")
    return os.fdopen(handle, "rb")


def path_inside(folder: Path, path: str, what: str) -> Path:
    """A path that stands in a file, relative to its folder, which it may not leave.

    Parameters
    ----------
    folder
        Where it begins.
    path
        As it stands in the file, with ``/`` between its parts.
    what
        What it names, for the message.

    Raises
    ------
    AnlageError
        If it is absolute, an address, leads upwards, or over a link out of the folder.
    """
    parts = path.split("/")
    plain = bool(path) and not any(part in ("", ".", "..") for part in parts)
    if plain and not any("\\" in part or ":" in part or not part.isprintable() for part in parts):
        found = folder.joinpath(*parts)
        if is_inside(found, folder):
            return found
    raise AnlageError(
        f"{what} is '{printable(_short(path))}', which does not lie inside '{folder}'; only what lies there is read: copy it there."
    )


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path still lies in a folder when all links are followed."""
    root = os.path.realpath(folder)
    return os.path.realpath(path).startswith(root + os.sep) or os.path.realpath(path) == root


def read_json(path: Path, what: str, *, nan: bool = False) -> Any:
    """The JSON of a stranger's file; see `parsed_json`.

    Raises
    ------
    AnlageError
        If it is too large, or not JSON.
    OSError
        If the file cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(_MOST_JSON_BYTES + 1)
    if size > _MOST_JSON_BYTES:
        raise AnlageError(
            f"{what} cannot be read: it has {size / 2**20:,.0f} MiB, and at most {_MOST_JSON_BYTES // 2**20} are read; it is "
            "damaged, or not what its name says."
        )
    return parsed_json(content, what, nan=nan)


def parsed_json(content: bytes, what: str, *, nan: bool = False) -> Any:
    """JSON that a stranger wrote, as plain values; NaN and infinity are no JSON, and nesting has a bound.

    Parameters
    ----------
    content
        UTF-8.
    what
        What it is, for the message: ``"The project file '…/project.json'"``.
    nan
        Whether NaN and infinity are taken all the same, because other programs write them.

    Raises
    ------
    AnlageError
        If it is not JSON.
    """
    from pydantic_core import from_json  # not before something is read

    try:
        return from_json(content, allow_inf_nan=nan, cache_strings="keys")
    except ValueError as error:
        raise AnlageError(
            f"{what} cannot be read: it is not JSON ({error}); it is damaged, or not what its name says."
        ) from error


@contextmanager
def naming(path: object) -> Iterator[None]:
    """Errors within name the file, if they do not yet."""
    try:
        yield
    except AnlageError as error:
        if str(path) in str(error):
            raise
        raise AnlageError(f"'{path}': {error}") from error


@contextmanager
def border(what: str, *also: type[Exception]) -> Iterator[None]:
    """Turn whatever a library raises while it reads a damaged file into one sentence.

    Put it around the call of the library alone: an error of our own code must not hide behind it.

    Parameters
    ----------
    what
        What is read: ``"The GEFF 'tracks.geff'"``.
    also
        Errors of the library that derive from `Exception` alone.

    Raises
    ------
    AnlageError
        In place of the library's error.
    """
    try:
        yield
    except PermissionError:
        raise
    except (*_LIBRARY_ERRORS, *also) as error:
        raise AnlageError(
            f"{what} cannot be read ({_reason(error)}); it is damaged, or not what its name says."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split())
    return printable(_short(text or type(error).__name__))


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escaped(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
