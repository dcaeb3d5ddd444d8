"""Choose the device, its memory budget and the precision (bf16, fp32)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from anlage.devices import Device, processor
from anlage.errors import AnlageError

__all__ = ["choose_device", "describe_devices", "free_gb", "memory_limit_gb", "precision", "running_on"]

GIB = 2**30
MEMORY_LIMIT = "ANLAGE_MEMORY_GB"
"""Environment variable with the most memory (GiB) that this process may take on its device."""


def describe_devices() -> list[Device]:
    """List what torch can use here, the best first: like `anlage.devices.find_devices`, but asking torch itself."""
    found = []
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        found.append(Device(f"cuda:{i}", torch.cuda.get_device_name(i), total / GIB, free / GIB))
    found.sort(key=lambda device: -device.total_gb)
    cpu = processor()
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU", cpu.total_gb, cpu.free_gb))
    return [*found, cpu]


def choose_device(name: str = "auto") -> str:
    """Resolve ``auto`` to the best device here, and check any other name; from here on a memory limit holds on a card.

    Raises
    ------
    AnlageError
        If torch cannot use that device here; the message names those that it can use.
    """
    available = [device.name for device in describe_devices()]
    wanted = {"auto": available[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in available:
        raise AnlageError(
            f"The device '{name}' cannot be used here; torch {torch.__version__} sees {', '.join(available)}. "
            "Choose one of these, or run `anlage doctor` to see what is missing."
        )
    limit = memory_limit_gb()
    if limit is not None and wanted.startswith("cuda"):
        share = limit * GIB / torch.cuda.get_device_properties(wanted).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, share), wanted)
    return wanted


def memory_limit_gb() -> float | None:
    """The most memory (GiB) that this process may take on its device, from ``ANLAGE_MEMORY_GB``; None: what is free."""
    said = os.environ.get(MEMORY_LIMIT, "").strip()
    if not said:
        return None
    with contextlib.suppress(ValueError):
        if float(said) > 0:
            return float(said)
    raise AnlageError(f"{MEMORY_LIMIT} is '{said}'; it must be a number of gigabytes above zero.")


def free_gb(device: str) -> float:
    """Free memory of a device in GiB, no more than the memory limit."""
    free = next(d.free_gb for d in describe_devices() if d.name == device)
    return min(free, memory_limit_gb() or free)


def precision(device: str) -> torch.dtype:
    """Number type for matrix work: bfloat16 where the hardware does it natively, else float32.

    On CPUs without AVX512-BF16 or AMX, bfloat16 is emulated and 3 to 10 times slower than float32.
    """
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device == "cpu":
        able = torch.cpu.get_capabilities()
        if able.get("avx512_bf16") or able.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32


@contextlib.contextmanager
def running_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Run what is inside with automatic mixed precision, if `dtype` is a short type."""
    with torch.autocast(device.split(":")[0], dtype=dtype, enabled=dtype != torch.float32):
        yield
