"""Recognise an image under any name: by its type, shape and a sample of its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from anlage.axes import Box
from anlage.project.settings import MOST_CHANNELS
from anlage.timelapse import TimeLapse

__all__ = ["fingerprint_of", "unlike"]

_WINDOW = 2048
"""Of a larger plane only the middle is read, so many voxels wide."""


def fingerprint_of(image: TimeLapse) -> tuple[str, ...]:
    """One line for each of the first channels: type, shape (t, z, y, x) and a hash of four planes.

    It is the same whoever reads the image: byte order, chunks and the number of channels that are read together make no
    difference, and so does the place of the file.
    """
    t, z, y, x = image.shape_tzyx
    size = f"{image.dtype.name} {t}x{z}x{y}x{x}"
    return tuple(f"{size} {_hash(image, c)}" for c in range(min(image.n_channels, MOST_CHANNELS)))


def unlike(known: Sequence[str], seen: Sequence[str]) -> str | None:
    """In what an image differs from what is known, in words; None: it is the same image, or a part of its channels.

    Parameters
    ----------
    known, seen
        Fingerprints; where one of them is empty nothing is known, and nothing differs.
    """
    if set(known) <= set(seen) or set(seen) <= set(known):
        return None
    kinds, sizes, _ = ({line.split()[i] for line in known} for i in range(3))
    kind, size, _ = seen[0].split()
    if size not in sizes:
        return f"it has {_shape(next(iter(sizes)))} voxels (t, z, y, x), and this image {_shape(size)}"
    if kind not in kinds:
        return f"its type is {next(iter(kinds))}, and that of this image {kind}"
    return "its pixels are other ones"


def _hash(image: TimeLapse, channel: int) -> str:
    t, z, y, x = image.shape_tzyx
    window = [(max(0, (n - _WINDOW) // 2), min(n, (n + _WINDOW) // 2)) for n in (y, x)]
    planes = dict.fromkeys([(0, z // 2), (t // 2, z // 4), (t // 2, 3 * z // 4), (t - 1, z // 2)])
    found = hashlib.blake2b(digest_size=16)
    for frame, plane in planes:
        pixels = image.read(Box((frame, frame + 1), (plane, plane + 1), *window), [channel])
        found.update(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def _shape(size: str) -> str:
    return size.replace("x", " × ")
