"""Progress bars on stderr; none where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anlage.cli.terminal import beneath

__all__ = ["bar", "counting", "say"]


def bar(total: float | None, what: str, unit: str = "frame", **more: Any) -> Any:
    """A tqdm bar in this program's manner."""
    from tqdm import tqdm

    return tqdm(
        total=total, desc=what, unit=unit, disable=None, leave=False, dynamic_ncols=True,
        file=beneath(sys.stderr), **more,
    )  # fmt: skip


@contextmanager
def counting(what: str, unit: str = "frame") -> Iterator[Callable[[int, int], None]]:
    """A bar as a function of (done, total), as the library's slow functions call it."""
    shown = bar(None, what, unit)

    def progress(done: int, total: int) -> None:
        shown.total = total
        shown.update(done - shown.n)

    try:
        yield progress
    finally:
        shown.close()


def say(text: str) -> None:
    """Print a line on stdout without tearing a bar that is drawn on the same terminal."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)
