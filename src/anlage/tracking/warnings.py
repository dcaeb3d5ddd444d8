"""Find the places where tracks are probably wrong, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.tracking.division_warnings import division_warnings, size_warnings
from anlage.tracking.end_warnings import end_warnings
from anlage.tracking.track_arrays import TrackArrays
from anlage.tracking.track_warning import REVIEWED, TrackWarning, position_at, rise

__all__ = ["find_warnings"]

EXPLAINS = 0.3
"""A warning from this score on says why a link is unlikely."""


def find_warnings(
    tracks: Annotations, shape_tzyx: Sequence[int], spacing: Spacing, *, at_least: float = 0.1
) -> tuple[TrackWarning, ...]:
    """Look through tracks for what is probably wrong, the worst first.

    Each nucleus is in one warning at most, the worst: when that is reviewed, another search shows what is left. What a
    human found right (the property `REVIEWED`) is passed over, and so are the links of a human among a network's.

    Parameters
    ----------
    tracks
        Nuclei and links without contradictions; the links' ``probability`` and the nuclei's ``division_probability``
        are used where they are there.
    shape_tzyx
        Shape of the image: tracks may begin and end at its border, and in its first and last annotated frame.
    spacing
        Voxel size in µm.
    at_least
        Warnings below this score are left out.
    """
    arrays = TrackArrays.of(tracks, spacing)
    if not len(arrays.nuclei.links):
        return ()
    found: list[TrackWarning] = []
    for part in (_unlikely(arrays), _jumps(arrays), _swaps(arrays)):
        found += part
    found += end_warnings(arrays, shape_tzyx, spacing)
    found += division_warnings(arrays)
    found += size_warnings(arrays)
    return _worst(_explained(_open(found, tracks)), at_least)


def _open(found: Iterable[TrackWarning], tracks: Annotations) -> list[TrackWarning]:
    """Those that no human has reviewed."""
    words = tracks.properties.get(REVIEWED)
    seen: set[tuple[int, str]] = set()
    if words is not None and words.dtype.kind == "U":
        for row in np.flatnonzero(words != ""):
            seen |= {(int(tracks.ids[row]), word) for word in str(words[row]).split()}
    if "probability" in tracks.link_properties:
        sure = tracks.links[np.isnan(tracks.link_properties["probability"])]
        seen |= {(int(daughter), "link") for daughter in sure[:, 1]}
    return [one for one in found if not one.about or not seen.issuperset(one.about)]


def _explained(found: Iterable[TrackWarning]) -> list[TrackWarning]:
    """Of an unlikely link that something explains, the explanation, as grave as the link is unlikely."""
    every = sorted(found, key=lambda one: one.score)
    why = {pair: one for one in every if one.kind != "link" and one.score >= EXPLAINS for pair in one.links}
    graver: dict[int, float] = {}
    kept = []
    for one in every:
        known = why.get(one.links[0]) if one.kind == "link" else None
        if known is None:
            kept.append(one)
        else:
            graver[id(known)] = max(graver.get(id(known), known.score), one.score)
    return [replace(one, score=graver.get(id(one), one.score)) for one in kept]


def _worst(found: Iterable[TrackWarning], at_least: float) -> tuple[TrackWarning, ...]:
    """The worst first, and each nucleus once."""
    taken: set[int] = set()
    kept = []
    for one in sorted(found, key=lambda one: (-one.score, one.position, one.kind)):
        if one.score >= at_least and not taken.intersection(one.ids):
            kept.append(one)
            taken.update(one.ids)
    return tuple(kept)


def _unlikely(arrays: TrackArrays) -> Iterable[TrackWarning]:
    """Links whose own probability is low."""
    ids, frames = arrays.nuclei.ids, arrays.frames
    for row in np.flatnonzero(arrays.probability < 1.0):
        pair = (int(ids[arrays.mother[row]]), int(ids[row]))
        p = float(arrays.probability[row])
        yield TrackWarning(
            "link",
            f"The link from nucleus {pair[0]} to nucleus {pair[1]} (frames {frames[arrays.mother[row]]} to {frames[row]}) is "
            f"right with a probability of {_percent(p)}.",
            position_at(arrays, int(row)),
            pair[::-1],
            score=1.0 - p,
            links=(pair,),
            about=((pair[1], "link"),),
        )


def _percent(p: float) -> str:
    return f"{100 * p:.0f} %" if p < 0.995 else f"{100 * p:.1f} %"


JUMP = (3.5, 9.0)
"""Between so many times the usual surprise a jump rises from nothing to certain."""
RARE = 7.0
"""Log-odds against two links being swapped, before anything is known of them: 1 in 1,000."""


def _jumps(arrays: TrackArrays) -> Iterable[TrackWarning]:
    """Links that leave the motion of the neighbours and of their own past."""
    ids, usual = arrays.nuclei.ids, arrays.usual_um
    score = rise(np.nan_to_num(arrays.surprise_um) / usual, *JUMP)
    score *= rise(np.nan_to_num(arrays.surprise_um) / arrays.near_um, 0.1, 0.4)
    for row in np.flatnonzero(score > 0):
        pair = (int(ids[arrays.mother[row]]), int(ids[row]))
        far, t = float(arrays.surprise_um[row]), int(arrays.frames[row])
        yield TrackWarning(
            "jump",
            f"Nucleus {pair[1]} (frame {t}) lies {far:.1f} µm from where its past and its neighbours let expect it; "
            f"{usual:.1f} µm is usual.",
            position_at(arrays, int(row)),
            pair[::-1],
            score=0.95 * float(score[row]),
            links=(pair,),
            about=((pair[1], "link"),),
        )


def _swaps(arrays: TrackArrays) -> Iterable[TrackWarning]:
    """Pairs of links that fit the motion much better with their ends exchanged."""
    from scipy.spatial import cKDTree

    ids, frames = arrays.nuclei.ids, arrays.frames
    usual = np.flatnonzero(np.isfinite(arrays.surprise_um))
    for t, rows in arrays.by_frame(usual).items():
        odd = np.flatnonzero(arrays.surprise_um[rows] > 1.5 * arrays.usual_um)
        if len(odd) < 2:
            continue
        rows = rows[odd]
        expected_um = arrays.at_um[arrays.mother[rows]] + arrays.drift_um[rows]
        i, j = cKDTree(arrays.at_um[rows]).query_pairs(3.0 * arrays.near_um, output_type="ndarray").T
        now = arrays.surprise_um[rows[i]] ** 2 + arrays.surprise_um[rows[j]] ** 2
        then = _squared(expected_um[i], arrays.at_um[rows[j]]) + _squared(expected_um[j], arrays.at_um[rows[i]])
        # the median length of a 3D Gaussian is 1.54 of its standard deviation
        odds = (now - then) / (2 * (arrays.usual_um / 1.54) ** 2) - RARE
        for k in np.flatnonzero(odds > -3):
            a, b = int(rows[i[k]]), int(rows[j[k]])
            one, two = (int(ids[arrays.mother[a]]), int(ids[a])), (int(ids[arrays.mother[b]]), int(ids[b]))
            yield TrackWarning(
                "swap",
                f"The tracks of nuclei {one[1]} and {two[1]} seem to be swapped between frames {frames[arrays.mother[a]]} and "
                f"{t}: exchanged, they lie {np.sqrt(then[k] / 2):.1f} µm from where they are expected, instead of "
                f"{np.sqrt(now[k] / 2):.1f} µm.",
                position_at(arrays, a),
                (one[1], two[1], one[0], two[0]),
                score=float(0.98 / (1 + np.exp(-np.clip(odds[k], -50, 50) / 2))),
                links=(one, two),
                instead=((one[0], two[1]), (two[0], one[1])),
                about=((one[1], "link"), (two[1], "link")),
            )


def _squared(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = ((a - b) ** 2).sum(axis=1)
    return found
