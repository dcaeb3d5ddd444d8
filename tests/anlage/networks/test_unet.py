"""The network: shapes, tiles and 2D."""

from __future__ import annotations

import pytest
import torch

from anlage.networks.unet import UNet, space_to_depth


def make(stem=(1, 2, 2), strides=((1, 2, 2), (2, 2, 2)), kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)), n_in=1):
    torch.manual_seed(0)
    return UNet(n_in, 4, stem=stem, strides=strides, widths=(8, 16, 32), kernels=kernels).eval()


def test_space_to_depth_loses_nothing():
    image = torch.arange(2 * 4 * 6.0).reshape(1, 1, 2, 4, 6)
    folded = space_to_depth(image, (1, 2, 2))
    assert folded.shape == (1, 4, 2, 2, 3)
    # the cell (z 0, y 1, x 2) holds the voxels y 2-3, x 4-5
    assert sorted(folded[0, :, 0, 1, 2].tolist()) == sorted(image[0, 0, 0, 2:4, 4:6].flatten().tolist())


@pytest.mark.parametrize("shape", [(5, 37, 50), (1, 8, 8), (8, 16, 16), (3, 1, 1)])
def test_any_size_gives_one_output_per_cell(shape):
    output = make()(torch.randn(1, 1, *shape))
    z, y, x = shape
    assert output.shape == (1, 4, z, -(-y // 2), -(-x // 2))


def test_a_plane_is_an_image_of_one_plane():
    network = make(stem=(1, 2, 2), strides=((1, 2, 2), (1, 2, 2)), kernels=((1, 3, 3),) * 3)
    assert network(torch.randn(2, 1, 1, 32, 32)).shape == (2, 4, 1, 16, 16)


def test_a_tile_says_the_same_as_the_whole_image():
    """No statistics of the image enter: far from its rim, a tile's output is the whole image's."""
    network = make()
    image = torch.randn(1, 1, 8, 192, 192)
    with torch.inference_mode():
        whole, tile = network(image), network(image[..., :128, :128])
    assert torch.allclose(whole[..., :24, :24], tile[..., :24, :24], atol=1e-5)
    assert not torch.allclose(whole[..., :24, :24], whole[..., 24:48, 24:48], atol=1e-2)


def test_every_weight_learns():
    network = make().train()
    network(torch.randn(1, 1, 4, 16, 16)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert silent == []
