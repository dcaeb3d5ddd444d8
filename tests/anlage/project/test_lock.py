"""The lock of a project, on drives of all kinds."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from anlage import AnlageError, Project
from anlage.io.locking import LOCK_FILES
from anlage.project.lock import Lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="drives without locks are pretended by flock")


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive that has no locks."""
    import fcntl

    number = getattr(errno, request.param)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_a_drive_without_locks_is_locked_by_a_marker(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "movie.anlage")
    with pytest.raises(AnlageError, match="is open already in this program"):
        Project.open(project.folder)
    project.close()
    assert not {path.name for path in project.folder.iterdir()} & {"lock.soft", "pid"}
    Project.open(project.folder).close()


@pytest.mark.usefixtures("no_locks")
def test_a_marker_left_by_a_program_that_ended_is_of_no_account(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:  # killed while it holds the lock
        Lock(tmp_path)
        os._exit(9)
    os.waitpid(pid, 0)
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= set(LOCK_FILES)
    assert left
    Lock(tmp_path).release()


def test_a_folder_that_may_not_be_written_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(AnlageError, match="cannot be opened for writing"):
        Lock(tmp_path)
