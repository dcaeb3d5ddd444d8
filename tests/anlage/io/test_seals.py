"""Every file that we write is recognised by what is in it, as long as nobody changed it."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from matplotlib.image import imread

from anlage import (
    AnlageError,
    Annotations,
    Events,
    ObjectMesh,
    Signals,
    Spacing,
    Writer,
    open_annotations,
    open_image,
    open_signals,
    write_annotations,
    write_events,
    write_image,
    write_mesh,
    write_points,
    write_signals,
    write_tiff,
)
from anlage.io.seals import is_written_by

SPACING = Spacing(2, 0.5, 0.5)
NUCLEI = Annotations.of(
    [[0, 2, 10, 10], [1, 2, 11, 10], [1, 3, 20, 22]], ids=[1, 2, 3], links=[[1, 2]], radius_um=2.0, probability=0.9
)
IMAGE = np.arange(2 * 1 * 4 * 6 * 8, dtype=np.uint16).reshape(2, 1, 4, 6, 8)
TRACKS = Signals.of(np.arange(12.0).reshape(2, 1, 6), ("area",))
WINDOWS = Signals.of(np.arange(12.0).reshape(2, 1, 6), kind="repeated", scores=np.array([0, 1]))
EVENTS = Events(
    tracks=np.array([1, 2]), kind="once", classes=np.array([0, 1]), frames=np.array([3.0, np.nan]),
    probability=np.array([0.9, 0.8]),
)  # fmt: skip
MESH = ObjectMesh(0, 1, np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0.0]]), np.array([[0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 2, 3]]))  # fmt: skip
CLOUD = [(0, 1, np.array([[0, 1, 2], [3, 4, 5.0]]))]

WRITE: dict[str, Callable[[Path, Writer], object]] = {
    "n.csv": lambda path, by: write_annotations(path, NUCLEI, by=by),
    "n.geff": lambda path, by: write_annotations(path, NUCLEI, spacing=SPACING, by=by),
    "n.xml": lambda path, by: write_annotations(path, NUCLEI, spacing=SPACING, by=by),
    "n.aut": lambda path, by: write_annotations(path, NUCLEI, spacing=SPACING, by=by),
    "n.ctc": lambda path, by: write_annotations(path, NUCLEI, spacing=SPACING, by=by),
    "01_GT": lambda path, by: write_annotations(path, NUCLEI, spacing=SPACING, by=by),
    "i.zarr": lambda path, by: write_image(path, IMAGE, spacing=SPACING, by=by),
    "i.tif": lambda path, by: write_tiff(path, IMAGE, spacing=SPACING, by=by),
    "s.csv": lambda path, by: write_signals(path, TRACKS, by=by),
    "s.tsv": lambda path, by: write_signals(path, TRACKS, by=by),
    "s.npy": lambda path, by: write_signals(path, TRACKS, by=by),
    "s.h5": lambda path, by: write_signals(path, WINDOWS, by=by),
    "e.csv": lambda path, by: write_events(path, EVENTS, by),
    "m.ply": lambda path, by: write_mesh(path, [MESH], by),
    "m.obj": lambda path, by: write_mesh(path, [MESH], by),
    "m.stl": lambda path, by: write_mesh(path, [MESH], by),
    "p.ply": lambda path, by: write_points(path, CLOUD, by),
    "p.csv": lambda path, by: write_points(path, CLOUD, by),
}
BY, OTHER = Writer("predict"), Writer("track")


@pytest.mark.parametrize("name", WRITE)
def test_what_the_same_writer_wrote_is_replaced_and_nothing_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITE[name](path, BY)
    assert is_written_by(path, "predict")
    assert not is_written_by(path, "track")
    assert not is_written_by(path, "predict/other")
    WRITE[name](path, BY)
    with pytest.raises(AnlageError, match=rf"{name}' is a .* that was not written as .*--overwrite"):
        WRITE[name](path, OTHER)
    assert is_written_by(path, "predict")
    WRITE[name](path, Writer("track", overwrite=True))
    assert is_written_by(path, "track")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITE)
def test_a_changed_file_is_not_replaced(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITE[name](path, BY)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        before = file.read_bytes()
        for at in {0, len(before) // 2, len(before) - 1}:
            changed = bytearray(before)
            changed[at] ^= 1
            file.write_bytes(changed)
            assert not is_written_by(path, "predict"), (file, at)
        file.write_bytes(before + b"\n")
        assert not is_written_by(path, "predict"), file
        file.write_bytes(before)
    assert is_written_by(path, "predict")


@pytest.mark.parametrize(
    "name", [name for name in WRITE if "." not in name or name.endswith((".ctc", ".geff", ".zarr"))]
)
def test_a_folder_with_something_added_or_missing_is_not_replaced(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITE[name](path, BY)
    (path / ".DS_Store").write_bytes(b"a file manager was here")
    assert is_written_by(path, "predict")
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    assert not is_written_by(path, "predict")
    (path / "notes.txt").unlink()
    next(file for file in sorted(path.rglob("*"), reverse=True) if file.is_file()).unlink()
    assert not is_written_by(path, "predict")


def test_other_programs_read_the_files_as_before(tmp_path: Path) -> None:
    for name, write in WRITE.items():
        write(tmp_path / name, BY)
    table = pd.read_csv(tmp_path / "n.csv")
    assert table["probability"].tolist() == [0.9, 0.9, 0.9]
    assert list(table.columns)[:6] == ["id", "t", "z", "y", "x", "probability"]
    assert tifffile.imread(tmp_path / "i.tif").shape == (2, 4, 6, 8)
    assert np.asarray(zarr.open_group(tmp_path / "i.zarr", mode="r")["0"]).shape == IMAGE.shape
    assert np.load(tmp_path / "s.npy", allow_pickle=True).shape == (2,)
    trimesh = pytest.importorskip("trimesh")
    assert all(len(trimesh.load(tmp_path / f"m.{kind}").faces) == 4 for kind in ("ply", "obj", "stl"))
    assert len(trimesh.load(tmp_path / "p.ply").vertices) == 2


def test_our_readers_pass_over_the_mark(tmp_path: Path) -> None:
    for name, write in WRITE.items():
        write(tmp_path / name, BY)
    assert not open_annotations(tmp_path / "n.csv").properties
    for name in ("n.geff", "n.xml", "n.aut", "n.ctc"):
        assert len(open_annotations(tmp_path / name, spacing=SPACING)) == 3
    assert open_signals(tmp_path / "s.csv").names == open_signals(tmp_path / "s.tsv").names == ("area",)
    assert open_signals(tmp_path / "s.npy").names == ("area",)
    assert len(open_signals(tmp_path / "s.h5")) == 2
    assert open_image(tmp_path / "i.tif").shape == IMAGE.shape


def test_a_csv_saved_by_another_program_is_somebodys_work(tmp_path: Path) -> None:
    write_annotations(tmp_path / "n.csv", NUCLEI, by=BY)
    pd.read_csv(tmp_path / "n.csv").assign(note="checked").to_csv(tmp_path / "n.csv", index=False)
    with pytest.raises(AnlageError, match="that nobody changed since"):
        write_annotations(tmp_path / "n.csv", NUCLEI, by=BY)


def test_nothing_is_lost_with_what_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "empty.geff").mkdir()
    none = Annotations.of([])
    for name in ("empty.csv", "empty.geff"):
        write_annotations(tmp_path / name, none, by=BY)
        write_annotations(tmp_path / name, NUCLEI, by=BY)
    (tmp_path / "header.csv").write_text("id,t,z,y,x\n", encoding="utf-8")
    with pytest.raises(AnlageError, match="is not replaced"):
        write_annotations(tmp_path / "header.csv", NUCLEI, by=BY)


def test_overwriting_does_not_delete_folders_that_are_no_data(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "photo.tif").touch()
    with pytest.raises(AnlageError, match="not even --overwrite"):
        write_annotations(folder, NUCLEI, by=Writer("track", overwrite=True))
    assert (folder / "notes.txt").exists()


def test_the_mark_of_another_file_is_no_passport(tmp_path: Path) -> None:
    write_annotations(tmp_path / "n.csv", NUCLEI, by=BY)
    mark = pd.read_csv(tmp_path / "n.csv")["anlage"][0]
    (tmp_path / "mine.csv").write_text(f"id,t,z,y,x,anlage\n7,0,1,2,3,{mark}\n", encoding="utf-8")
    assert not is_written_by(tmp_path / "mine.csv")


def test_files_of_any_size_are_looked_at_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anlage.io.seals._WHOLE", 4096)
    monkeypatch.setattr("anlage.io.seals._END", 512)
    write_tiff(tmp_path / "large.tif", np.random.default_rng(0).integers(0, 9999, IMAGE.shape, dtype=np.uint16), by=BY)
    many = Annotations.of(np.random.default_rng(1).uniform(0, 20, (900, 4)).round())
    write_annotations(tmp_path / "large.xml", many, spacing=SPACING, by=BY)
    assert is_written_by(tmp_path / "large.xml", "predict")
    assert not is_written_by(tmp_path / "large.xml", "track")


def test_pictures_and_archives_stay_whole(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from anlage.io.atomic import replacing

    with replacing(tmp_path / "a.png", BY) as temporary:
        Figure().savefig(temporary, format="png", metadata={"Software": BY.mark})
    assert is_written_by(tmp_path / "a.png", "predict")
    assert imread(tmp_path / "a.png").ndim == 3
    with replacing(tmp_path / "a.npz", BY) as temporary:
        np.savez(temporary, a=np.arange(5))
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = BY.mark.encode()
    assert is_written_by(tmp_path / "a.npz", "predict")
    assert np.load(tmp_path / "a.npz")["a"].sum() == 10
    assert zipfile.ZipFile(tmp_path / "a.npz").testzip() is None


def test_a_copy_is_recognised_wherever_it_lies(tmp_path: Path) -> None:
    write_annotations(tmp_path / "n.geff", NUCLEI, by=BY)
    shutil.copytree(tmp_path / "n.geff", tmp_path / "elsewhere" / "other.geff")
    assert is_written_by(tmp_path / "elsewhere" / "other.geff", "predict")
    assert json.loads((tmp_path / "n.geff" / "zarr.json").read_text("utf-8"))["attributes"]["geff"]
