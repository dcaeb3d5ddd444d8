"""Examples of the nuclei task: patches drawn from the training data on the working grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from anlage.dataset.augment import Augmentation, Warp, draw, shade, warp, warp_image
from anlage.dataset.photons import Exposure
from anlage.tasks.grid import Zyx
from anlage.tasks.nuclei.config import NucleiPlan
from anlage.tasks.nuclei.head import Head
from anlage.tasks.nuclei.working_frames import Patches, WorkingFrames
from anlage.tasks.task import Setting

__all__ = ["NucleiExamples"]

NUCLEI_SHARE = 0.75
"""Share of patches drawn around a nucleus; the others lie anywhere in the known part."""
REJECTED_SHARE = 0.2
"""Share of patches drawn around a rejected proposal, where there are any: what a network took for a nucleus is hard to tell from one."""

_PAINT: tuple[tuple[str, Literal["bilinear", "nearest"]], ...] = (
    ("values", "nearest"),
    ("inside", "bilinear"),
    ("painted", "nearest"),
)
"""What a patch has of paint, and how that is interpolated when it is warped."""


@dataclass(frozen=True)
class NucleiExamples:
    """Prepared data of one run; see `anlage.tasks.task.Examples`."""

    plan: NucleiPlan
    head: Head
    batch_size: int
    notes: tuple[str, ...]
    train: tuple[WorkingFrames, ...]
    validation: tuple[WorkingFrames, ...]
    held_out: str
    setting: Setting
    augmentation: Augmentation
    balance: Literal["nuclei", "stores"] = "nuclei"
    _nuclei: npt.NDArray[np.int64] = field(init=False, repr=False)
    """(N, 3) part, frame and number of each nucleus."""
    _rejected: npt.NDArray[np.int64] = field(init=False, repr=False)
    """The same of rejected proposals."""
    _by_store: tuple[npt.NDArray[np.int64], ...] = field(init=False, repr=False)
    """Rows of `_nuclei`, for each store that has some."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_nuclei", _numbered(self.train, [frames.centres for frames in self.train]))
        object.__setattr__(self, "_rejected", _numbered(self.train, [frames.rejected for frames in self.train]))
        stores = np.array([str(frames.store.path) for frames in self.train])[self._nuclei[:, 0]]
        object.__setattr__(self, "_by_store", tuple(np.flatnonzero(stores == one) for one in np.unique(stores)))

    @property
    def n_examples(self) -> int:
        """Nuclei to learn from: so many examples are an epoch."""
        return len(self._nuclei)

    def bleached(self, exposure: Exposure) -> NucleiExamples:
        """The same with held-out frames that are exposed no more than this."""
        return replace(self, validation=tuple(replace(frames, exposure=exposure) for frames in self.validation))

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
        warped = self._with_few_photons(warped, drawn, rng)
        image = shade(warped, generator, self.augmentation).contiguous(memory_format=torch.channels_last_3d)
        known = warp_image(known, by, shape_yx, outside="zeros")
        patches = Patches(plan, [points[owner == b] for b in range(batch_size)], known)
        if drawn[0].values is not None:
            patches = self._with_paint(patches, drawn, by)
        return {"image": image, **self.head.target(patches)}

    def _with_few_photons(
        self, images: torch.Tensor, drawn: Sequence[_Patch], rng: np.random.Generator
    ) -> torch.Tensor:
        """A share of these images (B, C, Z, Y, X) as if bleached: after they were turned, which would smooth their noise away."""
        share = self.plan.few_photons
        if share == 0:
            return images
        images = images.clone()
        for image, patch in zip(images, drawn, strict=True):
            if rng.random() < share:
                seen = patch.frames.bleached(image.cpu().numpy(), patch.t, self.plan.frames, Exposure.drawn(rng), rng)
                image.copy_(torch.from_numpy(seen))
        return images

    def _with_paint(self, patches: Patches, drawn: Sequence[_Patch], by: Warp) -> Patches:
        """Patches with what was painted in them, warped like their images."""
        values, inside, painted = (
            warp_image(
                torch.from_numpy(np.stack([getattr(d, name) for d in drawn])[:, None]).to(self.setting.device, torch.float32),
                by, self.plan.patch_zyx[1:], mode=mode, outside="zeros",
            )
            for name, mode in _PAINT
        )  # fmt: skip
        return replace(patches, values=values, inside=inside, painted=(painted > 0.5).float() * (patches.known > 0.5))

    def _source_shape(self) -> Zyx:
        """Patch to read so that a turned and scaled one still finds pixels in most of its corners."""
        turning = self.augmentation.rotate_degrees > 0 or self.augmentation.scale > 0
        factor = 1.25 if turning else 1.0
        z, y, x = self.plan.patch_zyx
        return (z, int(np.ceil(y * factor / 2) * 2), int(np.ceil(x * factor / 2) * 2))

    def _patch(self, rng: np.random.Generator, shape: Zyx) -> _Patch:
        if len(self._rejected) and rng.random() < REJECTED_SHARE:
            part, t, n = self._rejected[rng.integers(len(self._rejected))]
            frames = self.train[part]
            target = frames.rejected[t][n]
        elif rng.random() < NUCLEI_SHARE and len(self._nuclei) > 0:
            part, t, n = self._nuclei[self._row(rng)]
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
        patch = _Patch(frames, t, image, known, frames.centres[t] - start)
        if frames.paint is None:
            return patch
        paint = frames.paint
        values = _crop(paint.values[t][None], start, shape, fill="constant")[0]
        painted = _crop(paint.known[t][None], start, shape, fill="constant")[0]
        inside = _crop(paint.inside[t][None], start, shape, fill="constant")[0] if len(paint.inside) else painted
        return replace(patch, values=values, inside=inside, painted=painted)

    def _row(self, rng: np.random.Generator) -> int:
        """A random nucleus."""
        if self.balance == "nuclei":
            return int(rng.integers(len(self._nuclei)))
        return int(rng.choice(self._by_store[rng.integers(len(self._by_store))]))


@dataclass(frozen=True, slots=True)
class _Patch:
    """What was cut out of a frame for one example; centres in voxels of the patch."""

    frames: WorkingFrames
    t: int
    image: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]
    centres: npt.NDArray[np.float64]
    values: npt.NDArray[Any] | None = None
    inside: npt.NDArray[Any] | None = None
    painted: npt.NDArray[Any] | None = None


def _numbered(
    parts: Sequence[WorkingFrames], points: Sequence[Sequence[npt.NDArray[np.float64]]]
) -> npt.NDArray[np.int64]:
    """(N, 3) part, frame and number of all points in annotated frames, of the points of each frame of each part."""
    rows = [
        (part, t, n)
        for part, (frames, of_part) in enumerate(zip(parts, points, strict=True))
        for t in (frames.frames if of_part else ())
        for n in range(len(of_part[t]))
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


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
