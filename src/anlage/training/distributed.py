"""Training on several GPUs or machines: the processes that ``torchrun`` starts, and what they must agree on.

Each process makes its own batches and holds the same weights. Only the first one writes files, looks at held-out data and
decides; the others follow. A single process is a world of one, and none of this costs it anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import torch

__all__ = ["World"]


@dataclass(frozen=True, slots=True)
class World:
    """A process among its peers."""

    rank: int = 0
    """0 is the first."""
    size: int = 1
    local_rank: int = 0
    """Number of the process on its machine; its GPU has the same number."""

    @classmethod
    def from_environment(cls) -> Self:
        """As torchrun tells it; a world of one without it."""
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
    def joined(self, device: str) -> Iterator[None]:
        """Connect with the peers."""
        if self.is_alone:
            yield
            return
        import torch

        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()

    def spread(self, network: torch.nn.Module, device: str) -> torch.nn.Module:
        """The network whose gradients are averaged over all processes."""
        if self.is_alone:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, device_ids=[device] if device.startswith("cuda") else None)

    def first_says(self, *values: int, device: str) -> tuple[int, ...]:
        """What the first process holds, in all of them; they wait for one another."""
        if self.is_alone:
            return values
        import torch

        said = torch.tensor(values, dtype=torch.int64, device=device)
        torch.distributed.broadcast(said, src=0)
        return tuple(int(v) for v in said.tolist())

    def all_of(self, flag: bool, device: str) -> bool:  # noqa: FBT001 (the flag is the value)
        """Whether all processes say yes."""
        if self.is_alone:
            return flag
        import torch

        said = torch.tensor(int(flag), device=device)
        torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MIN)
        return bool(said.item())
