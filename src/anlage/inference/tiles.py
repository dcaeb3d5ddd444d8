"""Choose the largest tile size that fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Grid

__all__ = ["Tiles"]

_SMALLEST = 24
"""Core of a tile in the plane, in working voxels, below which its halo is all there is."""
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


class Tiles:
    """Runs a network over frames; where the memory is too small for a tile, over smaller tiles from then on."""

    def __init__(self) -> None:
        self._core: int | None = None

    def output(
        self, network: torch.nn.Module, image_CZYX: torch.Tensor, grid: Grid, device: str
    ) -> npt.NDArray[np.float32]:
        """Logits of every cell of a frame, (K, Z, Y, X); see `anlage.tasks.tiled.network_output`.

        Raises
        ------
        AnlageError
            If the memory is too small even for the smallest tile.
        """
        import torch

        from anlage.tasks.tiled import CORE, network_output

        while True:
            core = self._core or CORE
            try:
                return network_output(network, image_CZYX, grid, device, core=core)
            except RuntimeError as problem:
                if not any(sign in str(problem).lower() for sign in _SIGNS):
                    raise
                if core // 2 < _SMALLEST:
                    raise AnlageError(
                        f"The memory of '{device}' is too small even for a tile of {core} working voxels; close other "
                        "programs that use it, or choose another device with --device."
                    ) from problem
            self._core = core // 2
            if device.startswith("cuda"):
                torch.cuda.empty_cache()
