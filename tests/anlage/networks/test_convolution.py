"""Gradients in short numbers on the CPU."""

from __future__ import annotations

import pytest
import torch

from anlage.networks.convolution import Conv3d


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_gradients_of_few_planes_are_the_same_each_time_and_near_those_of_long_numbers(planes: int) -> None:
    torch.manual_seed(0)
    layer = Conv3d(8, 8, 3, padding=1, bias=False).to(memory_format=torch.channels_last_3d)
    image = torch.randn(2, 8, planes, 8, 8).contiguous(memory_format=torch.channels_last_3d)

    def gradient(*, short: bool) -> torch.Tensor:
        for i in range(60):  # leave memory behind that is full of what is no number
            torch.full((500 + 701 * i,), float("nan"))
        layer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=short):
            output = layer(image)
        assert output.dtype == (torch.bfloat16 if short else torch.float32)
        output.float().square().sum().backward()
        assert layer.weight.grad is not None
        return layer.weight.grad.clone()

    exact = gradient(short=False)
    first = gradient(short=True)
    assert all(torch.equal(gradient(short=True), first) for _ in range(6))
    assert (first - exact).norm() < 0.03 * exact.norm()
