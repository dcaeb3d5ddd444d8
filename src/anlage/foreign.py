"""What strangers' files hold: names that become paths, text that is shown, sizes that become memory, and the errors of the libraries that read them.

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
from xml.etree import ElementTree

from anlage.errors import AnlageError

__all__ = ["MOST_FRAMES", "border", "check_size", "checked_name", "printable"]

MOST_FRAMES = 1_000_000
"""Frames that a movie may have: eleven days at a frame a second. A larger number in a file is a mistake, or malice."""

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
