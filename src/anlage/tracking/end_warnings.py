"""Warnings of tracks that end or begin too early, and what they probably continue as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.issues import Position
from anlage.tracking.track_arrays import TrackArrays
from anlage.tracking.track_warning import About, TrackWarning, position_at, rise

__all__ = ["end_warnings"]

ALONE = 0.55
"""Score of an end or a beginning in the middle of the image that fits to nothing else."""
FITTING = 0.95
"""Score of an end that lies exactly where another track begins."""
REACH = (1.0, 1.5)
"""What lies nearer than so many nearest-neighbour distances, one or two frames later, may be the same nucleus."""
SISTER = 1.3
"""A daughter begins within so many nearest-neighbour distances of her mother."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Match:
    """An end, a beginning (or the daughter of a division) that fits, and how well: 0 to 1."""

    end: int
    start: int
    fit: float


def end_warnings(arrays: TrackArrays, shape_tzyx: Sequence[int], spacing: Spacing) -> Iterator[TrackWarning]:
    """Ends and beginnings inside the image, paired with one another where they fit."""
    frames = arrays.frames
    linked = (arrays.mother >= 0) | (arrays.n_daughters > 0)
    inside = _inside(arrays, shape_tzyx, spacing)
    ends = np.flatnonzero(linked & (arrays.n_daughters == 0) & (frames < frames.max()))
    starts = np.flatnonzero(linked & (arrays.mother < 0) & (frames > frames.min()))
    # a nucleus that stands alone may be the missing piece of two tracks
    alone = np.flatnonzero(~linked)
    matches = _matched(arrays, np.concatenate([ends, alone]), np.concatenate([starts, alone]))
    paired = {row for match in matches for row in (match.end, match.start)}
    for match in matches:
        yield _joined(arrays, match, float(max(inside[match.end], inside[match.start])))
    for row in ends.tolist():
        if row not in paired and inside[row] > 0:
            yield _lonely_end(arrays, row, float(inside[row]))
    for row in starts.tolist():
        if row not in paired and inside[row] > 0:
            yield _lonely_start(arrays, row, float(inside[row]))


def _inside(arrays: TrackArrays, shape_tzyx: Sequence[int], spacing: Spacing) -> npt.NDArray[np.float64]:
    """(N,) 0 at the border of the image, 1 from a nucleus's width on (a nearest-neighbour distance, if that is unknown)."""
    radii = arrays.nuclei.radius_um[np.isfinite(arrays.nuclei.radius_um)]
    width = min(arrays.near_um, 2 * float(np.median(radii))) if len(radii) else arrays.near_um
    size = np.array(shape_tzyx[1:], dtype=np.float64)
    deep = size > 1
    position = arrays.nuclei.positions[:, 1:]
    gap = np.minimum(position + 0.5, size - 0.5 - position) * spacing.um
    return rise(gap[:, deep].min(axis=1) / width, 0.25, 1.0)


def _matched(arrays: TrackArrays, ends: Rows, starts: Rows) -> list[_Match]:
    """Ends and beginnings one or two frames later that fit, each once, the best first."""
    from scipy.spatial import cKDTree

    found: list[_Match] = []
    late = arrays.by_frame(starts)
    stolen = arrays.by_frame(_daughters_of_divisions(arrays))
    for t, rows in arrays.by_frame(ends).items():
        for step, reach in enumerate(REACH, start=1):
            for others, reduced_costs in (
                (late.get(t + step), 1.0),
                (stolen.get(t + step) if step == 1 else None, 0.8),
            ):
                if others is None:
                    continue
                drift = _drift_at(arrays, t + 1, rows)
                within = reach * arrays.near_um
                near = cKDTree(arrays.at_um[rows] + step * drift).sparse_distance_matrix(
                    cKDTree(arrays.at_um[others]), within, output_type="ndarray"
                )
                for i, j, far in zip(near["i"], near["j"], near["v"], strict=True):
                    fit = reduced_costs * (1.0 - 0.5 * far / within) / step**0.5
                    found.append(_Match(int(rows[i]), int(others[j]), float(fit)))
    taken: set[tuple[int, bool]] = set()
    kept = []
    for match in sorted(found, key=lambda one: -one.fit):
        if match.end != match.start and not taken & {(match.end, True), (match.start, False)}:
            taken |= {(match.end, True), (match.start, False)}
            kept.append(match)
    return kept


def _daughters_of_divisions(arrays: TrackArrays) -> Rows:
    rows = np.flatnonzero(arrays.mother >= 0)
    found: Rows = rows[arrays.n_daughters[arrays.mother[rows]] == 2]
    return found


def _drift_at(arrays: TrackArrays, t: int, rows: Rows) -> npt.NDArray[np.float64]:
    """(R, 3) how the nuclei around each of these rows moved on, into frame t."""
    from scipy.spatial import cKDTree

    later = np.flatnonzero((arrays.frames == t) & np.isfinite(arrays.surprise_um))
    if len(later) < 3:
        return np.zeros((len(rows), 3))
    step = arrays.at_um[later] - arrays.at_um[arrays.mother[later]]
    k = min(8, len(later))
    _, near = cKDTree(arrays.at_um[arrays.mother[later]]).query(arrays.at_um[rows], k=k)
    drift: npt.NDArray[np.float64] = np.median(step[near], axis=1)
    return drift


def _joined(arrays: TrackArrays, match: _Match, inside: float) -> TrackWarning:
    """An end and what it goes on with."""
    ids, frames = arrays.nuclei.ids, arrays.frames
    end, start = match.end, match.start
    a, b, t = int(ids[end]), int(ids[start]), int(frames[end])
    far = float(np.linalg.norm(arrays.at_um[start] - arrays.at_um[end]))
    score = (ALONE + (FITTING - ALONE) * match.fit) * (0.5 + 0.5 * inside)
    about: About = ((a, "end"), (b, "start"))
    if arrays.mother[start] >= 0:
        mother = int(ids[arrays.mother[start]])
        return TrackWarning(
            "end",
            f"A track ends with nucleus {a} (frame {t}), and {far:.1f} µm away nucleus {mother} divides into one that may be its "
            f"next, nucleus {b}.",
            position_at(arrays, end),
            (a, b, mother),
            score=score,
            links=((mother, b),),
            instead=((a, b),),
            about=(*about, (mother, "division")),
        )
    if frames[start] - t == 1:
        return TrackWarning(
            "end",
            f"A track ends with nucleus {a} (frame {t}), and another begins {far:.1f} µm away with nucleus {b} in "
            "the next frame; a link seems to be missing.",
            position_at(arrays, end),
            (a, b),
            score=score,
            instead=((a, b),),
            about=about,
        )
    middle = (arrays.nuclei.positions[end] + arrays.nuclei.positions[start]) / 2
    missing: Position = (t + 1.0, float(middle[1]), float(middle[2]), float(middle[3]))
    return TrackWarning(
        "gap",
        f"A track ends with nucleus {a} (frame {t}), and another begins {far:.1f} µm away with nucleus {b} in frame "
        f"{frames[start]}; a nucleus seems to be missing in frame {t + 1}.",
        missing,
        (a, b),
        score=score,
        instead=((a, b),),
        missing=missing,
        about=about,
    )


def _lonely_end(arrays: TrackArrays, row: int, inside: float) -> TrackWarning:
    nucleus, t = int(arrays.nuclei.ids[row]), int(arrays.frames[row])
    return TrackWarning(
        "end",
        f"A track ends with nucleus {nucleus} in frame {t}, inside the image and {int(arrays.frames.max()) - t} frames before "
        "the last.",
        position_at(arrays, row),
        (nucleus,),
        score=ALONE * inside,
        about=((nucleus, "end"),),
    )


def _lonely_start(arrays: TrackArrays, row: int, inside: float) -> TrackWarning:
    """A beginning that fits to no end: a daughter whose division was missed, or something new."""
    nuclei, frames = arrays.nuclei, arrays.frames
    nucleus, t = int(nuclei.ids[row]), int(frames[row])
    before = np.flatnonzero((frames == t - 1) & (arrays.n_daughters == 1))
    if len(before):
        far = np.linalg.norm(arrays.at_um[before] + arrays.drift_um[row] - arrays.at_um[row], axis=1)
        nearest = int(before[np.argmin(far)])
        sister = int(np.flatnonzero(arrays.mother == nearest)[0])
        middle = (arrays.at_um[sister] + arrays.at_um[row]) / 2 - arrays.at_um[nearest] - arrays.drift_um[row]
        off = float(np.linalg.norm(middle)) / arrays.near_um
        if far.min() < SISTER * arrays.near_um and off < 0.6:
            mother, other = int(nuclei.ids[nearest]), int(nuclei.ids[sister])
            fit = float(1 - rise(off, 0.15, 0.6))
            return TrackWarning(
                "missed division",
                f"A track begins with nucleus {nucleus} in frame {t}, {far.min():.1f} µm from nucleus {mother}, which may have "
                f"divided into it and nucleus {other}.",
                position_at(arrays, row),
                (nucleus, mother, other),
                score=(ALONE + 0.35 * fit) * (0.5 + 0.5 * inside),
                instead=((mother, nucleus),),
                about=((nucleus, "start"),),
            )
    return TrackWarning(
        "start",
        f"A track begins with nucleus {nucleus} in frame {t}, inside the image and {t - int(frames.min())} "
        "frames after the first.",
        position_at(arrays, row),
        (nucleus,),
        score=ALONE * inside,
        about=((nucleus, "start"),),
    )
