"""Predict label images (instances or classes) of any size: tile by tile, stitched without seams.

A tile reads its core and a halo, on a working grid that is the same for all tiles. An object is named by the cell where
its centre's peak lies, which every tile that sees the object calls the same; so each tile paints its own core and nothing
else, in any order, and objects that reach over a border have one name on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.inference.loaded import Loaded
from anlage.inference.loading import load_for
from anlage.inference.network import lowest_probability
from anlage.inference.pieces import Piece, TileMaps, class_piece, object_piece
from anlage.inference.region import CONTEXT_DIAMETERS, FAINTEST, Part
from anlage.inference.test_time_augmentation import CopyCount, averaged_output
from anlage.model import Model
from anlage.tasks.nuclei.detections import decode_centres
from anlage.tasks.nuclei.heads import HEADS, finds_classes, paints_labels
from anlage.tiling import Tile, tiles
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

    from anlage.tasks.grid import Placement

__all__ = ["Labeller", "Settings", "prepare_labeller"]

HALO_DIAMETERS = 3.0
"""Surroundings that a tile sees of its core: with three, tiles give what a single piece gives, with two a voxel differs in every sixth object."""
BYTES_PER_VOXEL = 240.0
"""Memory that a tile takes per working voxel that it reads, at a width of 32: 190 to 211 measured, in float32."""
BYTES_PER_IMAGE_VOXEL = 20.0
"""The same per voxel of the image in its core, beside 4 for each map: 28 in all measured, of outlines."""
PROGRAM_GB = 0.5
"""What the program takes before the first tile."""
BYTES_PER_MEASURED_VOXEL = 26.0
"""Memory per voxel in which the nuclei's size was measured; little of it is given back."""
MEMORY_GB = 1.6
"""Memory that a prediction may take where nothing else is said."""
_CORES = (384, 320, 256, 192, 160, 128, 96, 64, 48, 32)
"""Edges of a core in the plane, in working voxels, among which the largest is taken that the memory holds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How labels are predicted.

    Parameters
    ----------
    threshold
        Calibrated probability from which an object is reported; None: the model's own.
    inside
        Probability from which a voxel belongs to an object; None: the model's own.
    turns
        Mirrored and turned copies that are averaged: 1 (none), 4, 8 or 16.
    memory_gb
        Memory (GiB) that the prediction may take.
    diameter_um
        Nucleus diameter in the image in µm; None: the model's, unless the image clearly shows another.
    channels
        Channels of the image; None: as in training.
    """

    threshold: float | None = None
    inside: float | None = None
    turns: CopyCount = 1
    memory_gb: float = MEMORY_GB
    diameter_um: float | None = None
    channels: Sequence[int] | None = None


@dataclass(frozen=True)
class Labeller:
    """A network with all that it needs to label one image, tile by tile."""

    model: Model
    loaded: Loaded
    image: TimeLapse
    placement: Placement
    part: Part
    context: Box
    settings: Settings
    tiles: tuple[Tile, ...]
    memory_gb: float
    """Memory that it will take, in GiB."""

    @property
    def is_classes(self) -> bool:
        return finds_classes(self.model.card.head)

    @property
    def threshold(self) -> float:
        """Calibrated probability from which an object is reported."""
        chosen = self.settings.threshold
        return self.model.card.evidence.threshold if chosen is None else chosen

    @property
    def inside(self) -> float:
        """Probability from which a voxel belongs to an object."""
        chosen = self.settings.inside
        return self.model.card.evidence.thresholds.get("inside", 0.5) if chosen is None else chosen

    def core(self, tile: Tile) -> Box:
        """The voxels of the image that a tile answers for: those whose middle lies in its core."""
        return self._image_box(tile.core)

    def piece(self, t: int, tile: Tile) -> Piece:
        """Label the core of one tile in frame `t`."""
        maps = self.maps(t, tile, self.threshold)
        if self.is_classes:
            return class_piece(maps, self.loaded.plan.classes)
        return object_piece(maps, self.loaded.plan.grid.cell_diameters, self.threshold, self.inside)

    def maps(self, t: int, tile: Tile, faintest: float = FAINTEST) -> TileMaps:
        """What the network says of the core of one tile in frame `t`, with every centre from this probability on."""
        coarse, fine = self._output(t, tile)
        box = self.core(tile)
        on_image = self._on_image(fine, tile, box)
        if self.is_classes:
            return TileMaps.of(box, on_image)
        grid, calibration = self.loaded.plan.grid, self.model.card.evidence.calibration
        stem = np.array(grid.stem)
        lowest = lowest_probability(calibration, faintest)
        found = decode_centres(coarse[0], coarse[1:4], grid.cell_diameters, lowest=lowest)
        probability = calibration.apply(found.logits)
        kept = probability >= faintest
        first = np.array(tile.offset_zyx) / stem
        seeds, peaks = found.cells[kept] + first, found.peaks[kept] + first.astype(np.int64)
        at = [
            ((np.arange(low, high) - origin + 0.5) / step) / s - 0.5
            for (low, high), origin, step, s in zip(
                box.ranges[1:], self.context.start[1:], self.placement.step_zyx, stem, strict=True
            )
        ]
        low, high = (np.array([getattr(s, end) for s in tile.core]) for end in ("start", "stop"))
        owned = np.all((peaks >= low // stem) & (peaks < -(-high // stem)), axis=1)
        cells = -(-np.array(self.placement.shape_zyx) // stem)
        names = np.ravel_multi_index(tuple(np.minimum(peaks, cells - 1).T), tuple(cells)).astype(np.int64) + 1
        centres = self.placement.to_image((seeds + 0.5) * stem - 0.5) + self.context.start[1:]
        return TileMaps(box, on_image, (at[0], at[1], at[2]), seeds, names, owned, centres, probability[kept])

    def _output(self, t: int, tile: Tile) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What the network says of a tile: of its cells, and of its working voxels."""
        import torch

        pixels = self._read(t, tile)
        try:
            return averaged_output(
                self.loaded.network,
                pixels,
                self.loaded.plan.grid,
                self.loaded.device,
                skip=HEADS[self.loaded.plan.head].n_coarse,
                turns=self.settings.turns,
            )
        except (RuntimeError, MemoryError) as problem:
            if isinstance(problem, RuntimeError) and "memory" not in str(problem).lower():
                raise
            if self.loaded.device.startswith("cuda"):
                torch.cuda.empty_cache()
            raise AnlageError(
                f"Memory ran out in a tile of {' × '.join(map(str, tile.read_shape))} working voxels: close other programs, or "
                f"give less than the {self.settings.memory_gb:g} GB of --memory-gb, so that tiles are smaller."
            ) from problem

    def _read(self, t: int, tile: Tile) -> torch.Tensor:
        """The tile with its temporal context on the working grid, (C, Z, Y, X)."""
        import torch

        from anlage.networks.resample import resample

        steps = np.array(self.placement.step_zyx)
        reach = np.maximum(steps, 1.0) + 1
        start, stop = (np.array([getattr(s, end) for s in tile.read]) for end in ("start", "stop"))
        low = np.maximum(0, np.floor((start + 0.5) * steps - 0.5 - reach)).astype(int)
        high = np.minimum(self.context.shape[1:], np.ceil((stop - 0.5) * steps + 0.5 + reach)).astype(int)
        origin = np.array(self.context.start[1:])
        z, y, x = ((int(a), int(b)) for a, b in zip(low + origin, high + origin, strict=True))
        shift = start * steps - low
        last = self.image.n_frames - 1
        stack = []
        for offset in self.loaded.plan.frames:
            at = min(max(t + offset, 0), last)
            raw = self.loaded.intensity.frame(self.image, at, Box((at, at + 1), z, y, x))
            stack.append(resample(torch.from_numpy(raw), steps.tolist(), tile.read_shape, shift.tolist()))
        return torch.cat(stack)

    def _on_image(self, fine: npt.NDArray[np.float32], tile: Tile, box: Box) -> npt.NDArray[np.float32]:
        """Maps of working voxels on the image's own voxels in a box, by linear interpolation."""
        import torch

        from anlage.networks.resample import resample

        steps = np.array(self.placement.step_zyx)
        local = np.array(box.start[1:]) - self.context.start[1:]
        margin = np.ceil(np.maximum(1 / steps, 1)).astype(int) + 1
        low = np.maximum(0, [s.start for s in tile.core_in_read] - margin)
        high = [s.stop for s in tile.core_in_read] + margin
        near = fine[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        shift = local / steps - (np.array(tile.offset_zyx) + low)
        shape = box.shape[1:]
        return resample(torch.from_numpy(near), (1 / steps).tolist(), shape, shift.tolist()).numpy()

    def _image_box(self, core: tuple[slice, slice, slice]) -> Box:
        ranges = []
        inside = zip(core, self.placement.step_zyx, self.placement.shape_zyx, self.context.ranges[1:], strict=True)
        wanted = self.part.box.ranges[1:]
        for (span, step, n, (start, stop)), (least, most) in zip(inside, wanted, strict=True):
            low = start + int(np.ceil(span.start * step - 0.5))
            high = stop if span.stop == n else start + int(np.ceil(span.stop * step - 0.5))
            low, high = max(low, least), min(high, most)
            ranges.append((low, max(low, high)))
        z, y, x = ranges
        return Box((0, 1), z, y, x)


def prepare_labeller(
    model: Model,
    image: TimeLapse,
    *,
    frames: Sequence[int] | None = None,
    region: Box | None = None,
    device: str = "auto",
    settings: Settings | None = None,
) -> Labeller:
    """Make ready to label an image.

    Parameters
    ----------
    model
        A nuclei model with head instances or classes.
    image
        The movie. If its voxel size is unknown, the model's is assumed, with a note.
    frames
        Frames that will be asked for; all by default.
    region
        Part of each frame, in voxels.
    device
        Where to compute.
    settings
        How.

    Raises
    ------
    AnlageError
        If the model finds only centres, the image lacks a channel that it needs, or the memory is too small.
    """
    settings = settings or Settings()
    card = model.card
    if not paints_labels(card.head):
        raise AnlageError(
            f"The model '{card.name}' finds {card.finds} and paints no labels: write a table (.csv or .geff), or train with "
            "head=instances."
        )
    loaded = load_for(model, image, frames, channels=settings.channels, diameter_um=settings.diameter_um, device=device)
    part = Part(image, region)
    context = part.grown(CONTEXT_DIAMETERS * loaded.diameter_um, loaded.spacing) if region else part.box
    placement = loaded.plan.grid.place(loaded.spacing, loaded.diameter_um, context.shape[1:])
    cut, memory_gb = _tiles(loaded, placement, settings)
    labeller = Labeller(model, loaded, image, placement, part, context, settings, (), memory_gb)
    filled = tuple(tile for tile in cut if min(labeller.core(tile).shape) > 0)
    return replace(labeller, tiles=filled)


def _tiles(loaded: Loaded, placement: Placement, settings: Settings) -> tuple[list[Tile], float]:
    """The largest tiles that the memory holds, and the memory (GiB) that they will take."""
    plan, grid = loaded.plan, loaded.plan.grid
    multiple = (np.array(grid.stem) * np.prod(grid.strides, axis=0, dtype=int)).tolist()
    halo = np.ceil(HALO_DIAMETERS / np.array(grid.voxel_diameters_zyx)).astype(int).tolist()
    widest = max((p.shape[0] for name, p in loaded.network.named_parameters() if name == "enter.weight"), default=32)
    voxel_bytes = BYTES_PER_VOXEL * widest / 32 * (1.1 if settings.turns > 1 else 1.0)
    image_bytes = BYTES_PER_IMAGE_VOXEL + 4 * HEADS[plan.head].n_fine(plan)
    measuring = loaded.measured_voxels * BYTES_PER_MEASURED_VOXEL
    need = 0.0
    for core in _CORES:
        cut = tiles(placement.shape_zyx, [max(core // 2, 1), core, core], halo, multiple_zyx=multiple)
        most = max(float(np.prod(tile.read_shape)) for tile in cut)
        cores = max(float(np.prod([s.stop - s.start for s in tile.core])) for tile in cut)
        image_voxels = cores * float(np.prod(placement.step_zyx))
        need = PROGRAM_GB + (measuring + most * voxel_bytes + image_voxels * image_bytes) / 2**30
        if need <= settings.memory_gb:
            return cut, need
    raise AnlageError(
        f"A memory of {settings.memory_gb:g} GB is too small: even the smallest tiles need {need:.1f} GB; give more with "
        "--memory-gb."
    )
