"""Cut frames of a store out of a movie: pixels, what is known of them, and labels, one frame at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.intensity import Intensity, check_finite
from anlage.dataset.region import Region
from anlage.dataset.weight import (
    Dark,
    Marked,
    Nuclei,
    brightest_channel,
    complete_weight,
    measure_dark,
    smooth,
    sparse_weight,
)
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

__all__ = ["FrameCutter", "Plan", "label_type"]

DARK_FRAMES = 8
"""Frames on which the brightness of background and nuclei is measured, for sparse annotation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, in voxels of the image."""

    regions: tuple[Region, ...]
    hull: Box
    inside: Annotations
    outside: Annotations
    context: int
    spacing: Spacing
    diameter_um: float


class FrameCutter:
    """Frames of the store, one at a time."""

    def __init__(self, image: TimeLapse, intensity: Intensity, plan: Plan, *, sparse: bool) -> None:
        self.image, self.intensity, self.plan = image, intensity, plan
        self.shape_zyx = plan.hull.shape[1:]
        self.dark = self._measure_dark() if sparse else None

    @property
    def dtype(self) -> np.dtype[Any]:
        # in the machine's own byte order, whatever the file's was
        return np.dtype(np.float32) if self.intensity.combine == "sum" else self.image.dtype.newbyteorder("=")

    @property
    def shape_tczyx(self) -> tuple[int, int, int, int, int]:
        t, z, y, x = self.plan.hull.shape
        return (t, self.intensity.n_inputs, z, y, x)

    def pixels(self, t: int) -> npt.NDArray[Any]:
        """Frame `t` of the image, (C, Z, Y, X) of the store: 0 outside the boxes."""
        frame = np.zeros((self.intensity.n_inputs, *self.shape_zyx), dtype=self.dtype)
        for region in self.plan.regions:
            start, stop = region.box.t
            if not start - self.plan.context <= t < stop + self.plan.context:
                continue
            box = region.box
            raw = self.image.read(Box((t, t + 1), box.z, box.y, box.x), self.intensity.indices)[0]
            check_finite(raw, t, self.intensity.indices, self.image.source)
            frame[(slice(None), *self._local(box))] = (
                self.intensity.apply(raw) if self.intensity.combine == "sum" else raw
            )
        return frame

    def weight(self, t: int, pixels: npt.NDArray[Any], labels: npt.NDArray[Any] | None = None) -> npt.NDArray[np.uint8]:
        """What is known of frame `t`, given its pixels and labels."""
        plan = self.plan
        boxes = [self._local(r.box) for r in plan.regions if r.box.t[0] <= t < r.box.t[1]]
        annotated = [r for r in plan.regions if t in r.frames]
        true = plan.inside.state != State.REJECTED
        here = plan.inside.frames == t
        nuclei = Nuclei(
            marked=self._marked(plan.inside.select(here & true)),
            rejected=self._marked(plan.inside.select(here & ~true)),
            outside=self._marked(plan.outside.select(plan.outside.frames == t)),
        )
        if self.dark is None:
            cores = [self._local(r.core) for r in annotated]
            weight = complete_weight(self.shape_zyx, boxes, cores, plan.spacing, nuclei)
        else:
            smoothed = self._smoothed(pixels, self.dark.channel)
            weight = sparse_weight(smoothed, boxes, plan.spacing, plan.diameter_um, self.dark, nuclei)
        if labels is not None:
            # a nucleus is known to its rim, however far that is from its centre
            weight[np.isin(labels, plan.inside.label[here & true & (plan.inside.label > 0)])] = 1
        return weight

    def labels(self, t: int) -> npt.NDArray[Any]:
        """Labels of frame `t`: 0 outside the boxes, in frames that are not annotated, and where they were rejected."""
        source = self.plan.inside.labels
        if source is None:
            raise ValueError("there are no labels")
        frame = np.zeros(self.shape_zyx, dtype=label_type(source.dtype))
        for region in self.plan.regions:
            if t not in region.frames:
                continue
            box = region.box
            values = source.read(Box((t, t + 1), box.z, box.y, box.x))[0, 0]
            if values.size and (values.min() < 0 or values.max() > np.iinfo(frame.dtype).max):
                raise AnlageError(
                    f"The labels of frame {t} reach from {values.min()} to {values.max()}: "
                    "use whole numbers from 0 (background) to 4294967295."
                )
            frame[self._local(box)] = values
        gone = (self.plan.inside.frames == t) & (self.plan.inside.state == State.REJECTED)
        frame[np.isin(frame, self.plan.inside.label[gone & (self.plan.inside.label > 0)])] = 0
        return frame

    def _measure_dark(self) -> Dark:
        """Brightness of background and marked nuclei, on some of the annotated frames."""
        plan = self.plan
        true = plan.inside.select(plan.inside.state != State.REJECTED)
        frames = np.unique(true.frames)
        chosen = frames[np.unique(np.linspace(0, len(frames) - 1, DARK_FRAMES).astype(int))]
        by_count = [int(np.sum(true.frames == t)) for t in chosen]
        fullest = int(chosen[int(np.argmax(by_count))])
        normal = self._normalised(self.pixels(fullest))
        channel = brightest_channel(normal, self._centres(true, fullest))
        some = ((self._smoothed(self.pixels(int(t)), channel), self._centres(true, int(t))) for t in chosen)
        return measure_dark(some, channel)

    def _normalised(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return pixels if self.intensity.combine == "sum" else self.intensity.apply(pixels)

    def _smoothed(self, pixels: npt.NDArray[Any], channel: int) -> npt.NDArray[np.float32]:
        return smooth(self._normalised(pixels)[channel], self.plan.spacing, self.plan.diameter_um)

    def _marked(self, nuclei: Annotations) -> Marked:
        radius = np.where(np.isfinite(nuclei.radius_um), nuclei.radius_um, self.plan.diameter_um / 2)
        return Marked(nuclei.positions[:, 1:] - self.plan.hull.start[1:], radius)

    def _centres(self, nuclei: Annotations, t: int) -> npt.NDArray[np.float64]:
        return self._marked(nuclei.select(nuclei.frames == t)).centres

    def _local(self, box: Box) -> tuple[slice, slice, slice]:
        z, y, x = (
            slice(low - first, high - first)
            for (low, high), first in zip(box.ranges[1:], self.plan.hull.start[1:], strict=True)
        )
        return (z, y, x)


def label_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type of a store's labels: unsigned, as wide as the source's or 32 bits."""
    return dtype.newbyteorder("=") if dtype.kind == "u" else np.dtype(np.uint32)
