"""Training on several GPUs or machines: the processes that ``torchrun`` starts, and what they must agree on.

Each process makes its own batches and holds the same weights. Only the first one writes files, validates and
decides; the others follow. A single process is a world of one, and none of this costs it anything.

torch is loaded where it is needed, not here: a training reports that it has begun before it loads torch, which takes seconds.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from anlage.errors import AnlageError

if TYPE_CHECKING:
    import torch

__all__ = ["World", "program"]


def program(processes: int) -> list[str]:
    """How this program is begun in so many processes that train together; words of a command follow."""
    together = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [sys.executable, "-u", "-m", *(together if processes > 1 else []), "anlage"]


@dataclass(frozen=True, slots=True)
class World:
    """A process among those that train together."""

    rank: int = 0
    """0 is the first."""
    size: int = 1
    local_rank: int = 0
    """Number of the process on its machine; its GPU has the same number."""

    @classmethod
    def from_environment(cls) -> Self:
        """From the variables that torchrun sets; a world of one without them."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size <= 1 or "RANK" not in os.environ:
            return cls()
        return cls(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def device(self, name: str) -> str:
        """Each process on a machine has a GPU of its own."""
        return f"cuda:{self.local_rank}" if name.startswith("cuda") and not self.is_alone else name

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Connect with the other processes, unless they are connected already."""
        if self.is_alone or self._is_connected():
            yield
            return
        import torch

        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()

    def _is_connected(self) -> bool:
        import torch

        return torch.distributed.is_initialized()

    @contextlib.contextmanager
    def process_group(self, device: str) -> Iterator[None]:
        """Connect with the other processes to compute on this device."""
        if device.startswith("cuda") and not self.is_alone:
            import torch

            torch.cuda.set_device(device)
        with self.connected():
            yield

    def first_begins(self, begin: Callable[[], object]) -> None:
        """Let the first process do this, and the others wait until it is done.

        Raises
        ------
        AnlageError
            What the first one raised, in all of them.
        """
        if self.is_alone:
            begin()
            return
        problem = b""
        if self.is_first:
            try:
                begin()
            except AnlageError as error:
                problem = str(error).encode()
        problem = self._from_first(problem)
        if problem:
            raise AnlageError(problem.decode())

    def _from_first(self, text: bytes) -> bytes:
        """The text of the first process, in all of them."""
        import torch

        (length,) = self.broadcast_first(len(text), device="cpu")
        shared = torch.tensor(list(text) if self.is_first else [0] * length, dtype=torch.uint8)
        if length:
            torch.distributed.broadcast(shared, src=0)
        return bytes(shared.tolist())

    def data_parallel(self, network: torch.nn.Module, device: str) -> torch.nn.Module:
        """The network whose gradients are averaged over all processes."""
        if self.is_alone:
            return network
        from torch.nn.parallel import DistributedDataParallel

        # of kernels of 1 × 1 × 1, whose layout has two names: nobody can act on it
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(network, device_ids=[device] if device.startswith("cuda") else None)

    def broadcast_first(self, *values: int, device: str) -> tuple[int, ...]:
        """The values of the first process, in all of them; they wait for one another."""
        if self.is_alone:
            return values
        import torch

        shared = torch.tensor(values, dtype=torch.int64, device=device)
        torch.distributed.broadcast(shared, src=0)
        return tuple(int(v) for v in shared.tolist())

    def all_true(self, flag: bool, device: str) -> bool:  # noqa: FBT001 (the flag is the value)
        """Whether it is true in all processes."""
        if self.is_alone:
            return flag
        import torch

        shared = torch.tensor(int(flag), device=device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MIN)
        return bool(shared.item())
