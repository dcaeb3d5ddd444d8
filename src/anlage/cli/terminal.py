"""Print safely: control characters from file names, cards and tables never reach the terminal.

Whatever a command prints passes here, so that no command needs to think of it. Progress bars, which do command the terminal, go
to `beneath` instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["beneath", "guarded_terminal"]


class _Guarded:
    """A text stream whose control characters are written out; it equals the stream that it writes to."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        plain = text.replace("\n", "").replace("\t", "").isprintable()
        self.stream.write(text if plain else _written_out(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __eq__(self, other: object) -> bool:  # tqdm compares streams to know which bars a line would tear
        return bool(self.stream == beneath(other))

    def __hash__(self) -> int:
        return hash(self.stream)


def beneath(stream: Any) -> Any:
    """The stream itself, for what may command the terminal."""
    return stream.stream if isinstance(stream, _Guarded) else stream


@contextmanager
def guarded_terminal() -> Iterator[None]:
    """Guard stdout and stderr. An error that nobody expected leaves them guarded, for its traceback quotes files too."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Guarded(beneath(stream)) for stream in before)
    yield
    sys.stdout, sys.stderr = before


def _written_out(text: str) -> str:
    r"""As `printable`, in the form ``\u001b``, which is the same text in JSON."""
    from anlage.foreign import printable  # seldom needed, and it loads numpy

    return "".join(letter if printable(letter) == letter else _as_json(letter) for letter in text)


def _as_json(letter: str) -> str:
    number = ord(letter)
    if number < 0x10000:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
