"""Mirrored and turned copies: what is said of them comes back to where, and to the direction in which, it was said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.errors import AnlageError
from anlage.inference.test_time_augmentation import averaged_output
from anlage.tasks.grid import Grid

GRID = Grid(voxel_diameters_zyx=(0.1, 0.1, 0.1), stem=(1, 2, 2), strides=((1, 2, 2),))


class Slopes(torch.nn.Module):
    """Says brightness and its slope along z, y, x: turned with the image, it says the same."""

    def forward(self, image):
        b, _, z, y, x = image.shape
        slopes = [torch.roll(image, -1, axis) - torch.roll(image, 1, axis) for axis in (2, 3, 4)]
        said = torch.cat([image, *slopes], dim=1)
        cells = torch.nn.functional.avg_pool3d(said, (1, 2, 2))
        folded = said.reshape(b, 4, z, 1, y // 2, 2, x // 2, 2).permute(0, 1, 3, 5, 7, 2, 4, 6)
        return torch.cat([cells, folded.reshape(b, 16, z, y // 2, x // 2)], dim=1)


@pytest.mark.parametrize("turns", [4, 8, 16])
def test_a_network_that_knows_no_direction_says_the_same_with_all_copies(turns):
    image = torch.rand((1, 6, 16, 20), generator=torch.Generator().manual_seed(0))
    plain = averaged_output(Slopes(), image, GRID, "cpu", skip=4)
    turned = averaged_output(Slopes(), image, GRID, "cpu", skip=4, turns=turns)
    for one, other in zip(plain, turned, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


def test_an_image_that_is_no_multiple_of_the_pooling_keeps_its_shape():
    image = torch.rand((1, 5, 15, 17))
    coarse, fine = averaged_output(Slopes(), image, GRID, "cpu", skip=4, turns=16)
    assert coarse.shape == (4, 5, 8, 9)
    assert fine.shape == (4, 5, 15, 17)


class Leaning(torch.nn.Module):
    """Says the column that it is in, wherever the image came from."""

    def forward(self, image):
        b, _, z, y, x = image.shape
        return torch.arange(x // 2).expand(b, 4, z, y // 2, x // 2).float()


def test_what_depends_on_the_direction_is_averaged():
    _, fine = averaged_output(Leaning(), torch.rand(1, 2, 8, 8), GRID, "cpu", skip=0, turns=4)
    assert fine.std() == 0


def test_quarter_turns_need_voxels_as_long_along_y_as_along_x():
    odd = GRID.model_copy(update={"voxel_diameters_zyx": (0.1, 0.1, 0.2)})
    with pytest.raises(AnlageError, match="8 copies need voxels that are as long along y as along x; take 4"):
        averaged_output(Slopes(), torch.rand(1, 2, 8, 8), odd, "cpu", skip=4, turns=8)
