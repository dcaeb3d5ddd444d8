"""Read Imaris' IMS lazily: HDF5 with a group for each resolution, time point and channel; the finest resolution is read.

The layout is that of Imaris 5.5 and later, as its makers publish it (``Reference: Imaris 5.5 File Format``).
"""

from __future__ import annotations

import re
import weakref
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, VOXEL_EDGES_UM, border, printable
from anlage.io.lazy import Pixels
from anlage.io.microscope_files.hdf5 import own_dataset
from anlage.io.microscope_files.stacked import Stacked
from anlage.timelapse import TimeLapse

__all__ = ["is_imaris", "open_imaris"]

_FINEST = "DataSet/ResolutionLevel 0"
_SAYS = "Imaris' metadata"
_TO_UM = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micrometer": 1.0, "nm": 1e-3, "mm": 1e3, "m": 1e6}


def is_imaris(path: Path) -> bool:
    """Whether a file is named as one of Imaris."""
    return path.suffix.lower() == ".ims"


def open_imaris(path: Path) -> TimeLapse:
    """Open the image in a file of Imaris, (t, c, z, y, x).

    Raises
    ------
    AnlageError
        If it is no such file, or its parts differ in shape.
    """
    import h5py  # as everywhere, only where such a file is opened

    with border(f"'{path}'"):
        file = h5py.File(path, "r")
    try:
        about = {name: _attributes(file, f"DataSetInfo/{name}") for name in ("Image", "TimeInfo")}
        cells = _cells(file, path, about["Image"])
        names = [
            _attributes(file, f"DataSetInfo/Channel {c}").get("Name", f"channel {c}") for c in range(cells.shape[1])
        ]
    except BaseException:
        file.close()
        raise
    weakref.finalize(cells, file.close)
    spacing, interval = _spacing(about["Image"], cells.shape), _interval(about["TimeInfo"])
    return TimeLapse(
        Pixels(cells, str(path)), "tczyx", spacing=spacing, interval_s=interval, channels=tuple(names), source=str(path),
        axes_from=_SAYS, spacing_from=_SAYS if spacing else "", interval_from=_SAYS if interval else "",
    )  # fmt: skip


def _cells(file: Any, path: Path, about: dict[str, str]) -> Stacked:
    """All time points and channels, without what blocks hold beyond the image's own size."""
    finest = file.get(_FINEST)
    times = _numbered(finest, "TimePoint")
    channels = _numbered(finest[times[0]], "Channel") if times else []
    if not channels:
        raise AnlageError(f"'{path}' holds no image of Imaris ('{_FINEST}/TimePoint 0/Channel 0/Data'); save it again.")
    parts = [[own_dataset(file, f"{_FINEST}/{t}/{c}/Data", path) for c in channels] for t in times]
    whole = parts[0][0].shape
    own = [min(_whole_number(about.get(axis), n), n) for axis, n in zip("ZYX", whole, strict=False)]
    return Stacked(parts, path, own)


def _numbered(group: Any, word: str) -> list[str]:
    """Members that are called by a word and a number, in the order of the numbers."""
    found = [name for name in (group or ()) if re.fullmatch(rf"{word} \d+", name)]
    return sorted(found, key=lambda name: int(name.rsplit(" ", 1)[1]))


def _attributes(file: Any, name: str) -> dict[str, str]:
    """Texts, which Imaris writes as arrays of single letters."""
    with border(f"'{file.filename}'"):
        group = file.get(name)
        found = {} if group is None else dict(group.attrs)
    return {key: printable(_text(value)).strip() for key, value in found.items()}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return b"".join(value.astype("S1").ravel()).decode("utf-8", "replace") if value.dtype.kind in "SU" else ""
    return str(value)


def _whole_number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else otherwise


def _spacing(about: dict[str, str], shape: tuple[int, ...]) -> Spacing | None:
    """Of the extent of the image along each axis (0: x, 1: y, 2: z)."""
    try:
        edges = [
            (float(about[f"ExtMax{axis}"]) - float(about[f"ExtMin{axis}"])) / n
            for axis, n in zip((2, 1, 0), shape[2:], strict=True)
        ]
    except (KeyError, ValueError):
        return None
    edges = [edge * _TO_UM.get(about.get("Unit", "um").lower(), 1.0) for edge in edges]
    return Spacing(*edges) if all(VOXEL_EDGES_UM.holds(edge) for edge in edges) else None


def _interval(about: dict[str, str]) -> float | None:
    """Seconds from the first to the second of the times that are written, ``2024-01-31 12:00:00.000``."""
    try:
        first, second = (datetime.fromisoformat(about[f"TimePoint{n}"]) for n in (1, 2))
    except (KeyError, ValueError):
        return None
    seconds = (second - first).total_seconds()
    return seconds if INTERVALS_S.holds(seconds) else None
