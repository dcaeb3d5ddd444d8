"""Read a folder of TIFFs as a movie, one file a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.io.folder_names import doubt_names
from anlage.io.lazy import Pixels
from anlage.io.tiff import TIFF_SUFFIXES, open_tiff
from anlage.timelapse import TimeLapse

__all__ = ["FrameFiles", "open_folder", "open_frames", "tiff_files"]


class FrameFiles:
    """Files as frames of one array (t, …); a frame without a file is 0 everywhere, and not `present`."""

    def __init__(
        self, files: Mapping[int, Path], shape: tuple[int, ...], dtype: np.dtype[Any], axes: str | None
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.present = tuple(sorted(files))
        self._files = files
        self._axes = axes

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        frames, *inner = index
        pieces = [self._frame(t, tuple(inner)) for t in range(*frames.indices(self.shape[0]))]
        return np.stack(pieces)

    def _frame(self, t: int, inner: tuple[slice, ...]) -> npt.NDArray[Any]:
        if t not in self._files:
            lengths = [len(range(*part.indices(n))) for part, n in zip(inner, self.shape[1:], strict=True)]
            return np.zeros(lengths, self.dtype)
        path = self._files[t]
        data = _squeezed(open_tiff(path, self._axes, one_frame=True), path).data
        if tuple(data.shape) != self.shape[1:]:
            raise AnlageError(f"'{path}' has changed since the folder was opened: its shape is {tuple(data.shape)}.")
        return np.asarray(data[inner]).astype(self.dtype, copy=False)


def tiff_files(folder: Path) -> list[Path]:
    """The TIFFs of a folder in natural order (t2 before t10), without hidden files."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TIFF_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found, key=_natural)


def open_folder(folder: Path, axes: str | None = None) -> TimeLapse:
    """Open a folder with one TIFF for each frame, in natural name order.

    `axes` names those of a frame (zyx) or of the whole (tzyx).

    Raises
    ------
    AnlageError
        If there is no TIFF, or a file differs in shape or type from the first.
    """
    files = tiff_files(folder)
    if not files:
        raise AnlageError(
            f"The folder '{folder}' holds neither TIFFs nor a zarr; give a folder with one TIFF per frame."
        )
    return open_frames(folder, dict(enumerate(files)), axes, notes=doubt_names(files))


def open_frames(
    folder: Path,
    files: Mapping[int, Path],
    axes: str | None = None,
    *,
    n_frames: int | None = None,
    is_labels: bool = False,
    notes: tuple[str, ...] = (),
) -> TimeLapse:
    """Open files by their frame; label files may differ in integer type, and frames may be missing."""
    if axes is not None:
        axes = axes.replace("t", "", 1) if axes.startswith("t") else axes
    order = sorted(files)
    first = _squeezed(open_tiff(files[order[0]], axes, one_frame=True), files[order[0]])
    dtype = first.dtype
    for t in order[1:]:
        other = _squeezed(open_tiff(files[t], axes, one_frame=True), files[t])
        if tuple(other.data.shape) != tuple(first.data.shape) or other.axes != first.axes:
            raise AnlageError(
                f"'{files[t]}' has the shape {tuple(other.data.shape)} ({other.axes}), but the first file of the folder "
                f"has {tuple(first.data.shape)} ({first.axes}); all frames must have the same."
            )
        if other.dtype != dtype and not is_labels:
            raise AnlageError(
                f"'{files[t]}' holds {other.dtype}, but the first file of the folder holds {dtype}; "
                "all frames must have the same type."
            )
        dtype = np.result_type(dtype, other.dtype)
    n_frames = n_frames or order[-1] + 1
    frames = FrameFiles(files, (n_frames, *first.data.shape), dtype, axes)
    return replace(
        first, data=Pixels(frames, str(folder), notes), axes="t" + first.axes, source=str(folder),
        axes_from="one file a frame" if first.axes_from == "their count" else first.axes_from,
    )  # fmt: skip


def _squeezed(timelapse: TimeLapse, path: Path) -> TimeLapse:
    """One file without its time axis, which must have length 1."""
    if "t" not in timelapse.axes:
        return timelapse
    if timelapse.n_frames > 1:
        raise AnlageError(
            f"'{path}' holds {timelapse.n_frames} frames, but in a folder each file must be one; "
            "open the file itself, or name its axes, for example --axes zyx."
        )
    place = timelapse.axes.index("t")
    return replace(timelapse, data=_WithoutTime(timelapse.data, place), axes=timelapse.axes.replace("t", ""))


class _WithoutTime:
    def __init__(self, data: Any, place: int) -> None:
        self.shape = (*data.shape[:place], *data.shape[place + 1 :])
        self.dtype = data.dtype
        self._data = data
        self._place = place

    def __getitem__(self, index: Any, /) -> Any:
        full = (*index[: self._place], slice(0, 1), *index[self._place :])
        return np.squeeze(self._data[full], axis=self._place)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Digits compare as numbers, the rest as lower-case text."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]
