"""At which nucleus diameter a network is surest of what it finds in an image.

What is measured in the pixels can be far off: where nuclei touch, in haze, among other cells. A network that sees nuclei too
large or too small doubts what it finds, so its own probabilities tell which scale is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from anlage.blobs import liveliest
from anlage.card import Card
from anlage.inference.loaded import Loaded
from anlage.inference.region import leading_channel, measured_box
from anlage.inference.tiles import Tiles
from anlage.tasks.nuclei.detections import LOWEST, decode_centres
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

__all__ = ["sureness", "surest"]

MOST_VOXELS = 600_000
"""Working voxels of the part that is looked at, at the first diameter: some hundred nuclei side by side."""
MOST_FOLD = 8
"""Diameters so small that the part has so many times as many working voxels are not tried."""
FEWEST = 5
"""Nuclei below which sureness says nothing."""
STEP = 1.22
"""Ratio of neighbouring diameters that are tried."""
MOST_TRIED = 16
APART = 0.05
"""Diameters nearer to each other than this, as a difference of logarithms, are not worth two looks."""
PULL = 0.15
"""What sureness loses for each factor of e between a diameter and the expected one: another kind of cell, of another size, may
look more like a nucleus than the nuclei do."""
GAIN = 0.01
"""Surer by less than this is no reason to leave the expected diameter."""


def surest(merit: Callable[[float], float | None], expected_um: float, other_um: float | None = None) -> float | None:
    """The diameter at which a network is surest, in µm; None where nothing can be said.

    From each of two diameters it goes up or down as long as that helps, and stays with the expected one unless another is clearly
    better. From one alone it might stop at a small top: a network that sees nuclei far too large finds many, and is rather sure.

    Parameters
    ----------
    merit
        Sureness (0 to 1) with nuclei of a diameter in µm; None where too few are found to say.
    expected_um
        The diameter that is likeliest before anything is looked at, in µm.
    other_um
        Another that may be right, in µm.
    """
    tried: dict[float, float] = {}

    def value(um: float) -> float:
        if um not in tried:
            sure = merit(um)
            tried[um] = -math.inf if sure is None else sure - PULL * abs(math.log(um / expected_um))
        return tried[um]

    best = expected_um
    for start in (expected_um,) if other_um is None else (expected_um, other_um):
        best = max(best, _climbed(start, value, tried), key=value)
    if not math.isfinite(value(best)):
        return None
    return best if value(best) >= value(expected_um) + GAIN else expected_um


def _climbed(start_um: float, value: Callable[[float], float], tried: Mapping[float, float]) -> float:
    """From a diameter up or down to the best that can be reached without a look at a worse one."""
    best = start_um
    while math.isfinite(value(best)) and len(tried) < MOST_TRIED:
        near = [um for um in (best * STEP, best / STEP) if all(abs(math.log(um / other)) > APART for other in tried)]
        if not near or value(max(near, key=value)) <= value(best):
            break
        best = max(near, key=value)
    return best


def sureness(loaded: Loaded, card: Card, image: TimeLapse, t: int) -> Callable[[float], float | None]:
    """How sure a network is of the nuclei in the liveliest part of a frame, as a function of their diameter in µm.

    The F1 that it expects by its own probabilities: those of the nuclei that it would report, over the mean of their number and
    of how many it expects to be there.

    Parameters
    ----------
    loaded
        The network, and how it sees the image; its diameter decides how large a part is looked at.
    card
        The model's card.
    image
        The movie.
    t
        The frame.
    """
    plan, calibration, threshold = loaded.plan, card.evidence.calibration, card.evidence.threshold
    pixels, tiles = _liveliest_part(loaded, card, image, t), Tiles()
    shape_zyx = tuple(pixels.shape[1:])
    extent_um = np.array(shape_zyx) * loaded.spacing.um

    def at(diameter_um: float) -> float | None:
        if np.prod(extent_um / diameter_um / plan.grid.voxel_diameters_zyx) > MOST_FOLD * MOST_VOXELS:
            return None
        placement = plan.grid.place(loaded.spacing, diameter_um, shape_zyx)
        output = tiles.output(loaded.network, placement.resample(pixels), plan.grid, loaded.device)
        found = decode_centres(output[0], output[1:4], plan.grid.cell_diameters, lowest=LOWEST)
        probability = calibration.apply(found.logits)
        reported = probability[probability >= threshold]
        if len(reported) < FEWEST:
            return None
        return float(2 * reported.sum() / (len(reported) + probability.sum()))

    return at


def _liveliest_part(loaded: Loaded, card: Card, image: TimeLapse, t: int) -> torch.Tensor:
    """The part of a frame in which most is to be seen, no larger than a look may cost, with its temporal context: (C, Z, Y, X)."""
    import torch

    box, last = measured_box(image), image.n_frames - 1
    frame = loaded.intensity.frame(image, t, box)
    channel = leading_channel(card)
    seen = frame.mean(axis=0) if channel is None else frame[channel]
    working = np.array(loaded.plan.grid.voxel_diameters_zyx) * loaded.diameter_um / loaded.spacing.um
    most = int(MOST_VOXELS * np.prod(np.where(np.array(seen.shape) > 1, working, 1.0)))
    part = liveliest(seen, max(most, 1))
    around = part.shifted(box.start)
    stack = []
    for offset in loaded.plan.frames:
        i = min(max(t + offset, 0), last)
        pixels = frame[(slice(None), *part.slices[1:])] if i == t else loaded.intensity.frame(image, i, around)
        stack.append(torch.from_numpy(pixels))
    return torch.cat(stack)
