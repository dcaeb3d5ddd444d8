"""Convolutions on the CPU: gradients in short numbers, and images that come alone."""

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


@pytest.mark.parametrize("kernel", [1, (1, 3, 3), 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_image_that_comes_alone_is_given_to_the_fast_routine(
    kernel: int | tuple[int, int, int], stride: int
) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    torch.manual_seed(0)
    layer = Conv3d(8, 12, kernel, stride=stride, padding=1 if kernel == 3 else 0).to(
        memory_format=torch.channels_last_3d
    )
    image = torch.randn(1, 8, 6, 16, 16).contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode(), torch.profiler.profile() as profile:
        alone = layer(image)
    assert not any("slow_conv" in event.key for event in profile.key_averages())
    with torch.inference_mode():
        among_others = layer(image.expand(2, -1, -1, -1, -1))
    assert alone.shape == among_others[:1].shape
    assert torch.allclose(alone, among_others[:1], atol=1e-5)
    layer(image).sum().backward()  # gradients come from torch's own
    assert layer.weight.grad is not None
