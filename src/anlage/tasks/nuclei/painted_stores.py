"""Painted labels of stores: whether a head can learn from them. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.dataset.store import Store
from anlage.errors import AnlageError

__all__ = ["check_labels", "check_labels_of_nuclei", "check_no_classes", "class_values", "painted_in"]

_MOST_CLASSES = 32


def check_no_classes(stores: Sequence[Store]) -> None:
    """Refuse, with AnlageError, stores whose labels are classes of voxels."""
    painted = [store for store in stores if store.meta.classes]
    if painted:
        raise AnlageError(
            f"The labels of {_names(painted)} are classes of voxels, not nuclei: train head=classes, or give each nucleus a number of its "
            "own (skimage.measure.label, frame by frame) and build again."
        )


def check_labels(stores: Sequence[Store], head: str) -> None:
    """Refuse, with AnlageError, stores none of which has labels."""
    if all(store.labels is None for store in stores):
        raise AnlageError(
            f"head={head} learns from painted labels, but {_named(stores)} only points: paint some nuclei and build "
            "again, or train head=centres."
        )


def check_labels_of_nuclei(stores: Sequence[Store]) -> None:
    """Refuse, with AnlageError, stores whose labels belong to none of their nuclei."""
    if not any(store.labels is not None and (store.positives.label > 0).any() for store in stores):
        raise AnlageError(
            f"The painted labels of {_names(stores)} belong to none of the nuclei: each nucleus needs the number of its label (the "
            "column label of a table, Annotations.label), or take the nuclei from the labels themselves."
        )


def class_values(stores: Sequence[Store], wished: Sequence[int] | None) -> tuple[int, ...]:
    """Label values of the classes that are painted in the stores, or of those that are wished for.

    Raises
    ------
    AnlageError
        If a class that is wished for was never painted, or the labels show a single class, or too many to be classes.
    """
    found: set[int] = set()
    for store in stores:
        for cuboid in store.meta.cuboids:
            for t in cuboid.frames:
                painted = painted_in(store, t, cuboid.box)
                seen = np.unique(painted[np.asarray(store.weight[(t, *cuboid.box.slices[1:])]) > 0])
                found.update(seen[seen > 0].tolist() if store.meta.sparse else seen.tolist())
    wanted = tuple(sorted(set(wished))) if wished is not None else tuple(sorted(found))
    never = [value for value in wanted if value not in found]
    if never:
        raise AnlageError(
            f"Class {', '.join(map(str, never))} was never painted in {_names(stores)}, which show {_listed(found)}: paint some "
            "of it, or leave it out of classes=…."
        )
    if len(wanted) > _MOST_CLASSES:
        raise AnlageError(
            f"The labels of {_names(stores)} have {len(wanted)} values, which are objects rather than classes: train "
            f"head=instances, or paint one value for each class (at most {_MOST_CLASSES})."
        )
    if len(wanted) < 2:
        sparse = any(store.meta.sparse for store in stores)
        or_else = ", or build without --sparse if what was left unpainted is background" if sparse else ""
        raise AnlageError(
            f"Only class {_listed(found)} is known in {_names(stores)}, and classes are told from one another: paint "
            f"another one{or_else}."
        )
    return wanted


def painted_in(store: Store, t: int, box: Box) -> npt.NDArray[np.int64]:
    """Labels (Z, Y, X) of a frame of the store in this box; all 0 where it has none."""
    labels = store.labels
    if labels is None:
        return np.zeros(box.shape[1:], dtype=np.int64)
    return np.asarray(labels[(t, *box.slices[1:])]).astype(np.int64)


def _named(stores: Sequence[Store]) -> str:
    return f"{_names(stores)} {'holds' if len(stores) == 1 else 'hold'}"


def _names(stores: Sequence[Store]) -> str:
    return ", ".join(f"'{store.name}'" for store in stores)


def _listed(values: set[int]) -> str:
    shown = sorted(values)
    return ", ".join(map(str, shown[:10])) + (", …" if len(shown) > 10 else "")
