"""Default axes of an image whose file does not name them."""

from __future__ import annotations

from anlage.timelapse import default_axes

__all__ = ["unnamed"]


def unnamed(n_dimensions: int, *, one_frame: bool = False) -> str:
    """Axes by their count: yx, zyx, tzyx, tczyx; in a file that is one frame of a folder yx, zyx, czyx."""
    if one_frame and n_dimensions == 4:
        return "czyx"
    return default_axes(n_dimensions)
