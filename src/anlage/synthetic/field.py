"""The field of view of a random synthetic image: how large nuclei are, and how many voxels are spent on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anlage.axes import Spacing

__all__ = ["Field", "Range", "log_uniform"]

Range = tuple[float, float]
"""Least and most."""


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number, as likely to lie in the lower as in the upper half of the ratio high / low."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


@dataclass(frozen=True, slots=True)
class Field:
    """Size of nuclei, and size and voxels of the image."""

    diameter_um: float
    spacing: Spacing
    shape_zyx: tuple[int, int, int]

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        *,
        diameter_um: Range,
        diameter_voxels: Range,
        plane_diameters: Range,
        depth_diameters: Range,
        width_diameters: Range,
        flat: bool,
    ) -> Field:
        """A random one.

        Parameters
        ----------
        rng
            Source of chance.
        diameter_um, diameter_voxels
            Nuclei across, in µm and in voxels of the plane.
        plane_diameters
            Distance of planes in nucleus diameters.
        depth_diameters, width_diameters
            Extent of the image along z, and along y and x, in nucleus diameters.
        flat
            A single plane.
        """
        um = log_uniform(rng, *diameter_um)
        pixel_um = um / log_uniform(rng, *diameter_voxels)
        plane_um = 1.0 if flat else max(um * log_uniform(rng, *plane_diameters), pixel_um)
        extents = ((depth_diameters, plane_um), (width_diameters, pixel_um), (width_diameters, pixel_um))
        depth, height, width = (max(1, round(rng.uniform(*across) * um / voxel)) for across, voxel in extents)
        return cls(um, Spacing(plane_um, pixel_um, pixel_um), (1 if flat else depth, height, width))

    def room_for(self, filled: float, beyond: float = 0.0) -> int:
        """Nuclei that fill a part of the tissue, which reaches `beyond` the image by so many halves of it; much more than half cannot be packed."""
        half_axes = (1 + beyond) * np.array(self.shape_zyx) * self.spacing.um / 2 - 0.1 * self.diameter_um
        flat = self.shape_zyx[0] == 1
        return max(4, int(filled * float(np.prod((half_axes / (self.diameter_um / 2))[1 if flat else 0 :]))))
