"""What can be set for outlines and classes acts: each test changes one parameter and looks at what a user would notice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.dataset.classes import class_sites, class_values
from anlage.errors import AnlageError
from anlage.tasks import TASKS
from anlage.tasks.nuclei.config import NucleiConfig
from anlage.tasks.nuclei.heads import HEADS
from anlage.tasks.task import Setting
from anlage.timelapse import TimeLapse

TASK = TASKS["nuclei"]
ISOTROPIC = Spacing(1, 1, 1)


def scene(shape=(12, 64, 64), shift=0.0):
    """Bright balls of 10 voxels, and their labels."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint16)
    middle = shape[0] // 2 if shape[0] > 1 else 0
    for value, (cy, cx) in enumerate(np.ndindex(3, 3), start=1):
        at = (z - middle) ** 2 + (y - 11 - 20 * cy - shift) ** 2 + (x - 11 - 20 * cx) ** 2
        labels[at < 25] = value
    return (100 + 150 * (labels > 0) + rng.normal(0, 5, shape)).astype(np.uint16), labels


def prepared(
    folder, *, pixels=None, labels=None, spacing=ISOTROPIC, batch_size=2, shape=(12, 64, 64), augment=True, **config
):
    default = scene(shape)
    image = TimeLapse.of(default[0] if pixels is None else pixels, spacing=spacing, source="image")
    painted = TimeLapse.of(default[1] if labels is None else labels, spacing=spacing, source="labels")
    config = NucleiConfig(**{"head": "instances", **config})
    whole = Box.whole(image.shape_tzyx)
    out = folder / f"{len(list(folder.iterdir()))}.zarr"
    if config.head == "classes":
        values = class_values(painted)
        sites = class_sites(painted, values)
        store = build_store(out, image, sites, cuboid=whole, classes=values, diameter_um=9 * spacing.x)
    else:
        store = build_store(out, image, Annotations.from_labels(painted), cuboid=whole)
    setting = Setting(cache=folder / "cache", seed=0, device="cpu", batch_size=batch_size, augment=augment)
    return TASK.prepare([store], config, setting)


@pytest.mark.parametrize("head", ["instances", "classes"])
@pytest.mark.parametrize("shape", [(12, 64, 64), (1, 64, 64)], ids=["3D", "2D"])
def test_the_kind_decides_what_the_network_says_and_the_planes_whether_it_knows_z(tmp_path, head, shape):
    labels = np.minimum(scene(shape)[1], 3) if head == "classes" else None
    examples = prepared(tmp_path, head=head, shape=shape, labels=labels)
    voxels = int(np.prod(examples.plan.grid.stem))
    assert HEADS[head].n_outputs(examples.plan) == (4 * voxels if head == "classes" else 4 + 4 * voxels)
    network = TASK.network(examples.plan, NucleiConfig(head=head))
    deep = {weights.shape[2] for name, weights in network.named_parameters() if weights.ndim == 5}
    assert (deep == {1}) == (shape[0] == 1)
    _, parts = TASK.loss(network, examples.batch(0, 1))
    assert ("vote" in parts) == (head == "instances")


def test_the_image_is_what_is_seen_and_the_labels_what_is_learnt(tmp_path):
    """Each alone changes its own half of a batch."""
    pixels, labels = scene()
    first = prepared(tmp_path, augment=False).batch(0, 2)
    brighter = prepared(tmp_path, pixels=pixels[:, ::-1].copy(), augment=False).batch(0, 2)
    assert not torch.equal(first["image"], brighter["image"])
    assert torch.equal(first["inside"], brighter["inside"])
    smaller = labels.copy()
    smaller[:5] = 0
    less = prepared(tmp_path, labels=smaller, augment=False, diameter_um=10.0).batch(0, 2)
    assert less["inside"].sum() < 0.8 * first["inside"].sum()


@pytest.mark.parametrize(
    ("setting", "voxels"), [({"patch_um": 24.0}, 24), ({"patch_voxels": (12, 48, 48)}, 48), ({}, 40)]
)
def test_the_window_is_as_large_as_was_said_in_voxels_and_in_micrometres(tmp_path, setting, voxels):
    spacing = Spacing(0.5, 0.5, 0.5)
    setting = {name: value / 2 if name == "patch_um" else value for name, value in setting.items()}
    examples = prepared(tmp_path, spacing=spacing, **setting)
    multiple = np.array(examples.plan.grid.stem) * np.prod(examples.plan.grid.strides, axis=0)
    step = np.array(examples.train[0].placement.step_zyx)
    got = np.array(examples.plan.patch_zyx) * step
    assert abs(got[2] - voxels) <= multiple[2] * step[2]  # rounded up to what pooling needs
    assert examples.batch(0, 2)["image"].shape[2:] == examples.plan.patch_zyx
    (said,) = [note for note in examples.notes if "training patch" in note]
    assert f"{got[2]:.0f} voxels of the image" in said
    assert f"{got[2] * 0.5:.1f} µm" in said


def test_both_ways_of_saying_the_window_at_once_are_refused(tmp_path):
    with pytest.raises(
        AnlageError, match="Both patch_um and patch_voxels are set; give the size of a patch in one of them"
    ):
        prepared(tmp_path, patch_um=10.0, patch_voxels=(4, 40, 40))


def test_the_batch_is_as_large_as_was_said(tmp_path):
    examples = prepared(tmp_path, batch_size=3)
    assert examples.batch_size == 3
    assert len(examples.batch(0, examples.batch_size)["image"]) == 3


def test_the_voxel_size_decides_pooling_patch_and_size(tmp_path):
    """The same pixels, said to lie in planes far apart: those are not folded together, and nuclei are longer in µm."""
    even = prepared(tmp_path).plan
    tall = prepared(tmp_path, spacing=Spacing(4, 1, 1)).plan
    fine = prepared(tmp_path, spacing=Spacing(0.5, 0.5, 0.5)).plan
    assert even.grid.stem == (2, 2, 2)
    assert tall.grid.stem == (1, 2, 2)
    assert tall.diameter_um > 1.3 * even.diameter_um
    assert tall.patch_zyx != even.patch_zyx
    assert fine.diameter_um == pytest.approx(even.diameter_um / 2, rel=0.02)
    assert fine.grid == even.grid  # in nucleus diameters nothing has changed


def test_width_levels_and_cells_shape_the_network(tmp_path):
    plain = prepared(tmp_path).plan
    finer = prepared(tmp_path, cells=12).plan
    assert finer.grid.cell_diameters[2] == pytest.approx(plain.grid.cell_diameters[2] / 2, rel=0.01)
    few, many = (
        sum(
            weights.numel() for weights in TASK.network(plain, NucleiConfig(head="instances", width=width)).parameters()
        )
        for width in (8, 16)
    )
    assert many > 3 * few
    assert len(prepared(tmp_path, levels=2).plan.grid.strides) == 1
