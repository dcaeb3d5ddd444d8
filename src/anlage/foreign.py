"""What strangers' files hold: names that become paths, text that is shown, numbers, sizes that become memory, and the errors of the libraries that read them.

Every reader asks here, so that a rule is written once.
"""

from __future__ import annotations

import binascii
import csv
import re
import struct
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

__all__ = [
    "INTERVALS_S", "LARGEST_ID", "MOST_FRAMES", "PROBABILITIES", "RADII_UM", "VOXEL_EDGES_UM", "Range", "border", "check_size",
    "checked_name", "naming", "printable", "shown", "whole_number",
]  # fmt: skip

LARGEST_ID = 2**63 - 1
"""Ids are kept in 64 bits; a larger one would change."""

MOST_FRAMES = 1_000_000
"""Frames that a movie may have: eleven days at a frame a second. A larger number in a file is a mistake, or malice."""


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
    bad = (
        not name.strip()
        or name in (".", "..")
        or any(separator in name for separator in "/\\")
        or any(unicodedata.category(letter) in _INVISIBLE for letter in name)
        or _DRIVE.match(name) is not None
        or len(name.encode("utf-8", "replace")) > _LONGEST_NAME
    )
    if bad:
        raise AnlageError(
            f"{what} is '{printable(_short(name))}', which cannot be the name of a file; it must be up to {_LONGEST_NAME} "
            "letters without / and \\. Do not use this file if it comes from somebody you do not know."
        )
    return name


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
