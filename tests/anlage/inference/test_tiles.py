"""Too little memory for a tile: smaller tiles, then a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.errors import AnlageError
from anlage.inference.tiles import Tiles
from anlage.tasks.grid import Grid

GRID = Grid(voxel_diameters_zyx=(0.2, 0.2, 0.2), stem=(1, 1, 1), strides=())


class Greedy(torch.nn.Module):
    """Gives its input back, and fails as torch does where the input is larger than its memory."""

    def __init__(self, most: int, words: str = "CUDA out of memory. Tried to allocate 20.00 GiB") -> None:
        super().__init__()
        self.most, self.words, self.sizes = most, words, []

    def forward(self, image):
        self.sizes.append(image.numel())
        if image.numel() > self.most:
            raise torch.OutOfMemoryError(self.words)
        return image


IMAGE = torch.arange(4 * 230 * 230, dtype=torch.float32).reshape(1, 4, 230, 230)


def test_tiles_shrink_until_they_fit_and_stay_small():
    tiles, network = Tiles(), Greedy(60_000)
    np.testing.assert_array_equal(tiles.output(network, IMAGE, GRID, "cpu"), IMAGE.numpy())
    assert max(network.sizes) > network.most
    network.sizes.clear()
    tiles.output(network, IMAGE, GRID, "cpu")
    assert max(network.sizes) <= network.most, "the second frame begins with what fitted the first"


def test_no_memory_at_all_is_a_sentence():
    with pytest.raises(AnlageError, match="The memory of 'cpu' is too small even for a tile"):
        Tiles().output(Greedy(0), IMAGE, GRID, "cpu")


def test_other_errors_are_not_hidden():
    with pytest.raises(RuntimeError, match="illegal memory access"):
        Tiles().output(Greedy(0, "CUDA error: an illegal memory access was encountered"), IMAGE, GRID, "cpu")
