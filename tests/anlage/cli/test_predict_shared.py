"""Several processes on one prediction: they share its frames, and what comes out is what one alone would give."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anlage.inference.events import PredictEvent
from anlage.inference.frame_store import PredictionParts
from anlage.io import open_annotations, write_image

SLOW = Path(__file__).with_name("slow_predict.py")
N = 12
WORDS = ("predict", "classical", "long.ome.zarr", "-o", "found.csv", "--progress", "json")


@pytest.fixture
def long_movie(folder, movie, command):
    """A movie of 12 frames, and the table that one process makes of it."""
    pixels = np.concatenate([movie.image.read()] * 3)
    write_image("long.ome.zarr", pixels, spacing=movie.spacing, interval_s=300)
    code, _, err = command("predict", "classical", "long.ome.zarr", "-o", "alone.csv")
    assert code == 0, err
    return (folder / "alone.csv").read_bytes()


@contextlib.contextmanager
def started(folder, *more):
    with subprocess.Popen(
        [sys.executable, str(SLOW), *WORDS, *more], cwd=folder, env={**os.environ, "SLOW": "sleep"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def until(process, kind):
    for line in process.stdout:
        if PredictEvent.model_validate_json(line).kind == kind:
            return


def frames_of(out):
    return [
        event.frame for line in out.splitlines() if (event := PredictEvent.model_validate_json(line)).frame is not None
    ]


def last_of(out):
    return PredictEvent.model_validate_json(out.splitlines()[-1])


def test_two_processes_share_one_prediction(folder, long_movie):
    with started(folder) as first, started(folder) as second:
        (one, _), (two, _) = first.communicate(timeout=60), second.communicate(timeout=60)
        assert (first.returncode, second.returncode) == (0, 0)
    did = frames_of(one), frames_of(two)
    assert min(map(len, did)) >= 3, f"one did nearly all: {did}"
    assert sorted(did[0] + did[1]) == list(range(N))
    assert last_of(one).kind == last_of(two).kind == "finished"
    assert f"of {N} frames were predicted here" in last_of(one).text + last_of(two).text
    assert (folder / "found.csv").read_bytes() == long_movie
    assert not PredictionParts.beside(folder / "found.csv").folder.exists()


def test_one_that_is_killed_is_replaced_by_the_other(folder, long_movie):
    with started(folder) as first, started(folder) as second:
        until(second, "frame")
        second.kill()
        rest = second.stdout.read()
        assert second.wait() == -signal.SIGKILL
        one, _ = first.communicate(timeout=60)
        assert first.returncode == 0
    did = frames_of(one)
    assert len(did) + len(frames_of(rest)) + 1 >= N - 1, "what the dead one had finished is not done again"
    assert len(did) < N
    assert (folder / "found.csv").read_bytes() == long_movie


def test_other_settings_are_refused_while_others_are_at_work(folder, long_movie):
    with started(folder) as first:
        until(first, "frame")
        with started(folder, "--threshold", "0.7") as second:
            _, err = second.communicate(timeout=60)
            assert second.returncode == 2
        assert "with threshold not given instead of 0.7" in err
        first.communicate(timeout=60)
    assert (folder / "found.csv").read_bytes() == long_movie


def test_fixed_parts_are_made_one_by_one_and_collected(folder, long_movie, command):
    code, out, err = command(*WORDS, "--part", "1/3")
    assert code == 0, err
    assert frames_of(out) == [0, 1, 2, 3]
    assert "8 of 12 frames are missing" in last_of(out).text
    assert not (folder / "found.csv").exists()
    code, _, err = command(*WORDS, "--collect")
    assert code == 2
    assert "8 frames of 12 in 'found.csv.parts' are not predicted yet (4–11, counted from 0)" in err
    assert command(*WORDS, "--part", "3/3")[0] == 0
    code, out, err = command(*WORDS, "--part", "2/3")
    assert code == 0, err
    assert (folder / "found.csv").read_bytes() == long_movie
    assert not (folder / "found.csv.parts").exists()


def test_collecting_without_predicting_gives_the_same(folder, long_movie, command):
    assert command(*WORDS, "--parts-only")[0] == 0
    assert not (folder / "found.csv").exists()
    code, out, err = command(*WORDS, "--collect")
    assert code == 0, err
    assert frames_of(out) == []
    assert (folder / "found.csv").read_bytes() == long_movie


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_parts_that_are_none_are_refused(folder, command, part):
    code, _, err = command(*WORDS, "--part", part)
    assert code == 2
    assert f"The part '{part}' is not of the form K/N" in err


@pytest.mark.parametrize("suffix", [".csv", ".geff"])
def test_a_table_of_many_blocks_is_the_same(folder, long_movie, command, monkeypatch, suffix):
    words = ("predict", "classical", "long.ome.zarr", "-o")
    assert command(*words, f"once{suffix}")[0] == 0
    monkeypatch.setattr("anlage.cli.nuclei_output._BLOCK", 25)
    code, out, err = command(*words, f"blocks{suffix}")
    assert code == 0, err
    once, blocks = open_annotations(f"once{suffix}"), open_annotations(f"blocks{suffix}")
    assert len(blocks) > 100
    assert f"{len(blocks)} nuclei in 12 frames" in out
    np.testing.assert_array_equal(once.ids, blocks.ids)
    np.testing.assert_array_equal(once.positions, blocks.positions)
    np.testing.assert_array_equal(once.origin, blocks.origin)
