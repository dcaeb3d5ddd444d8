"""Device, number type, threads and randomness of a training."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import torch

from anlage.networks.device import precision
from anlage.training.config import TrainingConfig

__all__ = ["Purpose", "arithmetic", "free_memory", "is_lost_device", "is_out_of_memory", "number_type", "reseed"]

_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)

_LOST = re.compile(
    r"CUDA (driver )?error|HIP error|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS|MPS .*(lost|hang)", re.IGNORECASE
)


class Purpose(IntEnum):
    """What random numbers are for; each has a stream of its own."""

    NETWORK = 0
    STEP = 1
    LOOK = 2
    FINISH = 3


def reseed(seed: int, purpose: Purpose, step: int = 0) -> None:
    """Make torch's global generator a pure function of seed, purpose and step, so that nothing of it needs saving."""
    # torch's generator for the CPU looks at 32 bits only, so these have to depend on all of it
    mixed = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=4).digest()
    torch.manual_seed(int.from_bytes(mixed, "little"))


def number_type(config: TrainingConfig, device: str) -> torch.dtype:
    """Type of the matrix work on this device."""
    if config.precision == "auto":
        return precision(device)
    return torch.float32 if config.precision == "float32" else torch.bfloat16


@contextlib.contextmanager
def arithmetic(device: str, threads: int) -> Iterator[None]:
    """On the CPU, compute what is inside such that the same work always gives the same bits; elsewhere, fast."""
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    deterministic: Any = torch.utils.deterministic
    fill = deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    if device == "cpu":
        # the same as use_deterministic_algorithms(True), which would load torch's compiler: 3 s
        torch.set_deterministic_debug_mode("error")
        deterministic.fill_uninitialized_memory = False  # costs time, and hides no randomness of ours
    torch.backends.cudnn.benchmark = device != "cpu"  # patches always have the same shape
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        torch.backends.cudnn.benchmark = before[2]
        deterministic.fill_uninitialized_memory = fill


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def is_lost_device(error: BaseException) -> bool:
    """Whether an error says that a graphics card or its driver no longer does what it is told."""
    return isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None


def free_memory() -> None:
    """Let go of what a failed step left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
