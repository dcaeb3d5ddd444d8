"""The diameter of nuclei whose centres are known, measured in the image around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.blobs.diameter import estimate_diameter

__all__ = ["brightest_channel", "diameter_at_nuclei", "fullest_frames", "values_at"]

MEASURED_FRAMES = 3
SURROUNDINGS = (32, 128, 128)
"""Voxels around the nuclei (z, y, x) that are read to measure them."""


def diameter_at_nuclei(
    nuclei: Annotations,
    shape_tzyx: tuple[int, int, int, int],
    spacing: Spacing,
    read: Callable[[int, Box], npt.NDArray[np.float32]],
) -> float | None:
    """Typical diameter in µm, the median of the frames with most nuclei; None if nothing could be measured.

    It is the same whether pixels are normalised channel by channel or not.

    Parameters
    ----------
    nuclei
        Bright or dark ones, in voxels of the movie.
    shape_tzyx
        Shape of the movie.
    spacing
        Voxel size in µm.
    read
        Gives the pixels (C, Z, Y, X) of a frame inside a box; of their channels the one that shows the nuclei best is measured.
    """
    found = []
    for t in fullest_frames(nuclei):
        centres = _largest_group(nuclei.positions[nuclei.frames == t])
        at = np.rint(centres).astype(int)
        box = Box.of(at.min(axis=0), at.max(axis=0) + 1).grown(SURROUNDINGS).clipped(shape_tzyx)
        pixels = read(t, box)
        local = centres[:, 1:] - box.start[1:]
        found.append(estimate_diameter(pixels[brightest_channel(pixels, local)], spacing, centres_zyx=local))
    sizes = [size for size in found if size is not None]
    return float(np.median(sizes)) if sizes else None


def fullest_frames(nuclei: Annotations) -> list[int]:
    """The few frames with most nuclei, the fullest first."""
    frames, counts = np.unique(nuclei.frames, return_counts=True)
    return [int(t) for t in frames[np.argsort(-counts, kind="stable")][:MEASURED_FRAMES]]


def brightest_channel(image_CZYX: npt.NDArray[np.float32], centres_zyx: npt.NDArray[np.float64]) -> int:
    """The channel in which the voxels at the centres stand out most from the others."""
    spread = np.maximum(image_CZYX.std(axis=(1, 2, 3)), 1e-6)
    contrast = [
        (np.median(values_at(channel, centres_zyx)) - np.median(channel)) / one
        for channel, one in zip(image_CZYX, spread, strict=True)
    ]
    return int(np.argmax(contrast))


def values_at(image_zyx: npt.NDArray[Any], centres_zyx: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Values of the voxels that the centres (N, 3) fall on."""
    at = np.clip(np.rint(centres_zyx).astype(int), 0, np.array(image_zyx.shape) - 1)
    values: npt.NDArray[Any] = image_zyx[at[:, 0], at[:, 1], at[:, 2]]
    return values


def _largest_group(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of positions (N, 4) those that are neighbours of neighbours, the most there are: what lies far off is not read."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    cells, cell_of = np.unique(np.floor(positions[:, 1:] / (2 * np.array(SURROUNDINGS))), axis=0, return_inverse=True)
    near = cKDTree(cells).query_pairs(1, p=np.inf, output_type="ndarray")
    graph = coo_array((np.ones(len(near), dtype=np.int8), near.T), shape=(len(cells), len(cells)))
    _, group = connected_components(graph, directed=False)
    of_each = group[cell_of.reshape(-1)]
    largest: npt.NDArray[np.float64] = positions[of_each == np.argmax(np.bincount(of_each))]
    return largest
