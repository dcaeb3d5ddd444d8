"""Stores on the working grid: their pixels, normalised and resampled once for a whole training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from anlage.axes import Box
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing
from anlage.tasks.grid import Placement

__all__ = ["decoded", "lacks_context"]


def decoded(store: Store, box: Box, placement: Placement, cache: Path) -> npt.NDArray[np.float16]:
    """A box of a store on the working grid: (T, C, Z, Y, X) float16, normalised; on disk, read piece by piece.

    Parameters
    ----------
    store
        The store.
    box
        Part of it, in its voxels.
    placement
        How the grid lies in the box.
    cache
        Folder where what was decoded is kept: a second time nothing is computed.

    Raises
    ------
    AnlageError
        If the disk is too full for it.
    """
    step = "-".join(f"{s:.6g}" for s in placement.step_zyx)
    path = cache / f"{store.hash[:16]} {str(box).replace(':', '-')} {step}.npy"
    if not path.exists():
        _decode(store, box, placement, path)
    pixels: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
    return pixels


def lacks_context(stores: Sequence[Store], reach: int) -> bool:
    """Whether a neighbour of an annotated frame is in the movie but not in the store."""
    for store in stores:
        first, movie = store.meta.origin_tzyx[0], store.meta.source.shape_tczyx[0]
        low, high = first + min(store.frames) - reach, first + max(store.frames) + reach
        if max(low, 0) < first or min(high, movie - 1) >= first + store.shape_tzyx[0]:
            return True
    return False


def _decode(store: Store, box: Box, placement: Placement, path: Path) -> None:
    """Normalise and resample the pixels of a box, once for the whole training."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (box.shape[0], store.shape[1], *placement.shape_zyx)
    need, free = 2 * float(np.prod(shape)), shutil.disk_usage(path.parent).free
    if need > 0.95 * free:
        raise AnlageError(
            f"The decoded training data need {need / 2**30:.1f} GiB in '{path.parent}', where {free / 2**30:.1f} GiB are "
            "free: free some space, or put the run on another disk."
        )
    with replacing(path, own) as temporary:
        target = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        for i, t in enumerate(range(*box.t)):
            pixels = store.frame(t, box)
            target[i] = placement.resample(torch.from_numpy(pixels)).numpy()
        target.flush()
        del target
