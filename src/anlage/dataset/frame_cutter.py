"""Cut pixels, labels and the weight mask of a store out of a movie, one window of a frame at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.blobs import brightest_channel
from anlage.dataset.intensity import Intensity, check_finite
from anlage.dataset.region import StoreRegion
from anlage.dataset.weight import (
    Dark,
    Marked,
    Nuclei,
    complete_weight,
    measure_dark,
    smooth,
    sparse_weight,
)
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

__all__ = ["FrameCutter", "Plan"]

DARK_FRAMES = 8
"""Frames on which the brightness of background and nuclei is measured, for sparse annotation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, in voxels of the image."""

    regions: tuple[StoreRegion, ...]
    hull: Box
    inside: Annotations
    outside: Annotations
    context: int
    spacing: Spacing
    diameter_um: float

    @property
    def label_type(self) -> np.dtype[Any]:
        """Type of the store's labels: unsigned, as wide as the source's; where that had a sign, as wide as they need."""
        labels = self.inside.labels
        if labels is None:
            raise ValueError("there are no labels")
        # types of numpy's own: zarr does not know the same type by the name that a file's byte order gives it
        if labels.dtype.kind == "u":
            return np.dtype(f"u{labels.dtype.itemsize}")
        most = max(int(table.label.max(initial=0)) for table in (self.inside, self.outside))
        return np.dtype(np.uint32 if most <= np.iinfo(np.uint32).max else np.int64)


class FrameCutter:
    """The pieces of the store: of each frame the windows that hold its cuboids, the rest is never touched.

    A window is a box of the image, one frame long. Those of one frame lie more than a nucleus apart, so that no
    nucleus reaches from one into another.
    """

    def __init__(self, image: TimeLapse, intensity: Intensity, plan: Plan, *, sparse: bool) -> None:
        self.image, self.intensity, self.plan = image, intensity, plan
        self._gap = np.ceil(plan.diameter_um / plan.spacing.um).astype(int)
        self._windows = self._find_windows()
        self.dark = self._measure_dark() if sparse else None

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames of the image of which anything is kept, in order."""
        return tuple(sorted(self._windows))

    @property
    def n_voxels(self) -> int:
        """Voxels of all windows."""
        return sum(math.prod(window.shape) for windows in self._windows.values() for window in windows)

    def windows(self, t: int) -> tuple[Box, ...]:
        """What is kept of frame `t`."""
        return self._windows[t]

    @property
    def dtype(self) -> np.dtype[Any]:
        # in the machine's own byte order, whatever the file's was
        return np.dtype(np.float32) if self.intensity.combine == "sum" else self.image.dtype.newbyteorder("=")

    @property
    def shape_tczyx(self) -> tuple[int, int, int, int, int]:
        t, z, y, x = self.plan.hull.shape
        return (t, self.intensity.n_inputs, z, y, x)

    def pixels(self, window: Box) -> npt.NDArray[Any]:
        """Pixels of a window, (C, Z, Y, X): 0 outside the boxes."""
        t = window.t[0]
        frame = np.zeros((self.intensity.n_inputs, *window.shape[1:]), dtype=self.dtype)
        for box in self._kept(t):
            if box.intersection(window) is None:
                continue
            raw = self.image.read(box, self.intensity.indices)[0]
            check_finite(raw, t, self.intensity.indices, self.image.source)
            frame[(slice(None), *_local(box, window))] = (
                self.intensity.apply(raw) if self.intensity.combine == "sum" else raw
            )
        return frame

    def weight(
        self, window: Box, pixels: npt.NDArray[Any], labels: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.uint8]:
        """What is known of a window, given its pixels and labels."""
        plan, t = self.plan, window.t[0]
        near = [r for r in plan.regions if r.box.t[0] <= t < r.box.t[1] and _meets(r.box, window)]
        boxes = [_local(r.box, window) for r in near]
        inside = plan.inside.select(plan.inside.frames == t)
        true = inside.state != State.REJECTED
        nuclei = Nuclei(
            marked=self._marked(inside.select(true & window.contains(inside.positions)), window),
            rejected=self._marked(inside.select(~true), window),
            outside=self._marked(plan.outside.select(plan.outside.frames == t), window),
        )
        if self.dark is None:
            cores = [_local(r.core, window) for r in near if t in r.frames]
            weight = complete_weight(window.shape[1:], boxes, cores, plan.spacing, nuclei)
        else:
            smoothed = self._smoothed(pixels, self.dark.channel)
            weight = sparse_weight(smoothed, boxes, plan.spacing, plan.diameter_um, self.dark, nuclei)
        if labels is not None:
            # a nucleus is known to its rim, however far that is from its centre
            weight[np.isin(labels, inside.label[true & (inside.label > 0)])] = 1
        return weight

    def labels(self, window: Box) -> npt.NDArray[Any]:
        """Labels of a window: 0 outside the boxes, in frames that are not annotated, and where they were rejected."""
        source, t = self.plan.inside.labels, window.t[0]
        if source is None:
            raise ValueError("there are no labels")
        frame = np.zeros(window.shape[1:], dtype=self.plan.label_type)
        for region in self.plan.regions:
            if t not in region.frames or not _meets(region.box, window):
                continue
            box = _at(region.box, t)
            values = source.read(box)[0, 0]
            if values.size and (values.min() < 0 or values.max() > np.iinfo(frame.dtype).max):
                raise AnlageError(
                    f"The labels of frame {t} reach from {values.min()} to {values.max()}: "
                    "use whole numbers from 0 (background) to 4294967295."
                )
            frame[_local(box, window)] = values
        gone = (self.plan.inside.frames == t) & (self.plan.inside.state == State.REJECTED)
        frame[np.isin(frame, self.plan.inside.label[gone & (self.plan.inside.label > 0)])] = 0
        return frame

    def _kept(self, t: int) -> list[Box]:
        """The boxes that are kept of frame `t`, context included."""
        reach = self.plan.context
        return [_at(r.box, t) for r in self.plan.regions if r.box.t[0] - reach <= t < r.box.t[1] + reach]

    def _find_windows(self) -> dict[int, tuple[Box, ...]]:
        reach, (first, stop) = self.plan.context, self.plan.hull.t
        frames = {t for r in self.plan.regions for t in range(r.box.t[0] - reach, r.box.t[1] + reach)}
        return {t: tuple(_merged(self._kept(t), self._gap)) for t in sorted(frames) if first <= t < stop}

    def _measure_dark(self) -> Dark:
        """Brightness of background and marked nuclei, on some of the annotated frames."""
        plan = self.plan
        true = plan.inside.select(plan.inside.state != State.REJECTED)
        frames = np.unique(true.frames)
        chosen = frames[np.unique(np.linspace(0, len(frames) - 1, DARK_FRAMES).astype(int))]
        marked = [
            (window, true.select(window.contains(true.positions))) for t in chosen for window in self.windows(int(t))
        ]
        marked = [(window, nuclei) for window, nuclei in marked if len(nuclei)]
        window, nuclei = max(marked, key=lambda pair: len(pair[1]))
        channel = brightest_channel(self._normalised(self.pixels(window)), self._marked(nuclei, window).centres)
        some = ((self._smoothed(self.pixels(w), channel), self._marked(n, w).centres) for w, n in marked)
        return measure_dark(some, channel)

    def _normalised(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return pixels if self.intensity.combine == "sum" else self.intensity.apply(pixels)

    def _smoothed(self, pixels: npt.NDArray[Any], channel: int) -> npt.NDArray[np.float32]:
        return smooth(self._normalised(pixels)[channel], self.plan.spacing, self.plan.diameter_um)

    def _marked(self, nuclei: Annotations, window: Box) -> Marked:
        radius = np.where(np.isfinite(nuclei.radius_um), nuclei.radius_um, self.plan.diameter_um / 2)
        return Marked(nuclei.positions[:, 1:] - window.start[1:], radius)


def _at(box: Box, t: int) -> Box:
    """The box in one frame."""
    return Box((t, t + 1), box.z, box.y, box.x)


def _meets(box: Box, window: Box) -> bool:
    """Whether a box has voxels in a window, whatever their frames."""
    return _at(box, window.t[0]).intersection(window) is not None


def _merged(boxes: Iterable[Box], gap_zyx: npt.NDArray[np.int64]) -> list[Box]:
    """The smallest boxes around all those that lie no further apart than the gap (voxels)."""
    found: list[Box] = []
    for one in boxes:
        box = one
        while (near := next((o for o in found if o.grown(gap_zyx.tolist()).intersection(box)), None)) is not None:
            found.remove(near)
            box = box.union(near)
        found.append(box)
    return found


def _local(box: Box, window: Box) -> tuple[slice, slice, slice]:
    """Where a box lies in a window that holds all of it."""
    z, y, x = (
        slice(low - first, high - first) for (low, high), first in zip(box.ranges[1:], window.start[1:], strict=True)
    )
    return (z, y, x)
