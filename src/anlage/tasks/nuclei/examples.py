"""Examples of the nuclei task: the stores brought onto the working grid, and patches drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from anlage.axes import Box
from anlage.dataset.augment import Augmentation, draw, shade, warp, warp_image
from anlage.dataset.store import Store
from anlage.tasks.grid import Placement, Zyx
from anlage.tasks.nuclei.centres import centre_target
from anlage.tasks.nuclei.config import NucleiPlan
from anlage.tasks.nuclei.outlines import vote_target
from anlage.tasks.task import Setting

__all__ = ["UNSURE", "NucleiExamples", "PaintedTargets", "WorkingFrames"]

UNSURE = -1
"""Stands for an object whose centre is unknown."""


@dataclass(frozen=True)
class PaintedTargets:
    """The paint of some frames on the working grid.

    Parameters
    ----------
    values
        (T, Z, Y, X) int32. Objects: 1 + the row of the object's centre in that frame, `UNSURE` where the centre is
        unknown, 0 for background. Classes: the number of the class.
    inside
        (T, Z, Y, X) float16: the part of each working voxel that is painted.
    known
        (T, Z, Y, X) uint8: 1 where the paint, or its absence, counts.
    """

    values: npt.NDArray[np.int32]
    inside: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]


NUCLEI_SHARE = 0.75
"""Share of patches drawn around a nucleus; the others lie anywhere in the known part."""

_FINE: tuple[tuple[str, Literal["bilinear", "nearest"]], ...] = (
    ("values", "nearest"),
    ("inside", "bilinear"),
    ("painted", "nearest"),
)
"""What a patch has of paint, and how it is warped."""


@dataclass(frozen=True)
class WorkingFrames:
    """One cuboid of a store, or the part of it that counts, on the working grid.

    Parameters
    ----------
    box
        The piece, in voxels of the store, with the context around it.
    image
        (T, C, Z, Y, X) float16, normalised; on disk, read piece by piece.
    known
        (T, Z, Y, X) uint8: 1 where annotation counts for this part.
    centres
        For each frame (N, 3): true centres (z, y, x) in working voxels.
    frames
        Frames with something known, counted from the start of the box.
    placement
        How the grid lies in the box.
    unit_um
        Micrometres per nucleus diameter in this store.
    """

    store: Store
    box: Box
    image: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]
    centres: tuple[npt.NDArray[np.float64], ...]
    frames: tuple[int, ...]
    placement: Placement
    unit_um: float
    paint: PaintedTargets | None = None
    """What is painted, where the network learns that."""

    @property
    def shape_zyx(self) -> Zyx:
        z, y, x = self.image.shape[2:]
        return (z, y, x)

    @property
    def n_nuclei(self) -> int:
        return sum(len(self.centres[t]) for t in self.frames)

    @property
    def n_known(self) -> int:
        """Nuclei whose centres lie where something is known."""
        last = np.array(self.shape_zyx) - 1
        at = [(t, np.clip(np.rint(self.centres[t]), 0, last).astype(int)) for t in self.frames]
        return int(sum(self.known[t][tuple(voxels.T)].sum() for t, voxels in at))

    def stack(self, t: int, offsets: Sequence[int]) -> npt.NDArray[np.float16]:
        """The frame with its temporal context as channels: (len(offsets)·C, Z, Y, X); a missing frame is the last one there."""
        at = [min(max(t + offset, 0), len(self.image) - 1) for offset in offsets]
        return np.concatenate([self.image[i] for i in at])


@dataclass(frozen=True)
class NucleiExamples:
    """Prepared data of one run; see `anlage.tasks.task.Examples`."""

    plan: NucleiPlan
    batch_size: int
    notes: tuple[str, ...]
    train: tuple[WorkingFrames, ...]
    validation: tuple[WorkingFrames, ...]
    held_out: str
    setting: Setting
    augmentation: Augmentation
    _nuclei: npt.NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [
            (part, t, n)
            for part, frames in enumerate(self.train)
            for t in frames.frames
            for n in range(len(frames.centres[t]))
        ]
        object.__setattr__(self, "_nuclei", np.array(rows, dtype=np.int64).reshape(-1, 3))

    @property
    def n_examples(self) -> int:
        """Nuclei to learn from: so many examples are an epoch."""
        return len(self._nuclei)

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.setting.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        device, plan = self.setting.device, self.plan
        large = self._source_shape()
        drawn = [self._patch(rng, large) for _ in range(batch_size)]
        pixels = torch.from_numpy(np.stack([d.image for d in drawn])).to(device, torch.float32)
        known = torch.from_numpy(np.stack([d.known for d in drawn])[:, None]).to(device, torch.float32)
        points = torch.from_numpy(np.concatenate([d.centres for d in drawn]).astype(np.float32))
        owner = torch.from_numpy(np.repeat(np.arange(batch_size), [len(d.centres) for d in drawn]))
        voxel = plan.grid.voxel_diameters_zyx
        by = draw(generator, batch_size, self.augmentation, spacing_yx=(voxel[1], voxel[2]))
        shape_yx = plan.patch_zyx[1:]
        warped, points = warp(pixels, points, owner, by, shape_yx)
        image = shade(warped, generator, self.augmentation).contiguous(memory_format=torch.channels_last_3d)
        known = warp_image(known, by, shape_yx, outside="zeros")
        per_image = [points[owner == b] for b in range(batch_size)]
        if plan.head == "centres":
            return {"image": image, **self._centres(per_image, known)}
        values, inside, painted = (
            warp_image(
                torch.from_numpy(np.stack([getattr(d, name) for d in drawn])[:, None]).to(device, torch.float32),
                by, shape_yx, mode=mode, outside="zeros",
            )
            for name, mode in _FINE
        )  # fmt: skip
        painted = (painted > 0.5).float() * (known > 0.5)
        if plan.head == "classes":
            return {"image": image, "class": values.round().long(), "painted": painted}
        # where an object lies whose centre is unknown, nothing is known of centres
        known = known * (values != UNSURE)
        fine = {
            "inside": inside, "painted": painted,
            "vote": vote_target(values, per_image, plan.grid.stem), "voted": painted * (values > 0),
        }  # fmt: skip
        return {"image": image, **self._centres(per_image, known), **fine}

    def _centres(self, points: Sequence[torch.Tensor], known: torch.Tensor) -> dict[str, torch.Tensor]:
        """Target of the centres: points (N, 3) and what is known, in working voxels."""
        plan = self.plan
        stem = plan.grid.stem
        cells = [n // s for n, s in zip(plan.patch_zyx, stem, strict=True)]
        in_cells = [((one + 0.5) / torch.tensor(stem) - 0.5).to(self.setting.device) for one in points]
        heat, offset = centre_target(in_cells, cells, plan.grid.cell_diameters.tolist(), plan.sigma)
        return {"heat": heat, "offset": offset, "known": (functional.avg_pool3d(known, stem) > 0.5).float()}

    def _source_shape(self) -> Zyx:
        """Patch to read so that a turned and scaled one still finds pixels in most of its corners."""
        turning = self.augmentation.rotate_degrees > 0 or self.augmentation.scale > 0
        factor = 1.25 if turning else 1.0
        z, y, x = self.plan.patch_zyx
        return (z, int(np.ceil(y * factor / 2) * 2), int(np.ceil(x * factor / 2) * 2))

    def _patch(self, rng: np.random.Generator, shape: Zyx) -> _Patch:
        at_nucleus = rng.random() < NUCLEI_SHARE and len(self._nuclei) > 0
        if at_nucleus:
            part, t, n = self._nuclei[rng.integers(len(self._nuclei))]
            frames = self.train[part]
            target = frames.centres[t][n]
        else:
            frames = self.train[rng.integers(len(self.train))]
            t = frames.frames[rng.integers(len(frames.frames))]
            target = _somewhere(frames.known[t], rng)
        inner = np.array(self.plan.patch_zyx) * 0.7
        start = np.rint(target + (rng.random(3) - 0.5) * inner - (np.array(shape) - 1) / 2).astype(int)
        # Not beyond the walls where the image is larger than the patch; where it is smaller, it begins with the patch and
        # is filled up behind, as in prediction.
        room = np.maximum(np.array(frames.shape_zyx) - np.array(self.plan.patch_zyx), 0)
        border = (np.array(shape) - np.array(self.plan.patch_zyx)) // 2
        start = np.clip(start + border, 0, room) - border
        image = _crop(frames.stack(t, self.plan.frames), start, shape, fill="edge")
        known = _crop(frames.known[t][None], start, shape, fill="constant")[0]
        patch = _Patch(image, known, frames.centres[t] - start)
        if frames.paint is None:
            return patch
        paint = frames.paint
        values = _crop(paint.values[t][None], start, shape, fill="constant")[0]
        painted = _crop(paint.known[t][None], start, shape, fill="constant")[0]
        inside = _crop(paint.inside[t][None], start, shape, fill="constant")[0] if len(paint.inside) else painted
        return replace(patch, values=values, inside=inside, painted=painted)


@dataclass(frozen=True, slots=True)
class _Patch:
    """What was cut out for one example; centres in voxels of the patch."""

    image: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]
    centres: npt.NDArray[np.float64]
    values: npt.NDArray[Any] | None = None
    inside: npt.NDArray[Any] | None = None
    painted: npt.NDArray[Any] | None = None


def _somewhere(known_zyx: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random known voxel (z, y, x)."""
    for _ in range(32):
        at = rng.integers(known_zyx.shape)
        if known_zyx[tuple(at)]:
            return at.astype(float)
    voxels = np.argwhere(known_zyx)
    chosen: npt.NDArray[np.float64] = voxels[rng.integers(len(voxels))].astype(float)
    return chosen


def _crop(array: npt.NDArray[Any], start: npt.NDArray[Any], shape: Zyx, *, fill: Any) -> npt.NDArray[Any]:
    """Cut (C, Z, Y, X) at a start that may lie outside; what is missing repeats the rim, or is 0."""
    size = np.array(array.shape[1:])
    low = np.clip(start, 0, size - 1)
    high = np.clip(start + shape, low + 1, size)
    piece = array[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    pads = [(0, 0), *((int(lo - s), int(s + n - hi)) for lo, s, n, hi in zip(low, start, shape, high, strict=True))]
    return np.pad(piece, pads, mode=fill) if any(p != (0, 0) for p in pads) else piece
