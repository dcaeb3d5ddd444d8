"""Stores from points alone: nuclei and links without an image."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.cli import main
from anlage.dataset.points import build_points
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.io import write_annotations
from anlage.training.run import Run

SPACING = Spacing(2.0, 0.5, 0.5)


@pytest.fixture
def tracks():
    rows = [(t, 3.0, 10.0 + t, 20.0 * n) for t in range(2, 8) for n in range(4)]
    links = [(i, i + 4) for i in range(1, 21)]
    state = [State.ACCEPTED] * 23 + [State.REJECTED]
    return Annotations.of(rows, links=links[:-1], state=state, radius_um=3.0)


def test_a_store_from_points_holds_nuclei_links_and_voxel_size(tracks, tmp_path):
    store = build_points(tmp_path / "s.zarr", tracks, SPACING, interval_s=60.0)
    again = Store.open(store.path)
    assert not again.has_image
    assert again.shape == (6, 0, 1, 15 - 12 + 3, 61)
    assert (again.spacing, again.meta.interval_s, again.meta.diameter_um) == (SPACING, 60.0, 6.0)
    assert (again.meta.n_nuclei, again.meta.n_rejected, again.meta.n_links) == (23, 1, 19)
    assert np.allclose(again.nuclei.positions + again.meta.origin_tzyx, tracks.positions)
    assert np.array_equal(again.nuclei.links, tracks.links)
    assert again.frames == (0, 1, 2, 3, 4, 5)
    assert again.noise == 0
    assert "points alone, without an image" in again.summary()


def test_the_same_points_give_the_same_hash_and_others_another(tracks, tmp_path):
    one, same = (build_points(tmp_path / f"{n}.zarr", tracks, SPACING) for n in "ab")
    other = build_points(tmp_path / "c.zarr", tracks.shifted((0, 0, 1, 0)).select(tracks.ids != 5), SPACING)
    assert one.hash == same.hash != other.hash
    assert one.meta.source.movie != other.meta.source.movie


def test_without_links_there_is_nothing_to_learn(tracks, tmp_path):
    with pytest.raises(AnlageError, match=r"23 nuclei and 0 links.*give tracks that have some"):
        build_points(tmp_path / "s.zarr", tracks.linked(np.zeros((0, 2), dtype=np.int64)), SPACING)


def test_nuclei_cannot_be_learnt_from_it(tracks, tmp_path):
    store = build_points(tmp_path / "s.zarr", tracks, SPACING)
    with pytest.raises(AnlageError, match=r"points without an image, from which only links can be learnt"):
        Run.create(tmp_path / "run", "nuclei", [store.path])


def test_build_on_the_command_line(tracks, tmp_path, capsys):
    write_annotations(tmp_path / "tracks.csv", tracks)
    out = str(tmp_path / "s.zarr")
    told = ["build", "-", str(tmp_path / "tracks.csv"), "-o", out]
    assert main(told) == 2
    assert "give it in µm as --spacing Z,Y,X" in capsys.readouterr().err
    assert main([*told, "--spacing", "2,0.5,0.5", "--channels", "0"]) == 2
    assert "need an image" in capsys.readouterr().err
    assert main([*told, "--spacing", "2,0.5,0.5"]) == 0
    assert "anlage train links" in capsys.readouterr().out
    assert main(["info", out]) == 0
    assert "19 links" in capsys.readouterr().out
