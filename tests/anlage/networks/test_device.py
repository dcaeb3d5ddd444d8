"""Devices: chosen, described, refused in a sentence."""

from __future__ import annotations

import pytest
import torch

from anlage.errors import AnlageError
from anlage.networks.device import choose_device, describe_devices, free_gb, precision, running_on


def test_there_is_always_a_cpu_with_memory():
    cpu = next(device for device in describe_devices() if device.name == "cpu")
    assert 0 < cpu.free_gb <= cpu.total_gb
    assert free_gb("cpu") > 0


def test_auto_is_the_first_of_the_list():
    assert choose_device("auto") == describe_devices()[0].name


def test_a_device_that_is_not_there_is_refused_with_what_is():
    with pytest.raises(AnlageError, match=r"The device 'cuda:99' cannot be used here; torch .* sees .*cpu"):
        choose_device("cuda:99")


def test_short_numbers_only_where_the_processor_has_them():
    able = torch.cpu.get_capabilities()
    expected = torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
    assert precision("cpu") == expected
    with running_on("cpu", torch.float32):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with running_on("cpu", torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_memory_limit_is_kept_to(monkeypatch):
    monkeypatch.setenv("ANLAGE_MEMORY_GB", "0.25")
    assert free_gb("cpu") == 0.25
    monkeypatch.setenv("ANLAGE_MEMORY_GB", "1e9")
    assert 0 < free_gb("cpu") < 1e6
    monkeypatch.setenv("ANLAGE_MEMORY_GB", "much")
    with pytest.raises(AnlageError, match=r"ANLAGE_MEMORY_GB is 'much'; it must be a number of gigabytes above zero\."):
        free_gb("cpu")


@pytest.mark.gpu
def test_a_card_gives_no_more_than_the_limit(monkeypatch):
    monkeypatch.setenv("ANLAGE_MEMORY_GB", "1")
    device = choose_device("cuda:0")
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.zeros(int(1.5 * 2**30), dtype=torch.uint8, device=device)
    torch.zeros(2**29, dtype=torch.uint8, device=device)
    torch.cuda.set_per_process_memory_fraction(1.0, device)
