"""Channel names that the user gave, kept in the layer's metadata. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["given_names"]

_KEY = "anlage"


def given_names(layer: Any, otherwise: Sequence[str]) -> tuple[str, ...]:
    """Names of the channels along a layer's axis, as the user gave them, else those that they would have."""
    given = _notes(layer).get("channel_names", {})
    return tuple(given.get(i, name) for i, name in enumerate(otherwise))


def _notes(layer: Any) -> dict[str, Any]:
    notes = layer.metadata.get(_KEY, {})
    return notes if isinstance(notes, dict) else {}
