"""Examples of the divisions task: nuclei whose future is known, and batches of crops around them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from anlage.dataset.augment import Augmentation, draw, shade, warp_image
from anlage.tasks.crops import crops_around, neighbours
from anlage.tasks.divisions.config import DivisionsConfig, DivisionsPlan
from anlage.tasks.divisions.truth import Fate
from anlage.tasks.task import Setting

__all__ = ["AUGMENTATION", "CropFrames", "DivisionExamples", "KnownFates"]

AUGMENTATION = Augmentation(scale=0.15, gamma=0.3, gain=0.5, dimming=0)
"""Less than for finding nuclei: that chromosomes are brighter and smaller than their neighbours is what is to be learnt."""
JITTER = 0.12
"""Largest shift of a crop in nucleus diameters, along each axis: detections do not lie on the centre either."""
LONELY = 0.1
"""Share of crops without the frame before, as in the first frame of a film."""
_CORNERS = 1.45
"""A crop is read so much larger in the plane that a turned one finds pixels in its corners."""


@dataclass(frozen=True, eq=False)
class KnownFates:
    """Nuclei whose future is known.

    Parameters
    ----------
    frames
        (N,) frame, counted from the start of the pixels.
    centres
        (N, 3) centre (z, y, x) in working voxels.
    points_um
        (N, 3) the same in µm.
    divides
        (N,) whether this is a mother's last frame.
    hard
        (N,) whether it is hard to distinguish from one, because it is just before or after a division, or beside one.
    weight
        (N,) how much it counts in the loss.
    """

    frames: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]
    points_um: npt.NDArray[np.float64]
    divides: npt.NDArray[np.bool_]
    hard: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class CropFrames:
    """One cuboid of a store on the working grid, and its nuclei whose future is known.

    Parameters
    ----------
    image
        (T, C, Z, Y, X) float16, normalised; on disk, read piece by piece.
    known
        The nuclei.
    first_frame
        Frame of the source movie that the pixels begin with.
    """

    image: npt.NDArray[np.float16]
    known: KnownFates
    first_frame: int

    def crops(
        self,
        rows: npt.NDArray[np.int64],
        plan: DivisionsPlan,
        shape_zyx: tuple[int, int, int],
        shift: npt.NDArray[np.float64] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Crops around some of the nuclei, (N, F·C, Z, Y, X)."""
        known = self.known
        result = np.empty((len(rows), len(plan.frames) * plan.n_channels, *shape_zyx), dtype=np.float32)
        centres = known.centres[rows] + (0.0 if shift is None else shift)
        for t in np.unique(known.frames[rows]):
            at = known.frames[rows] == t
            seen = neighbours(int(t), plan.frames, 0, len(self.image))
            assert seen is not None  # noqa: S101 - only nuclei with a next frame are examples
            result[at] = crops_around([self.image[i] for i in seen], centres[at], shape_zyx)
        return result


@dataclass(frozen=True, eq=False)
class DivisionExamples:
    """Prepared data of one run; see `anlage.tasks.task.Examples`."""

    plan: DivisionsPlan
    config: DivisionsConfig
    batch_size: int
    notes: tuple[str, ...]
    train: tuple[CropFrames, ...]
    validation: tuple[CropFrames, ...]
    held_out: str
    setting: Setting
    augmentation: Augmentation
    _kinds: tuple[npt.NDArray[np.int64], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [(part, n) for part, frames in enumerate(self.train) for n in range(len(frames.known))]
        table = np.array(rows, dtype=np.int64).reshape(-1, 2)
        divides = np.concatenate([frames.known.divides for frames in self.train])
        hard = np.concatenate([frames.known.hard for frames in self.train])
        object.__setattr__(self, "_kinds", (table[divides], table[hard], table[~divides & ~hard]))

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.setting.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        drawn = np.array([self._draw(rng) for _ in range(batch_size)])
        turning = self.augmentation.rotate_degrees > 0 or self.augmentation.scale > 0
        z, y, x = self.plan.crop_zyx
        large = (z, int(np.ceil(y * _CORNERS / 2) * 2), int(np.ceil(x * _CORNERS / 2) * 2)) if turning else (z, y, x)
        large = (z, large[1] + y % 2, large[2] + x % 2) if turning else large
        shift = self._jitter(rng, batch_size)
        pixels = np.empty((batch_size, len(self.plan.frames) * self.plan.n_channels, *large), dtype=np.float32)
        divides, weight = np.empty(batch_size, dtype=np.float32), np.empty(batch_size, dtype=np.float32)
        for part in np.unique(drawn[:, 0]):
            at, frames = drawn[:, 0] == part, self.train[part]
            rows = drawn[at, 1]
            pixels[at] = frames.crops(rows, self.plan, large, shift[at])
            divides[at], weight[at] = frames.known.divides[rows], frames.known.weight[rows]
        image = torch.from_numpy(pixels).to(self.setting.device)
        image = self._varied(image, generator)
        return {
            "image": image.contiguous(memory_format=torch.channels_last_3d),
            "divides": torch.from_numpy(divides).to(self.setting.device),
            "weight": torch.from_numpy(weight).to(self.setting.device),
        }

    def _draw(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """An example: a division, something hard, or anything else; what there is none of is drawn from the others."""
        dividing, hard, others = self._kinds
        u = rng.random()
        wanted = (
            dividing if u < self.config.dividing else hard if u < self.config.dividing + self.config.hard else others
        )
        table = next(kind for kind in (wanted, others, hard, dividing) if len(kind))
        chosen: npt.NDArray[np.int64] = table[rng.integers(len(table))]
        return chosen

    def _jitter(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        most = JITTER if self.augmentation != Augmentation.none() else 0.0
        shift: npt.NDArray[np.float64] = (
            rng.uniform(-most, most, (n, 3)) / self.plan.grid.voxel_diameters_zyx * [not self.plan.grid.flat, 1, 1]
        )
        return shift

    def _varied(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Turned, mirrored, brighter or darker, noisy, and now and then without the frame before."""
        plan, a = self.plan, self.augmentation
        voxel = plan.grid.voxel_diameters_zyx
        by = draw(generator, len(image), a, spacing_yx=(voxel[1], voxel[2]))
        image = warp_image(image, by, plan.crop_zyx[1:])
        b, _, z, y, x = image.shape
        # the frames as planes of one image: brightness changes for all three alike
        frames = image.reshape(b, len(plan.frames), plan.n_channels, z, y, x)
        if a != Augmentation.none():
            alone = torch.rand(b, generator=generator) < LONELY
            frames = frames.clone()
            frames[alone, 0] = frames[alone, 1]
        stacked = frames.transpose(1, 2).reshape(b, plan.n_channels, len(plan.frames) * z, y, x)
        shaded = shade(stacked, generator, a).reshape(b, plan.n_channels, len(plan.frames), z, y, x)
        return shaded.transpose(1, 2).reshape(b, -1, z, y, x)


def weights_of(fate: npt.NDArray[np.int8], next_to: npt.NDArray[np.bool_], doubt: float) -> npt.NDArray[np.float32]:
    """How much each nucleus counts: less in the frames next to a division, which people mark a frame early or late."""
    weight = np.where(next_to & (fate != Fate.DIVIDES), doubt, 1.0)
    return weight.astype(np.float32)
