"""The same objects come back with the same volumes in µm³ whatever the voxels are: only the nucleus diameter counts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anlage.axes import Spacing
from anlage.inference import loading
from anlage.inference.label_image import Settings, prepare_labeller
from anlage.inference.stitching import number_objects
from anlage.objects.measure import measure_objects
from anlage.overlaps import Overlaps
from anlage.timelapse import TimeLapse

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
tell = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tell)

COARSE, FINE = Spacing(1.75, 0.8, 0.8), Spacing(0.9, 0.4, 0.4)
DIAMETER_UM = 16.0
EXTENT_UM = (52.0, 92.0, 92.0)


@pytest.fixture(autouse=True)
def oracle(monkeypatch):
    """The oracle answers in the place of the card's network."""

    def network_of(model, device):
        from anlage.tasks.nuclei.config import NucleiPlan

        return tell.OracleNetwork().eval(), NucleiPlan.model_validate(model.card.plan)

    monkeypatch.setattr(loading, "network_of", network_of)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tell.oracle_model(tmp_path_factory.mktemp("oracle") / "oracle.anlage", diameter_um=9.0)


def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Centres and semi-axes (µm) of ellipsoids close to one another, whole inside the image.

    None touch: at a border between two the oracle's steps, read halfway, would mean a third.
    """
    rng = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(*[np.arange(11, n - 10, 20) for n in EXTENT_UM], indexing="ij"), -1).reshape(-1, 3)
    return grid + rng.uniform(-0.8, 0.8, grid.shape), DIAMETER_UM / 2 * np.exp(rng.normal(0, 0.06, grid.shape))


def photographed(spacing: Spacing) -> tuple[TimeLapse, np.ndarray]:
    """The oracle's image of them at this voxel size, with the steps in working voxels, and their labels."""
    shape = [int(n / um) for n, um in zip(EXTENT_UM, spacing.zyx, strict=True)]
    places = [(np.arange(n) + 0.5) * um for n, um in zip(shape, spacing.zyx, strict=True)]
    image = np.zeros((4, *shape), np.float32)
    labels = np.zeros(shape, np.uint16)
    for value, (centre, axes) in enumerate(zip(*nuclei(), strict=True), start=1):
        near = tuple(slice(*np.searchsorted(p, (c - a, c + a))) for p, c, a in zip(places, centre, axes, strict=True))
        at = np.meshgrid(*[p[part] for p, part in zip(places, near, strict=True)], indexing="ij")
        step = centre[:, None, None, None] - np.stack(at)
        mine = ((step / axes[:, None, None, None]) ** 2).sum(axis=0) < 1
        labels[near][mine] = value
        image[(slice(1, None), *near)][:, mine] = step[:, mine] * 9 / DIAMETER_UM + tell.SCALE
    # where nothing is, steps lead to the nearest object, as an image between two has values between theirs
    index = ndimage.distance_transform_edt(labels == 0, spacing.um, return_distances=False, return_indices=True)
    image[1:] = image[1:][:, *index]
    image[0] = 100 * (labels > 0)
    # so that 0 … 100 is what is measured, whichever voxels are looked at for it
    image[1:, 0, 0, : shape[2] // 2], image[1:, 0, 0, shape[2] // 2 :] = 0, 100
    return TimeLapse.of(image, "czyx", spacing=spacing, source=f"oracle at {spacing}"), labels


def outlined(model, image: TimeLapse, memory_gb: float = 8.0) -> np.ndarray:
    made = prepare_labeller(model, image, device="cpu", settings=Settings(diameter_um=DIAMETER_UM, memory_gb=memory_gb))
    pieces = [made.piece(0, tile) for tile in made.tiles]
    numbering = number_objects(pieces, np.array(image.spacing.um) / DIAMETER_UM, 1.0)
    result = np.zeros(image.shape_tzyx[1:], np.int64)
    for piece in pieces:
        result[piece.box.slices[1:]] = numbering.of(piece)
    return result


def volumes(labels: np.ndarray, spacing: Spacing) -> dict[int, float]:
    table = measure_objects(TimeLapse.of(labels, spacing=spacing, source="outlines"), surfaces=False)
    return dict(zip(table.columns["label"].tolist(), table.columns["volume_um3"].tolist(), strict=True))


@pytest.mark.long
def test_the_same_nuclei_at_two_voxel_sizes_are_the_same_objects_of_the_same_volume(model):
    found, truth, sizes = {}, {}, {}
    for spacing in (COARSE, FINE):
        image, truth[spacing] = photographed(spacing)
        found[spacing] = outlined(model, image)
        sizes[spacing] = volumes(found[spacing], spacing)
        assert Overlaps.of(truth[spacing], found[spacing]).best_iou().min() > 0.75
    at = [
        np.minimum(((np.arange(n) + 0.5) * fine / coarse).astype(int), last - 1)
        for n, fine, coarse, last in zip(found[FINE].shape, FINE.zyx, COARSE.zyx, found[COARSE].shape, strict=True)
    ]
    overlap = Overlaps.of(found[COARSE][np.ix_(*at)], found[FINE])
    matched = overlap.matched(0.5)
    assert len(nuclei()[0]) == len(overlap.truth) == len(overlap.predicted) == 32
    assert len(matched) >= 0.95 * len(overlap.truth)
    pairs = overlap.pairs[matched]
    ratio = [sizes[FINE][int(overlap.predicted[b])] / sizes[COARSE][int(overlap.truth[a])] for a, b in pairs]
    assert abs(np.median(ratio) - 1) < 0.05
