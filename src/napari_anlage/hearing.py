"""Widgets that listen to what outlives them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["hear"]


def hear(signal: Any, slot: Callable[..., Any]) -> None:
    """Connect a signal of the session or the viewer to a method of a widget, for as long as Qt keeps the widget.

    Qt deletes a widget with its window although Python still holds it; PySide then refuses every call on it.

    Parameters
    ----------
    signal
        Signal of psygnal, or emitter of napari.
    slot
        Bound method of a QObject.
    """
    signal.connect(slot)
    owner: Any = slot.__self__  # type: ignore[attr-defined]
    method = weakref.WeakMethod(slot)

    def forget() -> None:
        if (still := method()) is not None:
            signal.disconnect(still)

    owner.destroyed.connect(forget)
