"""Labels of images of any size: tiles join without seams, in any order, and what was finished is not done again."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.inference import label_image, loading
from anlage.inference.label_image import Settings, prepare_labeller
from anlage.inference.stitching import Pieces, number_objects
from anlage.overlaps import Overlaps

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
tell = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tell)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    labels = tell.packed((8, 72, 80), diameter=9)
    return labels, tell.oracle_image(labels), tell.oracle_model(tmp_path_factory.mktemp("oracle") / "oracle.anlage")


@pytest.fixture(autouse=True)
def oracle(monkeypatch):
    """The oracle answers in the place of the card's network."""

    def network_of(model, device):
        from anlage.tasks.nuclei.config import NucleiPlan

        return tell.OracleNetwork().eval(), NucleiPlan.model_validate(model.card.plan)

    monkeypatch.setattr(loading, "network_of", network_of)


def labeller(scene, monkeypatch, core, *, settings=None, **about):
    monkeypatch.setattr(label_image, "_CORES", (core,))
    given = settings or Settings(diameter_um=9.0, memory_gb=8)
    return prepare_labeller(scene[2], scene[1], device="cpu", settings=given, **about)


def joined(made, shape, smallest=1.0, t=0, order=None):
    pieces = [made.piece(t, tile) for tile in made.tiles]
    numbering = number_objects(pieces, 1 / np.array([made.loaded.diameter_um] * 3), smallest)
    result = np.full(shape, -1, dtype=np.int64)
    for piece in pieces:
        spans = piece.box.slices[1:]
        assert (result[spans] == -1).all()  # each voxel is answered for once
        result[spans] = numbering.of(piece)
    assert (result >= 0).all()
    return result, numbering


def test_an_image_in_one_piece_comes_back_as_it_was_drawn(scene, monkeypatch):
    labels, _, _ = scene
    made = labeller(scene, monkeypatch, 4096)
    assert len(made.tiles) == 1
    found, numbering = joined(made, labels.shape[1:])
    overlap = Overlaps.of(labels[0], found)
    assert len(numbering) == len(overlap.predicted) == labels.max()
    assert overlap.best_iou().min() > 0.99


def test_tiles_give_what_one_piece_gives_up_to_the_numbers(scene, monkeypatch):
    """Also where objects lie on borders and corners of tiles."""
    labels = scene[0]
    whole, _ = joined(labeller(scene, monkeypatch, 4096), labels.shape[1:])
    made = labeller(scene, monkeypatch, 24)
    assert len(made.tiles) >= 9
    tiled, numbering = joined(made, labels.shape[1:])
    crossing = [
        value for value in range(1, len(numbering) + 1)
        if sum(bool((tiled[made.core(tile).slices[1:]] == value).any()) for tile in made.tiles) > 1
    ]  # fmt: skip
    assert len(crossing) > 20  # or the test would show nothing
    overlap = Overlaps.of(whole, tiled)
    assert len(overlap.truth) == len(overlap.predicted) == len(overlap.pairs)
    assert overlap.iou.min() == 1.0


def test_numbers_run_from_1_without_gaps_and_small_objects_are_left_out(scene, monkeypatch):
    labels = scene[0]
    sizes = np.bincount(labels[0].ravel())[1:]
    least = float(np.median(sizes))
    found, numbering = joined(labeller(scene, monkeypatch, 24), labels.shape[1:], smallest=least)
    assert np.array_equal(np.unique(found), np.arange(len(numbering) + 1))
    assert np.array_equal(np.bincount(found.ravel())[1:], numbering.sizes)
    assert numbering.sizes.min() >= least
    assert abs(len(numbering) - (sizes >= least).sum()) <= 2


def test_a_region_is_labelled_as_in_the_whole_image(scene, monkeypatch):
    labels = scene[0]
    whole, _ = joined(labeller(scene, monkeypatch, 4096), labels.shape[1:])
    box = Box((0, 1), (2, 7), (20, 60), (30, 64))
    made = labeller(scene, monkeypatch, 24, region=box)
    pieces = [made.piece(0, tile) for tile in made.tiles]
    part = np.zeros(labels.shape[1:], dtype=np.int64)
    numbering = number_objects(pieces, 1 / np.array([9.0] * 3), 1.0)
    for piece in pieces:
        part[piece.box.slices[1:]] = numbering.of(piece)
    inside = np.zeros_like(part, dtype=bool)
    inside[box.slices[1:]] = True
    assert not part[~inside].any()
    overlap = Overlaps.of(np.where(inside, whole, 0), part)
    assert overlap.best_iou().min() == 1.0


def test_an_object_whose_own_tile_missed_it_is_joined_or_stands_for_itself(scene, monkeypatch):
    """Tiles may differ at a threshold; nothing is lost, and nothing is cut in two."""
    made = labeller(scene, monkeypatch, 24)
    pieces = [made.piece(0, tile) for tile in made.tiles]
    shared = next(n for n in itertools.chain(*(p.names[~p.owned].tolist() for p in pieces)))
    owner = next(i for i, p in enumerate(pieces) if shared in p.names[p.owned])
    before = len(number_objects(pieces, np.full(3, 1 / 9), 1.0))
    # the owner saw the peak in the next cell: the same object by another name
    row = int(np.flatnonzero(pieces[owner].names == shared)[0])
    pieces[owner].names[row] += 1
    renamed = number_objects(pieces, np.full(3, 1 / 9), 1.0)
    assert len(renamed) == before
    assert (
        renamed.numbers[np.searchsorted(renamed.names, shared)]
        == renamed.numbers[np.searchsorted(renamed.names, shared + 1)]
    )
    # the owner did not see it at all
    pieces[owner].owned[row] = False
    assert len(number_objects(pieces, np.full(3, 1 / 9), 1.0)) >= before


def test_the_memory_decides_how_large_tiles_are_and_is_said_before(scene):
    large = prepare_labeller(scene[2], scene[1], device="cpu", settings=Settings(diameter_um=9.0, memory_gb=4))
    less = 0.1 * label_image.PROGRAM_GB + 0.9 * large.memory_gb
    small = prepare_labeller(scene[2], scene[1], device="cpu", settings=Settings(diameter_um=9.0, memory_gb=less))
    assert len(small.tiles) > len(large.tiles)
    assert small.memory_gb <= less
    with pytest.raises(AnlageError, match=r"A memory of 0.1 GB is too small: even the smallest tiles need 0\.\d GB"):
        prepare_labeller(scene[2], scene[1], device="cpu", settings=Settings(diameter_um=9.0, memory_gb=0.1))


def test_measuring_the_nuclei_counts_where_they_are_measured(scene, monkeypatch):
    monkeypatch.setattr(label_image, "BYTES_PER_MEASURED_VOXEL", 1e5)
    measured = prepare_labeller(scene[2], scene[1], device="cpu", settings=Settings(memory_gb=8))
    given = Settings(memory_gb=8, diameter_um=measured.loaded.diameter_um)
    told = prepare_labeller(scene[2], scene[1], device="cpu", settings=given)
    assert measured.memory_gb - told.memory_gb == pytest.approx(scene[0].size * 1e5 / 2**30)


def test_a_finished_piece_is_read_as_it_was_kept(scene, monkeypatch, tmp_path):
    made = labeller(scene, monkeypatch, 24)
    piece = made.piece(0, made.tiles[3])
    pieces = Pieces(tmp_path)
    assert not pieces.has(0, 3)
    pieces.keep(0, 3, piece)
    assert pieces.has(0, 3)
    again = pieces.read(0, 3)
    assert again.box == piece.box
    for name in ("labels", "names", "owned", "sizes", "centres", "probability"):
        assert np.array_equal(getattr(again, name), getattr(piece, name))
    assert pieces.read(0, 3, labels=False).labels.size == 0


def test_frames_are_numbered_each_from_1(tmp_path, monkeypatch, scene):
    labels = tell.packed((6, 32, 32), diameter=9, n_frames=2, seed=3)
    image = tell.oracle_image(labels)
    monkeypatch.setattr(label_image, "_CORES", (24,))
    made = prepare_labeller(scene[2], image, device="cpu", settings=Settings(diameter_um=9.0, memory_gb=8))
    for t in range(2):
        found, _ = joined(made, labels.shape[1:], t=t)
        assert Overlaps.of(labels[t], found).best_iou().min() > 0.99
