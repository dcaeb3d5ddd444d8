"""From stores to examples of the nuclei task: split, plan, decode onto the working grid."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from anlage.annotations import State
from anlage.axes import Box
from anlage.blobs import brightest_channel
from anlage.dataset.augment import Augmentation
from anlage.dataset.split import Split, SplitPart, split_stores
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.matching import match_radius_um
from anlage.networks.device import free_gb
from anlage.tasks.grid import Grid, Placement, Zyx, plan_grid
from anlage.tasks.grid_cache import decoded, lacks_context
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan, Orientation
from anlage.tasks.nuclei.examples import NucleiExamples
from anlage.tasks.nuclei.head import Head
from anlage.tasks.nuclei.heads import HEADS
from anlage.tasks.nuclei.painted_targets import PaintedPart, absent_classes
from anlage.tasks.nuclei.working_frames import WorkingFrames
from anlage.tasks.nucleus_size import (
    apparent_diameter_of_stores,
    neighbour_distance_of_stores,
    pooled_diameter,
    scaling_diameter,
)
from anlage.tasks.sources import check_alike
from anlage.tasks.task import NOTHING_HELD_OUT, Setting

__all__ = ["prepare"]

BYTES_PER_VOXEL = 1400
"""Memory of a training step per working voxel and unit of width/32: about 550 measured in bfloat16, up to 1460 in float32."""


@dataclass(frozen=True, slots=True)
class _Working:
    """How parts of stores are brought onto the grid."""

    grid: Grid
    reach: int
    cache: Path
    head: Head
    classes: tuple[int, ...]
    units_um: Mapping[Path, float]
    """Micrometres per nucleus diameter, by the path of a store."""

    def frames(self, parts: Sequence[SplitPart]) -> tuple[WorkingFrames, ...]:
        """These parts on the grid, without what nobody annotated."""
        return tuple(frames for part in parts for frames in _work(part, self, self.units_um[part.store.path]))


@dataclass(frozen=True, slots=True)
class _Divided:
    """What is learnt from, and what is held out."""

    train: tuple[WorkingFrames, ...]
    validation: tuple[WorkingFrames, ...]
    held_out: str
    notes: tuple[str, ...] = ()


def prepare(stores: Sequence[Store], config: NucleiConfig, setting: Setting) -> NucleiExamples:
    """Decode, plan and split; see `anlage.tasks.task.Task.prepare`."""
    _check(stores)
    head = HEADS[config.head]
    classes = head.check_stores(stores, config)
    reach = max(abs(offset) for offset in config.frames)
    # two frames whose contexts share a frame are not independent
    split = split_stores(stores, seed=setting.seed, context_frames=max(1, 2 * reach))
    pooled = config.diameter_um or pooled_diameter(stores)
    units = {store.path: scaling_diameter(store, pooled, config.diameter_um) for store in stores}
    units_um = {path: um for path, (um, _) in units.items()}
    earlier = setting.plan if isinstance(setting.plan, NucleiPlan) else None
    grid = earlier.grid if earlier else _grid(stores, units_um, config, setting)
    divided = _divide(stores, split, _Working(grid, reach, setting.cache, head, classes, units_um))
    n_nuclei = sum(len(part.nuclei) for part in split.train)
    leading = _leading_channel(stores)
    plan = earlier or NucleiPlan(
        grid=grid,
        diameter_um=pooled,
        apparent_um=apparent_diameter_of_stores(stores, leading),
        n_channels=stores[0].shape[1],
        frames=config.frames,
        patch_zyx=_patch_shape(config, grid, pooled, divided.train),
        sigma=config.sigma,
        match_radius_um=match_radius_um(pooled, neighbour_distance_of_stores(stores)),
        head=config.head,
        classes=classes,
        orientation=head.orientation_of(config, n_nuclei) if setting.augment else "fixed",
        few_photons=head.few_photons_of(config, from_model=setting.base is not None) if setting.augment else 0.0,
        leading_channel=leading,
    )
    return NucleiExamples(
        plan=plan,
        head=head,
        batch_size=setting.batch_size or _batch_size(plan.patch_zyx, config, setting.device),
        notes=(
            *(note for _, note in units.values() if note),
            *split.notes,
            *divided.notes,
            *_context_notes(stores, reach),
            *(() if earlier else (_patch_in_words(plan, divided.train),)),
        ),
        train=divided.train,
        validation=divided.validation,
        held_out=divided.held_out,
        setting=setting,
        augmentation=_augmentation(plan.orientation, head.variation_of(config), augment=setting.augment),
        balance=config.balance,
    )


def _divide(stores: Sequence[Store], split: Split, working: _Working) -> _Divided:
    """The split on the grid; where the held-out part shows no nucleus, or alone shows a class, nothing is held out."""
    train, validation, held_out = working.frames(split.train), working.frames(split.validation), split.held_out
    notes = []
    if not sum(frames.n_known for frames in train):
        raise AnlageError("Nothing of the stores is known on the network's grid: annotate a larger part of the image.")
    if not sum(frames.n_known for frames in validation):
        validation, held_out = train, NOTHING_HELD_OUT
        notes.append(
            "The held-out block is too thin to hold a nucleus: the network is validated on what it learns from."
        )
    if working.classes and (absent := absent_classes(train, working.classes)):
        train = validation = working.frames([SplitPart(store) for store in stores])
        held_out = NOTHING_HELD_OUT
        notes.append(
            f"Class {', '.join(map(str, absent))} is painted only in what would be held out, so nothing is: paint it elsewhere "
            "too, to learn how well it is told apart."
        )
    return _Divided(train, validation, held_out, tuple(notes))


def _context_notes(stores: Sequence[Store], reach: int) -> list[str]:
    if not reach or not lacks_context(stores, reach):
        return []
    return [
        "Some annotated frames have no neighbours in their store, so the frame itself stands in for them: "
        f"build with --context {reach} to keep them."
    ]


def _augmentation(orientation: Orientation, variation: float, *, augment: bool) -> Augmentation:
    """How examples are turned and varied."""
    if not augment:
        return Augmentation.none()
    turned = Augmentation(flip_z=orientation == "any")
    if orientation == "fixed":
        turned = Augmentation(flip=False, flip_z=False, rotate_degrees=0)
    return turned.scaled(variation)


def _grid(stores: Sequence[Store], unit_um: Mapping[Path, float], config: NucleiConfig, setting: Setting) -> Grid:
    """The grid of the model that the run starts from, else one that suits the store with the most nuclei."""
    if isinstance(setting.base, NucleiPlan):
        _check_base(setting.base, stores[0], config)
        return setting.base.grid
    leading = max(stores, key=lambda store: len(store.positives))
    flat = leading.shape_tzyx[1] == 1
    cells = HEADS[config.head].cells_of(config)
    return plan_grid(leading.spacing, unit_um[leading.path], flat=flat, cells=cells, n_levels=config.levels)


def _check_base(base: NucleiPlan, store: Store, config: NucleiConfig) -> None:
    flat = store.shape_tzyx[1] == 1
    if base.grid.flat != flat:
        kinds = ("a volume", "a single plane")
        raise AnlageError(
            f"The model to start from was trained on {kinds[base.grid.flat]}, but '{store.name}' holds {kinds[flat]}: "
            "choose another model, or train from scratch."
        )
    inputs = {"channels": (base.n_channels, store.shape[1]), "frames": (base.frames, config.frames)}
    sees_one = base.n_channels == 1 and base.frames == (0,) and 0 in config.frames
    for what, (theirs, ours) in inputs.items():
        if theirs != ours and not sees_one:
            raise AnlageError(
                f"The model to start from sees {what} {theirs}, but this training has {ours}: choose the same {what}, "
                "or train from scratch."
            )


def _leading_channel(stores: Sequence[Store]) -> int:
    """The channel in which nuclei stand out most, in the fullest frame of the store with the most nuclei."""
    leading = max(stores, key=lambda store: len(store.positives))
    if leading.shape[1] == 1:
        return 0
    nuclei = leading.positives
    frames, counts = np.unique(nuclei.frames, return_counts=True)
    t = int(frames[counts.argmax()])
    return brightest_channel(leading.frame(t), nuclei.positions[nuclei.frames == t, 1:])


def _check(stores: Sequence[Store]) -> None:
    check_alike(stores)
    for store in stores:
        if len(store.positives) == 0:
            raise AnlageError(f"The store '{store.path}' holds no nucleus: annotate some and build it again.")


def _work(part: SplitPart, working: _Working, unit_um: float) -> list[WorkingFrames]:
    """Bring a part of a store onto the grid, cuboid by cuboid: what lies between cuboids costs nothing."""
    pieces = []
    for cuboid in part.store.meta.cuboids:
        box = _read_box(part, cuboid.box, unit_um, working.reach)
        if box is not None:
            pieces.append(_work_box(part, box, cuboid.box, working, unit_um))
    return [piece for piece in pieces if piece.frames]


def _read_box(part: SplitPart, cuboid: Box, unit_um: float, reach: int) -> Box | None:
    """What to read for a cuboid: its share of the part, and around it the context that the network sees."""
    store = part.store
    wanted = cuboid if part.box is None else cuboid.intersection(part.box)
    if wanted is None:
        return None
    halo = np.ceil(2 * unit_um / store.spacing.um).astype(int).tolist()
    near = wanted.grown(halo).intersection(cuboid) or wanted
    (t0, t1), z, y, x = near.ranges
    return Box((max(0, t0 - reach), min(store.shape_tzyx[0], t1 + reach)), z, y, x)


def _work_box(part: SplitPart, box: Box, cuboid: Box, working: _Working, unit_um: float) -> WorkingFrames:
    store = part.store
    placement = working.grid.place(store.spacing, unit_um, box.shape[1:])
    image = decoded(store, box, placement, working.cache)
    mask, space = part.mask(), box.slices[1:]
    nuclei = store.positives
    nuclei = nuclei.select(part.contains(nuclei.positions) & box.contains(nuclei.positions))
    known = np.zeros((box.shape[0], *placement.shape_zyx), dtype=np.uint8)
    centres: list[npt.NDArray[np.float64]] = []
    per_frame = [nuclei.select(nuclei.frames == t) for t in range(*box.t)]
    for i, t in enumerate(range(*box.t)):
        centres.append(placement.to_working(per_frame[i].positions[:, 1:] - box.start[1:]))
        if t in part.frames:
            weight = np.asarray(store.weight[(t, *space)]) * mask(t)[space]
            known[i] = (placement.resample(torch.from_numpy(weight.astype(np.float32))) > 0.5).numpy()
    frames = tuple(i for i, frame in enumerate(known) if frame.any())
    rejected = _rejected(part, box, placement)
    share = hashlib.sha256(repr((part.box, part.exclude, working.classes)).encode()).hexdigest()[:12]
    cache = working.cache / f"{store.hash[:16]} {str(box).replace(':', '-')} {share}"
    paint = working.head.painted(PaintedPart(store, box, cuboid, per_frame, placement, cache), working.classes)
    return WorkingFrames(store, box, image, known, tuple(centres), frames, placement, unit_um, paint, rejected)


def _rejected(part: SplitPart, box: Box, placement: Placement) -> tuple[npt.NDArray[np.float64], ...]:
    """For each frame of the box the rejected proposals of the part, (N, 3) in working voxels; nothing where there are none."""
    nuclei = part.store.nuclei
    nuclei = nuclei.select(nuclei.state == State.REJECTED)
    nuclei = nuclei.select(part.contains(nuclei.positions) & box.contains(nuclei.positions))
    if not len(nuclei):
        return ()
    at = [nuclei.positions[nuclei.frames == t, 1:] for t in range(*box.t)]
    return tuple(placement.to_working(positions - box.start[1:]) for positions in at)


def _patch_shape(config: NucleiConfig, grid: Grid, diameter_um: float, train: Sequence[WorkingFrames]) -> Zyx:
    """Patch in working voxels: so many diameters, not much more than the image, a multiple of the network's pooling."""
    diameters = config.patch_um / diameter_um if config.patch_um else HEADS[config.head].patch_diameters
    multiple = np.array(grid.stem) * np.prod(grid.strides, axis=0, dtype=int)
    wanted = diameters / np.array(grid.voxel_diameters_zyx)
    extent = np.max([frames.shape_zyx for frames in train], axis=0)
    if config.patch_voxels is not None:
        if config.patch_um is not None:
            raise AnlageError("Both patch_um and patch_voxels are set; give the size of a patch in one of them.")
        wanted = np.array(config.patch_voxels) / train[0].placement.step_zyx
    z, y, x = np.ceil(np.minimum(wanted, extent) / multiple).astype(int) * multiple
    return (int(z), int(y), int(x))


def _patch_in_words(plan: NucleiPlan, train: Sequence[WorkingFrames]) -> str:
    """The size of a training patch in voxels of the image and in µm, side by side."""
    first = train[0]
    voxels = np.array(plan.patch_zyx) * first.placement.step_zyx
    um = voxels * first.store.spacing.um
    return (
        f"A training patch has {' × '.join(f'{v:.0f}' for v in voxels)} voxels of the image, that is "
        f"{' × '.join(f'{v:.1f}' for v in um)} µm (z, y, x)."
    )


def _batch_size(patch_zyx: Zyx, config: NucleiConfig, device: str) -> int:
    """As many patches as a sixth of the free memory holds, between 1 and 2 on a CPU and up to 16 on a GPU."""
    need = BYTES_PER_VOXEL * (config.width / 32) * float(np.prod(patch_zyx))
    fits = int(free_gb(device) * 2**30 / 6 / need)
    return max(1, min(fits, 2 if device == "cpu" else 16))
