"""A prediction that is broken off: what is kept, how it goes on, and how soon it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anlage.inference.classical import ClassicalFinder
from anlage.inference.events import PredictEvent
from anlage.inference.frame_store import PredictionParts
from anlage.inference.network import NetworkFinder

SLOW = Path(__file__).with_name("slow_predict.py")
WORDS = ("predict", "classical", "image.ome.zarr", "-o", "found.csv", "--progress", "json")


@contextlib.contextmanager
def started(folder, how="sleep"):
    environment = {**os.environ, "SLOW": how}
    command = [sys.executable, str(SLOW), *WORDS]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process, kind):
    """Events up to and including the first of a kind."""
    events = []
    for line in process.stdout:
        events.append(PredictEvent.model_validate_json(line))
        if events[-1].kind == kind:
            return events
    raise AssertionError(f"it ended without '{kind}': {events}")


def events_of(out):
    return [PredictEvent.model_validate_json(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def limit_s():
    """3 s, and on a busy machine what a program of no work takes there."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import anlage.cli.predict, numpy"], check=True)
    return 3 + 2 * (time.monotonic() - began)


@pytest.fixture
def undisturbed(folder, command):
    """The table that a prediction gives that nothing breaks off."""
    code, _, err = command("predict", "classical", "image.ome.zarr", "-o", "whole.csv", "--heatmap", "whole.zarr")
    assert code == 0, err
    assert not (folder / "whole.csv.parts").exists()
    return (folder / "whole.csv").read_bytes()


def test_a_killed_prediction_goes_on_with_the_next_frame(folder, command, undisturbed):
    with started(folder) as process:
        before = [e.frame for e in until(process, "frame") if e.kind == "frame"]
        process.kill()
        before += [e.frame for e in events_of(process.stdout.read()) if e.kind == "frame"]
        assert process.wait() == -signal.SIGKILL
    assert not (folder / "found.csv").exists()
    parts = PredictionParts.beside(folder / "found.csv")
    assert set(before) <= set(parts.done) < {0, 1, 2, 3}
    assert parts.n_frames == 4
    assert not parts.is_running
    kept = set(parts.done)

    code, out, err = command(*WORDS, "--resume")
    assert code == 0, err
    events = events_of(out)
    assert {e.frame for e in events if e.kind == "frame"} == {0, 1, 2, 3} - kept
    (start,) = [e for e in events if e.kind == "started"]
    assert (start.done, start.total) == (len(kept), 4)
    assert events[-1].kind == "finished"
    assert (folder / "found.csv").read_bytes() == undisturbed
    assert not parts.folder.exists()


@pytest.mark.parametrize("how", ["sleep", "one-piece"])
def test_a_stop_file_ends_it_within_3_seconds(folder, how, limit_s):
    parts = PredictionParts.beside(folder / "found.csv")
    with started(folder, how) as process:
        until(process, "frame")
        began = time.monotonic()
        assert parts.is_running
        parts.request_stop()
        assert process.wait(timeout=20) == 3
        assert time.monotonic() - began < limit_s
        last = events_of(process.stdout.read())[-1]
    assert last.kind == "stopped"
    assert "of 4 frames are kept in found.csv.parts" in last.text
    assert len(parts.done) >= 1
    assert not (folder / "found.csv").exists()


@pytest.mark.parametrize(("number", "how", "code"), [(signal.SIGTERM, "one-piece", 143), (signal.SIGINT, "sleep", 130)])
def test_signals_end_it_and_keep_what_is_finished(folder, command, undisturbed, number, how, code, limit_s):
    with started(folder, how) as process:
        until(process, "frame")
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=20) == code
        assert time.monotonic() - began < limit_s
        assert events_of(process.stdout.read())[-1].kind == "stopped"
    code, _, err = command(*WORDS)  # also without --resume
    assert code == 0, err
    assert (folder / "found.csv").read_bytes() == undisturbed


@pytest.fixture
def half(folder, command, monkeypatch):
    """A prediction with its heat-map that broke off after frame 1."""
    real = ClassicalFinder.predictions

    def breaking(self, frames):
        for prediction in real(self, frames):
            if prediction.frame == 2:
                raise OSError(5, "Input/output error", "image.ome.zarr")
            yield prediction

    with monkeypatch.context() as patch:
        patch.setattr(ClassicalFinder, "predictions", breaking)
        code, _, err = command(*WORDS, "--heatmap", "heat.zarr")
    assert code == 2
    assert "Input/output error" in err
    parts = PredictionParts.beside(folder / "found.csv")
    assert parts.done == (0, 1)
    return parts


def test_the_map_goes_on_too(folder, command, half, undisturbed):
    import numpy as np

    from anlage.io import open_image

    code, _, err = command(*WORDS, "--heatmap", "heat.zarr", "--resume")
    assert code == 0, err
    assert (folder / "found.csv").read_bytes() == undisturbed
    np.testing.assert_array_equal(open_image("heat.zarr").read(), open_image("whole.zarr").read())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--heatmap", "heat.zarr", "--threshold", "0.7"), "threshold not given instead of 0.7"),
        (("--heatmap", "heat.zarr", "--frames", "0:3"), "frames 0,4 instead of 0,3"),
        ((), "heatmap True instead of False"),
    ],
)
def test_another_prediction_does_not_take_over_its_frames(folder, command, half, more, said):
    code, _, err = command(*WORDS, *more, "--resume")
    assert code == 2
    assert said in err
    assert half.done == (0, 1), "what was kept is not thrown away by a refusal"
    code, out, err = command(*WORDS, *more)
    assert code == 0, err
    assert 0 in [e.frame for e in events_of(out)]


def test_a_damaged_frame_is_predicted_again(folder, command, half, undisturbed):
    path = half.folder / "frame-000000.npz"
    path.write_bytes(path.read_bytes()[:100])
    code, out, err = command(*WORDS, "--heatmap", "heat.zarr")
    assert code == 0, err
    assert [e.frame for e in events_of(out) if e.kind == "frame"] == [0, 2, 3]
    assert (folder / "found.csv").read_bytes() == undisturbed


def test_nothing_to_go_on_with_is_a_sentence_and_leaves_nothing(folder, command):
    code, _, err = command(*WORDS, "--resume")
    assert code == 2
    assert "There is no prediction in 'found.csv.parts' to go on with" in err
    assert not (folder / "found.csv.parts").exists()


def test_a_folder_of_somebody_else_is_left_alone(folder, command):
    (folder / "found.csv.parts").mkdir()
    (folder / "found.csv.parts" / "thesis.txt").write_text("years of work")
    code, _, err = command(*WORDS)
    assert code == 2
    assert "it holds something else" in err
    assert (folder / "found.csv.parts" / "thesis.txt").read_text() == "years of work"


def test_progress_as_json_is_all_that_is_on_stdout(folder, command):
    code, out, err = command(*WORDS, "--frames", "1:3")
    assert code == 0, err
    raw = [json.loads(line) for line in out.splitlines()]
    events = events_of(out)
    assert [e.kind for e in events if e.kind != "note"] == ["started", "frame", "frame", "writing", "finished"]
    assert [e.frame for e in events if e.kind == "frame"] == [1, 2]
    assert [(e.done, e.total) for e in events if e.kind == "frame"] == [(1, 2), (2, 2)]
    assert events[-1].nuclei == sum(e.nuclei for e in events if e.kind == "frame")
    notes = " ".join(e.text for e in events if e.kind == "note")
    assert "µm across, as measured in the image" in notes
    assert "is read as 4 t" in notes
    assert all("kind" in line for line in raw)


def test_all_candidates_filtered_are_what_a_threshold_gives(folder, command):
    import numpy as np

    from anlage.io import open_annotations

    words = ("predict", "classical", "image.ome.zarr", "--frames", "0", "-o")
    assert command(*words, "all.csv", "--all-candidates")[0] == 0
    every = open_annotations("all.csv")
    middle = round(float(np.median(every.probability)), 4)
    assert command(*words, "few.csv", "--threshold", middle)[0] == 0
    few = open_annotations("few.csv")
    assert len(every) > len(few) > 0
    kept = every.select(every.probability >= middle)
    np.testing.assert_array_equal(kept.positions, few.positions)
    code, _, err = command(*words, "no.csv", "--all-candidates", "--threshold", "0.5")
    assert code == 2
    assert "not allowed with" in err


def test_a_plane_is_predicted_and_kept_like_a_volume(tmp_path, command, monkeypatch):
    from anlage.io import write_image
    from anlage.synthetic import embryo

    monkeypatch.chdir(tmp_path)
    movie = embryo(2, 2, (1, 96, 96), n_nuclei=8)
    write_image("flat.ome.zarr", movie.image.read(), spacing=movie.spacing)
    code, out, err = command("predict", "classical", "flat.ome.zarr", "-o", "f.geff", "--heatmap", "h.zarr")
    assert code == 0, err
    assert "in 2 frames" in out


def test_a_network_goes_on_as_if_nothing_had_happened(folder, command, monkeypatch):
    """The diameter is measured over all frames: what is left of them would give another."""
    words = ("predict", "starter", "image.ome.zarr", "--frames", "0:3", "--device", "cpu", "-o")
    assert command(*words, "whole.csv")[0] == 0
    real = NetworkFinder.predictions

    def breaking(self, frames):
        for prediction in real(self, frames):
            if prediction.frame == 1:
                raise OSError(5, "Input/output error", "image.ome.zarr")
            yield prediction

    with monkeypatch.context() as patch:
        patch.setattr(NetworkFinder, "predictions", breaking)
        assert command(*words, "found.csv")[0] == 2
    code, out, err = command(*words, "found.csv", "--resume")
    assert code == 0, err
    assert "1 of 3 frames were finished before" in out
    assert (folder / "found.csv").read_bytes() == (folder / "whole.csv").read_bytes()
