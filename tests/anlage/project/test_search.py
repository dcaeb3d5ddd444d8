"""The project of an image, and what an image is known by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anlage import (
    FoundBy,
    Project,
    ProjectSettings,
    TimeLapse,
    fingerprint_of,
    note_recent,
    project_of_image,
    recent_projects,
)
from anlage.project.fingerprint import unlike

SHAPE = (3, 4, 10, 12)


def image(seed: int = 0, dtype: str = "<u2") -> TimeLapse:
    return TimeLapse.of(np.random.default_rng(seed).poisson(90, SHAPE).astype(dtype))


def test_an_image_is_known_whatever_way_it_is_read() -> None:
    known = fingerprint_of(image())
    assert known[0].startswith("uint16 3x4x10x12 ")
    assert fingerprint_of(image(dtype=">u2")) == known
    pixels = image().data
    turned = TimeLapse.of(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)), "zyxt")
    assert fingerprint_of(turned) == known
    both = TimeLapse.of(np.stack([pixels, image(1).data], axis=1), "tczyx")
    assert fingerprint_of(both)[0] == known[0]
    assert unlike(known, fingerprint_of(both)) is None
    assert unlike(fingerprint_of(both), known) is None


@pytest.mark.parametrize("place", [(0, 2, 3, 4), (1, 1, 9, 11), (1, 3, 0, 0), (2, 2, 5, 5)])
def test_a_single_other_pixel_of_what_is_looked_at_is_seen(place: tuple[int, ...]) -> None:
    changed = image().data.copy()
    changed[place] += 1
    assert unlike(fingerprint_of(image()), fingerprint_of(TimeLapse.of(changed))) == "its pixels are other ones"


def test_it_is_said_in_what_an_image_differs() -> None:
    known = fingerprint_of(image())
    assert unlike(known, fingerprint_of(image(dtype="f4"))) == "its type is uint16, and that of this image float32"
    smaller = TimeLapse.of(image().data[:, 1:])
    assert unlike(known, fingerprint_of(smaller)) == (
        "it has 3 × 4 × 10 × 12 voxels (t, z, y, x), and this image 3 × 3 × 10 × 12"
    )
    assert unlike((), known) is None


def of(known: TimeLapse):
    def fingerprint(_: ProjectSettings) -> tuple[str, ...]:
        return fingerprint_of(known)

    return fingerprint


def test_the_surest_project_counts_and_of_equals_the_one_that_was_open_last(tmp_path: Path) -> None:
    file, home = tmp_path / "A.tif", tmp_path / "A.anlage"
    file.touch()
    known = fingerprint_of(image())
    Project.create(home, image=file, fingerprint=fingerprint_of(image(1))).close()
    for name in ("one", "two"):
        Project.create(tmp_path / f"{name}.anlage", image=file, fingerprint=known).close()
    for name in ("two", "one"):
        note_recent(tmp_path / f"{name}.anlage")
        match = project_of_image(file, home, of(image()))
        assert (match.folder.stem, match.by) == (name, FoundBy.PATH)
    match = project_of_image(file, home, of(image(2)))
    assert (match.by, match.unlike) == (FoundBy.CHANGED, "its pixels are other ones")
    assert project_of_image(tmp_path / "other.tif", tmp_path / "other.anlage", of(image())) is None


def test_a_project_whose_image_is_gone_is_found_by_the_pixels_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    Project.create(
        tmp_path / "far/p.anlage", image=tmp_path / "far/gone.tif", fingerprint=fingerprint_of(image())
    ).close()
    file = tmp_path / "A.tif"
    file.touch()
    assert project_of_image(file, tmp_path / "A.anlage", of(image())) is None
    note_recent(tmp_path / "far/p.anlage")
    assert project_of_image(file, tmp_path / "A.anlage", of(image())).by == FoundBy.PIXELS
    assert project_of_image(file, tmp_path / "A.anlage", of(image(1))) is None
    (tmp_path / "far/gone.tif").touch()  # there again: an image of its own
    assert project_of_image(file, tmp_path / "A.anlage", of(image())) is None


@pytest.mark.parametrize("text", ["", "{", '[1, null, "relative", "/a\\u0000b"]', "[" * 100_000])
def test_a_damaged_list_of_recent_projects_is_no_obstacle(settings_folder: Path, tmp_path: Path, text: str) -> None:
    settings_folder.mkdir()
    (settings_folder / "recent-projects.json").write_text(text)
    assert recent_projects() == ()
    Project.create(tmp_path / "p.anlage").close()
    note_recent(tmp_path / "p.anlage")
    assert recent_projects() == (tmp_path / "p.anlage",)
