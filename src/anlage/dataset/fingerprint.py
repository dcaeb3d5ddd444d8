"""Hashes that tell whether a store, a table of nuclei or a movie is still the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.dataset.store import read_attribute
from anlage.timelapse import TimeLapse

__all__ = ["hash_annotations", "hash_movie", "hash_store"]

END = 64
"""Bytes at the end of each chunk that enter the hash; the last four are the chunk's own CRC32C."""
CHECKSUMMED = ("image", "weight", "labels")
NOT_CONTENT = ("created", "versions", "source", "notes")


def hash_store(path: Path) -> str:
    """Hash a store's content without reading all of it.

    Every chunk of a large array ends in a checksum of its content (the crc32c codec), so its name, size and end stand
    for the whole; all else is hashed in full. Where and when the store was built does not enter.
    """
    digest = hashlib.sha256()
    about = {key: value for key, value in read_attribute(path).items() if key not in NOT_CONTENT}
    digest.update(json.dumps(about, sort_keys=True).encode())
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
    for name in files:
        if name != "zarr.json":
            digest.update(f"\n{name} ".encode())
            has_checksum = name.split("/")[0] in CHECKSUMMED and not name.endswith(".json")
            _add_file(digest, path / name, END if has_checksum else None)
    return digest.hexdigest()


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


def _add_file(digest: Any, path: Path, end: int | None) -> None:
    """Add a file's size and its last bytes, or all of them."""
    size = path.stat().st_size
    digest.update(f"{size} ".encode())
    with path.open("rb") as file:
        file.seek(0 if end is None else max(0, size - end))
        digest.update(file.read())
