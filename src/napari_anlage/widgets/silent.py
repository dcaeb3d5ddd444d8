"""Widgets that are changed by the program, not by the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from qtpy.QtCore import QSignalBlocker

__all__ = ["silent"]


@contextmanager
def silent(*senders: Any) -> Iterator[None]:
    """Widgets, or other senders, whose signals are held back within, also where it ends in an error."""
    with ExitStack() as stack:
        for sender in senders:
            stack.enter_context(QSignalBlocker(sender))
        yield
