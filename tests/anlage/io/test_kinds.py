"""What a file is, told by what is in it, whatever its name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from anlage import AnlageError, Annotations, Signals, Spacing
from anlage.inference.starter import starter_path
from anlage.io import open_annotations, open_image, write_annotations, write_image, write_tiff
from anlage.io.kinds import ANNOTATIONS, FileKind, check_kind, kind_of
from anlage.io.nuclei_files.nuclei import own_scale
from anlage.io.signal_files.signals import open_signals, signal_files, write_signals

SPACING = Spacing(2, 0.5, 0.5)


def nuclei() -> Annotations:
    return Annotations.of([(0, 2, 5, 5), (1, 2, 5, 6)], links=[(1, 2)], radius_um=2.0)


def keras(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file.create_group("model_weights")


def signals(path: Path) -> None:
    write_signals(path, Signals.of(np.random.default_rng(0).random((3, 2, 8)), ("a", "b")))


def traces(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["trace"] = np.zeros(50)


def windows(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["events"], file["scores"] = np.zeros((4, 20)), np.zeros(4, int)


MAKERS = {
    "nuclei.csv": (FileKind.TABLE, lambda p: write_annotations(p, nuclei())),
    "nuclei.geff": (FileKind.GRAPH, lambda p: write_annotations(p, nuclei())),
    "nuclei.xml": (FileKind.TRACKMATE, lambda p: write_annotations(p, nuclei(), spacing=SPACING)),
    "nuclei.aut": (FileKind.AUT, lambda p: write_annotations(p, nuclei(), spacing=SPACING)),
    "nuclei.ctc": (FileKind.CTC, lambda p: write_annotations(p, nuclei(), spacing=SPACING, shape_tzyx=(2, 6, 12, 12))),
    "labels.zarr": (FileKind.LABELS, lambda p: write_image(p, np.ones((1, 2, 4, 4), np.uint8), axes="tzyx", kind="labels")),
    "image.zarr": (FileKind.IMAGE, lambda p: write_image(p, np.ones((1, 1, 2, 4, 4), np.uint8))),
    "image.tif": (FileKind.IMAGE, lambda p: write_tiff(p, np.ones((1, 1, 2, 4, 4), np.uint8))),
    "a.anlage": (FileKind.MODEL, lambda p: shutil.copy(starter_path(), p)),
    "keras.h5": (FileKind.KERAS, keras),
    "trace.h5": (FileKind.TRACE, traces),
    "windows.h5": (FileKind.WINDOWS, windows),
    "signals.csv": (FileKind.SIGNALS, signals),
    "signals.npy": (FileKind.SIGNALS, signals),
    "events.csv": (FileKind.EVENTS, lambda p: p.write_text("track_id,class,frame,probability\n1,0,3.5,0.9\n2,1,,0.8\n")),
    "told.csv": (FileKind.WINDOW_SCORES, lambda p: p.write_text("window,probability,score\n0,0.5,1\n")),
    "notes.txt": (None, lambda p: p.write_text("Nothing of ours, though it has a comma.\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_what_it_is_does_not_depend_on_its_name(name: str, tmp_path: Path) -> None:
    kind, make = MAKERS[name]
    make(tmp_path / name)
    assert kind_of(tmp_path / name) is kind
    renamed = tmp_path / "renamed"
    (tmp_path / name).rename(renamed)
    assert kind_of(renamed) is kind


def test_a_table_with_a_row_for_each_frame_holds_signals_not_events(tmp_path: Path) -> None:
    rows = "".join(f"{track},{frame},{track * frame}\n" for track in (1, 2) for frame in range(5))
    (tmp_path / "a.csv").write_text(f"track_id,frame,area\n{rows}")
    assert kind_of(tmp_path / "a.csv") is FileKind.SIGNALS
    assert len(open_signals(tmp_path / "a.csv")) == 2


@pytest.mark.parametrize("name", ["a.anlage", "keras.h5", "windows.h5", "signals.csv", "events.csv", "told.csv"])
def test_nuclei_are_not_looked_for_in_something_else(name: str, tmp_path: Path) -> None:
    kind, make = MAKERS[name]
    make(tmp_path / name)
    with pytest.raises(AnlageError, match=f"is {kind.value}, but nuclei are needed here"):
        open_annotations(tmp_path / name)


@pytest.mark.parametrize("name", ["a.anlage", "nuclei.csv", "nuclei.geff", "nuclei.aut", "windows.h5"])
def test_an_image_is_not_looked_for_in_something_else(name: str, tmp_path: Path) -> None:
    kind, make = MAKERS[name]
    make(tmp_path / name)
    with pytest.raises(AnlageError, match=f"is {kind.value}, but an image is needed here"):
        open_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.anlage", "nuclei.csv", "keras.h5", "image.tif"])
def test_signals_are_not_looked_for_in_something_else(name: str, tmp_path: Path) -> None:
    kind, make = MAKERS[name]
    make(tmp_path / name)
    with pytest.raises(AnlageError, match=f"is {kind.value}, but signals are needed here"):
        open_signals(tmp_path / name)


def test_nuclei_are_read_by_what_they_are_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("nuclei.xml", "nuclei.aut", "nuclei.csv"):
        write_annotations(tmp_path / name, nuclei(), spacing=SPACING, interval_s=60)
        (tmp_path / name).rename(tmp_path / "given.txt")
        assert len(open_annotations(tmp_path / "given.txt").links) == 1
        spacing, interval_s = own_scale(tmp_path / "given.txt")
        assert spacing is not None
        np.testing.assert_allclose(spacing.zyx, SPACING.zyx)
        assert interval_s == pytest.approx(60)


def test_a_folder_of_signals_may_have_a_read_me(tmp_path: Path) -> None:
    windows(tmp_path / "a.h5")
    windows(tmp_path / "b.h5")
    (tmp_path / "README.md").write_text("# Where they come from\n")
    assert kind_of(tmp_path) is FileKind.SIGNAL_SETS
    assert [file.name for file in signal_files(tmp_path)] == ["a.h5", "b.h5"]
    keras(tmp_path / "net.h5")
    assert kind_of(tmp_path) is None


def test_what_is_unknown_passes_and_is_left_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    assert check_kind(tmp_path / "a.bin", ANNOTATIONS, "nuclei are needed") is None
    assert kind_of(tmp_path / "absent") is None


def test_an_aut_names_its_version_at_the_beginning_or_the_end(tmp_path: Path) -> None:
    places = [[float(i), float(i % 7), 1.0] for i in range(3000)]
    data = {"positions": [{"time_point": 0, "coords_xyz_px": places}], "tracks": [], "version": "v2"}
    (tmp_path / "late").write_text(json.dumps(data))
    assert kind_of(tmp_path / "late") is FileKind.AUT
    (tmp_path / "other").write_text(json.dumps({"positions": places}))
    assert kind_of(tmp_path / "other") is None


def test_masks_in_a_folder_are_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "man_seg000.tif", np.ones((4, 4), np.uint8))
    assert kind_of(tmp_path) is FileKind.LABELS


@pytest.mark.parametrize(
    "mark", [{"kind": ["labels"]}, {"kind": None}, {"kind": {}}, {}, "labels", ["labels"], 3, None]
)
@pytest.mark.parametrize("ome", [{"multiscales": 3}, "image-label", ["image-label"], None, 7])
def test_a_zarr_whose_marks_are_nonsense_is_taken_for_an_image(tmp_path: Path, mark: object, ome: object) -> None:
    path = tmp_path / "a.zarr"
    path.mkdir()
    about = {"zarr_format": 3, "node_type": "group", "attributes": {"anlage": mark, "ome": ome}}
    (path / "zarr.json").write_text(json.dumps(about))
    assert kind_of(path) == FileKind.IMAGE
