"""One array (t, c, z, y, x) of many, each of one time point and channel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.timelapse import LazyArray

__all__ = ["Stacked"]


class Stacked:
    """Arrays (z, y, x) of one shape, by time point and channel.

    Parameters
    ----------
    parts
        For each time point one of each channel.
    place
        The file, for messages.
    shape_zyx
        The image's own size, where blocks reach beyond it; by default that of the parts.

    Raises
    ------
    AnlageError
        If they differ in shape or number, or are no volumes.
    """

    def __init__(
        self, parts: Sequence[Sequence[LazyArray]], place: Path, shape_zyx: Sequence[int] | None = None
    ) -> None:
        shapes = {tuple(part.shape) for row in parts for part in row}
        whole = next(iter(shapes))
        if len(shapes) > 1 or len(whole) != 3 or len({len(row) for row in parts}) > 1:
            raise AnlageError(
                f"The parts of '{place}' differ in shape ({sorted(shapes)[:3]}); only images of one shape are read."
            )
        self._parts = parts
        self.shape: tuple[int, ...] = (len(parts), len(parts[0]), *(whole if shape_zyx is None else shape_zyx))
        stored = np.dtype(parts[0][0].dtype)
        self.dtype: np.dtype[Any] = stored

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        asked = index if isinstance(index, tuple) else (index,)
        asked = (*asked, *[slice(None)] * (len(self.shape) - len(asked)))
        ranges = [
            range(n)[i : i + 1 or None] if isinstance(i, int | np.integer) else range(n)[i]
            for i, n in zip(asked, self.shape, strict=True)
        ]
        times, channels, *inner = ranges
        within = tuple(slice(part.start, part.stop, part.step) for part in inner)
        found = np.stack([np.stack([self._parts[t][c][within] for c in channels]) for t in times])
        return found[tuple(0 if isinstance(i, int | np.integer) else slice(None) for i in asked)]
