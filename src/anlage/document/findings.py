"""Check a document for problems: contradictions, gaps, duplicates, regions in each other's way, and what is seldom right."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.document.regions import Region, Use
from anlage.document.suspicions import suspicions
from anlage.issues import Issue, Position, position_of
from anlage.problems import problems

__all__ = ["findings"]

# how `problems` names a row, here called by its id: "row 7 (id 7)"
_ROW = re.compile(r"\brow (\d+)(?: \(id \1\))?")
CLOSE = 0.3
"""Two nuclei of a frame nearer than so many diameters are one nucleus, marked twice."""


def findings(
    annotations: Annotations,
    regions: Sequence[Region] = (),
    *,
    shape_tzyx: Sequence[int] | None = None,
    spacing: Spacing | None = None,
    diameter_um: float | None = None,
) -> tuple[Issue, ...]:
    """All there is to look at, the gravest first.

    Parameters
    ----------
    annotations
        Nuclei and links.
    regions
        Annotated cuboids.
    shape_tzyx
        Shape of the image; None skips what needs it.
    spacing
        Voxel size in µm; without it, or without any size of a nucleus, only nuclei within a voxel count as duplicates.
    diameter_um
        Typical diameter of a nucleus in µm; None: twice the median of the known radii.
    """
    return (
        *_contradictions(annotations, shape_tzyx),
        *_gaps(annotations),
        *_duplicates(annotations, spacing, diameter_um),
        *_regions(regions, annotations),
        *suspicions(annotations, spacing),
    )


def _contradictions(annotations: Annotations, shape_tzyx: Sequence[int] | None) -> Iterator[Issue]:
    for issue in problems(annotations, shape_tzyx, rows=annotations.ids):
        text = _ROW.sub(r"nucleus \1", issue.text)
        yield replace(issue, text=text[0].upper() + text[1:])


def _gaps(annotations: Annotations) -> Iterator[Issue]:
    """Links that leave out a frame."""
    order = np.argsort(annotations.ids)
    links = annotations.links[np.isin(annotations.links, annotations.ids).all(axis=1)]
    rows = order[np.searchsorted(annotations.ids, links, sorter=order)].reshape(-1, 2)
    frames = annotations.frames
    first, last = frames[rows[:, 0]], frames[rows[:, 1]]
    for i in np.flatnonzero(last - first > 1):
        mother, daughter = rows[i]
        missing = range(int(first[i]) + 1, int(last[i]))
        which = f"frame {missing[0]} is" if len(missing) == 1 else f"frames {missing[0]} to {missing[-1]} are"
        # half-way in space, in the first frame that lacks it: where to click
        middle = (annotations.positions[mother] + annotations.positions[daughter]) / 2
        middle[0] = missing[0]
        ids = (int(annotations.ids[mother]), int(annotations.ids[daughter]))
        yield Issue(
            "gap",
            f"Nucleus {ids[0]} (frame {first[i]}) is linked to nucleus {ids[1]} (frame {last[i]}), but {which} missing; add "
            "it, or remove the link.",
            position_of(middle),
            ids,
        )


def _duplicates(annotations: Annotations, spacing: Spacing | None, diameter_um: float | None) -> Iterator[Issue]:
    from scipy.spatial import cKDTree

    shown = np.flatnonzero(annotations.state != State.REJECTED)
    frames = annotations.frames[shown]
    if diameter_um is None:
        known = annotations.radius_um[np.isfinite(annotations.radius_um)]
        diameter_um = 2 * float(np.median(known)) if len(known) else None
    if spacing is not None and diameter_um is not None:
        scale, reach, unit = spacing.um, CLOSE * diameter_um, "µm"
    else:
        scale, reach, unit = np.ones(3), 1.0, "voxels"
    # frames are set so far apart that one tree serves all: nothing reaches over
    at = annotations.positions[shown, 1:] * scale
    apart = np.column_stack([frames * (10.0 * reach + 1.0), at])
    finite = np.isfinite(apart).all(axis=1)
    shown, apart, at = shown[finite], apart[finite], at[finite]
    if not len(shown):
        return
    for a, b in sorted(cKDTree(apart).query_pairs(reach * (1 - 1e-9))):
        ids = (int(annotations.ids[shown[a]]), int(annotations.ids[shown[b]]))
        distance = float(np.linalg.norm(at[a] - at[b]))
        far = f"{distance:.1f} {unit}"
        yield Issue(
            "duplicate",
            f"Nuclei {ids[0]} and {ids[1]} of frame {annotations.frames[shown[a]]} are only {far} apart; remove one of them if "
            "they are the same.",
            position_of(annotations.positions[shown[a]]),
            ids,
        )


def _regions(regions: Sequence[Region], annotations: Annotations) -> Iterator[Issue]:
    true = annotations.positions[annotations.state != State.REJECTED]
    for region in regions:
        if not region.core.contains(true).any():
            yield Issue(
                "region",
                f"The region '{region.name}' holds no nucleus, so nothing is learnt from it; annotate some, or remove it.",
                _middle(region.core.start, region.core.stop),
                regions=(region.id,),
            )
    for one, other in itertools.combinations(regions, 2):
        both = one.box.intersection(other.box)
        if both is not None and {one.use, other.use} == {Use.TRAIN, Use.VALIDATION}:
            yield Issue(
                "region",
                f"The regions '{one.name}' ({one.use}) and '{other.name}' ({other.use}) overlap, so the validation would look "
                "at what was trained on; move them apart.",
                _middle(both.start, both.stop),
                regions=(one.id, other.id),
            )


def _middle(start: Sequence[int], stop: Sequence[int]) -> Position | None:
    middle = (np.array(start) + np.array(stop) - 1) / 2
    middle[0] = start[0]
    return position_of(middle)
