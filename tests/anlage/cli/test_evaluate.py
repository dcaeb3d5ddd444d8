"""``evaluate`` of tracks, as other programs read it."""

from __future__ import annotations

import json

import pytest

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
