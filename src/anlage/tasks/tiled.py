"""Running a network over a whole frame, tile by tile where it is large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anlage.networks.device import precision, running_on
from anlage.networks.unet import depth_to_space
from anlage.tasks.grid import Grid
from anlage.tiling import tiles

__all__ = ["CORE", "network_output", "voxel_outputs"]

CORE = 192
"""Largest core of a tile in the plane, in working voxels; along z a tile takes a third of it."""


def network_output(
    network: torch.nn.Module, image_CZYX: torch.Tensor, grid: Grid, device: str, *, core: int = CORE
) -> npt.NDArray[np.float32]:
    """Logits of every cell of a frame, (K, Z, Y, X).

    Tiles overlap by two nucleus diameters, more than which changes nothing measurable; each answers for its core.

    Parameters
    ----------
    network
        In evaluation mode, on `device`.
    image_CZYX
        Normalised frame with its temporal context on the working grid.
    grid
        The working grid.
    device
        Where the network is.
    core
        Largest core in the plane, in working voxels.
    """
    stem = np.array(grid.stem)
    shape = np.array(image_CZYX.shape[1:])
    multiple = stem * np.prod(grid.strides, axis=0, dtype=int)
    halo = np.ceil(2 / np.array(grid.voxel_diameters_zyx)).astype(int)
    cells = -(-shape // stem)
    result: npt.NDArray[np.float32] | None = None
    for tile in tiles(shape.tolist(), [max(core // 3, 1), core, core], halo.tolist(), multiple_zyx=multiple.tolist()):
        image = image_CZYX[(slice(None), *tile.read)].to(device, torch.float32)[None]
        image = image.contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode(), running_on(device, precision(device)):
            output: Any = network(image)[0].float().cpu().numpy()
        if result is None:
            result = np.empty((len(output), *cells), dtype=np.float32)
        whole = tuple(slice(s.start // m, -(-s.stop // m)) for s, m in zip(tile.core, stem, strict=True))
        within = tuple(slice(s.start // m, -(-s.stop // m)) for s, m in zip(tile.core_in_read, stem, strict=True))
        result[(slice(None), *whole)] = output[(slice(None), *within)]
    assert result is not None  # noqa: S101  (a frame has at least one tile)
    return result


def voxel_outputs(
    output: npt.NDArray[np.float32], stem: Sequence[int], shape_zyx: Sequence[int], *, skip: int
) -> npt.NDArray[np.float32]:
    """What a network says of each working voxel: (K, *shape_zyx), of its output (C, Z, Y, X) for cells.

    Parameters
    ----------
    output
        The network's output; each cell holds K numbers for each of its working voxels.
    stem
        Working voxels per cell.
    shape_zyx
        Working voxels of the frame.
    skip
        Outputs of the cell itself, which come first.
    """
    fine = depth_to_space(torch.from_numpy(output[None, skip:]), stem)[0].numpy()
    z, y, x = shape_zyx
    return fine[:, :z, :y, :x]
