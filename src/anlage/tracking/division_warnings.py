"""Warnings of implausible divisions and cycles, and of jumps in nucleus size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anlage.tracking.track_arrays import TrackArrays
from anlage.tracking.track_warning import About, TrackWarning, position_at, rise

__all__ = ["division_warnings", "size_warnings"]

ENOUGH = 5
"""With fewer divisions, cycles or radii nothing is known of what is usual."""
SHORTEST = 3
"""Frames between two divisions below which they are doubted, where the movie does not say what is usual."""
BRIEF = 3
"""A daughter whose track ends inside the movie after fewer frames than this makes her division doubtful."""
AROUND = 3
"""So many frames around a division sizes change by themselves."""

Rows = npt.NDArray[np.int64]


def division_warnings(arrays: TrackArrays) -> Iterator[TrackWarning]:
    """Divisions with a low probability, an odd geometry, a daughter that soon ends, or too soon after another."""
    daughters = arrays.daughters()
    mothers = np.flatnonzero(daughters[:, 1] >= 0)
    if not len(mothers):
        return
    ids, frames = arrays.nuclei.ids, arrays.frames
    probability = arrays.nuclei.properties.get("division_probability", np.full(len(ids), np.nan))
    off = _off_centre(arrays, mothers, daughters)
    lasts, ends = _branches(arrays)
    cycle, usual = _cycles(arrays, mothers)
    for k, mother in enumerate(mothers.tolist()):
        pair = daughters[mother]
        names = (int(ids[mother]), *sorted(int(ids[row]) for row in pair))
        links = tuple((names[0], daughter) for daughter in names[1:])
        about: About = ((names[0], "division"),)
        doubts: list[tuple[float, str]] = []
        p = float(probability[mother])
        if np.isfinite(p):
            doubts.append((1.0 - p, f"its probability is {100 * p:.0f} %"))
        far = off[k] * arrays.near_um
        doubts.append(
            (0.9 * float(rise(off[k], 0.25, 0.6)), f"the mother lies {far:.1f} µm from the middle of her daughters")
        )
        brief = [int(lasts[row]) for row in pair if ends[row] and lasts[row] < BRIEF]
        if brief:
            doubts.append((0.7 - 0.1 * min(brief), f"a daughter's track ends after {min(brief)} frames"))
        score, why = max(doubts)
        # the daughter that fits less is the one to doubt
        worse = max(pair.tolist(), key=lambda row: float(np.linalg.norm(arrays.at_um[row] - arrays.at_um[mother])))
        yield TrackWarning(
            "division",
            f"Nucleus {names[0]} divides in frame {frames[mother]} into nuclei {names[1]} and {names[2]}, but {why}.",
            position_at(arrays, mother),
            names,
            score=score,
            links=((names[0], int(ids[worse])), *[x for x in links if x[1] != ids[worse]]),
            about=about,
        )
        if np.isfinite(cycle[k]):
            reference = usual if usual else SHORTEST / 0.5
            yield TrackWarning(
                "cycle",
                f"Nucleus {names[0]} divides in frame {frames[mother]}, only {cycle[k]:.0f} frames after the division that it came "
                f"from{f'; {usual:.0f} frames are usual' if usual else ''}.",
                position_at(arrays, mother),
                names,
                score=0.85 * float(rise(1 - cycle[k] / reference, 0.4, 0.8)),
                links=links,
                about=about,
            )


def _off_centre(arrays: TrackArrays, mothers: Rows, daughters: Rows) -> npt.NDArray[np.float64]:
    """(D,) distance of each mother to the middle of her daughters, in nearest-neighbour distances."""
    pair = daughters[mothers]
    middle = arrays.at_um[pair].mean(axis=1)
    expected_um = arrays.at_um[mothers] + arrays.drift_um[pair].mean(axis=1)
    distance: npt.NDArray[np.float64] = np.linalg.norm(middle - expected_um, axis=1) / arrays.near_um
    return distance


def _branches(arrays: TrackArrays) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Of each nucleus: frames until its track ends or divides, and whether it ends before the last frame."""
    frames, daughters = arrays.frames, arrays.daughters()
    lasts, ends = np.zeros(len(frames), dtype=np.int64), np.zeros(len(frames), dtype=bool)
    for rows in reversed(list(arrays.by_frame(np.arange(len(frames))).values())):
        goes_on = rows[arrays.n_daughters[rows] == 1]
        later = daughters[goes_on, 0]
        lasts[goes_on] = lasts[later] + frames[later] - frames[goes_on]
        ends[goes_on] = ends[later]
        stops = rows[arrays.n_daughters[rows] == 0]
        ends[stops] = frames[stops] < frames.max()
    return lasts + 1, ends


def _cycles(arrays: TrackArrays, mothers: Rows) -> tuple[npt.NDArray[np.float64], float]:
    """(D,) frames since the division that each mother came from, NaN: from none; and what is usual, 0: unknown."""
    frames = arrays.frames
    born = np.full(len(frames), np.nan)
    for rows in arrays.by_frame(np.arange(len(frames))).values():
        linked = rows[arrays.mother[rows] >= 0]
        mother = arrays.mother[linked]
        born[linked] = np.where(arrays.n_daughters[mother] == 2, frames[linked], born[mother])
    cycle = frames[mothers] + 1 - born[mothers]
    known = cycle[np.isfinite(cycle)]
    return cycle, float(np.median(known)) if len(known) >= ENOUGH else 0.0


def size_warnings(arrays: TrackArrays) -> Iterator[TrackWarning]:
    """Links along which the radius jumps, far from divisions."""
    radius, frames, ids = arrays.nuclei.radius_um, arrays.frames, arrays.nuclei.ids
    rows = np.flatnonzero(arrays.mother >= 0)
    mothers = arrays.mother[rows]
    calm = (arrays.n_daughters[mothers] == 1) & ~_dividing(arrays)[rows]
    ratio = np.log(radius[rows]) - np.log(radius[mothers])
    rows, ratio = rows[calm & np.isfinite(ratio)], ratio[calm & np.isfinite(ratio)]
    if len(rows) < ENOUGH:
        return
    usual = max(float(np.median(np.abs(ratio))), 0.02)
    score = 0.6 * rise(np.abs(ratio) / usual, 6.0, 15.0) * rise(np.abs(ratio), 0.3, 0.7)
    for k in np.flatnonzero(score > 0).tolist():
        row, mother = int(rows[k]), int(arrays.mother[rows[k]])
        pair = (int(ids[mother]), int(ids[row]))
        yield TrackWarning(
            "size",
            f"The radius jumps from {radius[mother]:.1f} µm (nucleus {pair[0]}, frame {frames[mother]}) to "
            f"{radius[row]:.1f} µm (nucleus {pair[1]}).",
            position_at(arrays, row),
            pair[::-1],
            score=float(score[k]),
            links=(pair,),
            about=((pair[1], "size"),),
        )


def _dividing(arrays: TrackArrays) -> npt.NDArray[np.bool_]:
    """(N,) which nuclei are within a few frames of a division."""
    near = arrays.n_daughters == 2
    after = near.copy()
    linked = arrays.mother >= 0
    for _ in range(AROUND):
        before = near.copy()
        before[arrays.mother[linked & near]] = True
        near = before
        onward = after.copy()
        onward[linked] |= after[arrays.mother[linked]]
        after = onward
    either: npt.NDArray[np.bool_] = near | after
    return either
