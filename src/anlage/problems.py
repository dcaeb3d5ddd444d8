"""Contradictions in a table of nuclei, each as one sentence that names the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES
from anlage.issues import Issue, position_of
from anlage.wording import plural

__all__ = ["check", "problems"]


_FARTHEST = 1e9
"""Voxels from the origin; no image is wider."""


def problems(
    annotations: Annotations, shape_tzyx: Sequence[int] | None = None, *, rows: npt.ArrayLike | None = None
) -> tuple[Issue, ...]:
    """All contradictions, the gravest first; empty if there are none.

    Parameters
    ----------
    annotations
        The table.
    shape_tzyx
        Shape of the image that it belongs to; None skips what needs it.
    rows
        (N,) what each row is called where the user sees it; by default 1, 2, 3, …
    """
    table = _Table(annotations, rows)
    found = [*_positions(table), *_ids(table), *_links(table)]
    if shape_tzyx is not None:
        # labels of another image explain why nuclei lie outside this one
        found = [*_labels(annotations, tuple(shape_tzyx)), *found, *_outside(table, tuple(int(n) for n in shape_tzyx))]
    return tuple(found)


def check(
    annotations: Annotations,
    shape_tzyx: Sequence[int] | None = None,
    *,
    rows: npt.ArrayLike | None = None,
    source: str = "",
) -> None:
    """Refuse a table with a contradiction.

    Raises
    ------
    AnlageError
        With the first problem, and how many more there are. `source` stands in front: the file's name.
    """
    found = problems(annotations, shape_tzyx, rows=rows)
    if found:
        where = f"'{source}': " if source else ""
        n_more = len(found) - 1
        more = f" ({plural(n_more, 'more problem')} in the table)" if n_more else ""
        raise AnlageError(f"{where}{found[0].text}{more}")


class _Table:
    """The table with its rows' names."""

    def __init__(self, annotations: Annotations, rows: npt.ArrayLike | None) -> None:
        self.ids = annotations.ids
        self.positions = annotations.positions
        self.links = annotations.links
        self.names = np.arange(1, len(annotations) + 1) if rows is None else np.asarray(rows)
        order = np.argsort(self.ids, kind="stable")
        self._order, self._sorted = order, self.ids[order]

    def __call__(self, row: Any) -> str:
        return f"row {self.names[int(row)]} (id {self.ids[int(row)]})"

    def issue(self, text: str, row: Any | None) -> Issue:
        """A contradiction that is found in a row; None where it is in no row."""
        if row is None:
            return Issue("contradiction", text)
        return Issue("contradiction", text, position_of(self.positions[row]), (int(self.ids[row]),))

    def row_of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Row of each id, -1 where there is none."""
        if not len(self._sorted):
            return np.full(ids.shape, -1)
        place = np.minimum(np.searchsorted(self._sorted, ids), len(self._sorted) - 1)
        return np.where(self._sorted[place] == ids, self._order[place], -1)


def _positions(table: _Table) -> Iterator[Issue]:
    for row, axis in np.argwhere(~np.isfinite(table.positions)):
        value = table.positions[row, axis]
        yield table.issue(
            f"{table(row)} has no number for {'tzyx'[axis]} ({value}); fill it in or delete the row.", row
        )
    t = table.positions[:, 0]
    for row in np.flatnonzero(np.isfinite(t) & (np.abs(t - np.rint(t)) > 1e-6)):
        yield table.issue(f"{table(row)} has the time {t[row]:g}, which is no whole frame number.", row)
    for row in np.flatnonzero(np.isfinite(t) & (np.abs(t) > MOST_FRAMES)):
        yield table.issue(
            f"{table(row)} lies in frame {t[row]:.15g}, and at most {MOST_FRAMES:,} frames are read; is this a time instead of a "
            "frame number?",
            row,
        )
    far = np.abs(np.where(np.isfinite(table.positions[:, 1:]), table.positions[:, 1:], 0)) > _FARTHEST
    for row, axis in np.argwhere(far):
        yield table.issue(
            f"{table(row)} lies at {'zyx'[axis]} = {table.positions[row, axis + 1]:g}, which is no position in voxels.",
            row,
        )


def _ids(table: _Table) -> Iterator[Issue]:
    for row in np.flatnonzero(table.ids <= 0):
        yield table.issue(
            f"row {table.names[row]} has the id {table.ids[row]}; ids must be whole numbers above 0.", row
        )
    _, first, inverse = np.unique(table.ids, return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[inverse] != np.arange(len(table.ids))):
        earlier = table.names[first[inverse][row]]
        yield table.issue(
            f"row {table.names[row]} has the id {table.ids[row]}, which row {earlier} has already; give each nucleus its own.",
            row,
        )


def _links(table: _Table) -> Iterator[Issue]:
    mother, daughter = table.row_of(table.links[:, 0]), table.row_of(table.links[:, 1])
    for i in np.flatnonzero((mother < 0) | (daughter < 0)):
        known = int(daughter[i] if daughter[i] >= 0 else mother[i])
        missing = table.links[i, 0] if mother[i] < 0 else table.links[i, 1]
        who = table(known) if known >= 0 else f"The link {table.links[i, 0]} → {table.links[i, 1]}"
        yield table.issue(
            f"{who} is linked to the nucleus {missing}, which does not exist.", known if known >= 0 else None
        )
    known_links = (mother >= 0) & (daughter >= 0)
    mother, daughter = mother[known_links], daughter[known_links]
    t = table.positions[:, 0]
    for i in np.flatnonzero(t[daughter] <= t[mother]):
        yield table.issue(
            f"{table(daughter[i])} in frame {t[daughter[i]]:g} is linked back to its parent {table(mother[i])} in frame "
            f"{t[mother[i]]:g}; a link must go forward in time.",
            daughter[i],
        )
    yield from _degrees(table, mother, daughter)


def _degrees(table: _Table, mother: npt.NDArray[np.int64], daughter: npt.NDArray[np.int64]) -> Iterator[Issue]:
    n = len(table.ids)
    for row in np.flatnonzero(np.bincount(daughter, minlength=n) > 1):
        who = [int(table.ids[m]) for m in mother[daughter == row]]
        yield table.issue(f"{table(row)} has {len(who)} parents, {who}; a nucleus can have one.", row)
    for row in np.flatnonzero(np.bincount(mother, minlength=n) > 2):
        who = [int(table.ids[d]) for d in daughter[mother == row]]
        yield table.issue(f"{table(row)} has {len(who)} daughters, {who}; a nucleus divides into two.", row)


def _outside(table: _Table, shape_tzyx: tuple[int, ...]) -> Iterator[Issue]:
    p = table.positions
    # one voxel of grace in space: some programs count from the corner of a voxel, and cut nuclei have centres on the rim
    grace = np.array([0, 1, 1, 1])
    outside = np.isfinite(p).all(axis=1) & ((p < -grace) | (p > np.array(shape_tzyx) - 1 + grace)).any(axis=1)
    cure = _exchanged(p, shape_tzyx) if outside.any() else None
    for row in np.flatnonzero(outside):
        at = ", ".join(f"{v:g}" for v in p[row])
        yield table.issue(
            f"{table(row)} lies at ({at}) (t, z, y, x), outside the image of shape {shape_tzyx}; {cure or 'are these voxels of this image?'}",
            row,
        )


def _exchanged(positions: npt.NDArray[np.float64], shape_tzyx: tuple[int, ...]) -> str | None:
    """What to do where all positions would fit if the image's frames were its planes; None where they would not."""
    n_frames, n_planes = shape_tzyx[:2]
    high = positions.max(axis=0)
    if high[0] > n_planes - 1 or high[1] > n_frames or (high[2:] > shape_tzyx[2:]).any() or not np.isfinite(high).all():
        return None
    axes = "tyx" if n_frames == 1 else "zyx" if n_planes == 1 else "ztyx"
    return (
        f"the image has {plural(n_frames, 'frame')} and {plural(n_planes, 'plane')}: if its frames are planes, say --axes {axes} "
        "(with c where its channels are)."
    )


def _labels(annotations: Annotations, shape_tzyx: tuple[int, ...]) -> Iterator[Issue]:
    labels = annotations.labels
    if labels is not None and labels.shape_tzyx != shape_tzyx:
        yield Issue(
            "contradiction",
            f"The labels '{labels.source}' have the shape {labels.shape_tzyx} (t, z, y, x), but the image has {shape_tzyx}; "
            "both must be the same.",
        )
