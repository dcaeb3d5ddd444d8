"""Intensity normalisation: percentiles of each channel, measured once over the whole movie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le
from pydantic import model_validator

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.frozen import Finite
from anlage.timelapse import TimeLapse

__all__ = ["ChannelIntensity", "Combine", "Intensity", "check_finite", "measure_intensity"]

Combine = Literal["separate", "sum"]

PERCENTILES = (1.0, 99.8)
CLIP = (-1.0, 4.0)
"""Far above 1, since the chromosomes of a dividing nucleus are much brighter than its neighbours."""

Percentile = Annotated[float, Ge(0), Le(100)]
_TINIEST = 1e-30
"""Least difference between black and white: the inverse of a smaller one is no number in single precision."""

SAMPLED_FRAMES = 16
SAMPLED_PER_FRAME = 2**18
WHOLE_FRAME = 2**28
"""Voxels of a frame up to which it is read in one piece; of a larger one, evenly spaced planes are read."""
SAMPLED_PLANES = 24


class ChannelIntensity(Finite):
    """The two grey values that become 0 and 1."""

    name: str
    """Name of the channel in the source image."""
    index: Annotated[int, Ge(0), Le(65535)]
    """Number of the channel in the source image, from 0."""
    low: float
    """Grey value that becomes 0."""
    high: float
    """Grey value that becomes 1; greater than `low`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _TINIEST <= self.high - self.low < np.inf:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        return self


class Intensity(Finite):
    """How grey values become a network's input; the same for building a store and for predicting."""

    channels: tuple[ChannelIntensity, ...]
    """The chosen channels, in the order in which the network sees them; none where there are points alone."""
    combine: Combine = "separate"
    """Each channel its own input, or their sum (of the normalised channels, divided by their number)."""
    percentiles: tuple[Percentile, Percentile] = PERCENTILES
    """The percentiles of the whole movie that `low` and `high` are."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.percentiles[0] < self.percentiles[1]:
            raise ValueError(f"the percentiles {self.percentiles} are not in order")
        if len(set(self.indices)) < len(self.indices):
            raise ValueError(f"a channel is named twice in {self.indices}")
        return self

    @property
    def indices(self) -> tuple[int, ...]:
        """Numbers of the chosen channels in the source image."""
        return tuple(channel.index for channel in self.channels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the network's inputs: one for each channel, or one for the sum."""
        names = tuple(channel.name for channel in self.channels)
        return names if self.combine == "separate" else (" + ".join(names),)

    @property
    def n_inputs(self) -> int:
        return len(self.channels) if self.combine == "separate" else 1

    def apply(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Normalise the chosen channels, (C, Z, Y, X) or (T, C, Z, Y, X), to float32 with `n_inputs` channels.

        Each channel becomes (v − low) / (high − low), clipped to −1 … 4. `raw` is not touched.
        """
        raw = np.asarray(raw)
        n = len(self.channels)
        if raw.ndim not in (4, 5) or raw.shape[-4] != n:
            raise AnlageError(
                f"Pixels of shape {raw.shape} were given, but {n} channels {[c.name for c in self.channels]} "
                "are needed as (c, z, y, x) or (t, c, z, y, x)."
            )
        # float32 holds 16-bit integers exactly; wider types are shifted in double precision before they are rounded
        wide = np.result_type(raw.dtype, np.float32)
        result = np.empty((*raw.shape[:-4], self.n_inputs, *raw.shape[-3:]), dtype=np.float32)
        if self.combine == "sum":
            result[...] = 0
        for i, channel in enumerate(self.channels):
            values = np.subtract(raw[..., i, :, :, :], channel.low, dtype=wide)
            values *= 1.0 / (channel.high - channel.low)
            np.clip(values, *CLIP, out=values)
            if self.combine == "separate":
                result[..., i, :, :, :] = values
            else:
                result[..., 0, :, :, :] += values / n
        return result

    def frame(self, image: TimeLapse, t: int, box: Box | None = None) -> npt.NDArray[np.float32]:
        """Read and normalise one frame of the source image, or the part of it inside a box: (C, Z, Y, X).

        Raises
        ------
        AnlageError
            If the frame holds NaN or infinite values, or the image lacks a channel.
        """
        _, z, y, x = (box or Box.whole(image.shape_tzyx)).ranges
        raw = image.read(Box((t, t + 1), z, y, x), self.indices)[0]
        check_finite(raw, t, self.indices, image.source)
        return self.apply(raw)


def measure_intensity(
    image: TimeLapse,
    channels: Sequence[int] | None = None,
    combine: Combine = "separate",
    percentiles: tuple[float, float] = PERCENTILES,
) -> Intensity:
    """Measure each channel's percentiles on an even sample of the whole movie.

    The sample depends on nothing but the image's shape, so that the same movie always gets the same scale.

    Parameters
    ----------
    image
        The whole movie; at most 16 of its frames are read, one at a time.
    channels
        Numbers of the channels to use, from 0; None for all.
    combine
        Whether they stay separate inputs or are summed.
    percentiles
        Which percentiles become 0 and 1.

    Raises
    ------
    AnlageError
        If a channel does not exist or is named twice, if the image holds NaN or infinite values, or its pixels are not
        there.
    """
    image.require_pixels()
    indices = check_channels(image, channels)
    samples: list[list[npt.NDArray[Any]]] = [[] for _ in indices]
    for t in _evenly(image.n_frames, SAMPLED_FRAMES):
        for sample, values in zip(samples, _sample_frame(image, t, indices), strict=True):
            sample.append(values)
    measured = [
        _limits(np.concatenate(sample), image.channels[index], index, percentiles)
        for index, sample in zip(indices, samples, strict=True)
    ]
    return Intensity(channels=tuple(measured), combine=combine, percentiles=percentiles)


def check_channels(image: TimeLapse, channels: Sequence[int] | None) -> tuple[int, ...]:
    """The chosen channels' numbers; a sentence if one does not exist or comes twice."""
    indices = tuple(range(image.n_channels)) if channels is None else tuple(int(c) for c in channels)
    if not indices:
        raise AnlageError("No channel was chosen: choose at least one.")
    wrong = [c for c in indices if not 0 <= c < image.n_channels]
    if wrong:
        raise AnlageError(
            f"Channel {wrong[0]} does not exist: the image '{image.source}' has {image.n_channels} "
            f"(0 to {image.n_channels - 1}); choose among these."
        )
    if len(set(indices)) < len(indices):
        raise AnlageError(f"A channel is named twice in {list(indices)}: name each once.")
    return indices


def check_finite(raw_CZYX: npt.NDArray[Any], t: int, indices: Sequence[int], source: str = "") -> None:
    """Refuse pixels that are not numbers, naming frame and channel.

    Parameters
    ----------
    raw_CZYX
        Pixels of frame `t`.
    t
        The frame, for the message.
    indices
        Number of each channel in the source image, for the message.
    source
        Name of the image, for the message.
    """
    if raw_CZYX.dtype.kind in "biu":
        return
    if raw_CZYX.dtype.kind != "f":
        raise AnlageError(
            f"The image '{source}' holds {raw_CZYX.dtype} values: convert it to integers or real numbers."
        )
    for c, values in zip(indices, raw_CZYX, strict=True):
        # a finite sum decides it in one fast pass; a sum that is not may also be an overflow, so then it is counted
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.sum(values, dtype=np.float64)
        if np.isfinite(total):
            continue
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise AnlageError(
                f"Frame {t}, channel {c} of the image '{source}' has {bad} voxels that are NaN or infinite: "
                "replace them, for example by the background's grey value."
            )


def _sample_frame(image: TimeLapse, t: int, indices: tuple[int, ...]) -> list[npt.NDArray[Any]]:
    """An even sample of one frame's values, one array for each channel."""
    _, z, y, x = image.shape_tzyx
    is_huge = z * y * x > WHOLE_FRAME
    spans = [(plane, plane + 1) for plane in _evenly(z, SAMPLED_PLANES)] if is_huge else [(0, z)]
    planes = sum(stop - start for start, stop in spans)
    step = max(1, int(np.ceil(np.sqrt(planes * y * x / SAMPLED_PER_FRAME))))
    samples: list[list[npt.NDArray[Any]]] = [[] for _ in indices]
    for span in spans:
        for sample, c in zip(samples, indices, strict=True):
            raw = image.read(Box((t, t + 1), span, (0, y), (0, x)), [c])[0]
            check_finite(raw, t, [c], image.source)
            sample.append(raw[0, :, ::step, ::step].ravel())
    return [np.concatenate(sample) for sample in samples]


def _limits(values: npt.NDArray[Any], name: str, index: int, percentiles: tuple[float, float]) -> ChannelIntensity:
    values = values.astype(np.result_type(values.dtype, np.float32))
    low, high = (float(v) for v in np.percentile(values, percentiles))
    if high - low < _TINIEST:
        # all but a few voxels are equal (a sparse or binary image), or all are (a constant channel becomes 0)
        high = float(values.max())
    if high - low < _TINIEST:
        high = low + max(1.0, abs(low))
    if not high - low < np.inf:
        raise AnlageError(
            f"Channel {index} ('{name}') holds values from {low:g} to {high:g}, too far apart for any arithmetic; mend the image."
        )
    return ChannelIntensity(name=name, index=index, low=low, high=high)


def _evenly(n: int, most: int) -> list[int]:
    """At most so many of 0 … n − 1, evenly spread, both ends included."""
    return [int(i) for i in np.unique(np.linspace(0, n - 1, min(n, most)).round())]
