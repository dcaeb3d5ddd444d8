"""Where to compute, and in which precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from anlage.devices import Device, processor
from anlage.errors import AnlageError

__all__ = ["choose_device", "describe_devices", "free_gb", "precision", "running_on"]

GIB = 2**30


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
    """Resolve ``auto`` to the best device here, and check any other name.

    Raises
    ------
    AnlageError
        If torch cannot use that device here; the message names those that it can use.
    """
    available = [device.name for device in describe_devices()]
    if name == "auto":
        return available[0]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        raise AnlageError(
            f"The device '{name}' cannot be used here; torch {torch.__version__} sees {', '.join(available)}. "
            "Choose one of these, or run `anlage doctor` to see what is missing."
        )
    return wanted


def free_gb(device: str) -> float:
    """Free memory of a device in GiB."""
    return next(d.free_gb for d in describe_devices() if d.name == device)


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
