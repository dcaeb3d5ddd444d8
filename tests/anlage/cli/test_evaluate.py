"""``evaluate`` of tracks, as other programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anlage import Annotations, Spacing, write_annotations
from anlage.cli import main


def test_the_names_that_other_programs_rely_on(folder, movie, capsys):
    main(["convert", "truth.csv", "01_RES", "--image", "image.ome.zarr"])
    capsys.readouterr()
    spacing = ",".join(map(str, movie.spacing.zyx))
    assert main(["evaluate", "01_RES", "truth.csv", "--spacing", spacing, "--json", "--expected-nuclei", "56"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["detection"]["f1"] > 0.95
    tracking = found["tracking"]
    for name in ("det", "tra", "lnk", "complete_tracks", "link_f1"):
        assert tracking[name] > 0.9, name
    assert {"division_f1", "division_f1_exact", "branching", "divisions", "errors", "paired_by"} <= tracking.keys()
    assert len(tracking["branching"]) == 4
    assert found["sparse"]["score"] == pytest.approx(
        found["sparse"]["adjusted_edge_jaccard"] + 0.1 * (found["sparse"]["division_jaccard"] or 0)
    )


def test_people_read_lines(folder, movie, capsys):
    spacing = ",".join(map(str, movie.spacing.zyx))
    assert main(["evaluate", "truth.csv", "truth.csv", "--spacing", spacing]) == 0
    said = capsys.readouterr().out
    assert "DET, TRA, LNK        1.0000, 1.0000, 1.0000" in said
    assert "if only some nuclei were followed" in said


def test_json_that_is_handed_on_names_files_without_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nuclei = Annotations.of([(0, 2, 5, 5), (0, 2, 15, 15)], radius_um=2.0)
    for name in ("found.csv", "truth.csv"):
        write_annotations(tmp_path / name, nuclei, spacing=Spacing(1, 1, 1))
    assert main(["evaluate", str(tmp_path / "found.csv"), str(tmp_path / "truth.csv"), "--json"]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path) not in said
    report = json.loads(said)
    assert (report["result"], report["truth"]) == ("found.csv", "truth.csv")
