"""``anlage import``: what other programs wrote becomes projects, and what could not be taken over is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from anlage import Annotations, Project, Spacing, State, open_image, write_annotations
from anlage.cli import main
from anlage.project.predictions import load, results

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["import", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def images(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        tifffile.imwrite(folder / name, np.full((4, 64, 64), i, np.uint8), photometric="minisblack")


def organoid(folder: Path, **entry: Any) -> None:
    """A list of one experiment on the time points 1 to 4, one of whose links leads nowhere."""
    positions = [{"time_point": t, "coords_xyz_px": [[10 + t, 20, 2]]} for t in range(1, 5)]
    track = [[10 + t, 20, 2] for t in range(1, 5)]
    tracks = [{"time_point_start": 1, "coords_xyz_px": [*track, [1, 2, 3]]}]
    about = {"x_um": 0.3, "y_um": 0.3, "z_um": 2, "t_m": 12}
    offsets = [{"x": 1, "y": 0, "z": 0, "_time_point_number": 3}]
    whole = {
        "version": "v2",
        "positions": positions,
        "tracks": tracks,
        "image_resolution": about,
        "image_offsets": offsets,
    }
    (folder / "a.aut").write_text(json.dumps(whole))
    known = {"experiment_file": "a.aut", "images_container": "imgs", "images_pattern": "t{time:02}.tif"}
    (folder / "x.autlist").write_text(json.dumps([known | entry]))


def content(folder: str) -> tuple[Any, Annotations]:
    with Project.open(folder) as project:
        return project.settings, project.document.nuclei


def test_a_list_of_organoidtracker_is_a_project_with_scale_frames_and_offsets(tmp_path: Path, say: Say) -> None:
    images(tmp_path / "imgs", *(f"t{t:02}.tif" for t in range(1, 5)))
    organoid(tmp_path)
    code, out, _ = say("x.autlist", "-o", "out")
    settings, nuclei = content("out/a.anlage")
    assert code == 0
    assert settings.spacing == Spacing(2, 0.3, 0.3)
    assert settings.interval_s == 720
    assert settings.image.endswith("imgs")  # the folder as it is: nothing is copied
    assert nuclei.positions.tolist() == [[0, 2, 20, 11], [1, 2, 20, 12], [2, 2, 20, 12], [3, 2, 20, 14]]
    assert "4 nuclei in 4 frames, 3 links, 0 divisions; 1 contradiction left out" in out
    assert "At (t, z, y, x) 4, 3, 2, 1." in out
    assert "image offsets of 1 time point were taken off" in out


def test_channels_and_time_points_of_a_pattern_become_an_image(tmp_path: Path, say: Say) -> None:
    images(tmp_path / "imgs", *(f"t{t:02}c{c}.tif" for t in range(1, 5) for c in (1, 2)))
    organoid(
        tmp_path,
        images_pattern="t{time:02}c{channel}.tif",
        min_time_point=2,
        max_time_point=3,
        images_channel_summing=[[2]],
        colour=7,
    )
    code, out, _ = say("x.autlist")
    settings, nuclei = content("a.anlage")
    assert code == 0
    assert (settings.channels, settings.shape_tzyx) == ((1,), (2, 4, 64, 64))
    assert nuclei.positions[:, [0, 3]].tolist() == [[0, 12], [1, 12]]
    assert nuclei.links.tolist() == [[1, 2]]
    assert "2 nuclei outside the time points 2 to 3 were left out" in out
    assert "Not taken over: 'colour' (7) has no counterpart here." in out


@pytest.mark.parametrize(
    "ini",
    [
        "[a]\ndataset_file = x.autlist\nimages_channels = 1\n",
        "[a]\npositions_file_1 = C:\\data\\a.aut\nimages_container_1 = imgs\nimages_pattern_1 = t%02d.tif\nimages_channels_1 = 1\n",
    ],
)
def test_the_settings_of_organoidtracker_lead_to_the_movies(tmp_path: Path, say: Say, ini: str) -> None:
    images(tmp_path / "imgs", *(f"t{t:02}.tif" for t in range(1, 5)))
    organoid(tmp_path)
    (tmp_path / "organoid_tracker.ini").write_text(ini)
    assert say(".", "-o", "out")[0] == 0
    settings, nuclei = content("out/a.anlage")
    assert (settings.channels, len(nuclei)) == ((0,), 4)


def test_a_movie_without_its_images_does_not_stop_the_others(tmp_path: Path, say: Say) -> None:
    images(tmp_path / "imgs", *(f"t{t:02}.tif" for t in range(1, 5)))
    organoid(tmp_path)
    entry = json.loads((tmp_path / "x.autlist").read_text())[0]
    (tmp_path / "x.autlist").write_text(json.dumps([entry | {"images_container": "gone", "name": "b"}, entry]))
    code, out, _ = say("x.autlist", "-o", "out")
    assert code == 0
    assert "Not imported: b. No image of 'b' is there (The images 'gone' are not there" in out
    assert [path.name for path in Path("out").iterdir()] == ["a.anlage"]


def experiment(folder: Path) -> None:
    place = folder / "E" / "W1" / "100"
    for name in ("movie", "output/tables", "labels_targets"):
        (place / name).mkdir(parents=True)
    (folder / "E" / "config.ini").write_text(
        "[MovieSettings]\npxtoum = 0.2\nframetomin = 2.0\nlen_movie = 3\nmovie_prefix = st\n[Channels]\nnuclei_channel = 0\npi_channel = nan\n"
        "[Labels]\nantibodies = anti-CD3\n"
    )
    tifffile.imwrite(place / "movie" / "stack.tif", np.zeros((3, 40, 40), np.uint8), photometric="minisblack")
    for t in range(3):
        painted = np.zeros((40, 40), np.uint16)
        painted[8:12, 8 + t : 12 + t] = 5
        tifffile.imwrite(place / "labels_targets" / f"{t:04}.tif", painted)
    rows = "".join(f"1.0,{t}.0,9.5,{9.5 + t},{t},5,5.0,0,1.5,{t}\n" for t in range(3))
    table = f"TRACK_ID,FRAME,POSITION_Y,POSITION_X,t,state,class_id,class_lysis,t_lysis,ID\n{rows}"
    (place / "output" / "tables" / "trajectories_targets.csv").write_text(table)


@pytest.mark.parametrize("source", ["E", "E/W1", "E/W1/100", "E/config.ini"])
def test_an_experiment_of_celldetective_keeps_tracks_outlines_and_events(tmp_path: Path, say: Say, source: str) -> None:
    experiment(tmp_path)
    code, out, _ = say(source, "-o", "out")
    settings, nuclei = content("out/W1_100.anlage")
    assert code == 0
    assert (settings.spacing, settings.interval_s) == (Spacing(0.2, 0.2, 0.2), 120)
    assert settings.shape_tzyx == (3, 1, 40, 40)
    assert settings.channel_names == ("nuclei",)
    assert len(nuclei.links) == 2
    assert (nuclei.label > 0).all()
    assert nuclei.properties["t_lysis"].tolist() == [1.5] * 3
    assert "with painted labels" in out
    assert "Not taken over: What the wells held (antibodies = anti-CD3)" in out


@pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut", "a.ctc", "a.tif"])
def test_every_format_beside_its_image_is_a_project(tmp_path: Path, say: Say, name: str) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((2, 4, 30, 30), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    nuclei = Annotations.of([(0, 1, 9, 9), (1, 1, 9, 10), (0, 2, 20, 20)], links=[(1, 2)], radius_um=3)
    write_annotations("n.csv" if name == "a.tif" else name, nuclei, spacing=Spacing(1, 1, 1), shape_tzyx=(2, 4, 30, 30))
    if name == "a.tif":
        assert main(["convert", "n.csv", "a.tif", "--spacing", "1,1,1", "--image", "i.tif"]) == 0
    assert say(name, "--image", "i.tif", "--spacing", "1,1,1", "-o", "one.anlage")[::2] == (0, "")
    _, found = content("one.anlage")
    assert (len(found), len(found.links)) == (3, 1)
    assert (found.state == State.ACCEPTED).all()


def test_nuclei_become_proposals_where_that_is_asked(tmp_path: Path, say: Say) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((2, 4, 30, 30), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    nuclei = Annotations.of([(0, 1, 9, 9), (1, 1, 9, 10)], links=[(1, 2)], radius_um=3, probability=[np.nan, 0.25])
    write_annotations("a.csv", nuclei)
    code, out, _ = say("a.csv", "--image", "i.tif", "--spacing", "1,1,1", "-o", "p.anlage", "--proposals")
    assert (code, len(content("p.anlage")[1])) == (0, 0)
    assert "2 nuclei are proposals" in out
    (result,) = results(Path("p.anlage"))
    candidates = load(result, open_image("i.tif", spacing=Spacing(1, 1, 1)))
    assert candidates.nuclei.probability.tolist() == [1, 0.25]
    assert candidates.frames == (0, 1)


def test_settings_of_a_network_of_events_are_a_command(tmp_path: Path, say: Say) -> None:
    about = {
        "channels": ["area", "pi"], "model_signal_length": 128, "label": "lysis", "normalize": True,
        "normalization_percentile": [True, False], "normalization_values": [[0.1, 99.9], [0, 1000]], "normalization_clip": [True, True],
    }  # fmt: skip
    (tmp_path / "config_input.json").write_text(json.dumps(about))
    code, out, _ = say("config_input.json")
    assert code == 0
    for setting in (
        "signals=area,pi",
        "event=lysis",
        "normalise=percentile,absolute",
        "limits=[[0.1,99.9],[0,1000]]",
        "clip_signals=true",
    ):
        assert setting in out
    assert "Not taken over: model_signal_length = 128" in out


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("MODEL:\n  INPUT_SIZE: [9, 129, 129]\n  TARGET_OPT: ['0', '4-1-1']\n", ["head=instances", "patch_voxels=9,129,129"]),
        ("MODEL:\n  INPUT_SIZE: [129, 129]\n  TARGET_OPT: ['9-3']\n", ["head=classes", "patch_voxels=1,129,129"]),
        ("SOLVER:\n  BASE_LR: 0.001\n  ITERATION_TOTAL: 500\n  SAMPLES_PER_BATCH: 2\n  ITERATION_STEP: 3\n", ["learning_rate=0.001", "steps=500", "batch_size=2", "accumulate=3"]),
        ("SOLVER:\n  BASE_LR: 7\n  GAMMA: 1\n", ["Not taken over: The setting learning_rate=7 is not possible", "SOLVER.GAMMA"]),
        ("MODEL: {}\nDATASET:\n  IMAGE_NAME: i.tif\n  LABEL_NAME: l.tif\n", ["anlage build i.tif l.tif --spacing 0.04,0.01,0.01"]),
    ],
)  # fmt: skip
def test_a_configuration_of_connectomics_is_a_command(tmp_path: Path, say: Say, yaml: str, words: list[str]) -> None:
    (tmp_path / "config.yaml").write_text(yaml)
    (tmp_path / "metadata.yaml").write_text("x_scale: 10\ny_scale: 10\nz_scale: 40\n")
    code, out, _ = say("config.yaml")
    assert code == 0
    for word in words:
        assert word in out


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("x.autlist", "{}", "is no list of experiments of OrganoidTracker"),
        ("x.autlist", "[1]", "is no list of experiments of OrganoidTracker"),
        ("organoid_tracker.ini", "[a]\nb = 1\n", "names no list of experiments"),
        ("organoid_tracker.ini", "no section", "cannot be read"),
        ("config_input.json", "[]", "names no channels"),
        ("a.yaml", "MODEL: [\n", "cannot be read"),
        ("n.csv", "id,t,y,x\n1,0,2,2\n", "names no image; say --image"),
        ("s.csv", "track_id,t,area\n1,0,2\n1,1,3\n", "open it on the Signals tab"),
        ("config.ini", "[MovieSettings]\n", "holds no position"),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(tmp_path: Path, say: Say, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    code, _, err = say(name)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
