"""Events on the command line: files in, tables out, as the design page has it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from anlage import Annotations, Spacing, embryo, read_card, write_annotations, write_image
from anlage.cli import main
from anlage.io.signal_files.event_tables import read_events, traced, write_events
from anlage.io.signal_files.signals import open_signals, write_signals
from anlage.model import load_model, save_model
from anlage.signals.events import Events
from anlage.synthetic.signals import stepped_tracks


def anlage(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, 160)
    t = np.arange(200)
    shape = np.where(t >= 50, (1 - np.exp(-(t - 50) / 5)) * np.exp(-(t - 50) / 30), 0)
    path = tmp_path_factory.mktemp("windows") / "windows.h5"
    with h5py.File(path, "w") as file:
        file["events"] = rng.normal(size=(160, 200)) - 6 * scores[:, None] * shape
        file["scores"] = scores
        file["recording"] = np.arange(160) % 5
    return path


@pytest.fixture(scope="module")
def run(windows: Path) -> Path:
    folder = windows.parent / "run"
    assert anlage("train", "events", windows, "-o", folder, "--set", "steps=60", "members=2", "width=16") == 0
    assert len(list(folder.glob("*.anlage"))) == 1
    return folder


def test_windows_give_a_row_each_in_their_order(
    windows: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "told.csv"
    assert anlage("predict", run / "run.anlage", windows, "-o", out) == 0
    told = pd.read_csv(out)
    with h5py.File(windows) as file:
        scores = file["scores"][:]
    assert told["window"].tolist() == list(range(160))
    assert ((told["probability"] >= 0.5) == (scores == 1)).mean() > 0.95
    capsys.readouterr()
    assert anlage("evaluate", out, windows, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["n"]) == ("windows", 160)
    assert report["auc"] > 0.98


def test_an_event_is_reported_from_the_networks_own_threshold_on(
    windows: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mix moves it; what reads the table goes by it, too."""
    assert anlage("predict", run / "run.anlage", windows, "-o", tmp_path / "usual.csv") == 0
    likely = pd.read_csv(tmp_path / "usual.csv")["probability"]
    strict = float(likely[likely > 0.5].median())
    model = load_model(run / "run.anlage")
    evidence = model.card.evidence.model_copy(update={"threshold": strict})
    save_model(tmp_path / "strict.anlage", model.card.model_copy(update={"evidence": evidence}), model.weights())
    for place, asked, threshold in (("own.csv", [], strict), ("asked.csv", ["--threshold", "0.5"], 0.5)):
        assert anlage("predict", tmp_path / "strict.anlage", windows, "-o", tmp_path / place, *asked) == 0
        told = pd.read_csv(tmp_path / place)
        assert int(told["score"].sum()) == pytest.approx(
            int((likely >= threshold).sum()), abs=2
        )  # rounded in the table
        capsys.readouterr()
        assert anlage("evaluate", tmp_path / place, windows, "--json") == 0
        confusion = np.array(json.loads(capsys.readouterr().out)["confusion"])
        assert confusion[:, 1].sum() == told["score"].sum()
        assert anlage("info", tmp_path / place) == 0
        assert f"{told['score'].sum()} hold an event" in capsys.readouterr().out


def test_info_says_how_the_held_out_windows_were_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert anlage("info", run) == 0
    said = capsys.readouterr().out
    assert "Held-out examples (held-out.csv):" in said
    assert "Events (windows), 128 compared." in said  # of five recordings one is learnt from by both networks
    assert "ROC AUC" in said


def test_info_says_what_signals_and_events_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signals = stepped_tracks(12, seed=3, n_movies=2)
    write_signals(tmp_path / "s.csv", signals)
    signals = open_signals(tmp_path / "s.csv")
    assert anlage("info", tmp_path / "s.csv") == 0
    said = capsys.readouterr().out
    assert f"Signals (once): 12 tracks on {signals.n_frames} frames (0 to {signals.n_frames - 1})" in said
    assert "Time between two frames: 300 s." in said
    gaps = sum(int((~p[a:b]).sum()) for p, (a, b) in zip(signals.present, signals.spans, strict=True))
    assert f"Missing: {gaps} of {int(np.diff(signals.spans, axis=1).sum())} frames between first and last" in said
    assert "Classes: 4 event (0), 4 no event (1), 4 other (2)." in said
    assert "From 2 movies: movie 0, movie 1." in said
    table = pd.read_csv(tmp_path / "s.csv").rename(columns={"class": "class_death", "t_event": "t_death"})
    table["class_division"] = 1
    table.to_csv(tmp_path / "two.csv", index=False)
    assert anlage("info", tmp_path / "two.csv") == 0
    said = capsys.readouterr().out
    assert "Classes of death: 4 event (0)" in said
    assert "Classes of division: 0 event (0), 12 no event (1)." in said
    write_events(tmp_path / "e.csv", Events.of_signals(signals))
    assert anlage("info", tmp_path / "e.csv") == 0
    assert "Events that happen once: 12 tracks, 4 event (0), 4 no event (1), 4 other (2)." in capsys.readouterr().out


def test_events_are_compared_by_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "truth.csv").write_text("track_id,class,frame,z,y,x\n1,0,5,3,40,40\n2,0,9,3,10,10\n")
    (tmp_path / "told.csv").write_text("track_id,class,frame,z,y,x\n77,0,5.8,3,42,40\n")
    told = "evaluate", tmp_path / "told.csv", tmp_path / "truth.csv", "--by-place"
    assert anlage(*told, "--spacing", "2,0.5,0.5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["tp"], report["fp"], report["fn"]) == (1, 0, 1)
    assert anlage(*told) == 2
    assert "The voxel size is unknown, so no distance can be given in µm" in capsys.readouterr().err


def test_a_table_that_says_its_voxel_size_is_compared_by_place_without_being_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nuclei = Annotations.of([(t, 3, 40, 40 + t) for t in range(9)], links=[(i, i + 1) for i in range(1, 9)])
    write_annotations(tmp_path / "t.geff", nuclei, spacing=Spacing(2, 0.5, 0.5), interval_s=60)
    assert anlage("signals", "-", tmp_path / "t.geff", "-o", tmp_path / "s.csv") == 0
    assert "spacing_z_um" not in open_signals(tmp_path / "s.csv").names
    events = Events(np.array([1]), "once", np.array([0]), np.array([5.0]), np.array([0.9]), 60.0)
    found = traced(events.placed(open_signals(tmp_path / "s.csv")), "divisions-7f3a", tmp_path / "s.csv")
    write_events(tmp_path / "told.csv", found)
    assert read_events(tmp_path / "told.csv").properties["origin"].tolist() == ["divisions-7f3a"]
    capsys.readouterr()
    (tmp_path / "truth.csv").write_text("track_id,class,frame,z,y,x\n77,0,5.8,3,42,45\n")
    assert anlage("evaluate", tmp_path / "told.csv", tmp_path / "truth.csv", "--by-place", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tp"] == 1


def test_every_file_of_a_folder_is_learnt_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sets").mkdir()
    for i in (1, 2):
        write_signals(tmp_path / "sets" / f"film{i}.csv", stepped_tracks(30 + 12 * i, seed=i, n_movies=2))
    settings = ("steps=2", "members=1", "width=8")
    assert anlage("train", "events", tmp_path / "sets", "-o", tmp_path / "run", "--set", *settings) == 0
    said = capsys.readouterr().out
    assert "film1.csv: 42 tracks of up to 100 samples, 42 scored, of which 14 with an event" in said
    assert "film2.csv: 54 tracks of up to 98 samples, 54 scored, of which 18 with an event" in said
    taught = {one.name: one.n_examples for one in read_card(tmp_path / "run" / "run.anlage").trained_on}
    assert taught == {"film1": 42, "film2": 54}


def test_tracks_are_measured_and_their_events_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_signals(tmp_path / "scored.csv", stepped_tracks(90, seed=1))
    assert (
        anlage(
            "train",
            "events",
            tmp_path / "scored.csv",
            "-o",
            tmp_path / "run",
            "--set",
            "steps=60",
            "members=2",
            "width=16",
        )
        == 0
    )
    test = stepped_tracks(40, seed=5)
    write_signals(tmp_path / "new.csv", test.scored(np.full(40, -1), np.full(40, np.nan)))
    assert anlage("predict", tmp_path / "run", tmp_path / "new.csv", "-o", tmp_path / "events.csv") == 0
    told = pd.read_csv(tmp_path / "events.csv")
    assert told["track_id"].tolist() == list(range(1, 41))
    assert {"class", "frame", "time_s", "probability"} <= set(told)
    write_signals(tmp_path / "truth.csv", test)
    capsys.readouterr()
    assert anlage("evaluate", tmp_path / "events.csv", tmp_path / "truth.csv", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n"] == 40
    assert report["median_error_min"] == pytest.approx(report["median_error_frames"] * 5)


def test_signals_of_an_embryo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    movie = embryo(5, 4, (12, 72, 72), n_nuclei=14)
    write_image(
        tmp_path / "movie.ome.zarr", movie.image.read(), spacing=movie.spacing, interval_s=300, channels=["nuclei"]
    )
    write_annotations(tmp_path / "tracks.csv", movie.truth)
    assert anlage("signals", tmp_path / "movie.ome.zarr", tmp_path / "tracks.csv", "-o", tmp_path / "signals.csv") == 0
    signals = open_signals(tmp_path / "signals.csv")
    assert {"speed_um_per_min", "depth_um", "neighbours"} <= set(signals.names)
    assert signals.group[0] == "movie"
    assert signals.places is not None
    assert anlage("signals", "-", tmp_path / "tracks.csv", "-o", tmp_path / "s.csv", "--spacing", "2,0.5,0.5") == 0
    assert "step_um" in open_signals(tmp_path / "s.csv").names


def test_a_model_of_events_and_an_image_do_not_go_together(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert anlage("predict", run, tmp_path / "movie.tif", "-o", tmp_path / "e.csv") == 2
    assert "There are no signals at" in capsys.readouterr().err


class Harm:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_harmful_file_is_refused_in_training_and_prediction(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
        file.write(pickle.dumps([{"a": Harm(tmp_path / "ran")}]))
    assert anlage("predict", run, tmp_path / "x.npy", "-o", tmp_path / "e.csv") == 2
    assert anlage("train", "events", tmp_path / "x.npy", "-o", tmp_path / "run") == 2
    assert capsys.readouterr().err.count("nothing was run") == 2
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run").exists()


def test_a_store_is_no_signals_and_signals_are_no_store(
    windows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.zarr").mkdir()
    assert anlage("train", "events", tmp_path / "s.zarr", "-o", tmp_path / "run") == 2
    assert "holds no signals, from which events are learnt" in capsys.readouterr().err
    assert anlage("train", "nuclei", windows, "-o", tmp_path / "run") == 2
    assert "a training needs a store of training data" in capsys.readouterr().err


@pytest.mark.data
def test_a_network_of_miniml_is_applied(shared_data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = shared_data("miniml")
    file = next((folder / "human_L23_scored" / "nice_events").glob("2_*.h5"))
    model = folder / "models" / "human_L23_lstm_transfer_dec2024.h5"
    assert anlage("predict", model, file, "-o", tmp_path / "told.csv") == 0
    assert (pd.read_csv(tmp_path / "told.csv")["probability"] > 0.5).mean() > 0.95
