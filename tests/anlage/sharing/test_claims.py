"""Claims: one gets it, the dead lose it, and clocks play no part."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from anlage.sharing import claims
from anlage.sharing.claims import EXPIRES_S, Crew, Worker, WorkerNote, write_first

_HOLDER = """
import sys, time
from pathlib import Path
from anlage.sharing.claims import Worker
worker = Worker(Path(sys.argv[1]), "job").__enter__()
assert worker.claim("a")
print("held", flush=True)
time.sleep(60)
"""


def elsewhere(worker: Worker, token: str = "far") -> WorkerNote:
    return WorkerNote(token, "4711 1764590000.0 othernode 4026531836", worker.note.about)


def test_one_of_many_gets_each_unit(tmp_path):
    workers = [Worker(tmp_path, "job").__enter__() for _ in range(8)]
    got = [[] for _ in workers]

    def take(worker, mine):
        mine += [unit for unit in map(str, range(60)) if worker.claim(unit)]

    threads = [threading.Thread(target=take, args=pair) for pair in zip(workers, got, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(unit for mine in got for unit in mine) == sorted(map(str, range(60)))
    assert len(Crew(tmp_path).at_work()) == 8
    for worker in workers:
        worker.leave()
    assert not list(tmp_path.iterdir())


def test_who_was_killed_loses_what_it_had_at_once(tmp_path):
    with subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with Worker(tmp_path, "job") as worker:
            assert not worker.claim("a")
            assert [note.about for note in worker.others()] == ["job"]
            process.kill()
            process.wait()
            assert not worker.others()
            assert worker.claim("a")


@pytest.mark.parametrize("clock", [0.0, 86_400.0, -86_400.0], ids=["same", "ahead", "behind"])
def test_a_process_of_another_computer_counts_as_gone_after_silence(tmp_path, clock, monkeypatch):
    """By the times of the file server: what this computer's clock says does not matter."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + clock)
    with Worker(tmp_path, "job") as worker:
        for unit, silent_s in (("fresh", EXPIRES_S - 20), ("old", EXPIRES_S + 20)):
            path = tmp_path / f"claim-{unit}"
            path.write_text(elsewhere(worker).text)
            os.utime(path, (real() - silent_s,) * 2)
        assert set(worker.claims()) == {"fresh"}
        assert not worker.claim("fresh")
        assert worker.claim("old")
        assert WorkerNote.read(tmp_path / "claim-old") == worker.note


def test_a_touch_renews_all_that_a_process_has(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "HEARTBEAT_S", 0.05)
    with Worker(tmp_path, "job") as worker:
        assert worker.claim("a")
        os.utime(tmp_path / "claim-a", (0, 0))
        until = time.monotonic() + 5
        while (tmp_path / "claim-a").stat().st_mtime == 0 and time.monotonic() < until:
            time.sleep(0.02)
        assert time.time() - (tmp_path / "claim-a").stat().st_mtime < 60


def test_a_claim_that_another_took_over_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    with Worker(tmp_path, "job") as first, Worker(tmp_path, "job") as second:
        path = tmp_path / "claim-a"
        path.write_text(elsewhere(first).text)
        os.utime(path, (0, 0))
        real = Worker.lives

        def slowly(self, path, note):
            lives = real(self, path, note)
            if self is first:  # between seeing that it is old and removing it
                assert second.claim("a")
            return lives

        monkeypatch.setattr(Worker, "lives", slowly)
        assert not first.claim("a")
        assert WorkerNote.read(path) == second.note
        first.release("a")
        assert path.exists(), "only whose it is gives it back"


def test_a_drive_without_second_names_does_too(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with Worker(tmp_path, "job") as first, Worker(tmp_path, "job") as second:
        assert first.claim("a")
        assert not second.claim("a")
        first.release("a")
        assert second.claim("a")
    write_first(tmp_path / "job.json", "one")
    write_first(tmp_path / "job.json", "two")
    assert (tmp_path / "job.json").read_text() == "one"


def test_whoever_writes_first_decides(tmp_path):
    write_first(tmp_path / "job.json", "one")
    write_first(tmp_path / "job.json", "two")
    assert (tmp_path / "job.json").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


@pytest.mark.parametrize("text", ["", "{", json.dumps({"token": 3}), json.dumps([1])])
def test_a_damaged_claim_expires_like_any_other(tmp_path, text):
    with Worker(tmp_path, "job") as worker:
        path = tmp_path / "claim-a"
        path.write_text(text)
        assert not worker.claim("a")
        os.utime(path, (0, 0))
        assert worker.claim("a")
