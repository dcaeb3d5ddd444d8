"""The journal file: one JSON line for every edit, written before the edit counts.

A line is given to the operating system in one write, so it survives the death of this process at any moment; a thread
then asks for it to be put on the disk itself, at once but without holding up the user, so that a power cut loses at
most the last fraction of a second.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from anlage.errors import AnlageError
from anlage.foreign import parsed_json
from anlage.frozen import Finite, first_problem

__all__ = ["SCHEMA", "Entry", "Journal", "JournalContent", "read_journal", "write_journal"]

SCHEMA = 1

Record = Mapping[str, Any]


class Entry(Finite):
    """A line of a journal behind its head: what was done, or what can still be undone or redone."""

    do: dict[str, Any] | None = None
    """A step that was taken."""
    undo: dict[str, Any] | None = None
    """What took a step back."""
    redo: dict[str, Any] | None = None
    """What took it again."""
    past: dict[str, Any] | None = None
    """What leads back from a step before the last saving."""
    future: dict[str, Any] | None = None
    """What takes a step again that had been undone before the last saving."""
    text: str
    """What the step is called."""

    @classmethod
    def of(cls, record: Record) -> Entry:
        """Read a line. Raises ValueError if it is none."""
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from error

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(edit is not None for edit in (self.do, self.undo, self.redo, self.past, self.future)) != 1:
            raise ValueError("a line holds one of do, undo, redo, past and future")
        return self


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal holds.

    Parameters
    ----------
    fold
        Number of the saved state that it continues.
    records
        Its steps, in order.
    n_bytes
        Length of the part that could be read.
    note
        What could not, as a sentence.
    """

    fold: int
    records: tuple[Record, ...]
    n_bytes: int
    note: str | None = None


def read_journal(path: Path) -> JournalContent | None:
    """Read a journal; None where there is none, or its head was never written.

    Raises
    ------
    AnlageError
        If a newer version wrote it, or it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AnlageError(f"The journal '{path}' cannot be read ({(error.strerror or str(error)).lower()}).") from error
    head: dict[str, Any] | None = None
    records: list[Record] = []
    place = 0
    for line in data.splitlines(keepends=True):
        record = _record(line)
        if record is None:
            break
        place += len(line)
        if head is None:
            head = record
            _check_schema(head, path)
        else:
            records.append(record)
    if head is None:
        return None
    return JournalContent(int(head["fold"]), tuple(records), place, _note(data[place:], len(records)))


def write_journal(path: Path, fold: int, records: Sequence[Record] = ()) -> None:
    """Write a new journal to `path` and wait until the disk has it."""
    lines = [_line({"schema": SCHEMA, "fold": fold}), *(_line(record) for record in records)]
    with path.open("wb") as file:
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())


class Journal:
    """A journal that is being written.

    Parameters
    ----------
    path
        A file that `write_journal` made.
    n_bytes
        Cut it to this length first: what lies behind could not be read.
    """

    def __init__(self, path: Path, n_bytes: int | None = None) -> None:
        self.path = path
        self._handle = _opened(path)
        if n_bytes is not None and os.fstat(self._handle).st_size > n_bytes:
            os.ftruncate(self._handle, n_bytes)
        self._length = os.fstat(self._handle).st_size
        self._writing = threading.RLock()
        self._flushing = threading.Lock()
        self._wake = threading.Condition()
        self._dirty = self._closed = False
        self._failure: OSError | None = None
        self._syncing = threading.Thread(target=self._sync, name="anlage journal", daemon=True)
        self._syncing.start()

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._length

    def append(self, record: Record) -> None:
        """Write a step.

        Raises
        ------
        AnlageError
            If it cannot be written; the journal is as it was then.
        """
        line = _line(record)
        with self._writing:
            self._check_writable()
            try:
                written = os.write(self._handle, line)
                while written < len(line):
                    written += os.write(self._handle, line[written:])
            except OSError as error:
                os.ftruncate(self._handle, self._length)
                raise self._refused(error) from error
            self._length += len(line)
        with self._wake:
            self._dirty = True
            self._wake.notify()

    def carry_on(self, path: Path, mark: int, decide: Callable[[], Path]) -> None:
        """Go on in another journal, together with what was appended here since the length `mark`.

        Parameters
        ----------
        path
            The other journal, which `write_journal` made.
        mark
            Length of this one when what the other continues was taken.
        decide
            Makes the other journal count, and returns where it lies then. If it raises, this journal goes on.
        """
        with self._writing:
            with self.path.open("rb") as here, path.open("ab") as there:
                here.seek(mark)
                there.write(here.read())
                there.flush()
                os.fsync(there.fileno())
            with self._flushing:
                os.close(self._handle)
                try:
                    self.path = decide()
                finally:
                    self._handle = _opened(self.path)
                    self._length = os.fstat(self._handle).st_size

    def close(self) -> None:
        """Wait until the disk has everything, then let go of the file."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._wake.notify()
        self._syncing.join()
        os.close(self._handle)

    def _check_writable(self) -> None:
        with self._wake:
            failure, self._failure = self._failure, None
            if self._closed:
                raise AnlageError(f"The project of '{self.path}' was closed, so nothing can be changed; open it again.")
        if failure is not None:
            raise self._refused(failure)
        if os.name == "posix" and not os.fstat(self._handle).st_nlink:
            raise AnlageError(
                f"The journal '{self.path}' was deleted while the project was open, so the change was not made; close the "
                "project and restore its folder from a copy."
            )

    def _refused(self, error: OSError) -> AnlageError:
        reason = (error.strerror or str(error)).lower()
        return AnlageError(
            f"The change cannot be written to '{self.path}' ({reason}), so it was not made; free some space or check the "
            "disk, then try again."
        )

    def _sync(self) -> None:
        while True:
            with self._wake:
                while not (self._dirty or self._closed):
                    self._wake.wait()
                if not self._dirty:
                    return
                self._dirty = False
            try:
                with self._flushing:
                    os.fsync(self._handle)
            except OSError as error:
                with self._wake:
                    self._failure = error


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = parsed_json(line, "The line")
    except AnlageError:
        return None
    return record if isinstance(record, dict) else None


def _check_schema(head: Record, path: Path) -> None:
    schema = head.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise AnlageError(
            f"The journal '{path}' has schema {schema}, newer than the {SCHEMA} that this version reads; update anlage."
        )
    if schema != SCHEMA or not isinstance(head.get("fold"), int):
        raise AnlageError(f"'{path}' is no journal of anlage: its first line is {json.dumps(head)[:80]}.")


def _note(rest: bytes, n_read: int) -> str | None:
    if not rest:
        return None
    n = len(rest.splitlines())
    if n == 1:
        return f"The last change was not written completely and is left out; the {n_read} before it are there."
    return f"The journal is damaged after {n_read} changes, so the last {n} are left out."
