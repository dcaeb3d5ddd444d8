"""TimeLapse: lazy access to an image (t, c, z, y, x), whatever lies behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, PlaneSpacing, Spacing
from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, MOST_FRAMES, check_size

__all__ = ["LazyArray", "TimeLapse", "checked_interval"]

AXES = "tczyx"


_ASSUMED = "assumed"

MOST_CHANNELS = 4096
"""More than any spectral microscope records; each has a name and a row in the dock."""


class LazyArray(Protocol):
    """What numpy, dask and zarr arrays have in common: a shape, a type, and pixels on request."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class TimeLapse:
    """An image over time, (t, c, z, y, x), read piece by piece.

    Parameters
    ----------
    data
        Pixels behind it, with the axes named by `axes`.
    axes
        One letter of ``tczyx`` for each axis of `data`, in any order; absent ones have length 1.
    spacing
        Voxel size in µm; None where it is known from nowhere.
    interval_s
        Time between frames in seconds; None where unknown.
    channels
        A name for each channel.
    source
        Where it came from (a path or a layer's name), for messages and provenance.
    axes_from, spacing_from, interval_from
        Who says so, for the sentence that is printed after reading: "the OME metadata", "given", "their count".

    Raises
    ------
    AnlageError
        If axes, shape and channel names do not fit together.
    """

    data: LazyArray
    axes: str
    spacing: Spacing | None = None
    interval_s: float | None = None
    channels: tuple[str, ...] = ()
    source: str = ""
    axes_from: str = ""
    spacing_from: str = ""
    interval_from: str = ""
    _shape: tuple[int, int, int, int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if (
            len(self.axes) != len(self.data.shape)
            or set(self.axes) - set(AXES)
            or len(set(self.axes)) != len(self.axes)
        ):
            raise AnlageError(
                f"The axes '{self.axes}' do not fit the image '{self.source}' of shape {tuple(self.data.shape)}: "
                f"name each of its {len(self.data.shape)} axes once with a letter of tczyx."
            )
        if not {"y", "x"} <= set(self.axes):
            raise AnlageError(f"The axes '{self.axes}' of '{self.source}' lack y or x.")
        lengths = dict(zip(self.axes, self.data.shape, strict=True))
        t, c, z, y, x = (int(lengths.get(axis, 1)) for axis in AXES)
        if min(t, c, z, y, x) == 0:
            raise AnlageError(
                f"The image '{self.source}' is empty: its shape is {tuple(self.data.shape)} ({self.axes})."
            )
        check_size(t, MOST_FRAMES, f"The number of frames of the image '{self.source}'")
        check_size(c, MOST_CHANNELS, f"The number of channels of the image '{self.source}'")
        object.__setattr__(self, "_shape", (t, c, z, y, x))
        if isinstance(self.spacing, PlaneSpacing):
            object.__setattr__(self, "spacing", self.spacing.of_planes(z, self.source))
        if not self.channels:
            object.__setattr__(self, "channels", tuple(f"channel {i}" for i in range(c)))
        if self.interval_s is not None:
            checked_interval(self.interval_s)
        if len(self.channels) != c:
            raise AnlageError(
                f"'{self.source}' has {c} channels but {len(self.channels)} channel names: {self.channels}."
            )

    @classmethod
    def of(cls, data: LazyArray, axes: str | None = None, **about: Any) -> Self:
        """Wrap an array; unnamed axes mean yx, zyx, tzyx or tczyx by their count."""
        return cls(data, axes if axes is not None else default_axes(len(data.shape)), **about)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(t, c, z, y, x)."""
        return self._shape

    @property
    def shape_tzyx(self) -> tuple[int, int, int, int]:
        t, _, z, y, x = self._shape
        return (t, z, y, x)

    @property
    def n_frames(self) -> int:
        return self._shape[0]

    @property
    def n_channels(self) -> int:
        return self._shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.data.dtype)
        return dtype

    @property
    def is_flat(self) -> bool:
        """2D over time: a single plane."""
        return self._shape[2] == 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found amiss when the file was opened, as sentences."""
        notes: tuple[str, ...] = getattr(self.data, "notes", ())
        return notes

    def require_pixels(self) -> None:
        """Refuse to compute from an image whose pixels are not there.

        Raises
        ------
        AnlageError
            If so; reading it gives 0 all the same.
        """
        refusal: str | None = getattr(self.data, "refusal", None)
        if refusal is not None:
            raise AnlageError(refusal)

    def with_scale(self, spacing: Spacing | None = None, interval_s: float | None = None) -> Self:
        """The same image with another voxel size (µm) or time step (s); None keeps what it has."""
        if interval_s is not None:
            checked_interval(interval_s)
        return replace(
            self,
            spacing=spacing or self.spacing,
            spacing_from="given" if spacing else self.spacing_from,
            interval_s=interval_s or self.interval_s,
            interval_from="given" if interval_s else self.interval_from,
        )

    def assuming(self, spacing: Spacing) -> Self:
        """The same image with an assumed voxel size (µm): it is computed with, and never passed on as known."""
        return replace(self, spacing=spacing, spacing_from=_ASSUMED)

    @property
    def known_spacing(self) -> Spacing | None:
        """The voxel size, unless it is only assumed."""
        return None if self.spacing_from == _ASSUMED else self.spacing

    def read(self, box: Box | None = None, channels: Sequence[int] | None = None) -> npt.NDArray[Any]:
        """Pixels of a box, in the image's own type: a fresh array (t, c, z, y, x). The only way to pixels.

        Raises
        ------
        AnlageError
            If the box or a channel lies outside the image.
        """
        box = box or Box.whole(self.shape_tzyx)
        wanted = list(range(self.n_channels)) if channels is None else [int(c) for c in channels]
        if not wanted or min(wanted) < 0 or max(wanted) >= self.n_channels:
            raise AnlageError(
                f"Channel {wanted} was asked for, but '{self.source}' has {self.n_channels} (0 to {self.n_channels - 1})."
            )
        if box.intersection(Box.whole(self.shape_tzyx)) != box:
            raise AnlageError(
                f"The box {box} reaches outside '{self.source}', whose shape (t, z, y, x) is {self.shape_tzyx}."
            )
        ranges = dict(zip("tzyx", box.slices, strict=True))
        if "c" not in self.axes or len(wanted) == 1:
            piece = self._piece({**ranges, "c": slice(wanted[0], wanted[0] + 1)})
            # what was read from a file belongs to nobody else, and needs no copy
            return np.ascontiguousarray(piece) if getattr(self.data, "is_fresh", False) else np.array(piece)
        return np.concatenate([self._piece({**ranges, "c": slice(c, c + 1)}) for c in wanted], axis=1)

    def frame(self, t: int, channels: Sequence[int] | None = None) -> npt.NDArray[Any]:
        """One frame, (c, z, y, x)."""
        _, z, y, x = self.shape_tzyx
        pixels: npt.NDArray[Any] = self.read(Box((t, t + 1), (0, z), (0, y), (0, x)), channels)[0]
        return pixels

    def _piece(self, ranges: dict[str, slice]) -> npt.NDArray[Any]:
        piece = np.asarray(self.data[tuple(ranges[axis] for axis in self.axes)])
        present = [axis for axis in AXES if axis in self.axes]
        piece = piece.transpose([self.axes.index(axis) for axis in present])
        absent = tuple(i for i, axis in enumerate(AXES) if axis not in self.axes)
        return np.expand_dims(piece, absent)


def checked_interval(interval_s: float) -> float:
    """A time step in seconds, refused where it cannot be one."""
    if not INTERVALS_S.holds(interval_s):
        raise AnlageError(f"The time step {interval_s} s must be a positive number; it {INTERVALS_S}")
    return interval_s


def default_axes(n_dimensions: int) -> str:
    """Axes of an array that names none: yx, zyx, tzyx or tczyx by their count."""
    named = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}
    if n_dimensions not in named:
        raise AnlageError(f"An image with {n_dimensions} axes cannot be read; it needs 2 to 5 of t, c, z, y, x.")
    return named[n_dimensions]
