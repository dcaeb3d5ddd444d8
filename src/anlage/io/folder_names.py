"""File names in a folder of images: missing frames, and numbers that count channels or planes instead of frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["doubt_names"]

_MARKED = {
    "channels": re.compile(r"(?:^|[^a-z])(?:c|ch|chan|channel|w|wavelength)[ _-]?$", re.IGNORECASE),
    "planes": re.compile(r"(?:^|[^a-z])(?:z|slice|plane)[ _-]?$", re.IGNORECASE),
    "positions": re.compile(r"(?:^|[^a-z])(?:p|pos|position|xy|site|field|fov|tile)[ _-]?$", re.IGNORECASE),
}
"""What stands before a number that counts something else than frames."""
_LISTED = 5


def doubt_names(files: Sequence[Path]) -> tuple[str, ...]:
    """Say what the names of files, in their order, say otherwise; nothing where they differ in more than numbers.

    Parameters
    ----------
    files
        Each taken for a frame.
    """
    parts = [re.split(r"(\d+)", file.stem) for file in files]
    texts = {tuple(one[::2]) for one in parts}
    if len(files) < 2 or len(texts) > 1 or any(len(digits) > 18 for one in parts for digits in one[1::2]):
        return ()
    before = parts[0][::2]
    numbers = np.array([[int(digits) for digits in one[1::2]] for one in parts], dtype=np.int64).reshape(len(files), -1)
    varying = [i for i in range(numbers.shape[1]) if len(np.unique(numbers[:, i])) > 1]
    said = []
    for i in varying:
        kind = next((kind for kind, mark in _MARKED.items() if mark.search(before[i])), None)
        values = np.unique(numbers[:, i])
        if kind is not None and len(values) < len(files):
            said.append(
                f"The names of the files look like {len(values)} {kind} of each frame ('{files[0].name}', '{files[1].name}' …), "
                f"but each file is taken for a frame: put {kind} into one file, for example with Fiji."
            )
    rest = varying if not said else varying[:1]
    if len(rest) == 1:
        said += _gaps(np.unique(numbers[:, rest[0]]), files)
    return tuple(said)


def _gaps(values: npt.NDArray[np.int64], files: Sequence[Path]) -> list[str]:
    """Numbers that are missing in an even row."""
    steps = np.diff(values)
    if not len(steps) or (steps == steps[0]).all():
        return []
    step = int(np.gcd.reduce(steps))
    absent: list[int] = []
    n = 0
    for value, width in zip(values, steps, strict=False):
        n += int(width) // step - 1
        absent += [int(value) + step * (k + 1) for k in range(min(int(width) // step - 1, _LISTED - len(absent)))]
    named = ", ".join(map(str, absent)) + (" …" if n > len(absent) else "")
    verb = "is" if n == 1 else "are"
    return [
        f"By the names of the files, '{files[0].name}' to '{files[-1].name}', number {named} {verb} missing; the frames are counted "
        "without it, in the order of the names."
    ]
