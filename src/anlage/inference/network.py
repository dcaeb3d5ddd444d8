"""Predict centres of nuclei with a trained network."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.calibration import Calibration
from anlage.inference.loaded import Loaded
from anlage.inference.loading import load_for
from anlage.inference.region import CONTEXT_DIAMETERS, Part, Progress, chosen_frames
from anlage.inference.tiles import Tiles
from anlage.model import Model
from anlage.prediction import DenseMap, Prediction
from anlage.tasks.nuclei.detections import LOWEST, decode_centres
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Placement

__all__ = ["NetworkFinder", "lowest_probability", "predict", "prepare_network"]


def predict(  # noqa: PLR0913 - the command line's options
    model: Model,
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    threshold: float | None = None,
    device: str = "auto",
    heatmap: bool = False,
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """Find nuclei with a trained network, frame by frame.

    Parameters
    ----------
    model
        A nuclei model.
    image
        The movie. If its voxel size is unknown, the model's is assumed, with a note.
    frames
        Frames to predict; all by default.
    region
        Predict this part only (voxels of the image; its time range is not looked at). Two nucleus diameters around it
        are read as context.
    channels
        Channels of the image that the model's inputs are taken from, in its order; by default the numbers in its card.
    diameter_um
        Typical nucleus diameter in the image in µm; by default the model's, unless the image clearly shows others, or the
        model knows nuclei of many sizes: then as measured.
    threshold
        Report nuclei from this probability (0 to 1) on; by default the model's own.
    device
        Where to compute.
    heatmap
        Also give the map of probabilities.
    progress
        Called with frames done and frames in all.

    Yields
    ------
    Prediction
        One for each frame, in order. Positions and maps are in voxels of the image.

    Raises
    ------
    AnlageError
        If the image lacks a channel that the model needs, holds NaN, or the device cannot be used.
    """
    todo = chosen_frames(image, frames)
    finder = prepare_network(
        model, image, frames=frames, region=region, channels=channels, diameter_um=diameter_um, threshold=threshold,
        device=device, heatmap=heatmap,
    )  # fmt: skip
    for i, prediction in enumerate(finder.predictions(todo)):
        yield prediction
        if progress is not None:
            progress(i + 1, len(todo))


@dataclass(frozen=True)
class NetworkFinder:
    """A network with everything it needs to find nuclei in one image."""

    model: Model
    loaded: Loaded
    image: TimeLapse
    placement: Placement
    part: Part
    context: Box
    threshold: float
    """Calibrated probability from which a nucleus is reported."""
    heatmap: bool
    _frames_read: dict[int, Any]
    _lock: threading.Lock
    _tiles: Tiles

    @property
    def diameter_um(self) -> float:
        """Nucleus diameter in µm by which the image is scaled."""
        return self.loaded.diameter_um

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, as sentences."""
        return self.loaded.notes

    def predictions(self, frames: Iterable[int]) -> Iterator[Prediction]:
        """Predict frames, in the order in which they come; each is asked for while the one before is computed."""
        coming = iter(frames)
        # the next frame is read and resampled while the network works on this one
        with ThreadPoolExecutor(max_workers=1) as reader:
            t = next(coming, None)
            pixels = None if t is None else reader.submit(self.read, t)
            while t is not None and pixels is not None:
                ready = pixels.result()
                following = next(coming, None)
                pixels = None if following is None else reader.submit(self.read, following)
                yield self.predict(t, ready)
                t = following

    def read(self, t: int) -> torch.Tensor:
        """A frame with its temporal context on the working grid, (C, Z, Y, X)."""
        import torch

        last = self.image.n_frames - 1
        wanted = [min(max(t + offset, 0), last) for offset in self.loaded.plan.frames]
        with self._lock:  # frames are shared between neighbouring stacks
            for i in wanted:
                if i not in self._frames_read:
                    pixels = torch.from_numpy(self.loaded.intensity.frame(self.image, i, self.context))
                    self._frames_read[i] = self.placement.resample(pixels)
            for i in [i for i in self._frames_read if i not in wanted]:
                del self._frames_read[i]
            return torch.cat([self._frames_read[i] for i in wanted])

    def predict(self, t: int, pixels: torch.Tensor) -> Prediction:
        """Find the nuclei of a frame that was read."""
        calibration = self.model.card.evidence.calibration
        grid = self.loaded.plan.grid
        output = self._tiles.output(self.loaded.network, pixels, grid, self.loaded.device)
        found = decode_centres(
            output[0], output[1:4], grid.cell_diameters, lowest=lowest_probability(calibration, self.threshold)
        )
        working = (found.cells + 0.5) * grid.stem - 0.5
        positions = self.placement.to_image(working) + self.context.start[1:]
        probability = calibration.apply(found.logits)
        kept = probability >= self.threshold
        nuclei = self.part.nuclei(t, positions[kept], probability[kept], self.model.id, self.loaded.diameter_um)
        dense = self._map(calibration.apply(output[0])) if self.heatmap else None
        return Prediction(t, nuclei, self.model.id, dense, self.loaded.notes, self.loaded.diameter_um)

    def _map(self, probability: npt.NDArray[np.float64]) -> DenseMap:
        dense = self.placement.dense(probability.astype(np.float32))
        z, y, x = (float(o + s) for o, s in zip(dense.origin_zyx, self.context.start[1:], strict=True))
        return DenseMap(dense.data, dense.step_zyx, (z, y, x))


def prepare_network(  # noqa: PLR0913 - the command line's options
    model: Model,
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    threshold: float | None = None,
    device: str = "auto",
    heatmap: bool = False,
) -> NetworkFinder:
    """Make ready to find nuclei; parameters are those of `predict`, and the nuclei are measured in all of `frames`."""
    loaded = load_for(model, image, frames, channels=channels, diameter_um=diameter_um, device=device)
    part = Part(image, region)
    context = part.grown(CONTEXT_DIAMETERS * loaded.diameter_um, loaded.spacing) if region else part.box
    placement = loaded.plan.grid.place(loaded.spacing, loaded.diameter_um, context.shape[1:])
    probable = model.card.evidence.threshold if threshold is None else threshold
    return NetworkFinder(
        model, loaded, image, placement, part, context, probable, heatmap, {}, threading.Lock(), Tiles()
    )


def lowest_probability(calibration: Calibration, threshold: float) -> float:
    """Uncalibrated probability below which nothing can reach the threshold; never above the usual floor."""
    p = min(max(threshold, 1e-4), 1 - 1e-4)
    logit = (float(np.log(p / (1 - p))) - calibration.intercept) / calibration.slope
    return float(np.clip(1 / (1 + np.exp(-logit)), 1e-4, LOWEST))
