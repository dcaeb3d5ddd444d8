"""From stores to examples of the divisions task: split, plan, decode onto the working grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.dataset.augment import Augmentation
from anlage.dataset.split import ExampleKind, SplitPart, split_stores
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.tasks.divisions.config import FRAMES, DivisionsConfig, DivisionsPlan
from anlage.tasks.divisions.examples import AUGMENTATION, CropFrames, DivisionExamples, KnownFates, weights_of
from anlage.tasks.divisions.truth import Fate, around_divisions, beside_divisions, fates
from anlage.tasks.grid import Grid, Zyx, plan_grid
from anlage.tasks.grid_cache import decoded
from anlage.tasks.nucleus_size import (
    apparent_diameter_of_stores,
    neighbour_distance_of_stores,
    pooled_diameter,
    scaling_diameter,
)
from anlage.tasks.sources import check_some
from anlage.tasks.task import NOTHING_HELD_OUT, Setting
from anlage.wording import plural

__all__ = ["prepare"]

CROP_DIAMETERS = 3.0
"""Edge of a crop: both daughters of the next frame fit in, and a ring of neighbours to compare with."""
MATCH_DIAMETERS = 1.0
"""A division nearer than this to a true one is right: whoever marks a frame late marks a daughter."""
MATCH_GAPS = 0.9
"""The same in distances from a nucleus to the next one, which it must not reach."""
BESIDE_DIAMETERS = 1.5
BATCH = 32
FEW = 5
"""Divisions to learn from, below which a note says that they are few."""


def prepare(stores: Sequence[Store], config: DivisionsConfig, setting: Setting) -> DivisionExamples:
    """Decode, plan and split; see `anlage.tasks.task.Task.prepare`."""
    _check(stores)
    # crops show the frames before and after: two whose frames do not meet lie three apart
    split = split_stores(
        stores, seed=setting.seed, context_frames=2, kind=ExampleKind("division", "divisions", _mothers)
    )
    pooled = config.diameter_um or pooled_diameter(stores)
    units = {store.path: scaling_diameter(store, pooled, config.diameter_um) for store in stores}
    notes = [*(note for _, note in units.values() if note), *split.notes]
    plan = setting.plan if isinstance(setting.plan, DivisionsPlan) else None
    if plan is None:
        plan = _plan(stores, config, setting, pooled, {path: um for path, (um, _) in units.items()})

    def on_grid(parts: Sequence[SplitPart]) -> tuple[CropFrames, ...]:
        return tuple(
            frames for part in parts for frames in _work(part, plan, config, units[part.store.path][0], setting.cache)
        )

    train, held_out = on_grid(split.train), split.held_out
    validation = train if split.validation == split.train else on_grid(split.validation)
    n_train, n_other = (sum(int((frames.known.divides == kind).sum()) for frames in train) for kind in (True, False))
    if not n_train or not n_other:
        raise AnlageError(_lack(n_train, n_other))
    if not any(frames.known.divides.any() for frames in validation):
        validation, held_out = train, NOTHING_HELD_OUT
        notes.append("What was held out shows no division whole: the network is validated on what it learns from.")
    if n_train < FEW:
        notes.append(f"It learns from {plural(n_train, 'division')} only: mark more before you rely on it.")
    augmentation = AUGMENTATION if setting.augment else Augmentation.none()
    batch_size = setting.batch_size or BATCH * (1 if setting.device == "cpu" else 4)
    return DivisionExamples(plan, config, batch_size, tuple(notes), train, validation, held_out, setting, augmentation)


def _mothers(store: Store) -> npt.NDArray[np.float64]:
    """Positions of the mothers in their last frames, in voxels of the store."""
    nuclei = store.positives
    mothers: npt.NDArray[np.float64] = nuclei.positions[fates(nuclei) == Fate.DIVIDES]
    return mothers


def _lack(n_divisions: int, n_others: int) -> str:
    what = "division" if not n_divisions else "nucleus that goes on without dividing"
    return (
        f"The part to learn from holds {n_divisions} divisions and {n_others} nuclei that go on, and it needs both: link "
        f"at least one {what} more, and build the stores again."
    )


def _check(stores: Sequence[Store]) -> None:
    check_some(stores)
    if not any(len(_mothers(store)) for store in stores):
        n = sum(len(store.positives.sure().links) for store in stores)
        names = ", ".join(f"'{store.name}'" for store in stores)
        raise AnlageError(
            f"The stores {names} hold no division among {n} links: link each mother to both daughters in the next frame, "
            "and build them again."
        )


def _plan(
    stores: Sequence[Store], config: DivisionsConfig, setting: Setting, pooled: float, units: dict[Path, float]
) -> DivisionsPlan:
    leading = max(stores, key=lambda store: len(_mothers(store)))
    flat = leading.shape_tzyx[1] == 1
    base = setting.base if isinstance(setting.base, DivisionsPlan) else None
    if base is not None:
        _check_base(base, leading, flat=flat)
        grid, crop = base.grid, base.crop_zyx
    else:
        grid = plan_grid(leading.spacing, units[leading.path], flat=flat, cells=config.cells, n_levels=config.levels)
        crop = _crop_shape(grid, config.crop_um / pooled if config.crop_um else CROP_DIAMETERS, leading, pooled)
    return DivisionsPlan(
        grid=grid,
        diameter_um=pooled,
        apparent_um=apparent_diameter_of_stores(stores),
        n_channels=leading.shape[1],
        frames=FRAMES,
        crop_zyx=crop,
        match_radius_um=min(MATCH_DIAMETERS * pooled, MATCH_GAPS * (neighbour_distance_of_stores(stores) or math.inf)),
    )


def _check_base(base: DivisionsPlan, store: Store, *, flat: bool) -> None:
    kinds = ("volumes", "single planes")
    if base.grid.flat != flat:
        raise AnlageError(
            f"The model to start from was trained on {kinds[base.grid.flat]}, but '{store.name}' holds {kinds[flat]}: choose "
            "another model, or train from scratch."
        )
    if base.n_channels != store.shape[1]:
        raise AnlageError(
            f"The model to start from sees {base.n_channels} channels, but '{store.name}' has {store.shape[1]}: choose the "
            "same channels, or train from scratch."
        )


def _crop_shape(grid: Grid, diameters: float, store: Store, diameter_um: float) -> Zyx:
    """Crop in working voxels: so many diameters, no deeper than the volume, a multiple of the stem."""
    voxel, stem = np.array(grid.voxel_diameters_zyx), np.array(grid.stem)
    deep = store.shape_tzyx[1] * store.spacing.z / diameter_um
    wanted = np.array([min(diameters, deep), diameters, diameters]) / voxel
    if grid.flat:
        wanted[0] = 1
    z, y, x = (np.maximum(1, np.ceil(wanted / stem - 1e-6)) * stem).astype(int)
    return (int(z), int(y), int(x))


def _work(
    part: SplitPart, plan: DivisionsPlan, config: DivisionsConfig, unit_um: float, cache: Path
) -> list[CropFrames]:
    """The cuboids of a part on the working grid, each with the frame before and after; a nucleus is in one of them."""
    store, nuclei = part.store, part.store.positives
    fate = fates(nuclei)
    next_to = around_divisions(nuclei, reach=1)
    hard = around_divisions(nuclei) | beside_divisions(nuclei, store.spacing.um, BESIDE_DIAMETERS * unit_um)
    wanted = (fate != Fate.UNKNOWN) & part.contains(nuclei.positions)
    pieces = []
    for cuboid in store.meta.cuboids:
        (t0, t1), *space = cuboid.box.ranges
        box = Box((max(0, t0 - 1), min(store.shape_tzyx[0], t1 + 1)), *space)
        here = wanted & cuboid.box.contains(nuclei.positions) & (nuclei.frames + max(plan.frames) < box.t[1])
        wanted &= ~here
        if not here.any():
            continue
        placement = plan.grid.place(store.spacing, unit_um, box.shape[1:])
        image = decoded(store, box, placement, cache)
        known = KnownFates(
            frames=nuclei.frames[here] - box.t[0],
            centres=placement.to_working(nuclei.positions[here, 1:] - box.start[1:]),
            points_um=nuclei.positions[here, 1:] * store.spacing.um,
            divides=fate[here] == Fate.DIVIDES,
            hard=hard[here],
            weight=weights_of(fate, next_to, config.doubt)[here],
        )
        pieces.append(CropFrames(image, known, store.meta.origin_tzyx[0] + box.t[0]))
    return pieces
