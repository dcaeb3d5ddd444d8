"""Output files of ``anlage predict`` for nuclei: the table, and the heat-map on the voxels of the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anlage.annotations import Annotations
    from anlage.inference.frame_store import PredictionParts
    from anlage.io.seals import Writer
    from anlage.prediction import DenseMap
    from anlage.timelapse import TimeLapse

from anlage.wording import plural

__all__ = ["GOES_ON", "HEATMAP", "count_sentence", "on_image_grid", "write_heatmap", "write_table"]

HEATMAP = "heat-map"
"""Kind and channel name of the image that holds the map."""
GOES_ON = "The same command goes on with what is finished."
_COLUMNS = ("positions", "radius_um", "label", "probability", "state", "origin")
_BLOCK = 1 << 18
"""Nuclei that are together in memory while a table is written: some 100 MB."""


def write_table(path: Path, parts: PredictionParts, image: TimeLapse, by: Writer) -> dict[int, int]:
    """Write the nuclei of all finished frames, numbered from 1; gives how many there are in each frame.

    A GEFF holds all that is known, a CSV id, t, z, y, x, probability, radius, origin, voxel size and time step. A radius in µm
    means something only where the image has a voxel size of its own: an assumed one is not passed on.
    """
    import numpy as np

    from anlage.io.nuclei_files.blocks import write_nuclei_blocks

    spacing, counts = image.known_spacing, dict.fromkeys(parts.done, 0)

    def blocks() -> Iterator[Annotations]:
        n = 0
        for found in _blocks(parts):
            for t, count in zip(*np.unique(found.frames, return_counts=True), strict=True):
                counts[int(t)] += int(count)
            radius_um = found.radius_um if spacing is not None else np.full(len(found), np.nan)
            yield dataclasses.replace(found, ids=np.arange(n + 1, n + len(found) + 1), radius_um=radius_um)
            n += len(found)

    write_nuclei_blocks(path, blocks(), spacing=spacing, interval_s=image.interval_s, by=by)
    return counts


def _blocks(parts: PredictionParts) -> Iterator[Annotations]:
    """The nuclei of all finished frames in order, so many at a time; a single empty block where there is none."""
    waiting: list[Annotations] = []
    n, any_came = 0, False
    for t in parts.done:
        waiting.append(parts.read(t).nuclei)
        n += len(waiting[-1])
        if n >= _BLOCK:
            every = _together(waiting)
            for first in range(0, n - n % _BLOCK, _BLOCK):
                yield _rows(every, first, first + _BLOCK)
            waiting, n, any_came = [_rows(every, n - n % _BLOCK, n)], n % _BLOCK, True
    if n or not any_came:
        yield _together(waiting)


def _together(found: Sequence[Annotations]) -> Annotations:
    import numpy as np

    from anlage.annotations import Annotations

    every = found or [Annotations.of([])]
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in every]) for name in _COLUMNS}
    return Annotations.of(columns.pop("positions"), **columns)


def _rows(nuclei: Annotations, first: int, last: int) -> Annotations:
    from anlage.annotations import Annotations

    columns: dict[str, Any] = {name: getattr(nuclei, name)[first:last] for name in _COLUMNS}
    return Annotations.of(columns.pop("positions"), **columns)


def count_sentence(counts: Mapping[int, int], output: Path) -> str:
    """How many nuclei there are in these frames, as a sentence."""
    middle = sorted(counts.values())[len(counts) // 2]
    shown = plural(len(counts), "frame")
    return f"{sum(counts.values())} nuclei in {shown} (typically {middle} a frame), written to {output}."


def write_heatmap(path: Path, parts: PredictionParts, image: TimeLapse, by: Writer, *, fades: bool) -> None:
    """Write the maps of the finished frames, one at a time; frames that were not asked for are 0."""
    import numpy as np

    from anlage.io import write_image

    shape_zyx = image.shape_tzyx[1:]
    done = set(parts.done)

    def frames() -> Iterator[npt.NDArray[np.float32]]:
        for t in range(image.n_frames):
            dense = parts.read(t).heatmap if t in done else None
            if dense is None:
                yield np.zeros((1, *shape_zyx), np.float32)
            else:
                yield on_image_grid(dense, shape_zyx, fades=fades)[None]

    write_image(
        path, frames(), spacing=image.known_spacing, interval_s=image.interval_s, channels=(HEATMAP,), kind=HEATMAP, by=by
    )  # fmt: skip


def on_image_grid(heatmap: DenseMap, shape_zyx: tuple[int, int, int], *, fades: bool) -> npt.NDArray[np.float32]:
    """A map on the image's own voxels, by linear interpolation.

    Parameters
    ----------
    heatmap
        The map on the network's grid.
    shape_zyx
        The image's voxels.
    fades
        Whether the map is 0 outside its grid (a region was predicted) or goes on as at its rim.
    """
    import numpy as np
    from scipy.ndimage import affine_transform

    step = np.array(heatmap.step_zyx)
    result: npt.NDArray[np.float32] = affine_transform(
        np.asarray(heatmap.data, dtype=np.float32), 1 / step, -np.array(heatmap.origin_zyx) / step,
        output_shape=shape_zyx, order=1, mode="grid-constant" if fades else "nearest", prefilter=False,
    )  # fmt: skip
    return result
