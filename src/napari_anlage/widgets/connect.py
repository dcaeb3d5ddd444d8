"""Connect widgets to signals of objects that outlive them (weak connections)."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

from qtpy.compat import isalive

__all__ = ["connect", "disconnect"]

_CONNECTIONS = "_anlage_ears"
"""Attribute of a widget: what was connected for it, so that it can be taken back."""


def connect(signal: Any, slot: Callable[..., Any]) -> None:
    """Connect a signal of the session or the viewer to a method of a widget, for as long as Qt keeps the widget.

    Qt deletes a widget with its window although Python still holds it; every call on it then fails. Whether it lives is
    checked when a signal arrives: hanging Python code on Qt's `destroyed` instead ran the garbage collector in
    the middle of the deletion, and ended the program.

    Parameters
    ----------
    signal
        Signal of psygnal, or emitter of napari.
    slot
        Bound method of a QObject.
    """
    owner: Any = slot.__self__  # type: ignore[attr-defined]
    method = weakref.WeakMethod(slot)

    def deliver(*arguments: Any) -> None:
        still = method()
        if still is None or not isalive(still.__self__):  # type: ignore[attr-defined]
            signal.disconnect(deliver)
        else:
            still(*arguments)

    deliver.__signature__ = inspect.signature(slot)  # type: ignore[attr-defined]
    signal.connect(deliver)
    owner.__dict__.setdefault(_CONNECTIONS, []).append((signal, slot.__name__, deliver))


def disconnect(signal: Any, slot: Callable[..., Any]) -> None:
    """Take back what `connect` connected."""
    ears: list[tuple[Any, str, Any]] = slot.__self__.__dict__.get(_CONNECTIONS, [])  # type: ignore[attr-defined]
    for ear in [ear for ear in ears if ear[0] is signal and ear[1] == slot.__name__]:
        signal.disconnect(ear[2])
        ears.remove(ear)
