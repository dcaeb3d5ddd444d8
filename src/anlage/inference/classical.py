"""Predict nuclei with the classical blob detector, without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing
from anlage.blobs import FRACTION, blob_response, detect, doubt_diameter
from anlage.dataset.intensity import Intensity, measure_intensity
from anlage.errors import AnlageError
from anlage.inference.region import CONTEXT_DIAMETERS, Part, Progress, apparent_diameter, chosen_frames
from anlage.io.image_doubts import doubt_spacing
from anlage.prediction import DenseMap, Prediction
from anlage.timelapse import TimeLapse

__all__ = ["CLASSICAL", "ClassicalFinder", "predict_classical", "prepare_classical"]

CLASSICAL = "classical"
"""Name of the detector that needs no training, wherever a model is named."""


def predict_classical(  # noqa: PLR0913 - the command line's options
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    threshold: float | None = None,
    heatmap: bool = False,
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """Find nuclei as bright blobs, without any training; see `anlage.blobs.detect`.

    Parameters are those of `predict`; `channels` are summed (all by default), and the probability is a blob's contrast,
    0.5 for the faintest one that counts by default: it ranks, it is not calibrated.
    """
    todo = chosen_frames(image, frames)
    finder = prepare_classical(
        image, frames=frames, region=region, channels=channels, diameter_um=diameter_um, threshold=threshold,
        heatmap=heatmap,
    )  # fmt: skip
    for i, prediction in enumerate(finder.predictions(todo)):
        yield prediction
        if progress is not None:
            progress(i + 1, len(todo))


@dataclass(frozen=True)
class ClassicalFinder:
    """The detector with everything it needs to find nuclei in one image."""

    image: TimeLapse
    intensity: Intensity
    spacing: Spacing
    part: Part
    context: Box
    threshold: float
    """Lowest contrast that is reported, 0 to 1."""
    heatmap: bool
    diameter_um: float
    """Nucleus diameter in µm."""
    notes: tuple[str, ...]
    """What was assumed, as sentences."""

    def predictions(self, frames: Iterable[int]) -> Iterator[Prediction]:
        """Predict frames, in the order in which they come."""
        um, floor = self.diameter_um, self.threshold
        for t in frames:
            pixels = self.intensity.frame(self.image, t, self.context)[0]
            positions, scores = detect(pixels, self.spacing, um, fraction=min(FRACTION, _contrast(floor)))
            nuclei = self.part.nuclei(t, positions + self.context.start[1:], _rank(scores), CLASSICAL, um)
            dense = _blob_map(pixels, self.spacing, um, self.context) if self.heatmap else None
            found = nuclei.select(nuclei.probability >= floor)
            yield Prediction(t, found, CLASSICAL, dense, self.notes, um)


def prepare_classical(
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    threshold: float | None = None,
    heatmap: bool = False,
) -> ClassicalFinder:
    """Make ready to find blobs; parameters are those of `predict`, and the nuclei are measured in all of `frames`."""
    spacing = image.spacing
    if spacing is None:
        raise AnlageError(f"The voxel size of '{image.source}' is unknown: give it in µm with --spacing Z,Y,X.")
    intensity = measure_intensity(image, channels, combine="sum")
    part = Part(image, region)
    notes: tuple[str, ...] = ()
    if diameter_um is None:
        diameter_um = apparent_diameter(image, intensity, spacing, chosen_frames(image, frames))
        if diameter_um is None:
            raise AnlageError(
                f"No nuclei could be measured in '{image.source}': give their diameter in µm with --diameter-um."
            )
        notes = (f"The nuclei were taken to be {diameter_um:.1f} µm across, as measured in the image.",)
    doubt = None if doubt_spacing(spacing, flat=image.is_flat) else doubt_diameter(diameter_um)
    notes += () if doubt is None else (doubt,)
    context = part.grown(CONTEXT_DIAMETERS * diameter_um, spacing)
    floor = 0.5 if threshold is None else threshold
    return ClassicalFinder(image, intensity, spacing, part, context, floor, heatmap, diameter_um, notes)


def _rank(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Blob contrast → 0 … 1; the faintest contrast that counts by default → 0.5."""
    ranked: npt.NDArray[np.float64] = scores / (scores + FRACTION)
    return ranked


def _contrast(rank: float) -> float:
    """The inverse of `_rank`."""
    return FRACTION * rank / (1 - rank) if rank < 1 else float("inf")


def _blob_map(pixels: npt.NDArray[np.float32], spacing: Spacing, diameter_um: float, context: Box) -> DenseMap:
    response = blob_response(pixels, spacing.um, diameter_um)
    z, y, x = (float(s) for s in context.start[1:])
    return DenseMap(np.clip(response / max(float(response.max()), 1e-6), 0, 1), (1.0, 1.0, 1.0), (z, y, x))
