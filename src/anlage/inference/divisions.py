"""Predict divisions: how probably each nucleus is about to divide, from crops of three frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.errors import AnlageError
from anlage.inference.loaded import Loaded
from anlage.inference.loading import load_for
from anlage.inference.region import Progress
from anlage.model import Model
from anlage.tasks.crops import crops_around, neighbours
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    from anlage.tasks.grid import Placement

__all__ = ["DivisionScorer", "score_divisions", "with_divisions"]

_AT_ONCE = 128
"""Nuclei whose crops are in memory at the same time."""


def score_divisions(  # noqa: PLR0913 - the command line's options
    model: Model,
    nuclei: Annotations,
    image: TimeLapse,
    *,
    channels: Sequence[int] | None = None,
    diameter_um: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> npt.NDArray[np.float64]:
    """How likely it is of each nucleus that this is the mother's last frame before she divides.

    Parameters
    ----------
    model
        A divisions model.
    nuclei
        Whoever found them; links are not looked at.
    image
        The movie that they lie in. If its voxel size is unknown, the model's is assumed.
    channels
        Channels of the image that the model's inputs are taken from, in its order; by default the numbers in its card.
    diameter_um
        Typical nucleus diameter in the image in µm; by default the model's, unless the image clearly shows others.
    device
        Where to compute.
    progress
        Called with frames done and frames in all, after each frame that holds nuclei.
    should_stop
        Asked before each frame; once it says yes, the rest is left unscored.

    Returns
    -------
    probability
        (N,) calibrated probabilities; NaN in the movie's last frame, after which nothing is seen, and where `should_stop`
        ended it. In the first frame the frame itself stands in for the one before.

    Raises
    ------
    AnlageError
        If a nucleus lies outside the movie, the model is not one of divisions, the image lacks a channel that it needs or
        holds NaN, or the device cannot be used.
    """
    scorer = DivisionScorer.of(model, image, channels=channels, diameter_um=diameter_um, device=device)
    probability = np.full(len(nuclei), np.nan)
    todo = len(np.unique(nuclei.frames))
    for done, (rows, found) in enumerate(scorer.frames(nuclei, should_stop), start=1):
        probability[rows] = found
        if progress is not None:
            progress(done, todo)
    return probability


def with_divisions(nuclei: Annotations, probability: npt.NDArray[np.float64]) -> Annotations:
    """The same nuclei with the column `division_probability` (N,)."""
    return replace(nuclei, properties={**nuclei.properties, "division_probability": probability})


@dataclass(frozen=True)
class DivisionScorer:
    """A network with everything that it needs to look at one movie."""

    model: Model
    loaded: Loaded
    image: TimeLapse
    placement: Placement

    @classmethod
    def of(
        cls,
        model: Model,
        image: TimeLapse,
        *,
        channels: Sequence[int] | None = None,
        diameter_um: float | None = None,
        device: str = "auto",
    ) -> DivisionScorer:
        """Load the network and see how it fits the movie; parameters as in `score_divisions`."""
        card = model.card
        if card.task != "divisions":
            raise AnlageError(
                f"The model '{card.name}' is for {card.task}, not for divisions: choose one trained with `anlage train "
                "divisions`."
            )
        loaded = load_for(model, image, None, channels=channels, diameter_um=diameter_um, device=device)
        placement = loaded.plan.grid.place(loaded.spacing, loaded.diameter_um, image.shape_tzyx[1:])
        return cls(model, loaded, image, placement)

    def frames(
        self, nuclei: Annotations, should_stop: Callable[[], bool] | None = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Score the nuclei frame by frame.

        Yields
        ------
        rows, probability
            Of each frame that holds nuclei, in order: their rows in the table and their probabilities.
        """
        frames = nuclei.frames
        self._check(nuclei)
        read: dict[int, npt.NDArray[np.float32]] = {}
        with ThreadPoolExecutor(max_workers=1) as reader:
            for t in np.unique(frames):
                if should_stop is not None and should_stop():
                    return
                rows = np.flatnonzero(frames == t)
                seen = neighbours(int(t), self.loaded.plan.frames, 0, self.image.n_frames)
                if seen is None:
                    yield rows, np.full(len(rows), np.nan)
                    continue
                for at in [at for at in read if at < min(seen)]:
                    del read[at]
                coming = {at: reader.submit(self._read, at) for at in dict.fromkeys(seen) if at not in read}
                read |= {at: future.result() for at, future in coming.items()}
                yield rows, self._score([read[at] for at in seen], nuclei.positions[rows, 1:])

    def _check(self, nuclei: Annotations) -> None:
        shape = np.array(self.image.shape_tzyx)
        at = np.column_stack([nuclei.frames, nuclei.positions[:, 1:]])
        outside = ~((at >= -1) & (at <= shape) & (nuclei.frames[:, None] >= 0)).all(axis=1)
        outside |= nuclei.frames >= self.image.n_frames
        if outside.any():
            ids = ", ".join(map(str, nuclei.ids[outside][:5])) + (" …" if outside.sum() > 5 else "")
            raise AnlageError(
                f"{int(outside.sum())} nuclei lie outside the image '{self.image.source}', whose shape (t, z, y, x) is "
                f"{self.image.shape_tzyx} (ids {ids}): give the image that they were found in."
            )

    def _read(self, t: int) -> npt.NDArray[np.float32]:
        """A frame on the working grid, (C, Z, Y, X)."""
        import torch

        pixels = torch.from_numpy(self.loaded.intensity.frame(self.image, t))
        working: npt.NDArray[np.float32] = self.placement.resample(pixels).numpy()
        return working

    def _score(
        self, frames: Sequence[npt.NDArray[np.float32]], positions_zyx: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        from anlage.networks.device import precision, running_on
        from anlage.tasks.divisions.validation import logits_of

        centres = self.placement.to_working(positions_zyx)
        logits = []
        with running_on(self.loaded.device, precision(self.loaded.device)):
            for start in range(0, len(centres), _AT_ONCE):
                crops = crops_around(frames, centres[start : start + _AT_ONCE], self.loaded.plan.crop_zyx)
                logits.append(logits_of(self.loaded.network, crops, self.loaded.device))
        return self.model.card.evidence.calibration.apply(np.concatenate(logits))
