"""The weight mask: which voxels are known. Inside a complete cuboid absence means background; outside it is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.blobs import values_at

__all__ = [
    "Dark",
    "Marked",
    "Nuclei",
    "clear_balls",
    "complete_weight",
    "measure_dark",
    "smooth",
    "sparse_weight",
]

Weight = npt.NDArray[np.uint8]
Slices = tuple[slice, slice, slice]

CLEARLY_DARK = 0.2
"""Way up from the background to the dimmest marked nuclei below which a voxel is surely no nucleus."""
SHELL_DARK = 0.5
"""The same within a diameter of a marked nucleus, measured with that nucleus' own brightness."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Centres in one frame, (N, 3) voxels, and their radii (N,) in µm."""

    centres: npt.NDArray[np.float64]
    radius_um: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nuclei:
    """The nuclei of one frame, by what they say about the voxels around them.

    Parameters
    ----------
    marked
        True nuclei inside the boxes.
    rejected
        Explicit background.
    outside
        True nuclei outside every box, some of which may reach inside.
    """

    marked: Marked
    rejected: Marked
    outside: Marked


@dataclass(frozen=True, slots=True)
class Dark:
    """How bright background and marked nuclei are, in one smoothed channel of the whole store.

    Parameters
    ----------
    channel
        The input in which marked nuclei stand out most.
    background, nucleus
        Smoothed brightness of the background and of the dimmest marked nuclei.
    """

    channel: int
    background: float
    nucleus: float

    @property
    def is_clear(self) -> bool:
        """Whether nuclei are brighter than the background at all."""
        return self.nucleus - self.background > 0.05

    @property
    def threshold(self) -> float:
        return self.background + CLEARLY_DARK * (self.nucleus - self.background)


def complete_weight(
    shape_zyx: tuple[int, int, int],
    boxes: Sequence[Slices],
    cores: Sequence[Slices],
    spacing: Spacing,
    nuclei: Nuclei,
) -> Weight:
    """Weight of one frame where annotation is complete: 1 known, 0 unknown.

    Known are the cores; in the margin around them only the balls of marked and of rejected nuclei. What reaches
    inside of a nucleus whose centre lies outside every box is unknown.

    Parameters
    ----------
    shape_zyx
        Shape of the frame.
    boxes
        What is kept of this frame.
    cores
        Where every nucleus was annotated; empty if the frame was not annotated.
    spacing
        Voxel size in µm.
    nuclei
        The frame's nuclei.
    """
    weight = np.zeros(shape_zyx, dtype=np.uint8)
    for core in cores:
        weight[core] = 1
    _paint(weight, nuclei.outside, spacing, 0)
    _paint(weight, nuclei.marked, spacing, 1)
    _paint(weight, nuclei.rejected, spacing, 1)
    return _inside(weight, boxes)


def sparse_weight(
    smoothed_zyx: npt.NDArray[np.float32],
    boxes: Sequence[Slices],
    spacing: Spacing,
    diameter_um: float,
    dark: Dark,
    nuclei: Nuclei,
) -> Weight:
    """Weight of one frame where only some nuclei were marked: 1 known, 0 unknown.

    Known are the balls of the marked and of the rejected nuclei; within a diameter of a marked nucleus, what is
    less than half as bright as it (an unmarked neighbour that touches it is brighter); and whatever is clearly dark.

    Parameters
    ----------
    smoothed_zyx
        The channel `dark` was measured in, smoothed.
    boxes
        What is kept of this frame.
    spacing
        Voxel size in µm.
    diameter_um
        Typical nucleus diameter in µm.
    dark
        Brightness of background and nuclei.
    nuclei
        The frame's nuclei.
    """
    weight = np.zeros(smoothed_zyx.shape, dtype=np.uint8)
    marked = nuclei.marked
    if dark.is_clear and len(marked.centres):
        weight[smoothed_zyx < dark.threshold] = 1
        for centre, level in zip(marked.centres, values_at(smoothed_zyx, marked.centres), strict=True):
            where, ball = _ball(smoothed_zyx.shape, centre, diameter_um, spacing)
            half = dark.background + SHELL_DARK * (float(level) - dark.background)
            weight[where][ball & (smoothed_zyx[where] < half)] = 1
    _paint(weight, nuclei.outside, spacing, 0)
    _paint(weight, marked, spacing, 1)
    _paint(weight, nuclei.rejected, spacing, 1)
    return _inside(weight, boxes)


def smooth(image_zyx: npt.NDArray[np.float32], spacing: Spacing, diameter_um: float) -> npt.NDArray[np.float32]:
    """Blur by a sixth of a diameter: noise goes, the gap between two nuclei stays."""
    from scipy import ndimage

    sigma = np.where(np.array(image_zyx.shape) > 1, diameter_um / 6 / spacing.um, 0)
    blurred: npt.NDArray[np.float32] = ndimage.gaussian_filter(image_zyx, sigma, output=np.float32)
    return blurred


def measure_dark(frames: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]], channel: int) -> Dark:
    """How bright background and marked nuclei are.

    Parameters
    ----------
    frames
        The smoothed channel and the marked centres (N, 3) of some frames, taken one at a time.
    channel
        Which channel it is.
    """
    backgrounds, levels = [], []
    for image, centres in frames:
        backgrounds.append(np.percentile(image, 5))
        levels.append(values_at(image, centres))
    return Dark(channel, float(np.median(backgrounds)), float(np.percentile(np.concatenate(levels), 10)))


def clear_balls(mask: npt.NDArray[np.bool_], nuclei: Marked, spacing: Spacing) -> None:
    """Set a mask (Z, Y, X) to False in the balls of some nuclei, in place."""
    _paint(mask, nuclei, spacing, 0)


def _inside(weight: Weight, boxes: Sequence[Slices]) -> Weight:
    """The weight with everything outside the boxes unknown."""
    result = np.zeros_like(weight)
    for box in boxes:
        result[box] = weight[box]
    return result


def _paint(weight: Weight | npt.NDArray[np.bool_], marked: Marked, spacing: Spacing, value: int) -> None:
    """Set the balls around some nuclei, in place."""
    for centre, radius_um in zip(marked.centres, marked.radius_um, strict=True):
        where, ball = _ball(weight.shape, centre, radius_um, spacing)
        weight[where][ball] = value


def _ball(
    shape: tuple[int, ...], centre: npt.NDArray[np.float64], radius_um: float, spacing: Spacing
) -> tuple[Slices, npt.NDArray[np.bool_]]:
    """The part of the frame around a ball and which of its voxels lie in it; at least the voxel at its centre."""
    reach = np.maximum(radius_um / spacing.um, 0.5)
    low = np.clip(np.ceil(centre - reach), 0, shape).astype(int)
    high = np.clip(np.floor(centre + reach) + 1, low, shape).astype(int)
    axes = [((np.arange(a, b) - c) / r) ** 2 for a, b, c, r in zip(low, high, centre, reach, strict=True)]
    ball = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (z, y, x), ball
