"""Parameters of a training of divisions, and its plan: what the data decided."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Ge, Gt, Le, MultipleOf
from pydantic import model_validator

from anlage.foreign import MOST_DIAMETER_UM
from anlage.frozen import DiameterUm, Finite
from anlage.tasks.grid import Channels, CropZyx, Frames, Grid, check_whole

__all__ = ["FRAMES", "DivisionsConfig", "DivisionsPlan"]

FRAMES = (-1, 0, 1)
"""Frames that the network sees, relative to the one that it answers for."""


class DivisionsConfig(Finite):
    """Parameters of the divisions task."""

    diameter_um: DiameterUm | None = None
    """Typical diameter of a nucleus in µm; by default measured in the training data."""
    crop_um: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Edge length of the crop around a nucleus in µm; by default 3 nucleus diameters."""
    cells: Annotated[float, Ge(2), Le(12)] = 5.0
    """Cells of the network's grid across a nucleus: more are finer and slower."""
    dividing: Annotated[float, Gt(0), Le(0.8)] = 0.35
    """Share of the training examples that are mothers in their last frame."""
    hard: Annotated[float, Ge(0), Le(0.8)] = 0.35
    """Share that are hard to distinguish from them: the frames before and after a division, and nuclei beside one."""
    doubt: Annotated[float, Ge(0), Le(1)] = 0.5
    """Weight of the frames next to a division, which people often mark a frame early or late; 1 counts them fully."""
    width: Annotated[int, Ge(8), Le(128), MultipleOf(4)] = 24
    """Channels of the network's finest level, a multiple of 4; each coarser level has twice as many."""
    levels: Annotated[int, Ge(1), Le(5)] = 3
    """Levels of the network."""


class DivisionsPlan(Finite):
    """What the training data decided."""

    grid: Grid
    """The working grid."""
    diameter_um: DiameterUm
    """Typical diameter of the training nuclei in µm."""
    apparent_um: DiameterUm | None
    """Their diameter in µm as it is measured without annotations; a new image is compared with this."""
    n_channels: Channels
    """Image channels that the network sees of each frame."""
    frames: Frames = FRAMES
    """Frames that the network sees, relative to the one it answers for."""
    crop_zyx: CropZyx
    """Crop around a nucleus in working voxels."""
    match_radius_um: Annotated[float, Gt(0), Le(MOST_DIAMETER_UM)]
    """A division nearer than this to a true one, and at most a frame early or late, is right, in validation."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_whole(self.crop_zyx, self.grid)
        return self
