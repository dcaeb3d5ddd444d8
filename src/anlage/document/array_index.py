"""Turn an array index (t, z, y, x) into a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box

__all__ = ["around", "basic", "is_fancy"]


def is_fancy(index: Any) -> bool:
    """Whether an index picks single voxels by arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray | list) for part in parts)


def basic(index: Any, shape: tuple[int, ...]) -> tuple[Box | None, tuple[int, ...]]:
    """The box of an index of whole numbers and slices, and the shape of what it selects; no box where that is nothing."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts = (*parts[:at], *[slice(None)] * (len(shape) - len(parts) + 1), *parts[at + 1 :])
    if len(parts) > len(shape):
        raise IndexError(f"too many indices: {len(parts)} for (t, z, y, x)")
    ranges: list[tuple[int, int]] = []
    kept: list[int] = []
    for n, part in zip(shape, (*parts, *[slice(None)] * (len(shape) - len(parts))), strict=True):
        if isinstance(part, slice):
            low, high, step = part.indices(n)
            if step != 1:
                raise IndexError(f"painted labels are read in steps of 1, not {step}")
            ranges.append((low, max(low, high)))
            kept.append(max(0, high - low))
        else:
            i = int(part)
            if not -n <= i < n:
                raise IndexError(f"index {i} is outside 0 … {n - 1}")
            ranges.append((i % n, i % n + 1))
    if any(high <= low for low, high in ranges):
        return None, tuple(kept)
    return Box(*ranges), tuple(kept)


def around(index: Any, shape: tuple[int, ...]) -> tuple[Box, tuple[npt.NDArray[np.int64], ...]]:
    """The box around voxels given by one array for each axis, and the same arrays as seen from the box."""
    if not isinstance(index, tuple) or len(index) != len(shape):
        raise IndexError("voxels are picked by one array for each of t, z, y, x")
    arrays = np.broadcast_arrays(*(np.asarray(part, dtype=np.int64) for part in index))
    if not arrays[0].size:
        return Box.of((0,) * len(shape), (1,) * len(shape)), tuple(arrays)
    low = [int(a.min()) for a in arrays]
    high = [int(a.max()) + 1 for a in arrays]
    if min(low) < 0 or any(h > n for h, n in zip(high, shape, strict=True)):
        raise IndexError(f"voxels from {low} to {[h - 1 for h in high]} reach outside the shape {shape}")
    return Box.of(low, high), tuple(a - lo for a, lo in zip(arrays, low, strict=True))
