"""A prediction of one frame, made by the command line in a child process: what to hand over, what comes back.

The image goes as a temporary OME-Zarr, for its layer may lie in memory only; torch is never loaded here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import (
    AnlageError,
    Annotations,
    DenseMap,
    Prediction,
    State,
    TimeLapse,
    load_model,
    open_annotations,
    open_image,
    write_image,
)

__all__ = ["CLASSICAL", "Request", "prepare", "receive"]

CLASSICAL = "classical"


@dataclass(frozen=True, slots=True)
class Request:
    """What to predict.

    Parameters
    ----------
    image
        The image, its voxel size known.
    frame
        Which frame of it.
    model
        A model file, or ``"classical"``.
    channels
        Channels for the classical detector; a model knows its own.
    diameter_um
        Nucleus diameter here in µm; None: measured.
    threshold
        Lowest probability to report; None: the model's own.
    heatmap
        Whether the map is wanted too.
    file
        The file behind the image's layer, where there is one.
    """

    image: TimeLapse
    frame: int
    model: str
    channels: tuple[int, ...] | None = None
    diameter_um: float | None = None
    threshold: float | None = None
    heatmap: bool = True
    file: Path | None = None


def prepare(request: Request, folder: Path) -> list[str]:
    """Hand the frame over and give the command line.

    The file behind the layer is used where it holds the very same pixels. Otherwise the frame is written, with the
    neighbours that the model looks at and a few frames from all over the movie, so that brightness is normalised as it
    would be for the whole of it.
    """
    image = request.image
    if request.file is not None and _same_frame(request.file, image, request.frame):
        source, here, channels = request.file, request.frame, request.channels
    else:
        frames, here = _frames_to_write(request)
        source, channels = folder / "image.ome.zarr", None
        chosen = (
            (request.channels or range(image.n_channels)) if request.model == CLASSICAL else range(image.n_channels)
        )
        write_image(
            source, _read(image, frames, tuple(chosen)), spacing=image.spacing, interval_s=image.interval_s,
            channels=tuple(image.channels[c] for c in chosen),
        )  # fmt: skip
    arguments = [
        "predict",
        request.model,
        str(source),
        "-o",
        str(folder / "found.csv"),
        "--frames",
        f"{here}:{here + 1}",
    ]
    if image.spacing is not None:
        arguments += ["--spacing", ",".join(f"{size!r}" for size in image.spacing.zyx)]
    if request.model == CLASSICAL and channels:
        arguments += ["--channels", ",".join(map(str, channels))]
    if request.diameter_um is not None:
        arguments += ["--diameter-um", f"{request.diameter_um:g}"]
    if request.threshold is not None:
        arguments += ["--threshold", f"{request.threshold:g}"]
    if request.heatmap:
        arguments += ["--heatmap", str(folder / "heatmap.ome.zarr")]
    (folder / "frame.txt").write_text(str(here), encoding="utf-8")
    return arguments


def receive(request: Request, folder: Path) -> Prediction:
    """Read what the child wrote, in frames and voxels of the whole image."""
    here = int((folder / "frame.txt").read_text(encoding="utf-8"))
    found = open_annotations(folder / "found.csv").shifted((request.frame - here, 0, 0, 0))
    heatmap = None
    if request.heatmap:
        data = open_image(folder / "heatmap.ome.zarr").frame(here)[0].astype(np.float32)
        heatmap = DenseMap(data, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    return Prediction(request.frame, _proposed(found, request.model), request.model, heatmap)


def _same_frame(file: Path, image: TimeLapse, frame: int) -> bool:
    """Whether a file holds the image: the same shape, and the same pixels in this frame."""
    try:
        there = open_image(file)
        return there.shape == image.shape and bool(np.array_equal(there.frame(frame), image.frame(frame)))
    except (AnlageError, OSError):
        return False  # a format that only napari reads, or a file that moved


def _frames_to_write(request: Request) -> tuple[list[int], int]:
    """Frames of the image in the order to be written, and where the wanted one is among them.

    The neighbours stay around it, and where the movie ends beside it, so does what is written.
    """
    offsets = [0]
    if request.model != CLASSICAL:
        offsets += [int(offset) for offset in load_model(Path(request.model)).card.config.get("frames", ())]
    t, n = request.frame, request.image.n_frames
    low, high = t + min(offsets), t + max(offsets)
    around = list(range(max(0, low), min(n - 1, high) + 1))
    spread = sorted({0, n // 3, 2 * n // 3, n - 1} - set(around))
    if low < 0 and high > n - 1:
        frames = list(range(n))
    elif low < 0:
        frames = around + spread
    else:
        frames = spread + around
    return frames, frames.index(t)


def _read(image: TimeLapse, frames: list[int], channels: tuple[int, ...]) -> Iterator[npt.NDArray[Any]]:
    for t in frames:
        yield image.frame(t, channels)


def _proposed(found: Annotations, model: str) -> Annotations:
    n = len(found)
    return replace(found, state=np.full(n, State.PROPOSED, np.int8), origin=np.full(n, Path(model).stem))
