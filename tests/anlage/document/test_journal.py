"""The journal: lines that are whole, or left out with a note."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from anlage import AnlageError
from anlage.document.journal import Journal, read_journal, write_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    write_journal(path, 3, [{"past": 1}])
    journal = Journal(path)
    for n in range(4):
        journal.append({"do": n})
    journal.close()
    return path


def test_what_was_appended_is_read(path: Path) -> None:
    found = read_journal(path)
    assert found is not None
    assert (found.fold, found.note) == (3, None)
    assert found.records == ({"past": 1}, {"do": 0}, {"do": 1}, {"do": 2}, {"do": 3})
    assert found.n_bytes == path.stat().st_size


def test_a_line_is_on_its_way_to_the_disk_before_append_returns(path: Path) -> None:
    journal = Journal(path)
    journal.append({"do": "now"})
    assert path.read_bytes().endswith(b'{"do":"now"}\n')
    journal.close()


@pytest.mark.parametrize("torn", [b'{"do": {"edit": "add_nu', b'{"do": 9}', b"\x00" * 40, b"\n"])
def test_a_torn_last_line_is_dropped_with_a_note(path: Path, torn: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    found = read_journal(path)
    assert found is not None
    assert len(found.records) == 5
    assert found.note == "The last change was not written completely and is left out; the 5 before it are there."
    journal = Journal(path, found.n_bytes)
    journal.append({"do": "after"})
    journal.close()
    assert path.read_bytes() == whole + b'{"do":"after"}\n'


def test_damage_in_the_middle_is_told(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"???\n", *lines[4:]]))
    found = read_journal(path)
    assert found is not None
    assert found.note == "The journal is damaged after 2 changes, so the last 3 are left out."


def test_a_newer_journal_is_refused(path: Path) -> None:
    path.write_text(json.dumps({"schema": 2, "fold": 0}) + "\n")
    with pytest.raises(
        AnlageError, match=r"journal .* has schema 2, newer than the 1 that this version reads; update anlage"
    ):
        read_journal(path)


def test_something_else_is_refused_and_nothing_is_none(path: Path) -> None:
    path.write_text('{"a": 1}\n')
    with pytest.raises(AnlageError, match="is no journal of anlage: its first line is"):
        read_journal(path)
    path.write_text('{"schema"')
    assert read_journal(path) is None
    assert read_journal(path.with_name("none")) is None


def test_on_a_full_disk_the_journal_is_as_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, write = path.read_bytes(), os.write
    journal = Journal(path)

    def full(handle: int, data: bytes) -> int:
        if len(data) > 10:
            return write(handle, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(
            AnlageError, match=r"cannot be written .* \(no space left on device\), so it was not made; free some"
        ):
            journal.append({"do": "something long"})
    assert path.read_bytes() == whole
    journal.append({"do": 5})
    journal.close()
    assert path.read_bytes() == whole + b'{"do":5}\n'


def test_a_flush_that_failed_is_told_at_the_next_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        journal.append({"do": 5})
        while journal._failure is None:
            pass
        with pytest.raises(AnlageError, match="input/output error"):
            journal.append({"do": 6})
    journal.append({"do": 7})
    journal.close()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be deleted")
def test_a_deleted_journal_takes_no_change(path: Path) -> None:
    journal = Journal(path)
    path.unlink()
    with pytest.raises(AnlageError, match="was deleted while the project was open, so the change was not made"):
        journal.append({"do": 5})
    journal.close()
