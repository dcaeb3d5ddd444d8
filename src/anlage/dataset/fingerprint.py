"""Hashes that show whether a store, a table of nuclei or a movie has changed."""

from __future__ import annotations

import hashlib

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.timelapse import TimeLapse

__all__ = ["hash_annotations", "hash_movie"]


def hash_annotations(annotations: Annotations) -> str:
    """Hash ids, positions, states and links."""
    digest = hashlib.sha256()
    for column in (annotations.ids, annotations.positions, annotations.state, annotations.label, annotations.links):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def hash_movie(image: TimeLapse) -> str:
    """Hash that two stores share if they were cut from the same movie, whatever its path was.

    It covers the shape and the middle plane of the first, middle and last frame, in the first channel.
    """
    t, c, z, y, x = image.shape
    digest = hashlib.sha256(repr((t, c, z, y, x)).encode())
    for frame in sorted({0, t // 2, t - 1}):
        plane = image.read(Box((frame, frame + 1), (z // 2, z // 2 + 1), (0, y), (0, x)), [0])
        digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()
