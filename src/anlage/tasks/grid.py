"""The working grid: an image resampled so that a nucleus spans as many cells as the network expects.

What decides whether a network transfers is the nucleus diameter in voxels of the grid it works on, not the voxel size in
µm. So a grid is kept in units of the nucleus diameter, and an image of other nuclei or another microscope is resampled
to it. A plane distance larger than a cell is left as it is: planes are never invented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AfterValidator

from anlage.axes import Spacing
from anlage.foreign import check_size
from anlage.frozen import Finite
from anlage.prediction import DenseMap

if TYPE_CHECKING:
    import torch

__all__ = ["CELLS", "Channels", "CropZyx", "Frames", "Grid", "Placement", "Zyx", "check_whole", "plan_grid"]

Zyx = tuple[int, int, int]

CELLS = 4.5
"""Cells of the working grid across a nucleus, unless a kind of network has a reason for another number."""
MOST_CROP_VOXELS = 2**22
"""Working voxels of a patch or a crop: 25 nuclei across in the plane, at 12 cells each, and as many planes as then fit."""
_MOST_STEP = 4096.0
"""Voxels of an image in one working voxel: nuclei of 40,000 voxels across."""
_MOST_ADDED = 64
"""Working voxels for each voxel of an image: nuclei of little more than one voxel."""
_FEW = 2**26
"""So many working voxels are always taken: a small image may be enlarged more."""

Edge = Annotated[float, Ge(0.02), Le(1000)]
Fold = Annotated[int, Ge(1), Le(4)]
Stride = Annotated[int, Ge(1), Le(2)]
Voxels = Annotated[int, Ge(1), Le(2**14)]


def _cropped(shape: Zyx) -> Zyx:
    if math.prod(shape) > MOST_CROP_VOXELS:
        raise ValueError(f"{shape} (z, y, x) are more than {MOST_CROP_VOXELS:,} voxels")
    return shape


CropZyx = Annotated[tuple[Voxels, Voxels, Voxels], AfterValidator(_cropped)]
"""A piece around a nucleus that the network sees at once, in working voxels."""
Frames = Annotated[tuple[Annotated[int, Ge(-1000), Le(1000)], ...], MinLen(1), MaxLen(32)]
"""Frames that the network sees, relative to the one it answers for."""
Channels = Annotated[int, Ge(1), Le(1024)]


def check_whole(shape_zyx: Zyx, grid: Grid) -> None:
    """Refuse, with ValueError, a crop that is not made of whole cells."""
    if any(n % fold for n, fold in zip(shape_zyx, grid.stem, strict=True)):
        raise ValueError(f"a crop of {shape_zyx} (z, y, x) is not made of whole cells of {grid.stem} voxels")


class Grid(Finite):
    """Shape of the cells that a network works on, relative to the nucleus."""

    voxel_diameters_zyx: tuple[Edge, Edge, Edge]
    """Edge lengths of a working voxel, in nucleus diameters."""
    stem: tuple[Fold, Fold, Fold]
    """Working voxels (z, y, x) folded into one cell."""
    strides: Annotated[tuple[tuple[Stride, Stride, Stride], ...], MaxLen(4)]
    """Downsampling (z, y, x) from each level of the network to the next."""
    flat: bool = False
    """2D: a single plane."""

    @property
    def cell_diameters(self) -> npt.NDArray[np.float64]:
        """Edge lengths (z, y, x) of a cell, in nucleus diameters."""
        return np.array(self.voxel_diameters_zyx) * self.stem

    @property
    def kernels(self) -> tuple[Zyx, ...]:
        """Convolution kernel of each level: flat where planes lie at least two cells apart."""
        kernels = []
        cell = self.cell_diameters
        for stride in ((1, 1, 1), *self.strides):
            cell = cell * stride
            kernels.append((1 if self.flat or cell[0] > 1.9 * cell[1] else 3, 3, 3))
        return tuple(kernels)

    def place(self, spacing: Spacing, diameter_um: float, shape_zyx: tuple[int, ...]) -> Placement:
        """Lay the grid over an image with this voxel size (µm), nuclei (µm) and shape in voxels.

        Raises
        ------
        AnlageError
            If nuclei of this size are far smaller than a voxel, or larger than any image: the grid would have no end.
        """
        step = np.array(self.voxel_diameters_zyx) * diameter_um / spacing.um
        step = np.where(np.abs(step - 1) < 0.02, 1.0, step)  # a hair's breadth is not worth a resampling
        if shape_zyx[0] == 1:
            step[0] = 1.0
        size = np.maximum(1, np.ceil(np.array(shape_zyx) / step - 1e-6))
        nuclei = f"With nuclei of {diameter_um:g} µm and voxels of {spacing}"
        check_size(step.max(), _MOST_STEP, f"{nuclei} the width of a cell of the network's grid in voxels")
        most = max(_FEW, _MOST_ADDED * math.prod(shape_zyx))
        check_size(float(size.prod()), most, f"{nuclei} the number of cells of the network's grid")
        shape = size.astype(int)
        return Placement(tuple(map(float, step)), tuple(map(int, shape)), self.stem)


@dataclass(frozen=True, slots=True)
class Placement:
    """A working grid laid over one image: the first working voxel starts where the image starts."""

    step_zyx: tuple[float, ...]
    """Image voxels per working voxel."""
    shape_zyx: tuple[int, ...]
    """Working voxels."""
    stem: Zyx

    def to_working(self, positions_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Image voxels → working voxels."""
        result: npt.NDArray[np.float64] = (np.asarray(positions_zyx, float) + 0.5) / self.step_zyx - 0.5
        return result

    def to_image(self, positions_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Working voxels → image voxels."""
        result: npt.NDArray[np.float64] = (np.asarray(positions_zyx, float) + 0.5) * self.step_zyx - 0.5
        return result

    def dense(self, cells: npt.NDArray[np.float32]) -> DenseMap:
        """Place a map of cells (Z, Y, X) in the image."""
        step = np.array(self.step_zyx) * self.stem
        return DenseMap(cells, tuple(step), tuple(step / 2 - 0.5))

    def resample(self, image: torch.Tensor) -> torch.Tensor:
        """Bring an image (…, Z, Y, X) onto the working grid."""
        from anlage.networks.resample import resample

        return resample(image, self.step_zyx, self.shape_zyx)

    def nearest(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring an image (Z, Y, X) onto the working grid: each working voxel takes the value of the voxel at its centre."""
        at = [
            np.clip(np.rint((np.arange(n) + 0.5) * step - 0.5).astype(int), 0, size - 1)
            for n, step, size in zip(self.shape_zyx, self.step_zyx, image.shape, strict=True)
        ]
        return image[np.ix_(*at)]


def plan_grid(spacing: Spacing, diameter_um: float, *, flat: bool, cells: float, n_levels: int = 3) -> Grid:
    """Choose the working grid for nuclei of this diameter (µm) imaged at this voxel size.

    In the plane a nucleus spans `cells` cells. A cell folds 2 voxels per axis where the image resolves that much, else 1;
    along z a plane distance coarser than a cell is kept. Each level halves the axes whose cells are still the finest.
    """
    cell_um = diameter_um / cells
    voxel, stem = [], []
    for axis, size in enumerate(spacing.zyx):
        fold = 2 if size <= 0.75 * cell_um and not (flat and axis == 0) else 1
        coarse_planes = axis == 0 and (flat or size > cell_um / fold)
        stem.append(fold)
        voxel.append(size if coarse_planes else cell_um / fold)
    cell = np.array(voxel) * stem
    strides: list[Zyx] = []
    for _ in range(n_levels - 1):
        finest = cell[1:].min()
        z = 2 if not flat and cell[0] < math.sqrt(2) * finest * 1.01 else 1
        strides.append((z, 2, 2))
        cell = cell * strides[-1]
    sz, sy, sx = stem
    vz, vy, vx = (float(v / diameter_um) for v in voxel)
    return Grid(voxel_diameters_zyx=(vz, vy, vx), stem=(sz, sy, sx), strides=tuple(strides), flat=flat)
