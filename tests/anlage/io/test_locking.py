"""Who works in a folder: looking never gets in the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

import anlage.io.locking
from anlage.io.locking import LOCK_FILES, FolderLock, TakenError

posix = pytest.mark.skipif(sys.platform == "win32", reason="pretended by flock")

_HOLD = """
import sys, time
from pathlib import Path
from anlage.io.locking import FolderLock
with FolderLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder."""
    child = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def look_without_pause(lock: FolderLock, n: int, seconds: float) -> set[bool]:
    """What `n` watchers see that look as often as they can."""
    seen: set[bool] = set()
    end = time.monotonic() + seconds

    def watch() -> None:
        while time.monotonic() < end:
            seen.add(lock.is_held)

    watchers = [threading.Thread(target=watch) for _ in range(n)]
    for one in watchers:
        one.start()
    for one in watchers:
        one.join()
    return seen


def test_a_folder_that_nobody_ever_held_is_free(tmp_path: Path) -> None:
    assert not FolderLock(tmp_path).is_held
    assert list(tmp_path.iterdir()) == []


def test_it_is_held_as_long_as_it_is_held(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with lock.held():
        assert lock.is_held
        assert lock.who == f"process {os.getpid()}"
        assert {path.name for path in tmp_path.iterdir()} <= set(LOCK_FILES)
    assert not lock.is_held
    assert lock.who == "another process"


def test_a_second_process_does_not_get_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = FolderLock(tmp_path)
    began = time.monotonic()
    with pytest.raises(TakenError), lock.held():
        raise AssertionError
    assert time.monotonic() - began < 5
    assert lock.who == f"process {holder.pid}"


def test_a_killed_holder_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = FolderLock(tmp_path)
    assert lock.is_held
    holder.send_signal(signal.SIGKILL)
    while holder.poll() is None:
        time.sleep(0.01)
    assert not lock.is_held
    with lock.held():
        assert lock.is_held


def test_many_watchers_see_one_truth(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = FolderLock(tmp_path)
    assert look_without_pause(lock, 6, 0.5) == {True}
    holder.kill()
    holder.wait()
    assert look_without_pause(lock, 6, 0.5) == {False}


@posix
@pytest.mark.parametrize("note", [None, "", "4711", "4711 0.0 another computer"])
def test_many_watchers_never_take_each_other_for_the_holder(
    tmp_path: Path, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the note says, and where the system has no list."""
    monkeypatch.setattr(anlage.io.locking, "_LIST", tmp_path / "no list")
    (tmp_path / "lock").touch()
    if note is not None:
        (tmp_path / "pid").write_text(note)
    assert look_without_pause(FolderLock(tmp_path), 6, 0.3) == {False}


def test_watchers_never_keep_a_taker_out(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with lock.held():
        pass
    watching = threading.Thread(target=look_without_pause, args=(lock, 4, 1.0))
    watching.start()
    for _ in range(20):
        with lock.held():
            assert lock.is_held
    watching.join()


@posix
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("note", [None, "4711", "x y z", "\xff"])
def test_a_holder_that_left_no_note_is_seen(
    tmp_path: Path, note: str | None, monkeypatch: pytest.MonkeyPatch, *, listed: bool
) -> None:
    """One of an earlier version, or of another computer."""
    if not listed:
        monkeypatch.setattr(anlage.io.locking, "_LIST", tmp_path / "no list")
    if note is not None:
        (tmp_path / "pid").write_bytes(note.encode("latin-1"))
    with filelock.FileLock(tmp_path / "lock", is_singleton=False):
        assert FolderLock(tmp_path).is_held
    assert not FolderLock(tmp_path).is_held


def test_a_process_that_got_the_number_of_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with lock.held():
        number, began, computer = (tmp_path / "pid").read_text().split(maxsplit=2)
    (tmp_path / "pid").write_text(f"{number} {float(began) - 60} {computer}")
    assert not lock.is_held
    (tmp_path / "pid").write_text(f"{number} {float(began) - 1} {computer}")
    assert lock.is_held


@posix
def test_a_drive_without_locks_is_locked_by_a_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FolderLock(tmp_path)
    with lock.held():
        assert (tmp_path / "lock.soft").exists()
        assert lock.is_held
        with pytest.raises(TakenError), FolderLock(tmp_path).held():
            raise AssertionError
    assert not lock.is_held


@posix
def test_other_trouble_is_not_taken_for_a_drive_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"), FolderLock(tmp_path).held():
        raise AssertionError
