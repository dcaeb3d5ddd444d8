"""Determine the nucleus diameter of training data: from radii, from labels, or from the image."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations
from anlage.axes import Box, Spacing
from anlage.blobs import estimate_diameter
from anlage.dataset.intensity import Intensity
from anlage.dataset.weight import brightest_channel
from anlage.foreign import check_diameter
from anlage.labels import measure_labels, radius
from anlage.neighbours import typical_gap_um
from anlage.timelapse import TimeLapse

__all__ = ["Origin", "find_diameter"]

Origin = Literal["given", "radii", "labels", "image", "assumed"]

ASSUMED_UM = 10.0
"""A typical nucleus of an animal cell; only where nothing at all could be measured."""
NEIGHBOURS = 0.8
"""Diameter as a part of the distance to the next nucleus, in tissue where nuclei almost touch."""
MEASURED_FRAMES = 3
SURROUNDINGS = (32, 128, 128)
"""Voxels around the nuclei (z, y, x) that are read to measure them."""


def find_diameter(
    nuclei: Annotations,
    image: TimeLapse | None,
    intensity: Intensity | None,
    spacing: Spacing,
    given_um: float | None,
) -> tuple[float, Origin, str | None]:
    """Typical diameter in µm, how it is known, and a sentence where it was assumed.

    Parameters
    ----------
    nuclei
        Nuclei that are true, in voxels of the image.
    image
        The movie; None where there are points alone.
    intensity
        Its normalisation; None without a movie.
    spacing
        Voxel size in µm.
    given_um
        What the user said, if anything.
    """
    if given_um is not None:
        return check_diameter(float(given_um)), "given", None
    # the radius of a model's proposal is the diameter that it looked for, not one that was measured
    radii = nuclei.radius_um[np.isfinite(nuclei.radius_um) & (nuclei.origin == HUMAN)]
    if len(radii):
        return 2 * float(np.median(radii)), "radii", None
    frames, counts = np.unique(nuclei.frames, return_counts=True)
    fullest = [int(t) for t in frames[np.argsort(-counts, kind="stable")][:MEASURED_FRAMES]]
    from_labels = _from_labels(nuclei, spacing, fullest)
    if from_labels is not None:
        return from_labels, "labels", None
    found = []
    if image is not None and intensity is not None:
        measured = [_from_image(nuclei, image, intensity, spacing, t) for t in fullest]
        found = [one for one in measured if one is not None]
    if found:
        return float(np.median(found)), "image", None
    assumed = _from_neighbours(nuclei, spacing)
    return assumed, "assumed", (
        f"The size of the nuclei could not be measured; a diameter of {assumed:.1f} µm was assumed, "
        "and giving the true one makes a better network."
    )  # fmt: skip


def _from_labels(nuclei: Annotations, spacing: Spacing, frames: list[int]) -> float | None:
    """Diameter of the ball (disc in 2D) with the median volume of the labels that nuclei have."""
    if nuclei.labels is None:
        return None
    sizes: list[int] = []
    for t in frames:
        values, counts, _ = measure_labels(nuclei.labels.frame(t)[0], nuclei.labels.source)
        wanted = np.isin(values, nuclei.label[(nuclei.frames == t) & (nuclei.label > 0)])
        sizes.extend(int(n) for n in counts[wanted])
    if not sizes:
        return None
    return float(2 * np.median(radius(np.array(sizes), spacing, is_flat=nuclei.labels.is_flat)))


def _from_image(nuclei: Annotations, image: TimeLapse, intensity: Intensity, spacing: Spacing, t: int) -> float | None:
    centres = _largest_group(nuclei.positions[nuclei.frames == t])
    at = np.rint(centres).astype(int)
    box = Box.of(at.min(axis=0), at.max(axis=0) + 1).grown(SURROUNDINGS).clipped(image.shape_tzyx)
    pixels = intensity.frame(image, t, box)
    local = centres[:, 1:] - box.start[1:]
    return estimate_diameter(pixels[brightest_channel(pixels, local)], spacing, centres_zyx=local)


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


def _from_neighbours(nuclei: Annotations, spacing: Spacing) -> float:
    gap_um = typical_gap_um(nuclei.frames, nuclei.positions[:, 1:] * spacing.um)
    return ASSUMED_UM if gap_um is None else min(NEIGHBOURS * gap_um, ASSUMED_UM)
