"""Doubts about an image: missing chunks, equal pixels, or an implausible voxel size.

The same sentences for the command line and the viewer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.io.images import open_image
from anlage.timelapse import TimeLapse

__all__ = ["doubt_image", "doubt_reading", "doubt_spacing", "doubt_values"]

_PLANE_UM = (0.005, 20.0)
"""Pixels that resolve nuclei are between these; larger ones are larger than a nucleus."""
_DEPTH_UM = (0.005, 200.0)
_FLATTEST = 200.0
"""Planes are not farther apart, or nearer, than so many pixels."""
_LONGEST = 10.0
"""Pixels are not longer than so many times their width."""
_FEW = 3
"""Number of frames that are examined."""
_MOST_VOXELS = 2**26
"""Of a larger frame only the middle plane is looked at."""


def doubt_image(image: TimeLapse, frames: Sequence[int] | None = None) -> tuple[str, ...]:
    """Say what is doubtful about an image, one sentence each; none where nothing is.

    At most three frames are read, and of these a plane, as long as it holds different values.

    Parameters
    ----------
    image
        The movie.
    frames
        Frames that matter; all by default.

    Raises
    ------
    AnlageError
        If its pixels are not there, or cannot be decoded.
    """
    image.require_pixels()
    todo = list(range(image.n_frames)) if frames is None else list(frames)
    few = sorted({todo[0], todo[len(todo) // 2], todo[-1]})[:_FEW] if todo else []
    return (*doubt_reading(image), *doubt_values(image, few))


def doubt_reading(image: TimeLapse, file: str | Path | None = None) -> tuple[str, ...]:
    """Say what is doubtful about how an image was read, without reading any of its pixels.

    Parameters
    ----------
    image
        The movie, perhaps opened by another program.
    file
        What lies behind it, where that is known: then it is looked whether all of it is there.
    """
    spacing = None if image.spacing is None else doubt_spacing(image.spacing, image.spacing_from, flat=image.is_flat)
    return (*image.notes, *_of_file(file), *([] if spacing is None else [spacing]))


def _of_file(file: str | Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    try:
        image = open_image(file)
    except (AnlageError, OSError):  # another program may read what we do not
        return ()
    try:
        image.require_pixels()
    except AnlageError as refusal:
        return (str(refusal),)
    return image.notes


def doubt_spacing(spacing: Spacing, source: str = "", *, flat: bool = False) -> str | None:
    """A sentence where no microscope that shows nuclei has such voxels; None where one may.

    Parameters
    ----------
    spacing
        In µm.
    source
        Who says so.
    flat
        Whether there is a single plane, whose distance to the next means nothing.
    """
    z, y, x = spacing.zyx
    low, high = _PLANE_UM
    deep = flat or (_DEPTH_UM[0] <= z <= _DEPTH_UM[1] and 1 / _FLATTEST <= z / x <= _FLATTEST)
    if low <= y <= high and low <= x <= high and 1 / _LONGEST <= y / x <= _LONGEST and deep:
        return None
    by = f" ({source})" if source else ""
    return (
        f"Voxels of {spacing}{by} are unlikely for an image of nuclei, which are 2 to 50 µm across: is the voxel size right? "
        "If not, give the true one."
    )


def doubt_values(image: TimeLapse, frames: Sequence[int]) -> list[str]:
    """Say which channels hold one value only, or values that are no numbers; nothing of planes too large for a look."""
    said: list[str] = []
    if math.prod(image.shape_tzyx[2:]) > _MOST_VOXELS:
        return said
    for c in range(image.n_channels):
        equal: dict[int, Any] = {}
        bad = 0.0
        for t in frames:
            values = _plane(image, t, c)
            if _is_equal(values):
                values = _whole(image, t, c)
            if _is_equal(values):
                equal[t] = values.flat[0]
            bad = max(bad, float(np.mean(~np.isfinite(values)))) if values.dtype.kind == "f" else bad
        name = f"Channel {c} of '{image.source}'" if image.n_channels > 1 else f"'{image.source}'"
        if equal:
            said.append(_equal_values(name, equal, frames, image.n_frames))
        if bad:
            said.append(
                f"{name} holds values that are no numbers (NaN or infinite), up to {bad:.1%} of what was looked at: replace "
                "them, for example by the background's grey value."
            )
    return said


def _equal_values(name: str, equal: dict[int, Any], frames: Sequence[int], n_frames: int) -> str:
    values = sorted({float(value) for value in equal.values()})
    value = f"{values[0]:g}" if len(values) == 1 else "the same value"
    if len(equal) == n_frames:
        where = ""
    elif len(equal) == len(frames):
        where = f" in all frames that were looked at ({', '.join(map(str, frames))})"
    else:
        where = f" in frame {', '.join(map(str, equal))} (looked at: {', '.join(map(str, frames))})"
    return f"{name} is {value} everywhere{where}: nothing can be seen there; is it the right file, and whole?"


def _plane(image: TimeLapse, t: int, c: int) -> npt.NDArray[Any]:
    _, n, y, x = image.shape_tzyx
    return image.read(Box((t, t + 1), (n // 2, n // 2 + 1), (0, y), (0, x)), [c])


def _whole(image: TimeLapse, t: int, c: int) -> npt.NDArray[Any]:
    """A frame, of which a plane holds one value only."""
    _, n, y, x = image.shape_tzyx
    return image.frame(t, [c]) if n * y * x <= _MOST_VOXELS else _plane(image, t, c)


def _is_equal(values: npt.NDArray[Any]) -> bool:
    first = values.flat[0]
    return bool((values == first).all()) or (values.dtype.kind == "f" and bool(np.isnan(values).all()))
