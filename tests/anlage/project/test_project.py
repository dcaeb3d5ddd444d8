"""Project folders: made, opened, saved, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from anlage import (
    AddNuclei,
    AddRegion,
    AnlageError,
    Box,
    MoveNuclei,
    Paint,
    Project,
    Region,
    RemoveNuclei,
    Spacing,
    build_store,
    embryo,
    open_annotations,
    write_image,
)
from anlage.project import folder as files

SHAPE = (3, 6, 40, 40)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "movie.anlage", shape_tzyx=SHAPE, spacing=Spacing(2, 0.5, 0.5), interval_s=60)


def fill(project: Project) -> None:
    """Nuclei with a link and a property, a region, and a painted label."""
    document = project.document
    at = [(0, 1, 2, 3), (1, 1, 2, 3.25), (2, 1, 30, 30)]
    document.apply(
        AddNuclei(
            document.new_ids(3), at, links=[(1, 2)], radius_um=[4.0, np.nan, 3.0], state=[1, 2, 0], origin=["human", "x", "centres-7f3a"],
            probability=[np.nan, 0.25, 0.75], properties={"stage": ["early", None, "µ"], "area": [12, None, 1.5]},
        )
    )  # fmt: skip
    document.apply(AddRegion(Region.around(1, "left", Box((0, 3), (0, 6), (0, 40), (0, 20)), use="train")))
    painted = document.start_painting()
    painted[2, 1:4, 10:20, 10:20] = 9
    document.commit_stroke()


def state(project: Project) -> dict[str, object]:
    """All that a user could see."""
    nuclei = project.document.nuclei
    painted = project.document.painted
    return {
        "ids": nuclei.ids.tolist(),
        "positions": nuclei.positions.tolist(),
        "links": nuclei.links.tolist(),
        "radius": [str(r) for r in nuclei.radius_um],
        "label": nuclei.label.tolist(),
        "probability": [str(p) for p in nuclei.probability],
        "state": nuclei.state.tolist(),
        "origin": nuclei.origin.tolist(),
        "properties": {name: [str(v) for v in column] for name, column in nuclei.properties.items()},
        "regions": [region.model_dump(mode="json") for region in project.document.regions],
        "painted": None if painted is None else painted[:].tobytes(),
        "undo": project.document.undo_text,
        "redo": project.document.redo_text,
        "next": project.document.next_id,
    }


def test_a_new_project_is_empty_and_opens_again(project: Project) -> None:
    assert Project.is_project(project.folder)
    assert not Project.is_project(project.folder.parent)
    assert len(project.document.nuclei) == 0
    assert project.document.painted is None
    assert project.name == "movie"
    project.close()
    with Project.open(project.folder) as again:
        assert again.settings.spacing == Spacing(2, 0.5, 0.5)
        assert again.settings.interval_s == 60
        assert again.document.shape_tzyx == SHAPE
        assert again.notes == ()


@pytest.mark.parametrize("end", ["abandon", "close", "save, change and abandon"])
def test_a_project_reopens_to_the_same_state_however_it_ended(project: Project, end: str) -> None:
    fill(project)
    if end.startswith("save"):
        project.save()
        project.document.apply(MoveNuclei([3], [(2, 1, 31, 31)]))
        project.document.apply(RemoveNuclei([1]))
        project.document.undo()
    before = state(project)
    (project.close if end == "close" else project.abandon)()
    with Project.open(project.folder) as again:
        assert state(again) == before
        while again.document.undo() is not None:
            pass
        assert len(again.document.nuclei) == 0
        assert again.document.painted is not None
        assert not again.document.painted[:].any()
        for _ in range(3):
            again.document.redo()
        assert again.document.nuclei.ids.tolist() == [1, 2, 3, 4]
        assert again.document.new_ids(1)[0] == before["next"]


def test_what_was_saved_can_be_read_by_everything_else(project: Project) -> None:
    fill(project)
    project.save()
    found = open_annotations(project.folder / "annotations.geff")
    assert found.ids.tolist() == [1, 2, 3, 4]
    assert found.links.tolist() == [[1, 2]]
    assert found.properties["stage"].tolist() == ["early", "", "µ", ""]
    told = json.loads((project.folder / "project.json").read_text())
    assert told["regions"][0]["box"] == "0:3,0:6,0:40,0:20"
    assert told["settings"]["spacing_um_zyx"] == [2, 0.5, 0.5]
    assert len((project.folder / "journal.jsonl").read_text().splitlines()) == 1 + 3  # the head, and what can be undone
    project.abandon()


def test_saving_twice_without_a_change_writes_nothing(project: Project) -> None:
    fill(project)
    project.save()
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*") if path.is_file()}
    project.save()
    project.close()
    after = {
        path: path.stat().st_mtime_ns for path in project.folder.rglob("*") if path.is_file() and path.name != "pid"
    }
    assert {path: before.get(path) for path in after} == after


def test_two_programs_cannot_have_it_open(project: Project) -> None:
    with pytest.raises(AnlageError, match=r"movie.anlage' is open already in this program; close it there first"):
        Project.open(project.folder)
    code = f"from anlage import Project\nProject.open({str(project.folder)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert (
        f"is open already in another napari or program (process {os.getpid()}); close it there first." in other.stderr
    )
    project.close()
    Project.open(project.folder).close()


def test_a_project_that_could_not_be_opened_is_free_again(project: Project) -> None:
    project.close()
    path = project.folder / "project.json"
    text = path.read_text()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 7'))
    with pytest.raises(AnlageError, match="has schema 7, newer than the 1 that this version reads; update anlage"):
        Project.open(project.folder)
    path.write_text(text.replace('"fold"', '"folds"'))
    with pytest.raises(AnlageError, match=r"project.json' is damaged: folds: Extra inputs are not permitted"):
        Project.open(project.folder)
    path.write_text(text)
    Project.open(project.folder).close()


def test_a_torn_last_line_is_dropped_with_a_note(project: Project) -> None:
    fill(project)
    before = state(project)
    project.abandon()
    with (project.folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"do":{"edit":"remove_nuclei","ids":[1')
    with Project.open(project.folder) as again:
        assert again.notes == (
            "The last change was not written completely and is left out; the 3 before it are there.",
        )
        assert state(again) == before
    with Project.open(project.folder) as again:
        assert again.notes == ()


def test_a_newer_journal_is_refused(project: Project) -> None:
    project.close()
    (project.folder / "journal.jsonl").write_text('{"schema":2,"fold":0}\n')
    with pytest.raises(AnlageError, match="has schema 2, newer than the 1"):
        Project.open(project.folder)


def test_a_journal_that_does_not_fit_is_refused_with_the_line(project: Project) -> None:
    project.abandon()
    with (project.folder / "journal.jsonl").open("a") as journal:
        journal.write('{"do":{"edit":"remove_nuclei","ids":[5]},"text":"remove 1 nucleus"}\n')
    with pytest.raises(
        AnlageError, match=r"Change 1 of 1 in the journal .* does not fit what was saved \(There is no nucleus 5;"
    ):
        Project.open(project.folder)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("journal.jsonl", "The journal .* is missing"), ("annotations.geff", "The nuclei .* are missing")],
)
def test_a_missing_part_is_a_sentence(project: Project, name: str, sentence: str) -> None:
    fill(project)
    project.close()
    path = project.folder / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(AnlageError, match=sentence):
        Project.open(project.folder)


def test_it_is_not_made_over_anything_else(project: Project, tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match="holds a project already; open it, or choose another name"):
        Project.create(project.folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(AnlageError, match=r"holds other things already \(cat.png\)"):
        Project.create(tmp_path / "photos")
    with pytest.raises(AnlageError, match="is a file; choose another name"):
        Project.create(tmp_path / "photos" / "cat.png")
    with pytest.raises(AnlageError, match=r"is no project: it has no project\.json"):
        Project.open(tmp_path / "photos")
    for name in ("stores", "runs", "models", "predictions", "tracks", "signals"):
        (tmp_path / "made before" / name).mkdir(parents=True)
    Project.create(tmp_path / "made before").close()
    project.close()


def test_settings_are_saved_at_once_and_the_image_is_found_again(project: Project, tmp_path: Path) -> None:
    image = tmp_path / "movie.tif"
    image.touch()
    project.change_settings(image=image, channels=[0, 2], combine="sum", spacing=Spacing(1, 1, 1))
    assert project.document.spacing == Spacing(1, 1, 1)
    with pytest.raises(
        AnlageError,
        match=r"The project cannot have interval_s = -1: input should be greater than or equal to 0\.000000001",
    ):
        project.change_settings(interval_s=-1)
    project.abandon()
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    shutil.move(image, elsewhere / "movie.tif")
    shutil.move(project.folder, elsewhere / "movie.anlage")
    with Project.open(elsewhere / "movie.anlage") as again:
        assert again.image_path == elsewhere / "movie.tif"
        assert again.settings.channels == (0, 2)
        assert again.settings.interval_s == 60


def test_what_was_painted_ties_a_project_to_the_shape_of_its_image(project: Project) -> None:
    fill(project)
    with pytest.raises(
        AnlageError, match=r"painted on an image of shape \(3, 6, 40, 40\) .* but this one has \(3, 6, 40, 41\)"
    ):
        project.change_settings(shape_tzyx=(3, 6, 40, 41))
    assert project.settings.shape_tzyx == SHAPE
    project.close()


def test_a_closed_project_takes_no_change(project: Project) -> None:
    project.close()
    with pytest.raises(AnlageError, match="was closed, so nothing can be changed; open it again"):
        fill(project)


def test_a_project_that_cannot_be_written_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    project.close()
    monkeypatch.setattr(filelock.FileLock, "acquire", forbidden)
    with pytest.raises(
        AnlageError, match=r"cannot be opened for writing \(permission denied\); copy it to a place that you may"
    ):
        Project.open(project.folder)


def test_a_full_disk_while_saving_loses_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project)
    before = state(project)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_graph", full)
        with pytest.raises(
            AnlageError, match=r"cannot be saved \(no space left on device\); free some .* holds every change"
        ):
            project.save()
    assert state(project) == before
    project.document.apply(Paint(0, (0, 0, 0), np.zeros((1, 1, 2), int), np.full((1, 1, 2), 3)))
    changed = state(project)
    project.abandon()
    with Project.open(project.folder) as again:
        assert state(again) == changed


def test_saving_goes_on_beside_edits_and_keeps_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project)
    writing, go_on, write = threading.Event(), threading.Event(), files.write_graph

    def slow(*arguments: Any) -> None:
        writing.set()
        assert go_on.wait(60)
        write(*arguments)

    monkeypatch.setattr(files, "write_graph", slow)
    project.save(wait=False)
    assert writing.wait(60)
    document = project.document
    document.apply(MoveNuclei([3], [(2, 1, 31, 31)]))
    assert document.painted is not None
    document.painted[2, 1:4, 10:20, 15:30] = 9
    document.commit_stroke()
    document.undo()
    document.apply(RemoveNuclei([1]))
    project.save(wait=False)  # one is going on: nothing more to do
    go_on.set()
    project.change_settings(interval_s=12)
    before = state(project)
    project.abandon()
    told = json.loads((project.folder / "project.json").read_text())
    assert told["fold"] == 1
    assert open_annotations(project.folder / "annotations.geff").ids.tolist() == [1, 2, 3, 4]
    with Project.open(project.folder) as again:
        assert state(again) == before
        assert again.settings.interval_s == 12
        assert [again.document.undo() for _ in range(3)] == ["remove 1 nucleus", "move 1 nucleus", "paint in frame 2"]


def test_what_goes_wrong_beside_edits_is_told_at_the_next_saving(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    fill(project)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_graph", full)
        project.save(wait=False)
        while project._saving is not None and not project._saving.done():
            pass
    with pytest.raises(AnlageError, match=r"cannot be saved \(no space left on device\)"):
        project.save(wait=False)
    project.save()
    assert (project.folder / "annotations.geff").is_dir()
    project.close()


def test_files_that_could_not_be_put_in_place_are_found_and_put_there_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    rename = Path.rename

    def held(self: Path, target: Path) -> Path:
        if self.name == "annotations.geff":
            raise PermissionError(13, "In use by another program")
        return rename(self, target)

    project.save()
    project.document.apply(MoveNuclei([3], [(2, 1, 31, 31)]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", held)
        project.save()
        project.document.apply(MoveNuclei([3], [(2, 1, 32, 32)]))
        with pytest.raises(AnlageError, match="in use by another program"):
            project.save()
    before = state(project)
    project.abandon()
    with Project.open(project.folder) as again:
        assert state(again) == before
    assert not [path.name for path in project.folder.iterdir() if path.name.startswith(".")]


def test_regions_become_stores_that_keep_their_use(tmp_path: Path) -> None:
    made = embryo(n_frames=2, shape_zyx=(10, 60, 60), n_nuclei=8)
    image, truth = made.image, made.truth
    write_image(tmp_path / "movie.ome.zarr", image.read(), spacing=image.spacing)
    with Project.create(
        tmp_path / "movie.anlage", image=tmp_path / "movie.ome.zarr", spacing=image.spacing, shape_tzyx=image.shape_tzyx
    ) as project:
        document = project.document
        document.apply(AddNuclei.of(truth))
        document.apply(AddRegion(Region.around(1, "all", Box.whole(image.shape_tzyx), use="validation")))
        (inputs,) = project.region_inputs()
        store = build_store(
            project.stores_folder / f"{inputs.name}.zarr", project.open_image(), inputs.annotations, cuboid=inputs.cuboids,
            sparse=inputs.sparse, use=inputs.use,
        )  # fmt: skip
    assert store.meta.use == "validation"
    assert store.meta.n_nuclei == len(truth)
    assert Project.open(project.folder).runs() == ()
