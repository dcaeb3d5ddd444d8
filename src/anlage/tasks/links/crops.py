"""The image around each nucleus, cut once for a whole training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.tasks.grid import Zyx

__all__ = ["MARGIN", "Crops", "cut", "mirrored"]

MARGIN = (0, 2, 2)
"""Voxels (z, y, x) kept around a crop, so that it can be shown a little beside its middle, as a detector would have it."""


@dataclass(frozen=True)
class Crops:
    """Crops of all nuclei of a store.

    Parameters
    ----------
    pixels
        (N, C, Z, Y, X) float16, with a margin; on disk, read piece by piece.
    shape_zyx
        Voxels of a crop without its margin.
    """

    pixels: npt.NDArray[np.float16]
    shape_zyx: Zyx

    def read(self, rows: npt.NDArray[np.int64], rng: np.random.Generator | None = None) -> npt.NDArray[np.float32]:
        """(n, C, Z, Y, X) crops of some nuclei, from the middle; with a generator, a little beside it."""
        found = np.empty((len(rows), self.pixels.shape[1], *self.shape_zyx), dtype=np.float32)
        shift = np.zeros((len(rows), 3), dtype=int)
        if rng is not None:
            shift = rng.integers(-np.array(MARGIN), np.array(MARGIN) + 1, (len(rows), 3))
        for i, row in enumerate(rows):
            z, y, x = (
                slice(m + s, m + s + n) for m, s, n in zip(MARGIN, shift[i].tolist(), self.shape_zyx, strict=True)
            )
            found[i] = self.pixels[row, :, z, y, x]
        if rng is not None:
            found = found * rng.uniform(0.7, 1.4) + rng.uniform(-0.05, 0.05)
            found += rng.normal(size=found.shape).astype(np.float32) * rng.uniform(0, 0.1)
        return found.astype(np.float32, copy=False)


def cut(
    frame_CZYX: npt.NDArray[np.floating], centres_zyx: npt.NDArray[np.float64], shape_zyx: Zyx
) -> npt.NDArray[np.float32]:
    """(N, C, Z, Y, X) crops of a frame around places (N, 3) in its voxels; what reaches beyond the image repeats its rim."""
    size = np.array(frame_CZYX.shape[1:])
    start = np.rint(centres_zyx.reshape(-1, 3) - (np.array(shape_zyx) - 1) / 2).astype(np.int64)
    z, y, x = (np.clip(start[:, axis, None] + np.arange(n), 0, size[axis] - 1) for axis, n in enumerate(shape_zyx))
    index = (z[:, :, None, None], y[:, None, :, None], x[:, None, None, :])
    return np.stack([np.asarray(channel, dtype=np.float32)[index] for channel in frame_CZYX], axis=1)


def mirrored(
    crops_NCZYX: npt.NDArray[np.float32], mirror_zyx: tuple[bool, bool, bool], quarters: int
) -> npt.NDArray[np.float32]:
    """Mirror crops, then turn them in the plane by quarters from y towards −x, as points are."""
    axes = tuple(2 + axis for axis, flipped in enumerate(mirror_zyx) if flipped)
    turned = np.rot90(np.flip(crops_NCZYX, axes), k=-quarters, axes=(3, 4))
    return np.ascontiguousarray(turned)
