"""The regions of several projects as training data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anlage import (
    AddNuclei,
    AddRegion,
    AnlageError,
    Box,
    Paint,
    Project,
    Region,
    RemoveNuclei,
    Spacing,
    Store,
    Use,
    write_image,
)
from anlage.project.training_data import AnnotatedMovie, OtherProject, movie_of, write_stores
from anlage.synthetic import embryo

LEFT, RIGHT = Box((0, 2), (0, 8), (0, 32), (0, 24)), Box((0, 2), (0, 8), (0, 32), (24, 48))


@pytest.fixture
def movie():
    return embryo(3, n_frames=2, shape_zyx=(8, 32, 48), n_nuclei=12, spacing=Spacing(2, 1, 1))


@pytest.fixture
def project(movie, tmp_path: Path):
    """One with two regions, a few nuclei in each."""
    image = tmp_path / "movie.ome.zarr"
    write_image(image, np.asarray(movie.image.data), spacing=movie.spacing, interval_s=60.0)
    folder = tmp_path / "movie.anlage"
    with Project.create(
        folder, image=image, spacing=movie.spacing, interval_s=60.0, shape_tzyx=movie.image.shape_tzyx, diameter_um=8.0
    ) as made:
        document = made.document
        document.apply(AddNuclei(document.new_ids(len(movie.truth)), movie.truth.positions))
        for name, box, use in (("left", LEFT, Use.TRAIN), ("right", RIGHT, Use.VALIDATION)):
            document.apply(AddRegion(Region.around(document.new_region_id(), name, box, use=use)))
    return folder


def test_a_project_is_looked_at_without_touching_it(project, movie) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    found = OtherProject.of(project)
    assert (found.problem, found.counts) == ("", (len(movie.truth), 0, 2))
    assert before == {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    with Project.open(project):  # it may be open elsewhere
        assert OtherProject.of(project).counts == found.counts


def test_masks_of_another_project_are_counted_and_come_along(project, movie, tmp_path) -> None:
    labels = np.asarray(movie.labels.data)[:, 0].astype(int)
    with Project.open(project) as opened:
        document = opened.document
        document.apply(RemoveNuclei(tuple(document.nuclei.ids.tolist())))
        document.start_painting()
        for t, frame in enumerate(labels):
            document.apply(Paint(t, (0, 0, 0), np.zeros(frame.shape, int), frame))
        found = OtherProject.of(project)  # what was painted stands in the journal alone
        assert (found.problem, found.counts[1]) == ("", len(movie.truth))
    found = OtherProject.of(project)
    assert found.problem == ""
    assert found.counts[1] == len(movie.truth)
    with Project.open(project) as opened:
        store = Store.open(write_stores(tmp_path / "s.zarr", movie_of(opened))[0])
    assert store.labels is not None


def test_what_is_no_project_says_so(tmp_path) -> None:
    assert "is no project" in OtherProject.of(tmp_path).problem
    with Project.create(tmp_path / "bare.anlage"):
        pass
    assert "no image on disk" in OtherProject.of(tmp_path / "bare.anlage").problem


def test_another_projects_stores_are_those_that_it_would_make_itself(project, tmp_path) -> None:
    told: list[float] = []
    with Project.open(project) as opened:
        paths = write_stores(tmp_path / "s" / "day.zarr", movie_of(opened), progress=lambda n, of: told.append(n / of))
    assert [path.name for path in paths] == ["day-train.zarr", "day-validation.zarr"]
    metas = [Store.open(path).meta for path in paths]
    assert [str(meta.use) for meta in metas] == ["train", "validation"]
    assert {meta.diameter_um for meta in metas} == {8.0}
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_movie_without_a_region_is_refused_with_its_name(movie, tmp_path) -> None:
    bare = AnnotatedMovie("day 3", movie.image, lambda: movie.truth, ())
    with pytest.raises(AnlageError, match="The regions of 'day 3' are missing; put a box"):
        write_stores(tmp_path / "x.zarr", bare)


def test_painted_classes_are_stored_as_such(movie, tmp_path) -> None:
    region = Region.around(1, "all", Box.whole(movie.image.shape_tzyx))
    labels = replace(movie.labels, data=np.minimum(np.asarray(movie.labels.data), 2))
    source = AnnotatedMovie("day", movie.image, lambda: replace(movie.truth, labels=labels), (region,))
    (path,) = write_stores(tmp_path / "x.zarr", source, classes=True)
    assert Store.open(path).meta.classes == (1, 2)
    source = AnnotatedMovie("day", movie.image, lambda: movie.truth, (region,))
    with pytest.raises(AnlageError, match="No class is painted"):
        write_stores(tmp_path / "y.zarr", source, classes=True)
