"""Unusual annotations that are seldom right: links that jump, unusual sizes, shared labels, tracks with loose ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.issues import Issue, position_of

__all__ = ["suspicions"]

JUMP = 5.0
"""A link so many times longer than usual, and longer than a nucleus is wide, is looked at."""
ODD = 3.0
"""A radius so many times larger or smaller than usual is looked at."""
ENOUGH = 5
"""With fewer links or radii nothing is known of what is usual."""

Rows = npt.NDArray[np.int64]


def suspicions(annotations: Annotations, spacing: Spacing | None) -> Iterator[Issue]:
    """All of them, the gravest sort first, each sort in the order of time. Rejected nuclei do not count."""
    order = np.argsort(annotations.ids)
    rows = order[np.searchsorted(annotations.ids, annotations.links, sorter=order)].reshape(-1, 2)
    yield from _labels(annotations)
    if spacing is not None:
        yield from _jumps(annotations, rows, spacing)
    yield from _sizes(annotations)
    yield from _ends(annotations, rows)


def _in_time(annotations: Annotations, rows: Rows) -> list[int]:
    ordered: list[int] = rows[np.argsort(annotations.frames[rows], kind="stable")].tolist()
    return ordered


def _labels(annotations: Annotations) -> Iterator[Issue]:
    painted = np.flatnonzero((annotations.label > 0) & (annotations.state != State.REJECTED))
    keys = np.column_stack([annotations.frames[painted], annotations.label[painted]])
    found, counts = np.unique(keys, axis=0, return_counts=True)
    for frame, label in found[counts > 1].tolist():
        same = painted[(keys == (frame, label)).all(axis=1)]
        yield Issue(
            "label",
            f"{len(same)} nuclei of frame {frame} share the painted label {label}; paint each with a label of its own.",
            position_of(annotations.positions[int(same[0])]),
            tuple(annotations.ids[same].tolist()),
        )


def _jumps(annotations: Annotations, rows: Rows, spacing: Spacing) -> Iterator[Issue]:
    if len(rows) < ENOUGH:
        return
    steps = (annotations.positions[rows[:, 1]] - annotations.positions[rows[:, 0]])[:, 1:] * spacing.um
    lengths = np.linalg.norm(steps, axis=1)
    usual = float(np.median(lengths))
    radii = annotations.radius_um[np.isfinite(annotations.radius_um)]
    width = 2 * float(np.median(radii)) if len(radii) else 0.0
    far = np.flatnonzero(lengths > max(JUMP * usual, width))
    for i in far[np.argsort(annotations.frames[rows[far, 1]], kind="stable")].tolist():
        mother, daughter = rows[i].tolist()
        ids = (int(annotations.ids[mother]), int(annotations.ids[daughter]))
        yield Issue(
            "jump",
            f"The link from nucleus {ids[0]} to nucleus {ids[1]} of frame {annotations.frames[daughter]} is {lengths[i]:.1f} µm long, "
            f"where {usual:.1f} µm are usual; check that it is the same nucleus.",
            position_of(annotations.positions[daughter]),
            ids,
        )


def _sizes(annotations: Annotations) -> Iterator[Issue]:
    known = np.isfinite(annotations.radius_um) & (annotations.state != State.REJECTED)
    if known.sum() < ENOUGH:
        return
    usual = float(np.median(annotations.radius_um[known]))
    odd = known & ((annotations.radius_um > ODD * usual) | (annotations.radius_um < usual / ODD))
    for row in _in_time(annotations, np.flatnonzero(odd)):
        yield Issue(
            "size",
            f"Nucleus {annotations.ids[row]} of frame {annotations.frames[row]} has a radius of {annotations.radius_um[row]:.1f} µm, "
            f"where {usual:.1f} µm are usual; correct it if it is wrong.",
            position_of(annotations.positions[row]),
            (int(annotations.ids[row]),),
        )


def _ends(annotations: Annotations, rows: Rows) -> Iterator[Issue]:
    """Tracks that end, or begin, between annotated frames; whoever links nothing has no tracks."""
    frames = annotations.frames
    rows = rows[frames[rows[:, 1]] > frames[rows[:, 0]]]  # others are contradictions
    annotated = np.array(annotations.annotated_frames, dtype=np.int64)
    has_mother, has_daughter = np.zeros(len(frames), dtype=bool), np.zeros(len(frames), dtype=bool)
    has_daughter[rows[:, 0]], has_mother[rows[:, 1]] = True, True
    ends = has_mother & ~has_daughter & np.isin(frames + 1, annotated)
    begins = has_daughter & ~has_mother & np.isin(frames - 1, annotated)
    for row in _in_time(annotations, np.flatnonzero(ends | begins)):
        what, where = ("ends", "the next") if ends[row] else ("begins", "the frame before")
        todo = "link it on" if ends[row] else "link it back"
        yield Issue(
            "end",
            f"A track {what} with nucleus {annotations.ids[row]} in frame {frames[row]}, though {where} is annotated; {todo} unless "
            "that is right.",
            position_of(annotations.positions[row]),
            (int(annotations.ids[row]),),
        )
