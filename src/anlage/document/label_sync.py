"""Label sync: nuclei move and appear with their painted labels, and labels go with their nuclei.

A painted label and a nucleus with the same number in `label` are the same thing seen twice. When labels are painted:

- a value that is new in its frame becomes the label of the nucleus whose centre was painted over, if it has none yet (of
  several the nearest to the centroid); otherwise a nucleus is added at the centroid. It is linked to the nucleus with
  the same value in the frame before, and in the frame after, where that leads to no second mother and no division;
- a nucleus that lies exactly at the centroid of its label came from painting, and follows it, with its radius; one that
  was put elsewhere by hand stays where it is;
- when all voxels of a value take a new value, the nucleus only changes its label;
- when the last voxel of a value goes, a nucleus that came from painting goes with it, any other keeps its place and
  loses its label.

When a nucleus is removed, its label is erased, unless another nucleus of the frame has the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anlage.annotations import State
from anlage.axes import Spacing
from anlage.document.edit import Content, Edit, Outcome, Paint
from anlage.document.label_statistics import Moments, Stained
from anlage.document.label_volume import PaintedLabels
from anlage.document.link_edits import AddLinks
from anlage.document.nuclei_edits import AddNuclei, ChangeNuclei, MoveNuclei, RemoveNuclei
from anlage.document.table import Table
from anlage.labels import radius

__all__ = ["erase", "follow"]


def follow(
    content: Content,
    stained: Sequence[Stained],
    paints: Sequence[Paint],
    *,
    spacing: Spacing | None,
    new_ids: Callable[[int], npt.NDArray[np.int64]],
) -> tuple[list[Edit], list[Outcome]]:
    """What painting changes in the table of nuclei: the edits, and what each leads to.

    Parameters
    ----------
    content
        The content after all other edits of the same step.
    stained
        The values whose voxels changed.
    paints
        The strokes.
    spacing
        Voxel size in µm; None leaves radii unknown.
    new_ids
        Gives ids for added nuclei.
    """
    edits: list[Edit] = []
    outcomes: list[Outcome] = []

    def take(edit: Edit) -> None:
        outcomes.append(edit.done(outcomes[-1].content if outcomes else content))
        edits.append(edit)

    flat = content.shape_tzyx is not None and content.shape_tzyx[1] == 1
    renamed = _renamed(content.nuclei, stained)
    for ids, value in renamed.values():
        take(ChangeNuclei(ids, label=value))
    done = {key for (t, old), (_, new) in renamed.items() for key in ((t, old), (t, new))}
    for one in stained:
        if (one.t, one.value) not in done:
            table = outcomes[-1].content.nuclei if outcomes else content.nuclei
            for edit in _steps(table, one, paints, _measure(one.after, spacing, flat=flat), new_ids):
                take(edit)
    return edits, outcomes


def erase(before: Table, after: Table, ids: npt.NDArray[np.int64], painted: PaintedLabels) -> list[Paint]:
    """Strokes that take away the labels of nuclei that went.

    Parameters
    ----------
    before, after
        The nuclei.
    ids
        Those that were touched.
    painted
        The labels.
    """
    gone = before.rows(ids[before.has(ids) & ~after.has(ids)])
    gone = gone[before.columns["label"][gone] > 0]
    strokes: list[Paint] = []
    frames, left = before.frames, after.frames
    for t in np.unique(frames[gone]).tolist():
        values = np.unique(before.columns["label"][gone[frames[gone] == t]])
        values = np.setdiff1d(values, after.columns["label"][left == t])
        stroke = painted.erasing(t, values.tolist()) if len(values) else None
        strokes += [] if stroke is None else [stroke]
    return strokes


def _renamed(table: Table, stained: Sequence[Stained]) -> dict[tuple[int, int], tuple[npt.NDArray[np.int64], int]]:
    """Nuclei whose voxels all took a new value: by frame and old value, their ids and the new value."""
    fresh = [one for one in stained if not one.before[0] and not _known(table, one)]
    found = {}
    for one in stained:
        if one.before[0] and not one.after[0] and (ids := _known(table, one)):
            same = [new for new in fresh if new.t == one.t and np.array_equal(new.after, one.before)]
            if same:
                found[one.t, one.value] = (np.array(ids, dtype=np.int64), same[0].value)
    return found


def _known(table: Table, one: Stained) -> list[int]:
    """Ids of the nuclei with this label in this frame."""
    ids: list[int] = table.ids[(table.frames == one.t) & (table.columns["label"] == one.value)].tolist()
    return ids


def _steps(
    table: Table,
    one: Stained,
    paints: Sequence[Paint],
    radius_um: float,
    new_ids: Callable[[int], npt.NDArray[np.int64]],
) -> list[Edit]:
    here = table.frames == one.t
    known = np.flatnonzero(here & (table.columns["label"] == one.value))
    if len(known):
        born = known[_at(table, known, one.before)]
        if not one.after[0]:
            gone, staying = table.ids[born], np.setdiff1d(table.ids[known], table.ids[born])
            steps: list[Edit] = [RemoveNuclei(gone)] if len(gone) else []
            return [*steps, ChangeNuclei(staying, label=0)] if len(staying) else steps
        if not len(born):
            return []
        ids = table.ids[born]
        return [
            MoveNuclei(ids, np.tile((one.t, *_centre(one.after)), (len(ids), 1))),
            ChangeNuclei(ids, radius_um=radius_um),
        ]
    if not one.after[0]:
        return []
    adopted = _inside(table, np.flatnonzero(here & (table.columns["label"] == 0)), one, paints)
    if adopted is not None:
        first: Edit = ChangeNuclei([adopted], label=one.value)
        return [first, *_links(table, one, adopted)]
    (new,) = new_ids(1)
    first = AddNuclei([new], [(one.t, *_centre(one.after))], radius_um=radius_um, label=one.value)
    return [first, *_links(table, one, int(new))]


def _centre(moments: Moments) -> npt.NDArray[np.float64]:
    centre: npt.NDArray[np.float64] = moments[1:] / moments[0]
    return centre


def _at(table: Table, rows: npt.NDArray[np.int64], moments: Moments) -> npt.NDArray[np.bool_]:
    """Which of these nuclei lie exactly at the centroid."""
    if not moments[0]:
        return np.zeros(len(rows), dtype=bool)
    at: npt.NDArray[np.bool_] = np.all(np.abs(table.positions[rows, 1:] - _centre(moments)) < 1e-6, axis=1)
    return at


def _measure(moments: Moments, spacing: Spacing | None, *, flat: bool) -> float:
    if spacing is None or not moments[0]:
        return float("nan")
    return float(radius(np.array([moments[0]]), spacing, is_flat=flat)[0])


def _inside(table: Table, rows: npt.NDArray[np.int64], one: Stained, paints: Sequence[Paint]) -> int | None:
    """The nucleus without a label that was painted over with this value; None if there is none."""
    rows = rows[table.columns["state"][rows] != State.REJECTED]
    inside = np.zeros(len(rows), dtype=bool)
    for paint in paints:
        if paint.t == one.t and len(rows):
            within = paint.box.contains(table.positions[rows])
            voxels = paint.after.voxels()
            at = np.floor(table.positions[rows[within], 1:] + 0.5).astype(int) - np.array(paint.start_zyx)
            inside[within] = voxels[tuple(at.T)] == one.value
    rows = rows[inside]
    if not len(rows):
        return None
    distance = np.linalg.norm(table.positions[rows, 1:] - _centre(one.after), axis=1)
    return int(table.ids[rows[np.argmin(distance)]])


def _links(table: Table, one: Stained, nucleus: int) -> list[Edit]:
    """Links to the same value in the frames before and after."""
    pairs: list[tuple[int, int]] = []
    same = table.columns["label"] == one.value
    known = bool(table.has(np.array([nucleus]))[0])
    has_mother = known and bool(table.mother[table.rows([nucleus])[0]])
    has_daughter = bool(len(table.daughters(np.array([nucleus]))))
    earlier = table.ids[same & (table.frames == one.t - 1)]
    if len(earlier) == 1 and not has_mother and not len(table.daughters(earlier)):
        pairs.append((int(earlier[0]), nucleus))
    later = np.flatnonzero(same & (table.frames == one.t + 1))
    if len(later) == 1 and not has_daughter and not table.mother[later[0]]:
        pairs.append((nucleus, int(table.ids[later[0]])))
    return [AddLinks(pairs)] if pairs else []
