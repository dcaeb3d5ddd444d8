"""Estimate the nucleus diameter from an image: the scale of its blobs (Lindeberg, doi:10.1023/A:1008045108935)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.blobs.liveliest import liveliest
from anlage.blobs.peaks import find_peaks
from anlage.blobs.voxel_grid import NOISE, averaged, compressed, finite, noise, noise_where_bright, steps, to_image
from anlage.neighbours import typical_gap_um

__all__ = ["doubt_diameter", "estimate_diameter", "is_alike", "match_diameter"]

Floats = npt.NDArray[np.floating[Any]]

SMALLEST = 3.0
"""Diameters are measured from so many voxels upwards ..."""
RATIO = 1.25
"""... in steps of this factor."""
KNEE = 0.5
"""Brightness, as a part of the bright nuclei's, up to which the logarithm is nearly linear: enough to let dim nuclei
count, not so much that the haze around a tissue does."""
CLEAR = 1.5
"""The best blob exceeds the threshold for noise by this factor, or there is nothing to measure."""
MOST_VOXELS = 3_000_000
"""Of a larger image only a part is measured."""
ENOUGH_VOXELS = 500_000
"""Where the centres are known, so many voxels around a dozen of them show the same diameter within 9 %; without them half a
megavoxel can hold too little of the tissue to tell nuclei from what is in them."""
CROWDING = 1.05
"""Touching neighbours and a blurred rim make a nucleus look up to 20 % smaller, alone and sharp it looks up to 7 %
larger: the middle of both."""
CREDIBLE_UM = (0.5, 100.0)
"""Diameters of nuclei, from those of the smallest algae to those of oocytes."""
MOST_OF_GAP = 1.5
"""A nucleus is at most so many times as wide as the typical distance to the next one: flat ones lie nearer than they are wide."""
FEW_ACROSS = 2.0
"""What does not even fit so many times side by side into an image is no nucleus but tissue, or haze ..."""
MANY_ACROSS = 4.0
"""... if there is anything else in it that fits so many times."""
MATCH_FACTOR = 1.5
"""A foreign diameter within this factor of the model's own counts as equal."""


def estimate_diameter(image_zyx: Floats, spacing: Spacing, *, centres_zyx: npt.ArrayLike | None = None) -> float | None:
    """Typical diameter of the nuclei in µm, or None where nothing looks like one.

    Parameters
    ----------
    image_zyx
        One channel of one frame (Z, Y, X).
    spacing
        Voxel size in µm.
    centres_zyx
        (N, 3) known centres in voxels, of bright or of dark nuclei; without them the strongest bright blobs of the image are
        measured.
    """
    given: Floats | None = None if centres_zyx is None else np.asarray(centres_zyx, dtype=np.float64).reshape(-1, 3)
    if given is not None and len(given) == 0:
        return None
    part, centres = _sampled(np.asarray(image_zyx), given)
    image = finite(part)
    if min(image.shape[1:]) < 4 or float(np.ptp(image)) == 0:
        return None
    scales = _scale_space(compressed(image, 0.01, knee=KNEE), spacing)
    if centres is None:
        measured = _dominant_sizes(scales, float(min(np.array(image.shape[1:]) * spacing.um[1:])), spacing)
    else:
        measured = _sizes_at(scales, centres, spacing)
    if len(measured) == 0:
        return None
    return _seen_through_planes(CROWDING * float(np.median(measured)), image.shape[0], spacing)


def is_alike(ratio: float) -> bool:
    """Whether two diameters of this ratio count as equal."""
    return 1 / MATCH_FACTOR <= ratio <= MATCH_FACTOR


def match_diameter(estimated: float | None, known: float) -> tuple[float, str]:
    """Which diameter to predict with, and a sentence that says so.

    Parameters
    ----------
    estimated
        Diameter measured in the new image, in µm; None if it could not be.
    known
        Diameter the model was trained with, in µm.
    """
    if estimated is None:
        return known, (
            f"No nuclei could be measured in the image; the model's own diameter of {known:.1f} µm was assumed "
            "(--diameter-um sets another)."
        )
    if is_alike(estimated / known):
        return known, (
            f"The nuclei were taken to be {known:.1f} µm across like those the model was trained on "
            f"(measured in the image: {estimated:.1f} µm)."
        )
    return estimated, (
        f"The nuclei measure about {estimated:.1f} µm across, the model's {known:.1f} µm: the image was rescaled by "
        f"{known / estimated:.2f} (--diameter-um sets another diameter)."
    )


def _sampled(image_zyx: Floats, centres_zyx: Floats | None) -> tuple[Floats, Floats | None]:
    """The part of a large image that is measured, and the centres in it, counted from its first voxel."""
    part = liveliest(image_zyx, MOST_VOXELS, centres_zyx, enough=ENOUGH_VOXELS)
    pixels = image_zyx[part.slices[1:]]
    if centres_zyx is None:
        return pixels, None
    inside = part.contains(np.insert(centres_zyx, 0, 0, axis=1))
    return pixels, centres_zyx[inside] - part.start[1:]


@dataclass(frozen=True, slots=True)
class _Scale:
    """The answer of the image to balls of one diameter, on a grid as coarse as that diameter allows."""

    diameter_um: float
    step: tuple[int, int, int]
    response_zyx: npt.NDArray[np.float32]
    noise: float
    """Standard deviation that the pixel noise leaves in the response."""
    bright_noise: float
    """The same where the image is bright: few photons make that noisier than the background."""

    def to_image(self, cells_zyx: Floats) -> npt.NDArray[np.float64]:
        """Cells (N, 3) → voxels of the image: a cell's centre is the middle of the voxels it averages."""
        return to_image(cells_zyx, self.step)

    def at(self, positions_zyx: Floats) -> npt.NDArray[np.float64]:
        """Response at positions (N, 3) given in voxels of the image, interpolated."""
        from scipy import ndimage

        cells = (positions_zyx - (np.array(self.step) - 1) / 2) / self.step
        values: npt.NDArray[np.float64] = ndimage.map_coordinates(
            self.response_zyx, cells.T, order=1, mode="nearest", output=np.float64
        )
        return values


def _scale_space(image_zyx: npt.NDArray[np.float32], spacing: Spacing) -> list[_Scale]:
    """Differences of neighbouring blurs, whose height does not depend on the size of a ball that fits."""
    scales: list[_Scale] = []
    diameter = SMALLEST * min(spacing.y, spacing.x)
    largest = min(np.array(image_zyx.shape)[1:] * spacing.um[1:])
    step, cells, wide, brighter = (0, 0, 0), image_zyx, image_zyx, 1.0
    while diameter <= largest:
        if steps(image_zyx.shape, spacing, diameter) != step:
            step = steps(image_zyx.shape, spacing, diameter)
            cells = averaged(image_zyx, step)
            narrow = _blurred(cells, spacing.um * step, diameter / math.sqrt(RATIO))
            brighter = noise_where_bright(cells)
        else:
            narrow = wide  # one scale's wide blur is the next one's narrow blur
        wide = _blurred(cells, spacing.um * step, diameter * math.sqrt(RATIO))
        sigmas = (_sigma(cells, spacing.um * step, diameter * math.sqrt(RATIO) ** k) for k in (-1, 1))
        pixel_noise = noise(cells, *sigmas)
        scales.append(_Scale(diameter, step, narrow - wide, pixel_noise, brighter * pixel_noise))
        diameter *= RATIO
    return scales


def _blurred(cells: npt.NDArray[np.float32], cell_um: Floats, diameter_um: float) -> npt.NDArray[np.float32]:
    from scipy import ndimage

    result: npt.NDArray[np.float32] = ndimage.gaussian_filter(cells, _sigma(cells, cell_um, diameter_um), truncate=3.0)
    return result


def _sigma(cells: npt.NDArray[np.float32], cell_um: Floats, diameter_um: float) -> Floats:
    """Width in cells of the Gaussian that fits a ball best (a disc, where there is one plane)."""
    n_axes = 3 if cells.shape[0] > 1 else 2
    sigma: Floats = np.where(np.array(cells.shape) > 1, diameter_um / (2 * math.sqrt(n_axes)) / cell_um, 0.0)
    return sigma


def _sizes_at(scales: list[_Scale], centres_zyx: Floats, spacing: Spacing) -> npt.NDArray[np.float64]:
    """Diameters in µm of what lies at the centres (N, 3), bright or dark: at most one for each.

    The smallest scale at which most centres clearly differ from their surroundings is that of the nuclei; larger ones are
    of the tissue that they lie in, or of the haze around it.
    """
    if not scales or not len(centres_zyx):
        return np.zeros(0)
    gap_um = typical_gap_um(np.zeros(len(centres_zyx)), centres_zyx * spacing.um)
    most_um = math.inf if gap_um is None else MOST_OF_GAP * gap_um
    scales = [scale for scale in scales if scale.diameter_um <= most_um] or scales[:1]
    answers = np.stack([scale.at(centres_zyx) for scale in scales])
    typical = np.median(answers, axis=1)
    best = _first_top(np.abs(typical))
    sign = np.sign(typical[best])
    if sign * typical[best] < scales[best].noise:
        return np.zeros(0)
    near = slice(max(0, best - 2), best + 3)
    return _best(scales[near], sign * answers[near], (sign * answers[near]).argmax(axis=0))


def _first_top(curve: npt.NDArray[np.float64]) -> int:
    """The first local maximum that reaches half of the highest."""
    padded = np.pad(curve, 1, constant_values=-np.inf)
    is_top = (curve >= padded[:-2]) & (curve > padded[2:]) & (curve >= 0.5 * curve.max())
    return int(np.flatnonzero(is_top)[0]) if is_top.any() else int(curve.argmax())


def _dominant_sizes(scales: list[_Scale], width_um: float, spacing: Spacing) -> npt.NDArray[np.float64]:
    """Diameters in µm of the strong bright blobs at the scale that carries most of the image's energy.

    The fourth power lets a few round things count more than much texture (smaller) or the whole tissue (larger).
    """
    energy = [_energy(scale) for scale in scales]
    if not energy or max(energy) == 0:
        return np.zeros(0)
    best = int(np.argmax(energy))
    n_small = sum(MANY_ACROSS * scale.diameter_um <= width_um for scale in scales)
    is_tissue = FEW_ACROSS * scales[best].diameter_um > width_um and n_small > 0 and max(energy[:n_small]) > 0
    if is_tissue:  # or haze; what nuclei there are in it are sought at the scales at which many fit in
        best = int(np.argmax(energy[:n_small]))
    floor = NOISE * scales[best].noise
    peaks, height = find_peaks(scales[best].response_zyx, floor)
    if height.max(initial=0.0) <= CLEAR * floor:
        return np.zeros(0)
    centres = scales[best].to_image(peaks[height > 0.5 * float((height**2).sum() / height.sum())])
    if is_tissue:
        return _sizes_at(scales, centres, spacing)
    near = scales[max(0, best - 2) : best + 3]
    answers = np.stack([scale.at(centres) for scale in near])
    return _best(near, answers, answers.argmax(axis=0))


def _energy(scale: _Scale) -> float:
    """Mean fourth power of what stands out of the noise."""
    return float((np.maximum(scale.response_zyx - NOISE * scale.bright_noise, 0).astype(np.float64) ** 4).mean())


def _seen_through_planes(diameter_um: float, n_planes: int, spacing: Spacing) -> float:
    """Correct what nuclei thinner than a plane feign: seen in one plane only, a ball answers like a disc."""
    if n_planes == 1:
        return diameter_um
    planes = diameter_um / spacing.z
    axes = 2 + float(np.clip((planes - 1.1) / 0.9, 0, 1))
    return diameter_um * math.sqrt(axes / 3)


def _best(
    scales: list[_Scale], answers: npt.NDArray[np.float64], index: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Diameters between the steps of the scale space: the top of the parabola around the best of (S, N) answers."""
    columns = np.arange(answers.shape[1])
    if len(scales) < 3:
        return np.array([scales[i].diameter_um for i in index])[answers[index, columns] > 0]
    inner = np.clip(index, 1, len(scales) - 2)
    before, here, after = (answers[inner + k, columns] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    exponent = np.where(inner == index, np.clip(shift, -0.5, 0.5), 0.0)
    diameters = np.array([scale.diameter_um for scale in scales])
    result: npt.NDArray[np.float64] = (diameters[index] * RATIO**exponent)[answers[index, columns] > 0]
    return result


def doubt_diameter(diameter_um: float, neighbour_um: float | None = None) -> str | None:
    """A sentence where nuclei are hardly ever as small, or as large, as this; None where they are.

    Parameters
    ----------
    diameter_um
        Typical diameter of the nuclei in µm.
    neighbour_um
        Typical distance from a nucleus to the next one in µm; None where it is unknown.
    """
    low, high = CREDIBLE_UM
    if not low <= diameter_um <= high:
        return (
            f"Nuclei {diameter_um:.3g} µm across are unlikely: is the voxel size right? If not, give the true one; nuclei "
            f"measure {low:g} to {high:g} µm."
        )
    if neighbour_um is not None and diameter_um > MOST_OF_GAP * neighbour_um:
        return (
            f"Nuclei {diameter_um:.3g} µm across cannot lie {neighbour_um:.3g} µm from each other, as the annotated ones do: "
            "give the true diameter, or look for nuclei that were marked twice."
        )
    return None
