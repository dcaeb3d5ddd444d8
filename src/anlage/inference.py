"""Prediction: one frame at a time, from any image, with a trained network or without.

The network sees what it saw in training: the card's channels, normalised by the percentiles of this movie, on a grid that
is laid by the nucleus diameter. Nothing is kept from frame to frame but the table of nuclei, so a movie of any length
needs the memory of one frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.blobs import FRACTION, blob_response, detect, estimate_diameter, match_diameter
from anlage.calibration import Calibration
from anlage.dataset.intensity import Intensity, measure_intensity
from anlage.errors import AnlageError
from anlage.model import Model
from anlage.prediction import DenseMap, Prediction
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Placement
    from anlage.tasks.nuclei import NucleiPlan

__all__ = ["CLASSICAL", "predict", "predict_classical"]

CLASSICAL = "classical"
"""Name of the detector that needs no training, wherever a model is named."""

LOWEST = 0.05
"""Cells less probable than this, before calibration, are not looked at unless the threshold demands it."""
CONTEXT_DIAMETERS = 2.0
"""Surroundings of a region that are read with it, so that its rim is seen as in a whole frame."""

Progress = Callable[[int, int], None]


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
        Typical nucleus diameter in the image in µm; by default the model's, unless the image clearly shows others.
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
    runner = _prepare(model, image, frames, region, channels, diameter_um, device)
    probable = model.card.evidence.threshold if threshold is None else threshold
    todo = _frames(image, frames)
    # the next frame is read and resampled while the network works on this one
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(runner.read, todo[0])
        for i, t in enumerate(todo):
            pixels = coming.result()
            if i + 1 < len(todo):
                coming = reader.submit(runner.read, todo[i + 1])
            yield runner.predict(t, pixels, probable, heatmap=heatmap)
            if progress is not None:
                progress(i + 1, len(todo))


def predict_classical(  # noqa: PLR0913 - the command line's options
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    threshold: float | None = None,
    heatmap: bool = False,
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """Find nuclei as bright blobs, without any training; see `anlage.blobs.detect`.

    Parameters are those of `predict`; `channels` are summed (all by default), and the probability is a blob's contrast,
    0.5 for the faintest one that counts by default: it ranks, it is not calibrated.
    """
    spacing = image.spacing
    if spacing is None:
        raise AnlageError(f"The voxel size of '{image.source}' is unknown: give it in µm with --spacing Z,Y,X.")
    intensity = measure_intensity(image, channels, combine="sum")
    todo = _frames(image, frames)
    part = _Part(image, region)
    notes: tuple[str, ...] = ()
    if diameter_um is None:
        diameter_um = _apparent_diameter(image, intensity, spacing, todo)
        if diameter_um is None:
            raise AnlageError(
                f"No nuclei could be measured in '{image.source}': give their diameter in µm with --diameter-um."
            )
        notes = (f"The nuclei were taken to be {diameter_um:.1f} µm across, as measured in the image.",)
    floor = 0.5 if threshold is None else threshold
    context = part.grown(CONTEXT_DIAMETERS * diameter_um, spacing)
    for i, t in enumerate(todo):
        pixels = intensity.frame(image, t, context)[0]
        positions, scores = detect(pixels, spacing, diameter_um, fraction=min(FRACTION, _contrast(floor)))
        nuclei = part.nuclei(t, positions + context.start[1:], _rank(scores), CLASSICAL, diameter_um)
        dense = _blob_map(pixels, spacing, diameter_um, context) if heatmap else None
        yield Prediction(t, nuclei.select(nuclei.probability >= floor), CLASSICAL, dense, notes)
        if progress is not None:
            progress(i + 1, len(todo))


@dataclass(frozen=True)
class _Part:
    """The part of each frame that is asked for."""

    image: TimeLapse
    region: Box | None

    @property
    def box(self) -> Box:
        return self.region or Box.whole(self.image.shape_tzyx)

    def grown(self, margin_um: float, spacing: Spacing) -> Box:
        """With context around it, inside the image."""
        margin = np.ceil(margin_um / spacing.um).astype(int)
        return self.box.grown(margin.tolist()).clipped(self.image.shape_tzyx)

    def nuclei(
        self,
        t: int,
        positions_zyx: npt.NDArray[np.float64],
        probability: npt.NDArray[np.float64],
        origin: str,
        diameter_um: float,
    ) -> Annotations:
        """Nuclei of one frame that lie in the part, the most likely first."""
        # the grid of cells reaches a little beyond the image; a centre found there lies on the last voxel
        last = np.array(self.image.shape_tzyx[1:]) - 1
        inner = np.clip(positions_zyx.reshape(-1, 3), -0.49, last + 0.49) * (last > 0)
        positions = np.insert(inner, 0, t, axis=1)
        _, z, y, x = self.box.ranges
        inside = Box((t, t + 1), z, y, x).contains(positions)
        order = np.argsort(-probability[inside], kind="stable")
        return Annotations.of(
            positions[inside][order],
            probability=probability[inside][order],
            radius_um=diameter_um / 2,
            state=State.PROPOSED,
            origin=origin,
        )


@dataclass(frozen=True)
class _Runner:
    """A network with everything it needs to look at one image."""

    model: Model
    network: torch.nn.Module
    plan: NucleiPlan
    device: str
    image: TimeLapse
    intensity: Intensity
    placement: Placement
    part: _Part
    context: Box
    diameter_um: float
    notes: tuple[str, ...]
    _frames_read: dict[int, Any]
    _lock: threading.Lock

    def read(self, t: int) -> torch.Tensor:
        """A frame with its temporal context on the working grid, (C, Z, Y, X)."""
        import torch

        last = self.image.n_frames - 1
        wanted = [min(max(t + offset, 0), last) for offset in self.plan.frames]
        with self._lock:  # frames are shared between neighbouring stacks
            for i in wanted:
                if i not in self._frames_read:
                    pixels = torch.from_numpy(self.intensity.frame(self.image, i, self.context))
                    self._frames_read[i] = self.placement.resample(pixels)
            for i in [i for i in self._frames_read if i < min(wanted)]:
                del self._frames_read[i]
            return torch.cat([self._frames_read[i] for i in wanted])

    def predict(self, t: int, pixels: torch.Tensor, threshold: float, *, heatmap: bool) -> Prediction:
        from anlage.tasks.centres import decode_centres
        from anlage.tasks.dense import network_output

        calibration = self.model.card.evidence.calibration
        grid = self.plan.grid
        output = network_output(self.network, pixels, grid, self.device)
        found = decode_centres(output[0], output[1:4], grid.cell_diameters, lowest=_floor(calibration, threshold))
        working = (found.cells + 0.5) * grid.stem - 0.5
        positions = self.placement.to_image(working) + self.context.start[1:]
        probability = calibration.apply(found.logits)
        kept = probability >= threshold
        nuclei = self.part.nuclei(t, positions[kept], probability[kept], self.model.id, self.diameter_um)
        dense = self._map(calibration.apply(output[0])) if heatmap else None
        return Prediction(t, nuclei, self.model.id, dense, self.notes)

    def _map(self, probability: npt.NDArray[np.float64]) -> DenseMap:
        dense = self.placement.dense(probability.astype(np.float32))
        z, y, x = (float(o + s) for o, s in zip(dense.origin_zyx, self.context.start[1:], strict=True))
        return DenseMap(dense.data, dense.step_zyx, (z, y, x))


def _prepare(
    model: Model,
    image: TimeLapse,
    frames: Sequence[int] | None,
    region: Box | None,
    channels: Sequence[int] | None,
    diameter_um: float | None,
    device: str,
) -> _Runner:
    from anlage.networks.device import choose_device

    card = model.card
    inputs, notes = _channels(model, image, channels)
    chosen = choose_device(device)
    network, plan = _network(model, chosen)
    notes += _check_depth(plan, image)
    spacing = image.spacing
    if spacing is None:
        spacing = Spacing(*card.spacing_um_zyx)
        notes.append(f"The voxel size of the image is unknown; the model's was assumed: {spacing}.")
    intensity = measure_intensity(image, inputs, card.intensity.combine, card.intensity.percentiles)
    if diameter_um is None:
        diameter_um, note = _diameter(plan, image, intensity, spacing, _frames(image, frames))
        notes.append(note)
    part = _Part(image, region)
    context = part.grown(CONTEXT_DIAMETERS * diameter_um, spacing) if region else part.box
    placement = plan.grid.place(spacing, diameter_um, context.shape[1:])
    return _Runner(
        model, network, plan, chosen, image, intensity, placement, part, context, diameter_um, tuple(notes), {},
        threading.Lock(),
    )  # fmt: skip


def _network(model: Model, device: str) -> tuple[torch.nn.Module, NucleiPlan]:
    """Build the card's network and fill it with the model's weights."""
    import torch

    from anlage.tasks import task_named

    task = task_named(model.card.task)
    plan = task.plan.model_validate(model.card.plan)
    network = task.network(plan, task.config.model_validate(model.card.config))
    weights = {name: torch.from_numpy(array) for name, array in model.weights().items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as problem:
        raise AnlageError(
            f"The weights of '{model.path.name}' do not fit the network that its card describes: the file is damaged "
            "or was made by another version; train it again."
        ) from problem
    return network.to(device).eval(), plan


def _channels(model: Model, image: TimeLapse, chosen: Sequence[int] | None) -> tuple[tuple[int, ...], list[str]]:
    """Which channels of the image the model looks at, and a note where that was not obvious."""
    card = model.card
    learnt = card.intensity.indices
    wanted = learnt if chosen is None else tuple(int(c) for c in chosen)
    if len(wanted) != len(learnt):
        raise AnlageError(
            f"The model '{card.name}' looks at {len(learnt)} channels ({', '.join(card.channels)}), but {len(wanted)} were "
            "chosen: name one channel of the image for each, in this order."
        )
    if max(wanted) >= image.n_channels:
        raise AnlageError(
            f"The model '{card.name}' looks at channel {', '.join(map(str, wanted))}, but '{image.source}' has "
            f"{image.n_channels} (0 to {image.n_channels - 1}): choose channels of the image with --channels."
        )
    if chosen is None and image.n_channels > len(wanted):
        shown = ", ".join(f"{c} ({image.channels[c]})" for c in wanted)
        return wanted, [
            f"Of {image.n_channels} channels the model looks at {shown}, as in training; --channels chooses."
        ]
    return wanted, []


def _check_depth(plan: NucleiPlan, image: TimeLapse) -> list[str]:
    if plan.grid.flat and not image.is_flat:
        raise AnlageError(
            f"The model was trained on single planes, but '{image.source}' has {image.shape_tzyx[1]}: train one on volumes, "
            "or predict a projection."
        )
    if image.is_flat and not plan.grid.flat:
        return ["The model was trained on volumes, and the image is a single plane: expect it to do worse."]
    return []


def _floor(calibration: Calibration, threshold: float) -> float:
    """Uncalibrated probability below which nothing can reach the threshold; never above the usual floor."""
    p = min(max(threshold, 1e-4), 1 - 1e-4)
    logit = (float(np.log(p / (1 - p))) - calibration.intercept) / calibration.slope
    return float(np.clip(1 / (1 + np.exp(-logit)), 1e-4, LOWEST))


def _frames(image: TimeLapse, frames: Sequence[int] | None) -> list[int]:
    wanted = list(range(image.n_frames)) if frames is None else [int(t) for t in frames]
    if not wanted or min(wanted) < 0 or max(wanted) >= image.n_frames:
        raise AnlageError(f"Frames {wanted} were asked for, but '{image.source}' has {image.n_frames}.")
    return wanted


def _diameter(
    plan: NucleiPlan, image: TimeLapse, intensity: Intensity, spacing: Spacing, frames: list[int]
) -> tuple[float, str]:
    """Which nucleus diameter to predict with: like is compared with like, so a bias of the measurement cancels."""
    measured = _apparent_diameter(image, intensity, spacing, frames)
    if measured is not None and plan.apparent_um is not None:
        measured *= plan.diameter_um / plan.apparent_um
    return match_diameter(measured, plan.diameter_um)


def _apparent_diameter(image: TimeLapse, intensity: Intensity, spacing: Spacing, frames: Sequence[int]) -> float | None:
    """Median of the diameters measured in a few frames, µm; None if nothing could be measured."""
    few = sorted({frames[0], frames[len(frames) // 2], frames[-1]})
    found = [estimate_diameter(intensity.frame(image, t).mean(axis=0), spacing) for t in few]
    sizes = [size for size in found if size is not None]
    return float(np.median(sizes)) if sizes else None


def _rank(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Blob contrast → 0 … 1; the faintest contrast that counts by default → 0.5."""
    ranked: npt.NDArray[np.float64] = scores / (scores + FRACTION)
    return ranked


def _contrast(rank: float) -> float:
    """The inverse of `_rank`."""
    return FRACTION * rank / (1 - rank) if rank < 1 else float("inf")


def _blob_map(pixels: npt.NDArray[np.float32], spacing: Spacing, diameter_um: float, context: Box) -> DenseMap:
    response = blob_response(pixels, spacing.um, diameter_um)
    z, y, x = (float(s) for s in context.start[1:])
    return DenseMap(np.clip(response / max(float(response.max()), 1e-6), 0, 1), (1.0, 1.0, 1.0), (z, y, x))
