"""The role of a layer that anlage made, kept in its metadata. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "ANNOTATED",
    "LINKS",
    "NUCLEI",
    "PAINTED",
    "REGIONS",
    "is_leaving",
    "is_managed",
    "remove",
    "remove_all",
    "role_of",
    "take_away",
]

_LEAVING = "anlage_leaving"
"""In the metadata of a layer that we take away."""


_KEY = "anlage"


NUCLEI, LINKS, PAINTED, REGIONS = "nuclei", "links", "painted labels", "cuboid"
"""Roles of the layers that are views of the project's document."""


ANNOTATED = "#4dd8ff"
"""Colour of the rings around annotated nuclei; predicted ones are coloured by probability."""


def role_of(layer: Any) -> str | None:
    """What anlage made a layer for ('cuboid', 'preview centres', …); None for the user's own."""
    role = layer.metadata.get(_KEY, {})
    return role.get("role") if isinstance(role, dict) else None


def is_managed(layer: Any) -> bool:
    """Whether a layer is a view of the project's document."""
    return role_of(layer) in (NUCLEI, LINKS, PAINTED, REGIONS)


def remove_all(viewer: Any) -> None:
    """Take away every layer that anlage made: they are about one image, and go with it."""
    take_away(viewer, [layer for layer in viewer.layers if role_of(layer) is not None])


def remove(viewer: Any, prefix: str) -> None:
    """Take away the layers whose role begins so."""
    take_away(viewer, [layer for layer in viewer.layers if (role_of(layer) or "").startswith(prefix)])


def take_away(viewer: Any, layers: Iterable[Any]) -> None:
    """Take layers out of the viewer, one after the other; the dock draws the canvas in between (see `is_leaving`)."""
    for layer in [layer for layer in layers if layer in viewer.layers]:
        if layer in viewer.layers:  # the going of one may take another along
            layer.metadata[_LEAVING] = True
            viewer.layers.remove(layer)


def is_leaving(layer: Any) -> bool:
    """Whether we take a layer away, and neither the user nor a viewer that is being closed."""
    return _LEAVING in layer.metadata
