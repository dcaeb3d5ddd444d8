"""``anlage info`` of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from anlage import AddLinks, AddNuclei, AddRegion, Box, MoveNuclei, Project, Region, Spacing
from anlage.cli import main


def test_info_says_what_a_project_is_while_it_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Project.create(
        tmp_path / "movie.anlage", image=tmp_path / "movie.tif", shape_tzyx=(3, 6, 40, 40), spacing=Spacing(2, 0.5, 0.5),
        interval_s=60, channels=[0, 2],
    ) as project:  # fmt: skip
        document = project.document
        at = [(0, 1, 2, 3), (1, 1, 2, 3), (1, 3, 2, 3), (2, 1, 30, 30)]
        document.apply(AddNuclei(document.new_ids(4), at, links=[(1, 2), (1, 3)], state=[1, 1, 1, 0]))
        document.apply(
            AddRegion(Region.around(1, "left", Box((0, 3), (0, 6), (0, 40), (0, 20)), complete=False, use="validation"))
        )
        project.save()
        document.start_painting()[0, 0, 5, 5] = 3
        document.commit_stroke()
        document.apply(MoveNuclei([4], [(2, 1, 31, 31)]))
        before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
        assert main(["info", str(project.folder)]) == 0
        assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before
        told = capsys.readouterr().out.splitlines()
        assert told[0].startswith("Project movie.anlage, made 20")
        assert told[1:] == [
            f"Image {(tmp_path / 'movie.tif').resolve()}: 3 frames of 6 × 40 × 40 voxels (z, y, x)",
            "Voxel 2 × 0.5 × 0.5 µm (z, y, x); 60 s between frames; channels 0, 2",
            "5 nuclei (1 proposed) in 3 frames, 2 links, 1 division; labels are painted",
            "Region 'left': 0:3,0:6,0:40,0:20 (t, z, y, x), sparse, 4 nuclei, always held out for validation",
            "2 changes since it was last saved, all in the journal",
        ]
        document.apply(AddLinks([(2, 4)]))


def test_info_of_a_damaged_project_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "project.json").write_text("{")
    assert main(["info", str(tmp_path)]) != 0
    assert "project.json' cannot be read" in capsys.readouterr().err
