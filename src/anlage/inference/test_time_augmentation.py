"""Test-time augmentation: average a network's output over mirrored and rotated copies of the image."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Grid

__all__ = ["CopyCount", "averaged_output"]

CopyCount = Literal[1, 4, 8, 16]


def averaged_output(
    network: torch.nn.Module, image_CZYX: torch.Tensor, grid: Grid, device: str, *, skip: int, turns: CopyCount = 1
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What a network says of an image, on average over its copies.

    4 copies are mirrored along y and x, 8 also turned by a quarter, 16 also mirrored along z.

    Parameters
    ----------
    network
        In evaluation mode, on `device`.
    image_CZYX
        On the working grid.
    grid
        The working grid.
    device
        Where the network is.
    skip
        Outputs of the cells, which come first: a logit and a step (z, y, x), or none.
    turns
        Number of copies.

    Returns
    -------
    coarse, fine
        (skip, …) for cells and (K, Z, Y, X) for working voxels. Where `skip` is not 0 the last three of `fine` are a step
        too.

    Raises
    ------
    AnlageError
        If the grid is not the same along y and x, and more than 4 copies were asked for in the plane.
    """
    import torch
    from torch.nn import functional

    from anlage.networks.device import precision, running_on
    from anlage.networks.unet import depth_to_space

    shape = image_CZYX.shape[1:]
    multiple = np.array(grid.stem) * np.prod(grid.strides, axis=0, dtype=int)
    pads = [v for n, m in zip(reversed(shape), reversed(multiple.tolist()), strict=True) for v in (0, -n % m)]
    # a mirrored copy must lie on the same cells, so the image is filled up before it is mirrored
    whole = functional.pad(image_CZYX[None].to(device, torch.float32), pads, mode="replicate")
    if turns > 4 and (grid.stem[1] != grid.stem[2] or abs(np.subtract(*grid.cell_diameters[1:])) > 1e-6):
        raise AnlageError(f"{turns} copies need voxels that are as long along y as along x; take 4.")
    coarse: torch.Tensor | None = None
    fine: torch.Tensor | None = None
    for axes, transposed in _copies(turns):
        copy = whole.flip(axes) if axes else whole
        copy = (copy.transpose(3, 4) if transposed else copy).contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode(), running_on(device, precision(device)):
            said = network(copy).float()
        parts = [said[:, :skip], depth_to_space(said[:, skip:], grid.stem)]
        back = [_back(part, axes, transposed=transposed, steps=skip > 0) for part in parts]
        coarse = back[0] / turns if coarse is None else coarse.add_(back[0], alpha=1 / turns)
        fine = back[1] / turns if fine is None else fine.add_(back[1], alpha=1 / turns)
    assert coarse is not None  # noqa: S101  (there is at least one copy)
    assert fine is not None  # noqa: S101
    cells = [-(-n // s) for n, s in zip(shape, grid.stem, strict=True)]
    few = coarse[0, :, : cells[0], : cells[1], : cells[2]]
    many = fine[0, :, : shape[0], : shape[1], : shape[2]]
    return few.cpu().numpy(), many.cpu().numpy()


def _copies(turns: CopyCount) -> list[tuple[tuple[int, ...], bool]]:
    """Axes that are mirrored, and whether y and x change places."""
    along = {1: (), 4: (3, 4), 8: (3, 4), 16: (2, 3, 4)}[turns]
    mirrored = [axes for n in range(len(along) + 1) for axes in itertools.combinations(along, n)]
    return [(axes, transposed) for axes in mirrored for transposed in ((False, True) if turns > 4 else (False,))]


def _back(said: torch.Tensor, axes: tuple[int, ...], *, transposed: bool, steps: bool) -> torch.Tensor:
    """What was said of a copy, as it is seen in the image."""
    if transposed:
        said = said.transpose(3, 4)
    said = said.flip(axes) if axes else said
    if not steps or said.shape[1] < 4 or not (axes or transposed):
        return said
    said = said.clone()
    if transposed:
        said[:, [2, 3]] = said[:, [3, 2]]
    for axis in axes:
        said[:, axis - 1].neg_()
    return said
