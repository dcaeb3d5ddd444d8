"""Processes that share the work in one folder, and what each of them has taken.

::

    FOLDER/worker-TOKEN   one that is at work: who it is, and on what; touched every 10 s
           claim-UNIT     what it has taken: a second name (hard link) of that file

A second name is made by the file server in one step, also over NFS, so of two processes that want the same unit one gets it,
and touching the one file renews all that its process has taken. Nobody holds a lock for all. A claim counts no more once its
process is gone, or was not heard of for 90 s; both are told by the file server's own times, so that clocks may differ.

A claim saves double work and does nothing else: a process that was taken for dead, and was only slow, writes the same result
once more, whole, in place of the same. Where a drive knows no second names, claims are files that only one process can make.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from anlage.sharing.processes import process_state, process_words, this_process

__all__ = ["CLAIM", "EXPIRES_S", "HEARTBEAT_S", "WORKER", "Crew", "Worker", "WorkerNote", "write_first"]

WORKER, CLAIM = "worker-", "claim-"
"""What the names of these files begin with."""
HEARTBEAT_S = 10.0
"""Seconds between two touches."""
EXPIRES_S = 90.0
"""Seconds without a touch after which a process counts as gone."""


@dataclass(frozen=True, slots=True)
class WorkerNote:
    """What a process says of itself.

    Parameters
    ----------
    token
        Its name in the folder.
    process
        As from `this_process`.
    about
        On what it works.
    """

    token: str
    process: str
    about: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """From a file; None of one that is gone or says something else."""
        try:
            note = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return note if all(isinstance(word, str) for word in (note.token, note.process, note.about)) else None

    @property
    def text(self) -> str:
        return json.dumps({"token": self.token, "process": self.process, "about": self.about})

    @property
    def words(self) -> str:
        """Who it is, for a sentence."""
        return process_words(self.process)


class Crew:
    """All processes that work in a folder.

    Parameters
    ----------
    folder
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at_work(self) -> list[WorkerNote]:
        """Those that live, in the order of their tokens."""
        found = ((path, WorkerNote.read(path)) for path in sorted(self.folder.glob(f"{WORKER}*")))
        return [note for path, note in found if note is not None and self.lives(path, note)]

    def claims(self) -> dict[str, WorkerNote]:
        """What living processes have taken, and which."""
        found = ((path, WorkerNote.read(path)) for path in self.folder.glob(f"{CLAIM}*"))
        return {
            path.name.removeprefix(CLAIM): note for path, note in found if note is not None and self.lives(path, note)
        }

    def lives(self, path: Path, note: WorkerNote | None) -> bool:
        """Whether the process whose file this is lives; of a file that cannot be read its age decides."""
        state = "unknown" if note is None else process_state(note.process)
        if state == "gone":
            return False
        try:
            touched = path.stat().st_mtime
        except OSError:
            return False
        return self.now() - touched <= EXPIRES_S

    def now(self) -> float:
        """The time by the clock of the file server, in seconds since 1970."""
        probe = self.folder / f".part-{uuid.uuid4().hex[:8]}-now"
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:  # a folder that may only be read
            return time.time()
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()


class Worker(Crew):
    """The running process among them; to be used in a ``with`` statement.

    Parameters
    ----------
    folder
        The folder, which exists.
    about
        On what it works.
    """

    def __init__(self, folder: Path, about: str) -> None:
        super().__init__(folder)
        self.note = WorkerNote(uuid.uuid4().hex[:12], this_process(), about)
        self._path = folder / f"{WORKER}{self.note.token}"
        self._held: set[str] = set()
        self._over = threading.Event()
        self._touched = self._heard = 0.0

    def __enter__(self) -> Self:
        with self._path.open("x", encoding="utf-8") as file:
            file.write(self.note.text)
        self._touch()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Give back what was taken, and be gone; again does nothing."""
        self._over.set()
        with contextlib.suppress(OSError):
            for unit in tuple(self._held):
                self.release(unit)
            self._path.unlink(missing_ok=True)

    def others(self) -> list[WorkerNote]:
        """The other processes that live."""
        return [note for note in self.at_work() if note.token != self.note.token]

    def claim(self, unit: str) -> bool:
        """Take a unit; says whether it is this process's now.

        Raises
        ------
        OSError
            If the folder is gone or cannot be written to.
        """
        path = self.folder / f"{CLAIM}{unit}"
        if not self._made(path) and not (self._cleared(path) and self._made(path)):
            return False
        self._held.add(unit)
        return True

    def release(self, unit: str) -> None:
        """Give back a unit: it is done, or will not be."""
        self._held.discard(unit)
        path = self.folder / f"{CLAIM}{unit}"
        note = WorkerNote.read(path)
        if note is not None and note.token == self.note.token:  # else another took it over
            path.unlink(missing_ok=True)

    def now(self) -> float:
        """The time by the clock of the file server, in seconds since 1970: as of the last touch, and what went by since."""
        return self._touched + time.monotonic() - self._heard

    def _made(self, path: Path) -> bool:
        """Make the claim; False if there is one of another."""
        try:
            os.link(self._path, path)
        except FileExistsError:
            # an answer of the file server that got lost makes the system ask twice
            note = WorkerNote.read(path)
            return note is not None and note.token == self.note.token
        except FileNotFoundError:
            raise
        except OSError:  # a drive without second names
            return self._made_alone(path)
        return True

    def _made_alone(self, path: Path) -> bool:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self.note.text)
        except FileExistsError:
            return False
        return True

    def _cleared(self, path: Path) -> bool:
        """Remove a claim of a process that is gone; False if it lives."""
        seen = WorkerNote.read(path)
        if path.exists() and self.lives(path, seen):
            return False
        aside = self.folder / f".part-{uuid.uuid4().hex[:8]}-{path.name}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return True  # another was quicker
        fresh = WorkerNote.read(aside)
        is_same = seen == fresh
        if not is_same:  # another had cleared it and taken the unit in between: give it back
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)
        return is_same

    def _touch(self) -> None:
        for path in (self._path, *(self.folder / f"{CLAIM}{unit}" for unit in tuple(self._held))):
            with contextlib.suppress(OSError):  # done meanwhile, or a drive that is away for a moment
                os.utime(path)
        with contextlib.suppress(OSError):
            self._touched, self._heard = self._path.stat().st_mtime, time.monotonic()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            self._touch()


def write_first(path: Path, text: str) -> None:
    """Write a file, unless there is one: whoever comes first decides, and nobody sees half of it.

    Raises
    ------
    OSError
        If the folder is gone or cannot be written to.
    """
    if path.exists():
        return
    temporary = path.with_name(f".part-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        temporary.write_text(text, encoding="utf-8")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a drive without second names: two that write at the same moment write one after the other
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
