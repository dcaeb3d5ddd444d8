"""A model whose network knows the answer: its image holds, voxel by voxel, what a perfect network would say.

Channel 0 is brightness; 1 to 3 are the step to the centre of the voxel's object along z, y, x, in voxels. So prediction can
be tested to the last voxel: whatever differs from the truth was done wrong in reading, tiling, decoding or joining.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from anlage.axes import Spacing
from anlage.calibration import Calibration
from anlage.card import Card
from anlage.dataset.intensity import ChannelIntensity, Intensity
from anlage.model import save_model
from anlage.tasks.grid import Grid
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.task import Evidence
from anlage.timelapse import TimeLapse

SCALE = 50.0
"""Steps are written as 50 + voxels, so that they are positive."""


class OracleNetwork(torch.nn.Module):
    """Says what its image holds; cells of 1 × 2 × 2 voxels."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # as networks do: what is no whole cell is filled up
        image = torch.nn.functional.pad(image, [0, image.shape[4] % 2, 0, image.shape[3] % 2, 0, 0], mode="replicate")
        b, _, z, y, x = image.shape
        inside = image[:, :1] > 0.5
        step = image[:, 1:4] * 100 - SCALE
        near = torch.where(
            inside, (step * torch.tensor([1.0, 0.5, 0.5])[None, :, None, None, None]).norm(dim=1, keepdim=True), 99.0
        )
        # a cell is as warm as its voxel that is nearest to a centre, and points where that one does
        cells = near.reshape(b, 1, z, y // 2, 2, x // 2, 2)
        flat = cells.permute(0, 1, 2, 3, 5, 4, 6).reshape(b, 1, z, y // 2, x // 2, 4)
        gap, which = flat.min(dim=-1)
        steps = (
            step.reshape(b, 3, z, y // 2, 2, x // 2, 2).permute(0, 1, 2, 3, 5, 4, 6).reshape(b, 3, z, y // 2, x // 2, 4)
        )
        chosen = steps.gather(-1, which.expand(-1, 3, -1, -1, -1)[..., None])[..., 0]
        corner = torch.stack([torch.zeros_like(which[:, 0]), which[:, 0] // 2, which[:, 0] % 2], dim=1)
        offset = (chosen + corner - torch.tensor([0.0, 0.5, 0.5])[None, :, None, None, None]) / torch.tensor(
            [1.0, 2.0, 2.0]
        )[None, :, None, None, None]
        heat = torch.where(gap < 3, 4.0 - 3 * gap, -9.0)
        fine = torch.cat(
            [torch.where(inside, 9.0, -9.0), step / torch.tensor([1.0, 2, 2])[None, :, None, None, None]], dim=1
        )
        folded = fine.reshape(b, 4, z, 1, y // 2, 2, x // 2, 2).permute(0, 1, 3, 5, 7, 2, 4, 6)
        return torch.cat([heat, offset, folded.reshape(b, 16, z, y // 2, x // 2)], dim=1)


def oracle_image(labels: np.ndarray) -> TimeLapse:
    """The image that tells the oracle these labels (T, Z, Y, X)."""
    image = np.zeros((labels.shape[0], 4, *labels.shape[1:]), np.float32)
    for t, frame in enumerate(labels):
        image[t, 0] = 100 * (frame > 0)
        for value in np.unique(frame[frame > 0]):
            at = np.argwhere(frame == value)
            image[t, 1:][:, *at.T] = (at.mean(axis=0) - at).T + SCALE
    image[:, :, 0, 0, 0], image[:, :, 0, 0, 1] = 0, 100  # so that 0 … 100 is what is measured
    image[:, 0, 0, 0, 1] = 0
    return TimeLapse.of(image, "tczyx", spacing=Spacing(1, 1, 1), source="oracle")


def oracle_model(path, diameter_um=9.0):
    """A model file whose card fits `OracleNetwork`."""
    grid = Grid(voxel_diameters_zyx=(1 / diameter_um,) * 3, stem=(1, 2, 2), strides=((1, 2, 2), (2, 2, 2)), flat=False)
    plan = NucleiPlan(
        grid=grid, diameter_um=diameter_um, apparent_um=None, n_channels=4, frames=(0,), patch_zyx=(8, 16, 16), sigma=0.16,
        match_radius_um=4.0, head="instances",
    )  # fmt: skip
    names = ("bright", "z", "y", "x")
    channels = tuple(ChannelIntensity(name=n, index=i, low=0, high=100) for i, n in enumerate(names))
    evidence = Evidence(
        held_out="nothing", n_positive=0, metrics={}, threshold=0.5, thresholds={"inside": 0.5},
        calibration=Calibration(), ece=None,
    )  # fmt: skip
    card = Card(
        name="oracle", task="nuclei", head="instances", created="2026-01-01T00:00:00+00:00", version="0", channels=names,
        spacing_um_zyx=(1, 1, 1), intensity=Intensity(channels=channels, combine="separate", percentiles=(0, 100)),
        diameter_um=diameter_um, plan=plan.model_dump(mode="json"),
        config=NucleiConfig(head="instances").model_dump(mode="json"), trained_on=(), evidence=evidence,
    )  # fmt: skip
    return save_model(path, card, OracleNetwork().state_dict())


def packed(shape, diameter=12, seed=0, n_frames=1):
    """Labels of balls that touch, all over the image, cut by its walls."""
    rng = np.random.default_rng(seed)
    where = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    frames = np.zeros((n_frames, *shape), np.int32)
    for t in range(n_frames):
        centres = []
        for _ in range(1500):
            one = rng.uniform(0, 1, 3) * np.array(shape)
            if all(np.linalg.norm(one - other) > 0.85 * diameter for other in centres):
                centres.append(one)
        gap, nearest = cKDTree(centres).query(where.reshape(-1, 3), distance_upper_bound=0.55 * diameter)
        frames[t] = np.where(np.isfinite(gap), nearest + 1, 0).reshape(shape)
    return frames
