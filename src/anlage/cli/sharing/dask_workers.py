"""``--on dask``: the same command in the workers of a cluster of dask.distributed."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from anlage.cli.sharing.taking_part import Order, take_part
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["run_on_dask"]

_POLL_S = 0.5


def run_on_dask(order: Order, n: int | None, scheduler: str | None, on_wait: Callable[[str], None]) -> None:
    """Let workers take part until all of them have ended.

    A worker that dies is replaced by the scheduler, which gives what it did to another one.

    Parameters
    ----------
    order
        What they do.
    n
        How many; None: all workers of the scheduler, two where there is none.
    scheduler
        Address of a scheduler, ``tcp://host:8786``; None: workers are started on this computer.
    on_wait
        Called now and then, with a word on the cluster.

    Raises
    ------
    AnlageError
        If dask is not installed, the scheduler does not answer, or a worker says what is wrong.
    """
    with _client(n, scheduler) as client:
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        wanted = n or max(len(addresses), 1)
        name = uuid.uuid4().hex[:8]
        futures = [
            client.submit(take_part, order, key=f"anlage-{name}-{k}", pure=False, **_place(addresses, k))
            for k in range(wanted)
        ]
        while any(not future.done() for future in futures):
            alive = len(client.scheduler_info(n_workers=-1)["workers"])
            on_wait(f"{alive} workers")
            time.sleep(_POLL_S)
        for future in futures:
            future.result()


def _place(addresses: list[str], k: int) -> dict[str, Any]:
    """One for each worker; on any other, should that one die."""
    return {"workers": [addresses[k % len(addresses)]], "allow_other_workers": True} if addresses else {}


@contextlib.contextmanager
def _client(n: int | None, scheduler: str | None) -> Iterator[Client]:
    try:
        from distributed import Client, LocalCluster  # an extra, which loads slowly
    except ImportError as error:
        raise AnlageError("dask.distributed is not installed: `pip install 'anlage[cluster]'`.") from error
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            place: Any = stack.enter_context(
                LocalCluster(n_workers=n or 2, threads_per_worker=1, processes=True, dashboard_address=None)
            )
        else:
            place = scheduler
        try:
            yield stack.enter_context(Client(place, timeout=30))
        except (OSError, ValueError) as error:
            if scheduler is None:
                raise
            raise AnlageError(
                f"The scheduler '{scheduler}' does not answer ({error}); look whether it runs, and give its address as "
                "--scheduler tcp://host:8786."
            ) from error
