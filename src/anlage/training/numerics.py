"""Device, number type, threads and random numbers of a training, and what to do where its memory runs out."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Any, Self

import torch

from anlage.errors import AnlageError
from anlage.networks.device import choose_device, precision, running_on
from anlage.training.config import TrainingConfig
from anlage.training.distributed import World

__all__ = [
    "Numerics",
    "OutOfMemory",
    "Purpose",
    "free_memory",
    "is_lost_device",
    "is_out_of_memory",
    "out_of_memory_as",
    "reproducible",
    "reseed",
]

_NO_MEMORY = re.compile(
    r"out of memory|not enough memory|can't allocate memory|cannot allocate memory|could not create a (primitive|memory)",
    re.IGNORECASE,
)

_LOST = re.compile(
    r"CUDA (driver )?error|HIP error|cuDNN error|CUDNN_STATUS|CUBLAS_STATUS|MPS .*(lost|hang)", re.IGNORECASE
)


class Purpose(IntEnum):
    """What random numbers are for; each has a stream of its own."""

    NETWORK = 0
    STEP = 1
    VALIDATION = 2
    FINISH = 3


def reseed(seed: int, purpose: Purpose, step: int = 0) -> None:
    """Make torch's global generator a pure function of seed, purpose and step, so that nothing of it needs saving."""
    # torch's generator for the CPU looks at 32 bits only, so these have to depend on all of it
    mixed = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=4).digest()
    torch.manual_seed(int.from_bytes(mixed, "little"))


@dataclass(frozen=True, slots=True)
class Numerics:
    """What one process of a training computes on, and with what numbers."""

    device: str
    number_type: torch.dtype
    """Of the matrix work."""
    threads: int
    """CPU threads; the order of summation depends on them."""

    @classmethod
    def choose(cls, config: TrainingConfig, world: World, threads: int | None) -> Self:
        """As the user set it, else by what the computer has; `threads` of a resumed run are those that it began with."""
        # twice: the memory limit has to hold on the card of this very process
        device = choose_device(world.device(choose_device(config.device)))
        number_types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        number_type = precision(device) if config.precision == "auto" else number_types[config.precision]
        return cls(device, number_type, threads or config.threads or torch.get_num_threads())

    def autocast(self) -> AbstractContextManager[None]:
        """Do the matrix work inside in this number type."""
        return running_on(self.device, self.number_type)


@contextlib.contextmanager
def reproducible(device: str, threads: int) -> Iterator[None]:
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
    """Whether an error says that a graphics card or its driver no longer answers."""
    return isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None


def free_memory() -> None:
    """Release the memory that a failed step still holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class OutOfMemory:
    """Suppresses the error inside where memory ran out, and keeps its message.

    The message alone: the error itself would hold on to the memory of what failed.
    """

    message: str = ""
    """The error's first line; empty if memory sufficed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not is_out_of_memory(error):
            return False
        self.message = str(error).split("\n")[0] or type(error).__name__
        return True


@contextlib.contextmanager
def out_of_memory_as(sentence: str) -> Iterator[None]:
    """Raise an AnlageError with this sentence where memory runs out inside."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise AnlageError(sentence) from error
