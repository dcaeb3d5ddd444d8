"""From stores to examples of the links task: split, plan, and the image around each nucleus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from anlage.dataset.split import ExampleKind, SplitPart, split_stores
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing
from anlage.tasks.grid import CELLS, plan_grid
from anlage.tasks.links.config import CropPlan, LinksConfig, LinksPlan
from anlage.tasks.links.crops import MARGIN, Crops, cut
from anlage.tasks.links.examples import LinkExamples
from anlage.tasks.links.graph import Film
from anlage.tasks.links.shown import Sample, ShownFilm, TrainingFilm, Variation
from anlage.tasks.links.truth import Lineage, parents_of
from anlage.tasks.sources import check_some
from anlage.tasks.task import NOTHING_HELD_OUT, Setting

__all__ = ["prepare"]

CROP_DIAMETERS = 2.2
"""Edge of a crop: the nucleus and the rims of its neighbours."""
WIDER = 1.25
"""The search radius is so much larger than the training links need: other films move otherwise."""
RECALL = 0.999
"""Share of the training links that the search radius has to hold."""
LEAST_RADIUS, LARGEST_RADIUS = 1.5, 3.0
FEWEST = 10
"""Links below which nothing can be learnt and held out."""


def prepare(stores: Sequence[Store], config: LinksConfig, setting: Setting) -> LinkExamples:
    """Plan and split; see `anlage.tasks.task.Task.prepare`."""
    _check(stores, config)
    split = split_stores(stores, seed=setting.seed, context_frames=2, kind=ExampleKind("link", "links", _linked))
    crop_plan = _crop_plan(stores, config, setting)
    crops = {store.path: None if crop_plan is None else _crops(store, crop_plan, setting.cache) for store in stores}
    films = {id(part): _film(part, config, crops[part.store.path]) for part in (*split.train, *split.validation)}
    train = tuple(films[id(part)] for part in split.train)
    history = setting.base.history if isinstance(setting.base, LinksPlan) else True
    plan = setting.plan if isinstance(setting.plan, LinksPlan) else _plan(train, config, crop_plan, history=history)
    held, held_out, notes = [films[id(part)] for part in split.validation], split.held_out, [*split.notes]
    unseen = held if setting.augment else []
    if not any(_n_links(film) for film in held):
        held, held_out, unseen = list(train), NOTHING_HELD_OUT, []
        notes.append("What was held out shows no link whole: the network is validated on what it learns from.")
    if not any(_n_links(film) for film in train):
        raise AnlageError("The part to learn from holds no link: link more nuclei, and build the stores again.")
    validation = tuple(one for film in held for one in _held_out(film, plan, config, noisy=setting.augment))
    batch_size = setting.batch_size or (4 if setting.device == "cpu" else 16)
    n_held = sum(map(_n_links, held))
    return LinkExamples(
        plan, config, batch_size, tuple(notes), train, validation, held_out, n_held, tuple(unseen), setting
    )  # fmt: skip


def _linked(store: Store) -> npt.NDArray[np.float64]:
    """Positions of the nuclei whose mother is linked, in voxels of the store."""
    nuclei = store.positives
    found: npt.NDArray[np.float64] = nuclei.positions[parents_of(nuclei.sure()) >= 0]
    return found


def _check(stores: Sequence[Store], config: LinksConfig) -> None:
    check_some(stores)
    n = sum(len(store.positives.sure().links) for store in stores)
    if n < FEWEST:
        names = ", ".join(f"'{store.name}'" for store in stores)
        raise AnlageError(
            f"The stores {names} hold {n} links, and at least {FEWEST} are needed: link nuclei to those of the next frame, "
            f"{_or_accept(stores)}and build them again."
        )
    channels = {store.path: store.shape[1] for store in stores}
    if config.image and len(set(channels.values())) > 1:
        listed = ", ".join(f"'{path.stem}' has {n}" for path, n in channels.items())
        raise AnlageError(
            f"The stores have different numbers of channels ({listed}): give stores of the same, or train on points alone "
            "with --set image=false."
        )


def _or_accept(stores: Sequence[Store]) -> str:
    n = sum(int((~store.positives.sure_links).sum()) for store in stores)
    return f"or accept some of the {n} that a network proposed, " if n else ""


def _crop_plan(stores: Sequence[Store], config: LinksConfig, setting: Setting) -> CropPlan | None:
    base = setting.base if isinstance(setting.base, LinksPlan) else None
    earlier = setting.plan if isinstance(setting.plan, LinksPlan) else None
    sees = config.image and stores[0].has_image
    if earlier is not None:
        return earlier.look
    if base is not None:
        theirs, ours = (0 if base.look is None else base.look.n_channels), stores[0].shape[1] if sees else 0
        if theirs != ours:
            raise AnlageError(
                f"The model to start from sees {theirs} channels, but this training has {ours}: choose the same channels, "
                "or train without --from."
            )
        return base.look
    if not sees:
        return None
    diameter = float(np.median([store.meta.diameter_um for store in stores]))
    leading = max(stores, key=lambda store: len(store.positives.sure().links))
    flat = leading.shape_tzyx[1] == 1
    grid = plan_grid(leading.spacing, diameter, flat=flat, cells=CELLS)
    deep = leading.shape_tzyx[1] * leading.spacing.z / diameter
    wanted = np.array([min(CROP_DIAMETERS, deep), CROP_DIAMETERS, CROP_DIAMETERS]) / np.array(grid.voxel_diameters_zyx)
    z, y, x = (np.maximum(1, np.ceil(wanted / grid.stem - 1e-6)) * grid.stem).astype(int).tolist()
    return CropPlan(grid=grid, crop_zyx=(1 if flat else z, y, x), n_channels=stores[0].shape[1], diameter_um=diameter)


def _crops(store: Store, crop_plan: CropPlan, cache: Path) -> Crops:
    """Cut the image around every nucleus of a store, once."""
    placement = crop_plan.grid.place(store.spacing, store.meta.diameter_um, store.shape_tzyx[1:])
    shape = tuple(n + 2 * m for n, m in zip(crop_plan.crop_zyx, MARGIN, strict=True))
    nuclei = store.nuclei
    path = cache / f"{store.hash[:16]} {'-'.join(map(str, shape))} crops.npy"
    if not path.exists():
        with replacing(path, own) as temporary:
            pixels = np.lib.format.open_memmap(
                temporary, mode="w+", dtype=np.float16, shape=(len(nuclei), crop_plan.n_channels, *shape)
            )
            for t in np.unique(nuclei.frames):
                rows = np.flatnonzero(nuclei.frames == t)
                frame = placement.resample(torch.from_numpy(store.frame(int(t)))).numpy()
                centres = placement.to_working(nuclei.positions[rows, 1:])
                pixels[rows] = cut(frame, centres, (shape[0], shape[1], shape[2]))
            pixels.flush()
            del pixels
    return Crops(np.load(path, mmap_mode="r"), crop_plan.crop_zyx)


def _film(part: SplitPart, config: LinksConfig, crops: Crops | None) -> TrainingFilm:
    store = part.store
    lineages = {stride: Lineage.of(store.nuclei, store.spacing, stride) for stride in {1, *config.strides}}
    rows = np.flatnonzero(part.contains(store.nuclei.positions))
    return TrainingFilm(lineages, rows, store.meta.diameter_um if store.meta.sparse else None, crops)


def _n_links(film: TrainingFilm) -> int:
    once = film.lineages[1].once[film.rows]
    return int(np.isin(once[once >= 0], film.rows).sum())


def _plan(
    train: Sequence[TrainingFilm], config: LinksConfig, crop_plan: CropPlan | None, *, history: bool
) -> LinksPlan:
    """Measure how far links reach, and how nuclei move, in the training films at every frame."""
    reaches, spreads, neighbours = [], [], []
    for film in train:
        lineage, rows = film.lineages[1], film.rows
        shown = Film.of(lineage.frames[rows], lineage.points_um[rows], sparse_um=film.sparse_um)
        links = _links_among(lineage, rows)
        earlier, later = links.T
        missed = shown.points_um[later] - shown.points_um[earlier] - shown.ahead.expected_um[earlier]
        reaches.append(np.linalg.norm(missed, axis=1) / shown.scale_um[earlier])
        spreads.append(np.full(len(links), shown.spread))
        neighbours.append(shown.scale_um)
    reach = np.concatenate(reaches)
    radius = config.radius or float(np.clip(WIDER * np.quantile(reach, RECALL), LEAST_RADIUS, LARGEST_RADIUS))
    return LinksPlan(
        radius=radius,
        spread=float(np.median(np.concatenate(spreads))),
        neighbour_um=float(np.median(np.concatenate(neighbours))),
        look=crop_plan,
        history=history,
    )


def _links_among(lineage: Lineage, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(M, 2) links between consecutive frames among some of the nuclei, as positions in `rows`."""
    number = np.full(len(lineage.frames) + 1, -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    links = np.column_stack([number[lineage.once[rows]], np.arange(len(rows))])
    return links[links[:, 0] >= 0]


def _held_out(film: TrainingFilm, plan: LinksPlan, config: LinksConfig, *, noisy: bool) -> list[Sample]:
    """Stretches of a film as they are, with every stride, and as a detector might have found them."""
    rng = np.random.default_rng(0)
    as_found = Variation(jitter=config.jitter / 2, dropped=config.dropped / 2, false=config.dropped / 2)
    shows = [(stride, None) for stride in dict.fromkeys((1, *config.strides))] + [(1, as_found)] * noisy
    samples: list[Sample] = []
    for stride, variation in shows if len(film.rows) else ():
        lineage = film.lineages[stride]
        frames = lineage.frames[film.rows]
        rows = film.rows[(frames - frames.min()) % stride == 0]
        shown = ShownFilm.of(film, lineage, rows, plan, config, variation, rng)
        samples += [one for one in shown.stretches() if one.known.link_known.any()]
    return samples
