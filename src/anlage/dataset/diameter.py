"""Determine the nucleus diameter of training data: from radii, from labels, or from the image."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from anlage.annotations import HUMAN, Annotations
from anlage.axes import Spacing
from anlage.blobs import diameter_at_nuclei, fullest_frames
from anlage.dataset.intensity import Intensity
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


def find_diameter(
    nuclei: Annotations,
    image: TimeLapse | None,
    intensity: Intensity | None,
    spacing: Spacing,
    given_um: float | None,
    measured_um: float | None = None,
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
    measured_um
        What was measured in the image already, around the same nuclei in the same channels; None: nothing.
    """
    if given_um is not None:
        return check_diameter(float(given_um)), "given", None
    # the radius of a model's proposal is the diameter that it looked for, not one that was measured
    radii = nuclei.radius_um[np.isfinite(nuclei.radius_um) & (nuclei.origin == HUMAN)]
    if len(radii):
        return 2 * float(np.median(radii)), "radii", None
    from_labels = _from_labels(nuclei, spacing, fullest_frames(nuclei))
    if from_labels is not None:
        return from_labels, "labels", None
    if measured_um is None and image is not None and intensity is not None:
        measured_um = diameter_at_nuclei(nuclei, image.shape_tzyx, spacing, partial(intensity.frame, image))
    if measured_um is not None:
        return measured_um, "image", None
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


def _from_neighbours(nuclei: Annotations, spacing: Spacing) -> float:
    gap_um = typical_gap_um(nuclei.frames, nuclei.positions[:, 1:] * spacing.um)
    return ASSUMED_UM if gap_um is None else min(NEIGHBOURS * gap_um, ASSUMED_UM)
