"""Compare an image with a model's card, and warn of what lies outside the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.card import Card
from anlage.dataset.intensity import measure_intensity
from anlage.dataset.noise import noise_level
from anlage.errors import AnlageError
from anlage.inference.region import apparent_diameter, chosen_frames, comparable_diameter, leading_channel
from anlage.io.image_doubts import doubt_reading, doubt_values
from anlage.timelapse import TimeLapse

__all__ = ["check_image"]

_COARSER = 1.5
"""Voxels, or nuclei, that differ by less than this factor are like those seen in training."""
_NOISIER = 2.0
_SATURATED = 0.005
_BRIGHT_GROUND = 0.5
_FEW = 3
"""Number of frames that are examined."""


def check_image(
    card: Card,
    image: TimeLapse,
    frames: Sequence[int] | None = None,
    *,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
) -> tuple[str, ...]:
    """Say what in an image is unlike anything that a model saw in training.

    At most three of the frames are read, and the sample by which a movie's brightness is measured.

    Parameters
    ----------
    card
        The model's card.
    image
        The movie.
    frames
        Frames that are to be predicted; all by default.
    channels
        Channels of the image that the model is to look at; by default the numbers in its card.
    diameter_um
        Nucleus diameter in the image in µm; by default measured.

    Returns
    -------
    sentences
        Each what is unlike, the value here and in training, and what to do; none where nothing is.
    """
    said = [
        *doubt_reading(image),
        *_channels(card, image, channels),
        *_depth(card, image),
        *_time(card, image),
    ]
    indices = tuple(card.brightness.indices if channels is None else channels)
    if any(not 0 <= c < image.n_channels for c in indices):
        return tuple(said)
    todo = chosen_frames(image, frames)
    few = sorted({todo[0], todo[len(todo) // 2], todo[-1]})[:_FEW]
    try:
        intensity = measure_intensity(image, indices, card.brightness.combine, card.brightness.percentiles)
        pixels = [intensity.frame(image, t) for t in few]
        said += [*doubt_values(image, few), *_saturation(image, indices, few)]
    except AnlageError as problem:  # pixels that are not numbers: nothing can be predicted either
        return (*said, str(problem))
    said += _ground(pixels)
    if image.spacing is None:
        assumed = Spacing(*card.voxel_um_zyx)
        said.append(
            f"The voxel size of the image is unknown; the model's would be assumed, {assumed}: give the true one."
        )
        return tuple(said)
    given = diameter_um
    if given is None:
        measured = apparent_diameter(image, intensity, image.spacing, few, leading_channel(card))
        given = None if measured is None else comparable_diameter(card, measured)
        if given is None:
            said.append(
                f"No nuclei could be measured in frame {few[0]}; the model's own diameter of {card.diameter_um or 0:.1f} µm "
                "would be assumed: give the diameter."
            )
    seen = _Seen.of(card)
    if seen is not None:
        um = given or card.diameter_um or seen.diameters[0]
        said += [*_size(seen, given), *_voxels(seen, image.spacing, um, flat=image.is_flat)]
        said += _noise(seen, pixels, image.spacing, um)
    return tuple(said)


@dataclass(frozen=True)
class _Seen:
    """The images that a model saw, one entry each."""

    spacings: npt.NDArray[np.float64]
    """(N, 3) voxel sizes in µm."""
    diameters: npt.NDArray[np.float64]
    """(N,) nucleus diameters in µm."""
    noise: npt.NDArray[np.float64]
    """(N,) noise as a part of the brightness range; NaN where it was not measured."""

    @classmethod
    def of(cls, card: Card) -> _Seen | None:
        """What the card says of it, store by store where it does."""
        rows = [
            (*store.spacing_um_zyx, store.diameter_um, np.nan if store.noise is None else store.noise)
            for store in card.trained_on
            if store.spacing_um_zyx is not None and store.diameter_um is not None
        ]
        if not rows and card.diameter_um is not None:
            rows = [(*card.voxel_um_zyx, card.diameter_um, np.nan)]
        if not rows:
            return None
        table = np.array(rows, dtype=np.float64)
        return cls(table[:, :3], table[:, 3], table[:, 4])


def _channels(card: Card, image: TimeLapse, chosen: Sequence[int] | None) -> list[str]:
    learnt = card.brightness.channels
    wanted = card.brightness.indices if chosen is None else tuple(chosen)
    if len(wanted) != len(learnt):
        names = ", ".join(channel.name for channel in learnt)
        return [f"The model looks at {len(learnt)} channels ({names}), but {len(wanted)} are chosen: choose as many."]
    absent = [c for c in wanted if not 0 <= c < image.n_channels]
    if absent:
        return [
            f"The model looks at channel {absent[0]}, but the image has {image.n_channels} (0 to {image.n_channels - 1}): "
            "choose among these."
        ]
    return [
        f"Channel {c} is called '{image.channels[c]}' here, and '{channel.name}' in training: choose the one that shows "
        "the same."
        for c, channel in zip(wanted, learnt, strict=True)
        if _is_named(image.channels[c]) and _is_named(channel.name) and not _alike(image.channels[c], channel.name)
    ]


def _is_named(name: str) -> bool:
    """Whether a person gave the channel its name."""
    return bool(name.strip()) and not name.startswith("channel ")


def _alike(here: str, there: str) -> bool:
    a, b = here.strip().casefold(), there.strip().casefold()
    return a in b or b in a


def _depth(card: Card, image: TimeLapse) -> list[str]:
    flat = bool(card.plan.get("grid", {}).get("flat", False))
    if flat and not image.is_flat:
        return [f"The model knows single planes, and the image has {image.shape_tzyx[1]}: choose a model of volumes."]
    if image.is_flat and not flat:
        return ["The model knows volumes, and the image is a single plane: expect it to do worse."]
    return []


def _time(card: Card, image: TimeLapse) -> list[str]:
    offsets = [int(offset) for offset in card.plan.get("frames", (0,))]
    if not any(offsets):
        return []
    if image.n_frames == 1:
        return ["The model looks at neighbouring frames, and the image has a single one: expect it to do worse."]
    here, there = image.interval_s, card.interval_s
    if here is None or there is None or 1 / 2 <= here / there <= 2:
        return []
    return [f"Frames are {here:g} s apart here and were {there:g} s in training: nuclei move by other steps."]


def _saturation(image: TimeLapse, indices: Sequence[int], frames: Sequence[int]) -> list[str]:
    if image.dtype.kind not in "ui":
        return []
    highest = int(np.iinfo(image.dtype).max)
    said = []
    for c in indices:
        share = float(np.mean([(image.frame(t, [c]) == highest).mean() for t in frames]))
        if share > _SATURATED:
            said.append(
                f"{share:.1%} of the voxels of channel {c} have the highest value there is ({highest}): nuclei that touch "
                "may not be told apart; record with less light or gain."
            )
    return said


def _ground(pixels: Sequence[npt.NDArray[np.float32]]) -> list[str]:
    middle = float(np.median([np.median(frame) for frame in pixels]))
    if middle < _BRIGHT_GROUND:
        return []
    return [
        f"Half of the image is brighter than {middle:.0%} of its brightness range: the model knows bright nuclei on a dark "
        "ground; choose a channel that shows them so, or invert it."
    ]


def _size(seen: _Seen, measured_um: float | None) -> list[str]:
    if measured_um is None:
        return []
    low, high = float(seen.diameters.min()), float(seen.diameters.max())
    if low / _COARSER <= measured_um <= high * _COARSER:
        return []
    there = f"{low:.1f}" if high / low < 1.05 else f"{low:.1f} to {high:.1f}"
    return [
        f"The nuclei measure about {measured_um:.1f} µm across, in training {there} µm: the image is rescaled to match; "
        "check the diameter."
    ]


def _voxels(seen: _Seen, spacing: Spacing, diameter_um: float, *, flat: bool) -> list[str]:
    """Voxels coarser, for the nuclei's size, than any in training; finer ones are averaged and cost nothing."""
    said = []
    here, there = spacing.um / diameter_um, (seen.spacings / seen.diameters[:, None]).max(axis=0)
    if max(here[1:]) > _COARSER * max(there[1:]):
        said.append(
            f"Nuclei are {1 / max(here[1:]):.1f} pixels wide here and were at least {1 / max(there[1:]):.1f} in training: "
            "what the model goes by may not be resolved."
        )
    if not flat and here[0] > _COARSER * there[0]:
        said.append(
            f"Nuclei are {1 / here[0]:.1f} planes deep here and were at least {1 / there[0]:.1f} in training: expect "
            "neighbours along z to be taken for one."
        )
    return said


def _noise(seen: _Seen, pixels: Sequence[npt.NDArray[np.float32]], spacing: Spacing, diameter_um: float) -> list[str]:
    """Noise as it is left when voxels are averaged over a nucleus: finer voxels may be noisier."""
    there = float(np.nanmax(seen.noise * _voxel_share(seen), initial=-1.0)) if np.isfinite(seen.noise).any() else -1.0
    if there <= 0:
        return []
    here = (
        float(np.median([noise_level(frame) for frame in pixels])) * float(np.prod(spacing.um) / diameter_um**3) ** 0.5
    )
    if here <= _NOISIER * there:
        return []
    return [
        f"The image is {here / there:.1f} times noisier, at the size of a nucleus, than anything in training: expect faint "
        "nuclei to be missed, and a lower probability for the others."
    ]


def _voxel_share(seen: _Seen) -> npt.NDArray[np.float64]:
    """Square root of a voxel's part in a nucleus's volume."""
    share: npt.NDArray[np.float64] = np.sqrt(np.prod(seen.spacings, axis=1) / seen.diameters**3)
    return share
