"""Axis order (t, c, z, y, x) and voxel sizes in µm.

One axis order everywhere: **t c z y x**. Positions are float voxel indices (t, z, y, x): voxel centres lie on whole
numbers. Boxes are half-open ranges of whole voxels. 2D is Z = 1.

Legend of array suffixes: B batch, T time, C image channel, K output channel, Z Y X space, N objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import VOXEL_EDGES_UM

__all__ = ["Box", "PlaneSpacing", "Spacing", "inside_any"]

_AXES = "tzyx"


@dataclass(frozen=True, slots=True)
class Spacing:
    """Edge lengths of a voxel in µm."""

    z: float
    y: float
    x: float

    def __post_init__(self) -> None:
        if not all(VOXEL_EDGES_UM.holds(v) for v in self.zyx):
            raise AnlageError(
                f"The voxel size {self.zyx} µm (z, y, x) must be three positive numbers; each {VOXEL_EDGES_UM}"
            )

    @staticmethod
    def parse(text: str) -> Spacing:
        """Read ``Z,Y,X`` in µm, for example ``1.75,0.8,0.8``; of single planes ``Y,X`` or one number, as `PlaneSpacing`."""
        try:
            sizes = [float(part) for part in text.split(",")]
        except ValueError:
            sizes = []
        if len(sizes) == 3:
            return Spacing(*sizes)
        if len(sizes) in (1, 2):
            return PlaneSpacing(sizes[0], sizes[0], sizes[-1])
        raise AnlageError(
            f"The voxel size '{text}' is not of the form Z,Y,X in µm, for example 2,0.5,0.5 (in 2D Y,X or one number)."
        )

    @property
    def zyx(self) -> tuple[float, float, float]:
        return (self.z, self.y, self.x)

    @property
    def um(self) -> npt.NDArray[np.float64]:
        """The edge lengths as an array (z, y, x) in µm, for arithmetic on positions."""
        return np.array(self.zyx)

    def is_like(self, other: Spacing) -> bool:
        """Whether no edge differs by more than a hundredth."""
        return bool(np.allclose(self.um, other.um, rtol=0.01))

    def __str__(self) -> str:
        return f"{self.z:g} × {self.y:g} × {self.x:g} µm (z, y, x)"


@dataclass(frozen=True, slots=True)
class PlaneSpacing(Spacing):
    """A voxel size that was given without z: it holds for single planes, which count as thick as their pixels are high."""

    def of_planes(self, n_planes: int, source: str) -> Spacing:
        """The voxel size of an image of so many planes.

        Raises
        ------
        AnlageError
            If there is more than one.
        """
        if n_planes > 1:
            raise AnlageError(
                f"The voxel size {self.y:g},{self.x:g} says nothing of z, but '{source}' has {n_planes} planes: give Z,Y,X in µm; "
                "if its planes are frames of a 2D movie, say --axes tyx."
            )
        return Spacing(*self.zyx)


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open range of voxels in time and space."""

    t: tuple[int, int]
    z: tuple[int, int]
    y: tuple[int, int]
    x: tuple[int, int]

    def __post_init__(self) -> None:
        for axis, (low, high) in zip(_AXES, self.ranges, strict=True):
            if high <= low:
                raise AnlageError(f"The box {self} is empty along {axis}: {low}:{high}.")

    @classmethod
    def of(cls, start: npt.ArrayLike, stop: npt.ArrayLike) -> Self:
        """Build from first and one-past-last voxel, each (t, z, y, x)."""
        ranges = [(int(a), int(b)) for a, b in zip(np.asarray(start), np.asarray(stop), strict=True)]
        return cls(*ranges)

    @classmethod
    def whole(cls, shape_tzyx: Sequence[int]) -> Self:
        """Everything of an image of this shape."""
        return cls.of((0, 0, 0, 0), shape_tzyx)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``t0:t1,z0:z1,y0:y1,x0:x1`` (voxels, half-open)."""
        try:
            ranges = [tuple(int(v) for v in part.split(":")) for part in text.split(",")]
            (t0, t1), (z0, z1), (y0, y1), (x0, x1) = ranges
        except ValueError:
            raise AnlageError(
                f"The cuboid '{text}' is not of the form t0:t1,z0:z1,y0:y1,x0:x1 in voxels, for example 0:5,0:32,0:256,0:256."
            ) from None
        return cls((t0, t1), (z0, z1), (y0, y1), (x0, x1))

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
        return (self.t, self.z, self.y, self.x)

    @property
    def start(self) -> tuple[int, int, int, int]:
        return (self.t[0], self.z[0], self.y[0], self.x[0])

    @property
    def stop(self) -> tuple[int, int, int, int]:
        return (self.t[1], self.z[1], self.y[1], self.x[1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (self.t[1] - self.t[0], self.z[1] - self.z[0], self.y[1] - self.y[0], self.x[1] - self.x[0])

    @property
    def slices(self) -> tuple[slice, slice, slice, slice]:
        """Index of an array (t, z, y, x)."""
        t, z, y, x = (slice(low, high) for low, high in self.ranges)
        return (t, z, y, x)

    def contains(self, positions_tzyx: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Which positions (N, 4) fall on a voxel of the box (voxel i covers i − ½ … i + ½)."""
        p = np.asarray(positions_tzyx, dtype=float).reshape(-1, 4)
        inside: npt.NDArray[np.bool_] = np.all(
            (p >= np.array(self.start) - 0.5) & (p < np.array(self.stop) - 0.5), axis=1
        )
        return inside

    def grown(self, margin_zyx: Sequence[int]) -> Box:
        """Larger by so many voxels at both ends of z, y and x; time stays."""
        m = (0, *margin_zyx)
        return Box.of(np.array(self.start) - m, np.array(self.stop) + m)

    def shifted(self, offset_tzyx: Sequence[int] | npt.NDArray[np.integer]) -> Box:
        """The same box seen from another origin: moved by whole voxels (t, z, y, x)."""
        return Box.of(np.array(self.start) + offset_tzyx, np.array(self.stop) + offset_tzyx)

    def clipped(self, shape_tzyx: Sequence[int]) -> Box:
        """The part inside an image of this shape."""
        inside = self.intersection(Box.whole(shape_tzyx))
        if inside is None:
            raise AnlageError(
                f"The cuboid {self} lies outside the image, whose shape (t, z, y, x) is {tuple(shape_tzyx)}."
            )
        return inside

    def intersection(self, other: Box) -> Box | None:
        start = np.maximum(self.start, other.start)
        stop = np.minimum(self.stop, other.stop)
        return Box.of(start, stop) if (stop > start).all() else None

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box.of(np.minimum(self.start, other.start), np.maximum(self.stop, other.stop))

    def __str__(self) -> str:
        return ",".join(f"{low}:{high}" for low, high in self.ranges)


def inside_any(boxes: Iterable[Box], positions_tzyx: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Which positions (N, 4) fall on a voxel of at least one of the boxes."""
    inside = np.zeros(len(positions_tzyx), dtype=bool)
    for box in boxes:
        inside |= box.contains(positions_tzyx)
    return inside
