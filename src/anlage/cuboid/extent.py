"""The extent of annotated nuclei: their painted labels, else their centres and a typical radius."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.blobs import diameter_at_nuclei
from anlage.neighbours import typical_gap_um
from anlage.timelapse import TimeLapse

__all__ = ["Extents", "measure_extents"]

FALLBACK_VOXELS = 4.0
"""Radius, in voxels in the plane, of a single nucleus of unknown size."""


@dataclass(frozen=True, slots=True)
class Extents:
    """Reach of every nucleus, and the walls of the image.

    Parameters
    ----------
    low, high
        (N, 3) first and last voxel of each nucleus along z, y, x; for a bare centre the voxel it lies on.
    painted
        (N,) whether these come from painted labels.
    centres
        (N, 3) in voxels.
    diameter_um
        Typical diameter of a nucleus in µm.
    measured_um
        The same, if it was measured in the image; None where something else was known.
    spacing
        Voxel size in µm.
    shape
        Shape of the movie (t, z, y, x); None where unknown.
    """

    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    painted: npt.NDArray[np.bool_]
    centres: npt.NDArray[np.float64]
    diameter_um: float
    measured_um: float | None
    spacing: Spacing
    shape: tuple[int, int, int, int] | None

    def margin(self, margin_um: float | None) -> list[int]:
        """Voxels of margin along z, y, x: one radius unless said otherwise."""
        width = self.diameter_um / 2 if margin_um is None else margin_um
        return [math.ceil(width / s - 1e-9) for s in self.spacing.zyx]

    def core_of(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[str, ...]]:
        """First and one-past-last voxel (z, y, x) around some nuclei, and the walls of the image that cut one."""
        start, stop = self.low[rows].min(axis=0), self.high[rows].max(axis=0) + 1
        cut = []
        for axis, name in enumerate("zyx"):
            if self.shape is not None and self.shape[axis + 1] == 1:
                continue
            reach = self.diameter_um / 2 / self.spacing.zyx[axis]
            near = np.where(self.painted[rows], self.low[rows, axis], self.centres[rows, axis] + 0.5)
            # a painted nucleus is cut if it has voxels on the wall, a centre if the wall is nearer than one radius
            if (near <= np.where(self.painted[rows], 0, reach - 1e-9)).any():
                cut.append(f"{name}0")
                start[axis] = 0
            if self.shape is not None:
                n = self.shape[axis + 1]
                far = np.where(self.painted[rows], self.high[rows, axis] - (n - 1), self.centres[rows, axis] + 0.5 - n)
                if (far >= np.where(self.painted[rows], 0, -reach + 1e-9)).any():
                    cut.append(f"{name}1")
                    stop[axis] = n
        return start, stop, tuple(cut)

    def clipped(self, box: Box) -> Box:
        """The part of a box inside the image; of an image of unknown size only the near walls are known."""
        return box.clipped(self.shape if self.shape is not None else tuple(max(1, n) for n in box.stop))


def measure_extents(
    nuclei: Annotations,
    image: TimeLapse | None,
    spacing: Spacing,
    shape: tuple[int, int, int, int] | None,
    measured_um: float | None = None,
) -> Extents:
    """Measure labels, and the typical diameter from radii, labels, image (unless that was done) or distances, in this order."""
    centres = nuclei.positions[:, 1:]
    low = np.maximum(np.rint(centres).astype(np.int64), 0)
    if shape is not None:
        low = np.minimum(low, np.array(shape[1:]) - 1)
    high = low.copy()
    painted = np.zeros(len(nuclei), dtype=bool)
    volume = np.full(len(nuclei), np.nan)
    if nuclei.labels is not None:
        _measure_labels(nuclei, low, high, painted, volume)
    known = _known_diameter(nuclei, volume, spacing)
    if known is not None:
        return Extents(low, high, painted, centres, known, None, spacing, shape)
    if measured_um is None and image is not None:
        measured_um = diameter_at_nuclei(nuclei, image.shape_tzyx, spacing, partial(_read, image))
    diameter = _guessed_diameter(nuclei, spacing) if measured_um is None else measured_um
    return Extents(low, high, painted, centres, diameter, measured_um, spacing, shape)


def _measure_labels(
    nuclei: Annotations,
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    painted: npt.NDArray[np.bool_],
    volume: npt.NDArray[np.float64],
) -> None:
    """Fill in the reach (voxels) and volume (voxels) of the nuclei that are painted."""
    labels = nuclei.labels
    if labels is None:
        return
    frames = nuclei.frames
    for t in np.unique(frames[nuclei.label > 0]):
        if t >= labels.n_frames:
            continue
        values, first, last, size = _objects(labels.frame(int(t))[0])
        rows = np.flatnonzero((frames == t) & (nuclei.label > 0))
        at = np.searchsorted(values, nuclei.label[rows])
        at[at == len(values)] = 0
        found = values[at] == nuclei.label[rows] if len(values) else np.zeros(len(rows), dtype=bool)
        rows, at = rows[found], at[found]
        low[rows] = np.minimum(low[rows], first[at])
        high[rows] = np.maximum(high[rows], last[at])
        volume[rows] = size[at]
        painted[rows] = True


def _objects(
    labels_zyx: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Label values in order, first and last voxel (K, 3) of each, and its number of voxels."""
    at = np.flatnonzero(labels_zyx)
    if len(at) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return empty, np.zeros((0, 3), np.int64), np.zeros((0, 3), np.int64), empty
    value = labels_zyx.ravel()[at].astype(np.int64)
    order = np.argsort(value, kind="stable")
    at, value = at[order], value[order]
    values, begin, count = np.unique(value, return_index=True, return_counts=True)
    coordinates = np.stack(np.unravel_index(at, labels_zyx.shape), axis=1).astype(np.int64)
    first = np.minimum.reduceat(coordinates, begin, axis=0)
    last = np.maximum.reduceat(coordinates, begin, axis=0)
    return values, first, last, count.astype(np.int64)


def _known_diameter(nuclei: Annotations, volume: npt.NDArray[np.float64], spacing: Spacing) -> float | None:
    """Typical diameter of the nuclei in µm by their radii or labels."""
    known = nuclei.radius_um[np.isfinite(nuclei.radius_um)]
    if len(known):
        return 2 * float(np.median(known))
    if np.isfinite(volume).any():
        size = float(np.nanmedian(volume))
        if nuclei.labels is not None and nuclei.labels.is_flat:
            return 2 * math.sqrt(size * spacing.y * spacing.x / math.pi)
        return 2 * math.cbrt(size * math.prod(spacing.zyx) * 3 / (4 * math.pi))
    return None


def _guessed_diameter(nuclei: Annotations, spacing: Spacing) -> float:
    gap = typical_gap_um(nuclei.frames, nuclei.positions[:, 1:] * spacing.um)
    return gap if gap is not None else 2 * FALLBACK_VOXELS * min(spacing.y, spacing.x)


def _read(image: TimeLapse, t: int, box: Box) -> npt.NDArray[np.float32]:
    pixels: npt.NDArray[np.float32] = image.read(Box((t, t + 1), *box.ranges[1:]))[0].astype(np.float32)
    return pixels
