"""The frames and the region to predict, and what all detectors of nuclei share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.blobs import estimate_diameter
from anlage.blobs.diameter import MATCH_FACTOR
from anlage.card import Card
from anlage.dataset.intensity import Intensity
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

__all__ = [
    "CONTEXT_DIAMETERS",
    "FAINTEST",
    "Part",
    "Progress",
    "apparent_diameter",
    "chosen_frames",
    "comparable_diameter",
    "knows_many_sizes",
    "leading_channel",
    "measured_box",
    "measured_voxels",
]

CONTEXT_DIAMETERS = 2.0
"""Surroundings of a region that are read with it, so that its rim is seen as in a whole frame."""

FAINTEST = 0.02
"""Lowest probability of a candidate; below it is background."""

_WHOLE_FRAME = 1 << 25
"""Voxels of a frame up to which the nuclei's size is measured in all of it."""
_MIDDLE = (64, 512, 512)
"""Edges of the middle of a larger one, in which it is measured."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """The part of each frame that is asked for."""

    image: TimeLapse
    region: Box | None

    @property
    def box(self) -> Box:
        return self.region or Box.whole(self.image.shape_tzyx)

    def grown(self, margin_um: float, spacing: Spacing) -> Box:
        """With context around it, inside the image."""
        margin = np.ceil(margin_um / spacing.um).astype(int)
        return self.box.grown(margin.tolist()).clipped(self.image.shape_tzyx)

    def nuclei(
        self,
        t: int,
        positions_zyx: npt.NDArray[np.float64],
        probability: npt.NDArray[np.float64],
        origin: str,
        diameter_um: float,
    ) -> Annotations:
        """Nuclei of one frame that lie in the part, the most likely first."""
        # the grid of cells reaches a little beyond the image; a centre found there lies on the last voxel
        last = np.array(self.image.shape_tzyx[1:]) - 1
        inner = np.clip(positions_zyx.reshape(-1, 3), -0.49, last + 0.49) * (last > 0)
        positions = np.insert(inner, 0, t, axis=1)
        _, z, y, x = self.box.ranges
        inside = Box((t, t + 1), z, y, x).contains(positions)
        order = np.argsort(-probability[inside], kind="stable")
        return Annotations.of(
            positions[inside][order],
            probability=probability[inside][order],
            radius_um=diameter_um / 2,
            state=State.PROPOSED,
            origin=origin,
        )


def chosen_frames(image: TimeLapse, frames: Sequence[int] | None) -> list[int]:
    """List the frames to predict: those that were asked for, checked, or all."""
    wanted = list(range(image.n_frames)) if frames is None else [int(t) for t in frames]
    if not wanted or min(wanted) < 0 or max(wanted) >= image.n_frames:
        raise AnlageError(f"Frames {wanted} were asked for, but '{image.source}' has {image.n_frames}.")
    return wanted


def apparent_diameter(
    image: TimeLapse, intensity: Intensity, spacing: Spacing, frames: Sequence[int], channel: int | None = None
) -> float | None:
    """Median of the diameters measured in a few frames, µm; None if nothing could be measured.

    Parameters
    ----------
    image
        The movie.
    intensity
        Of the channels that are looked at.
    spacing
        Voxel size in µm.
    frames
        Of which the first, the middle and the last are measured.
    channel
        Which of the channels of `intensity` shows the nuclei; None: their mean.
    """
    few = sorted({frames[0], frames[len(frames) // 2], frames[-1]})
    box = measured_box(image)
    pixels = [intensity.frame(image, t, box) for t in few]
    found = [estimate_diameter(p.mean(axis=0) if channel is None else p[channel], spacing) for p in pixels]
    sizes = [size for size in found if size is not None]
    return float(np.median(sizes)) if sizes else None


def measured_voxels(image: TimeLapse) -> int:
    """Voxels of a frame in which the nuclei's size is measured."""
    return math.prod(measured_box(image).shape)


def measured_box(image: TimeLapse) -> Box:
    """The part of each frame in which the nuclei's size is measured: all of it, or its middle where it is large."""
    _, *shape = image.shape_tzyx
    if math.prod(shape) <= _WHOLE_FRAME:
        return Box.of((0, 0, 0, 0), (1, *shape))
    z, y, x = ((max(0, (n - most) // 2), min(n, (n + most) // 2)) for n, most in zip(shape, _MIDDLE, strict=True))
    return Box((0, 1), z, y, x)


def comparable_diameter(card: Card, measured_um: float) -> float:
    """A measured diameter (µm), corrected so that like is compared with like.

    What the measurement gave for the training images, whose diameter is known, shows its bias. A model of nuclei of many
    sizes knows no such thing.
    """
    apparent, true = card.plan.get("apparent_um"), card.plan.get("diameter_um")
    return measured_um if knows_many_sizes(card) or not apparent or not true else measured_um * true / apparent


def leading_channel(card: Card) -> int | None:
    """The input in which a model's nuclei stand out most; None where it was made by a version that did not say."""
    channel = card.plan.get("leading_channel")
    return channel if isinstance(channel, int) else None


def knows_many_sizes(card: Card) -> bool:
    """Whether a model was trained on nuclei so different in size that its own diameter in µm means nothing."""
    sizes = [store.diameter_um for store in card.trained_on if store.diameter_um is not None]
    return bool(sizes) and max(sizes) > MATCH_FACTOR * min(sizes)
