"""The image for a child process: the file behind the layer, or a copy of the frames that are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.io import open_image, write_image
from anlage.timelapse import TimeLapse

__all__ = ["ChildImage", "frames_for_child", "movie_for_child"]

_COPY = Path("predictions", "image.ome.zarr")
"""Where in a project folder the copy of an image lies that is no file."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ChildImage:
    """An image that a child can open.

    Parameters
    ----------
    path
        The file.
    frames
        Number of a frame of the image → its number in the file.
    options
        Command-line options that describe it.
    """

    path: Path
    frames: Mapping[int, int]
    options: tuple[str, ...]


def frames_for_child(image: TimeLapse, frame: int, offsets: Iterable[int], file: Path | None, copy: Path) -> ChildImage:
    """The file for a frame, its neighbours at these `offsets`, and enough of the movie to normalise its brightness.

    The file behind the layer is used where it holds the very same pixels. Otherwise the frame is written to `copy`, with
    its neighbours and a few frames from all over the movie, so that brightness is normalised as it would be for the whole.
    """
    if file is not None and _is_same(file, image, (frame,)):
        return ChildImage(file, {t: t for t in range(image.n_frames)}, _scale(image))
    frames = _frames_to_write(frame, (0, *offsets), image.n_frames)
    _write(copy, image, frames)
    return ChildImage(copy, {t: i for i, t in enumerate(frames)}, _scale(image))


def movie_for_child(image: TimeLapse, file: Path | None, folder: Path, progress: Progress | None = None) -> ChildImage:
    """The file for all frames: that behind the layer, or a copy in the project folder, which is kept for the next time."""
    copy = folder / _COPY
    some = sorted({0, image.n_frames // 2, image.n_frames - 1})
    everything = {t: t for t in range(image.n_frames)}
    for known in (file, copy):
        if known is not None and _is_same(known, image, some):
            return ChildImage(known, everything, _scale(image))
    _write(copy, image, range(image.n_frames), progress)
    return ChildImage(copy, everything, _scale(image))


def _is_same(file: Path, image: TimeLapse, frames: Iterable[int]) -> bool:
    """Whether a file holds the image: the same shape, and the same pixels in these frames."""
    if not file.exists():
        return False
    try:
        there = open_image(file)
        return there.shape == image.shape and all(np.array_equal(there.frame(t), image.frame(t)) for t in frames)
    except (AnlageError, OSError):
        return False  # a format that only napari reads


def _scale(image: TimeLapse) -> tuple[str, ...]:
    options: list[str] = []
    if image.spacing is not None:
        options += ["--spacing", ",".join(f"{size!r}" for size in image.spacing.zyx)]
    if image.interval_s is not None:
        options += ["--interval", f"{image.interval_s!r}"]
    return tuple(options)


def _frames_to_write(frame: int, offsets: tuple[int, ...], n: int) -> list[int]:
    """Frames of the image in the order to be written.

    The neighbours stay around the wanted one, and where the movie ends beside it, so does what is written.
    """
    low, high = frame + min(offsets), frame + max(offsets)
    around = list(range(max(0, low), min(n - 1, high) + 1))
    spread = sorted({0, n // 3, 2 * n // 3, n - 1} - set(around))
    if low < 0 and high > n - 1:
        return list(range(n))
    return around + spread if low < 0 else spread + around


def _write(path: Path, image: TimeLapse, frames: Iterable[int], progress: Progress | None = None) -> None:
    wanted = list(frames)

    def read() -> Iterator[npt.NDArray[Any]]:
        for i, t in enumerate(wanted):
            yield image.frame(t)
            if progress is not None:
                progress(i + 1, len(wanted))

    write_image(path, read(), spacing=image.spacing, interval_s=image.interval_s, channels=image.channels)
