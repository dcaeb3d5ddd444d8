"""Split stores into training and validation: by movie, else by blocks of space and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, inside_any
from anlage.dataset.holdout import FRACTION, LEAST_LEFT, choose_block
from anlage.dataset.store import Store
from anlage.dataset.weight import Marked, clear_balls
from anlage.errors import AnlageError
from anlage.wording import plural

__all__ = ["NUCLEI", "ExampleKind", "Split", "SplitPart", "check_uses", "split_stores"]

DRAWS = 200
"""Random choices of movies from which the one nearest to the wanted share is taken."""
FEW = 10
"""With fewer nuclei in the movies held out, blocks of all movies are held out instead."""
_GAPS = (1.0, 0.5, 0)
"""Parts of the wanted gap between training and validation, tried in turn."""


@dataclass(frozen=True)
class SplitPart:
    """What of a store belongs to training, or to validation.

    Parameters
    ----------
    store
        The store.
    box
        The part inside, in voxels of the store; None for all of it.
    exclude
        Blocks that do not belong to it.
    """

    store: Store
    box: Box | None = None
    exclude: tuple[Box, ...] = ()

    def contains(self, positions: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Which positions (N, 4), in voxels of the store, belong to it."""
        inside = (self.box or Box.whole(self.store.shape_tzyx)).contains(positions)
        for box in self.exclude:
            inside &= ~box.contains(positions)
        return inside

    @property
    def nuclei(self) -> Annotations:
        """Its true nuclei, in voxels of the store."""
        nuclei = self.store.positives
        return nuclei.select(self.contains(nuclei.positions))

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames of the store in which something of it is known."""
        rejected = self.store.nuclei.frames[self.store.nuclei.state == State.REJECTED]
        frames = sorted({*self.store.frames, *(int(t) for t in rejected)})
        return tuple(t for t in frames if self._reaches(t))

    def mask(self) -> Callable[[int], npt.NDArray[np.bool_]]:
        """A function that gives for a frame which voxels (Z, Y, X) belong to it.

        Left out, too, is what reaches inside of nuclei that do not belong to it.
        """
        store, whole = self.store, Box.whole(self.store.shape_tzyx)
        nuclei = store.positives
        foreign = nuclei.select(~self.contains(nuclei.positions))
        radius = np.where(np.isfinite(foreign.radius_um), foreign.radius_um, store.meta.diameter_um / 2)

        def of_frame(t: int) -> npt.NDArray[np.bool_]:
            inside = np.zeros(whole.shape[1:], dtype=bool)
            box = self.box or whole
            if not box.t[0] <= t < box.t[1]:
                return inside
            inside[box.slices[1:]] = True
            for other in self.exclude:
                if other.t[0] <= t < other.t[1]:
                    inside[other.slices[1:]] = False
            rows = foreign.frames == t
            clear_balls(inside, Marked(foreign.positions[rows, 1:], radius[rows]), store.spacing)
            return inside

        return of_frame

    def _reaches(self, t: int) -> bool:
        box = self.box or Box.whole(self.store.shape_tzyx)
        if not box.t[0] <= t < box.t[1]:
            return False
        at_t = Box((t, t + 1), box.z, box.y, box.x)
        return not any(at_t.intersection(other) == at_t for other in self.exclude)


@dataclass(frozen=True, slots=True)
class ExampleKind:
    """What a network learns from, and so what is counted where data are parted.

    Parameters
    ----------
    one, many
        Its name.
    positions
        Where it is in a store: (N, 4) voxels of the store (t, z, y, x).
    """

    one: str
    many: str
    positions: Callable[[Store], npt.NDArray[np.float64]]

    def count(self, n: int) -> str:
        """So many of them, in words."""
        return plural(n, self.one, self.many)

    def inside(self, part: SplitPart) -> int:
        """How many of them belong to a part."""
        return int(part.contains(self.positions(part.store)).sum())


NUCLEI = ExampleKind("nucleus", "nuclei", lambda store: store.positives.positions)


@dataclass(frozen=True, slots=True)
class Split:
    """What to train on and what to validate on."""

    train: tuple[SplitPart, ...]
    validation: tuple[SplitPart, ...]
    held_out: str
    """What was held out, as a sentence."""
    notes: tuple[str, ...] = ()
    """What the user should know."""
    chosen: bool = False
    """Whether the user chose what to validate on; then no network may ever learn from it."""


def split_stores(
    stores: Sequence[Store],
    *,
    fraction: float = FRACTION,
    seed: int = 0,
    context_frames: int = 1,
    kind: ExampleKind = NUCLEI,
) -> Split:
    """Part stores into training and validation.

    Where stores were built for validation, these are what to validate on, and nothing that lies in them, or within a gap
    around them, is trained on. Else whole movies are held out where there are several; else each store's validation block,
    with a gap around it of one nucleus diameter in space and `context_frames` in time. Of stores built for training
    something is held out only where all others have nothing to give.

    Parameters
    ----------
    stores
        The stores to train on.
    fraction
        Part of the nuclei (or whatever `kind` says) to hold out.
    seed
        Decides between movies that would do equally well.
    context_frames
        How many frames before and after its own the network sees.
    kind
        What the network learns from: what is counted and parted.

    Raises
    ------
    AnlageError
        If the stores hold none of the kind, or those for validation leave none to train on.
    """
    counts = [len(kind.positions(store)) for store in stores]
    if sum(counts) == 0:
        raise AnlageError(f"The stores hold no annotated {kind.one}: annotate some and build the stores again.")
    if not 0 < fraction < 1:
        raise AnlageError(f"The part held out for validation must lie between 0 and 1, not {fraction}.")
    check_uses(stores)
    uses = [store.meta.use for store in stores]
    if "validation" in uses:
        return _as_chosen(stores, counts, context_frames, kind)
    every, free = set(range(len(stores))), {i for i, use in enumerate(uses) if use == "auto"}
    wanted = _Wanted(fraction, seed, context_frames, kind)
    found = _held_out(stores, counts, free, wanted)
    if found is None and free != every:
        found = _held_out(stores, counts, every, wanted)
        note = "Nothing but what was chosen for training could be held out to validate on, so a part of it was."
        found = found and replace(found, notes=(*found.notes, note))
    return found or Split(
        tuple(SplitPart(store) for store in stores), tuple(SplitPart(store) for store in stores),
        "nothing: the training data themselves",
        (f"There are too few {kind.many} to hold some out: the network is validated on what it was trained on.",),
    )  # fmt: skip


def check_uses(stores: Sequence[Store]) -> None:
    """Refuse stores that leave nothing to train on.

    Raises
    ------
    AnlageError
        If all were built for validation.
    """
    if stores and all(store.meta.use == "validation" for store in stores):
        names = ", ".join(f"'{store.name}'" for store in stores)
        raise AnlageError(
            f"There is nothing to train on: {names} {'is' if len(stores) == 1 else 'are all'} meant for validation; add a "
            "region, or a store, that is not."
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How to hold out; see `split_stores`."""

    fraction: float
    seed: int
    context_frames: int
    kind: ExampleKind


def _as_chosen(stores: Sequence[Store], counts: list[int], context_frames: int, kind: ExampleKind) -> Split:
    """Validate on the stores that were built for it; train on what of the others does not lie in them or close by."""
    held = [store for store in stores if store.meta.use == "validation"]
    n = sum(len(kind.positions(store)) for store in held)
    blocks = [(store, cuboid.box) for store in held for cuboid in store.meta.cuboids]
    others = [store for store in stores if store.meta.use != "validation"]
    held_out = f"{n} of {kind.count(sum(counts))}, in {plural(len(held), 'store')} chosen for validation"
    notes = (
        ()
        if n >= FEW
        else (
            f"Only {kind.count(n)} {'was' if n == 1 else 'were'} chosen for validation: what is measured on them is rough.",
        )
    )
    for part_of_gap in _GAPS:
        train = [_train_part(store, blocks, part_of_gap, context_frames) for store in others]
        kept = tuple(part for part in train if kind.inside(part))
        if kept:
            validation = tuple(SplitPart(store) for store in held)
            return Split(kept, validation, held_out, (*notes, *_closeness(part_of_gap, kind)), chosen=True)
    raise AnlageError(
        f"There is nothing to train on: all {sum(counts) - n} other {kind.many} lie inside what was chosen for validation; choose a "
        "smaller region for it, or annotate elsewhere."
    )


def _held_out(stores: Sequence[Store], counts: list[int], free: set[int], wanted: _Wanted) -> Split | None:
    """A split that validates only on stores that are free for it; None where they have nothing to give."""
    movies: dict[str, list[int]] = {}
    for i, store in enumerate(stores):
        movies.setdefault(store.meta.source.movie, []).append(i)
    by_movie = _hold_out(list(movies.values()), counts, free, wanted)
    if by_movie and sum(counts[i] for i in by_movie) >= min(FEW, wanted.fraction / 2 * sum(counts)):
        n = sum(counts[i] for i in by_movie)
        held = len({stores[i].meta.source.movie for i in by_movie})
        return _whole(stores, by_movie, f"{wanted.kind.count(n)} in {held} of {len(movies)} movies")
    return _by_block(stores, free, wanted) or _by_store(stores, counts, free, wanted)


def _hold_out(groups: list[list[int]], counts: list[int], free: set[int], wanted: _Wanted) -> list[int]:
    """Stores of the free groups whose share of the nuclei is nearest to the wanted; empty where none can be spared."""
    filled = [group for group in groups if sum(counts[i] for i in group)]
    sparable = [group for group in filled if free.issuperset(group)]
    if len(filled) < 2 or not sparable:
        return []
    k = min(max(1, round(wanted.fraction * len(filled))), len(filled) - 1, len(sparable))
    rng = np.random.default_rng(wanted.seed)
    total = sum(counts)
    sizes = np.array([sum(counts[i] for i in group) for group in sparable])
    draws = [rng.permutation(len(sparable))[:k] for _ in range(DRAWS)]
    best = min(draws, key=lambda chosen: abs(sizes[chosen].sum() / total - wanted.fraction))
    return [i for group in best for i in sparable[group]]


def _whole(stores: Sequence[Store], held: Sequence[int], sentence: str, notes: tuple[str, ...] = ()) -> Split:
    train = tuple(SplitPart(store) for i, store in enumerate(stores) if i not in held)
    return Split(train, tuple(SplitPart(stores[i]) for i in sorted(held)), sentence, notes)


def _by_store(stores: Sequence[Store], counts: list[int], free: set[int], wanted: _Wanted) -> Split | None:
    held = _hold_out([[i] for i in range(len(stores))], counts, free, wanted)
    if not held:
        return None
    n = sum(counts[i] for i in held)
    note = (
        f"Training and validation come from the same movie, whose stores hold too few {wanted.kind.many} to be parted."
    )
    return _whole(stores, held, f"{wanted.kind.count(n)} in {len(held)} of {len(stores)} stores", (note,))


def _by_block(stores: Sequence[Store], free: set[int], wanted: _Wanted) -> Split | None:
    kind = wanted.kind
    blocks = [(stores[i], box) for i in sorted(free) for box in _validation_boxes(stores[i], wanted)]
    validation = [
        SplitPart(stores[i], box)
        for i in sorted(free)
        for other, held in blocks
        if (box := _seen_from(stores[i], other, held)) is not None
    ]
    validation = [part for part in validation if kind.inside(part)]
    if not validation:
        return None
    n = sum(kind.inside(part) for part in validation)
    total = sum(len(kind.positions(store)) for store in stores)
    held_out = f"{n} of {kind.count(total)}, in {_where(validation)} of the same movie"
    for part_of_gap in _GAPS:
        train = [_train_part(store, blocks, part_of_gap, wanted.context_frames) for store in stores]
        kept = [part for part in train if kind.inside(part)]
        left = sum(kind.inside(part) for part in kept)
        if left >= LEAST_LEFT * total or (kept and part_of_gap == _GAPS[-1]):
            return Split(tuple(kept), tuple(validation), held_out, _closeness(part_of_gap, kind))
    return None


def _closeness(part_of_gap: float, kind: ExampleKind) -> tuple[str, ...]:
    """What the user should know of a gap."""
    if part_of_gap == 1:
        return ()
    return (
        f"Training and validation lie closer together than one nucleus diameter, since there are so few {kind.many}.",
    )


def _validation_boxes(store: Store, wanted: _Wanted) -> tuple[Box, ...]:
    """The store's own validation boxes where they part its nuclei, else a block chosen now.

    The store's own were chosen for its nuclei: of anything else a block is always chosen now.
    """
    positions = wanted.kind.positions(store)
    boxes = store.meta.validation if wanted.kind is NUCLEI else ()
    inside = inside_any(boxes, positions)
    if inside.any() and not inside.all():
        return boxes
    block = choose_block(positions, store.shape_tzyx, store.spacing, store.meta.diameter_um, wanted.fraction)
    return () if block is None else (block,)


def _seen_from(store: Store, other: Store, box: Box) -> Box | None:
    """A box of another store in voxels of this one; None where it lies elsewhere."""
    if store is other:
        return box.intersection(Box.whole(store.shape_tzyx))
    if store.meta.source.movie != other.meta.source.movie:
        return None
    shift = [a - b for a, b in zip(other.meta.origin_tzyx, store.meta.origin_tzyx, strict=True)]
    return box.shifted(shift).intersection(Box.whole(store.shape_tzyx))


def _train_part(
    store: Store, blocks: Sequence[tuple[Store, Box]], part_of_gap: float, context_frames: int
) -> SplitPart:
    """The store without the held-out blocks (of any store of the same movie) and the gap around them."""
    margin = np.ceil(part_of_gap * store.meta.diameter_um / store.spacing.um).astype(int)
    before_and_after = context_frames if part_of_gap > 0 else 0
    exclude = []
    for other, box in blocks:
        start, stop = np.array(box.start), np.array(box.stop)
        gap = np.array([before_and_after, *margin])
        seen = _seen_from(store, other, Box.of((start - gap).tolist(), (stop + gap).tolist()))
        if seen is not None:
            exclude.append(seen)
    return SplitPart(store, None, tuple(exclude))


def _where(parts: Sequence[SplitPart]) -> str:
    """In words, what kind of block the held-out parts are."""
    in_time = [part.box is not None and part.box.shape[0] < part.store.shape_tzyx[0] for part in parts]
    if all(in_time):
        return "a block of time"
    return "a block of space and time" if any(in_time) else "a slab"
