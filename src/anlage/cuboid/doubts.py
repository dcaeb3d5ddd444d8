"""Doubts about a cuboid: signs that annotation inside it is not complete."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.blobs import detect
from anlage.cuboid.extent import Extents
from anlage.issues import Issue
from anlage.timelapse import TimeLapse

__all__ = ["doubt_few", "doubt_lost", "find_doubts"]

Floats = npt.NDArray[np.float64]

FEW = 5
"""Fewer nuclei than this hardly say what a nucleus looks like."""
NEIGHBOURS = 2
"""A frame is compared with so many annotated frames before and after it ..."""
SPARSE_SHARE = 0.6
"""... and is suspicious with at most this part of their nuclei ..."""
SPARSE_NUMBER = 3
"""... if at least so many are missing."""
MOST_FRAMES = 12
"""Unannotated blobs are looked for in at most so many frames, evenly chosen."""
MOST_VOXELS = 16_000_000
"""A larger crop is not searched for blobs: it would take longer than a user waits."""
MOST_BLOBS = 5
"""Of more blobs than this only the brightest are named, the rest counted."""
APART = 0.75
"""A blob nearer than so many diameters to a marked nucleus is that nucleus."""
AS_BRIGHT = 0.25
"""A blob counts if it answers as strongly as the annotated nuclei do from this quantile upwards: debris is dimmer."""


def find_doubts(
    nuclei: Annotations, rejected: Floats, box: Box, core: Box, image: TimeLapse | None, extents: Extents
) -> tuple[Issue, ...]:
    """All doubts about one cuboid; their sentences have no full stop, for they go on in others.

    Parameters
    ----------
    nuclei
        The nuclei of this cuboid.
    rejected
        (M, 4) positions that a human looked at and found to be no nucleus.
    box, core
        The cuboid with and without its margin.
    image
        The movie; None if only the table can be looked at.
    extents
        Size of the nuclei and of the voxels.
    """
    doubts = _uneven_frames(nuclei, core)
    if image is not None:
        doubts += _unannotated(nuclei, rejected, box, core, image, extents)
    return tuple(doubts)


def doubt_few(nuclei: Annotations) -> tuple[Issue, ...]:
    """Say that all the nuclei together are hardly enough."""
    n = len(nuclei)
    if n >= FEW:
        return ()
    t, z, y, x = (float(v) for v in nuclei.positions[0])
    if n == 1:
        text = "only one nucleus is annotated, so the cuboid is no more than its surroundings"
    else:
        text = f"only {n} nuclei are annotated, which is little to learn from"
    return (Issue("incomplete", text, (t, z, y, x)),)


def _uneven_frames(nuclei: Annotations, core: Box) -> list[Issue]:
    """Frames with far fewer nuclei than their neighbours, and frames that were left out."""
    frames, counts = np.unique(nuclei.frames, return_counts=True)
    z, y, x = ((low + high - 1) / 2 for low, high in core.ranges[1:])
    doubts = []
    for i, (t, count) in enumerate(zip(frames.tolist(), counts.tolist(), strict=True)):
        around = np.concatenate([counts[max(0, i - NEIGHBOURS) : i], counts[i + 1 : i + 1 + NEIGHBOURS]])
        usual = float(np.median(around)) if len(around) else 0
        if count <= SPARSE_SHARE * usual and usual - count >= SPARSE_NUMBER:
            text = f"frame {t} has {count} {'nuclei' if count > 1 else 'nucleus'} where its neighbours have {usual:g}"
            doubts.append(Issue("incomplete", text, (float(t), z, y, x)))
    step = int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    for before, after in zip(frames[:-1].tolist(), frames[1:].tolist(), strict=True):
        if after - before > step:
            missing = f"frame {before + 1}" if after == before + 2 else f"frames {before + 1} to {after - 1}"
            has = "has" if after == before + 2 else "have"
            text = (
                f"{missing} {has} no annotated nucleus, unlike frames {before} and {after}, and will not be learnt from"
            )
            doubts.append(Issue("incomplete", text, (float(before + 1), z, y, x)))
    return doubts


def _unannotated(
    nuclei: Annotations, rejected: Floats, box: Box, core: Box, image: TimeLapse, extents: Extents
) -> list[Issue]:
    """Blobs in the core as bright as the annotated nuclei, far from every mark."""
    if int(np.prod(box.shape[1:])) > MOST_VOXELS:
        return []
    frames = np.unique(nuclei.frames)
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).astype(int))]
    seen = [_blobs(nuclei, rejected, box, core, image, extents, int(t)) for t in chosen]
    known = np.concatenate([k for k, _, _ in seen])
    # where a good part of the nuclei are no bright blobs, such as dark nuclei, what is one need not be a nucleus
    if len(known) == 0 or (least := float(np.quantile(known, AS_BRIGHT))) <= 0:
        return []
    positions, scores = np.concatenate([p for _, p, _ in seen]), np.concatenate([s for _, _, s in seen])
    bright = np.flatnonzero(scores >= least)
    bright = bright[np.argsort(-scores[bright], kind="stable")]
    doubts = []
    for t, z, y, x in positions[bright[:MOST_BLOBS]].tolist():
        at = ", ".join(f"{round(v)}" for v in (t, z, y, x))
        doubts.append(
            Issue(
                "incomplete", f"a bright blob at (t, z, y, x) = ({at}) inside the cuboid is not annotated", (t, z, y, x)
            )
        )
    if len(bright) > MOST_BLOBS:
        doubts.append(
            Issue("incomplete", f"{len(bright) - MOST_BLOBS} more bright blobs inside the cuboid are not annotated")
        )
    return doubts


def _blobs(
    nuclei: Annotations, rejected: Floats, box: Box, core: Box, image: TimeLapse, extents: Extents, t: int
) -> tuple[Floats, Floats, Floats]:
    """Of one frame: the scores of annotated blobs; positions (K, 4) and scores of the others in the core."""
    from scipy.spatial import cKDTree

    um = extents.spacing.um
    marks = np.concatenate([nuclei.positions[nuclei.frames == t], rejected[np.rint(rejected[:, 0]) == t]])[:, 1:]
    is_nucleus = np.arange(len(marks)) < int((nuclei.frames == t).sum())
    pixels = image.read(Box((t, t + 1), box.z, box.y, box.x))[0]
    best, most = (np.zeros(0), np.zeros((0, 4)), np.zeros(0)), -1
    for channel in pixels:
        found, score = detect(channel, extents.spacing, extents.diameter_um)
        found = found + np.array(box.start[1:])
        distance, mark = (np.asarray(v) for v in cKDTree(marks * um).query(found * um))
        own = distance <= APART * extents.diameter_um
        hit = own & is_nucleus[mark]
        known = np.zeros(len(marks))
        np.maximum.at(known, mark[hit], score[hit])
        inside = core.contains(np.column_stack([np.full(len(found), float(t)), found]))
        other = ~own & inside & ~_painted(nuclei, t, found)
        result = (known[is_nucleus], np.column_stack([np.full(int(other.sum()), float(t)), found[other]]), score[other])
        # the channel in which the annotated nuclei are blobs is the one that distinguishes nuclei from debris
        if (n_hit := len(np.unique(mark[hit]))) > most:
            best, most = result, n_hit
    return best


def _painted(nuclei: Annotations, t: int, positions_zyx: Floats) -> npt.NDArray[np.bool_]:
    """Which positions lie on a painted label."""
    if nuclei.labels is None or t >= nuclei.labels.n_frames:
        return np.zeros(len(positions_zyx), dtype=bool)
    labels = nuclei.labels.frame(t)[0]
    at = np.clip(np.rint(positions_zyx).astype(int), 0, np.array(labels.shape) - 1)
    result: npt.NDArray[np.bool_] = labels[tuple(at.T)] > 0
    return result


def doubt_lost(n: int) -> tuple[Issue, ...]:
    """Say that nuclei outside the image were left out."""
    if n == 0:
        return ()
    lie, are = ("nuclei lie", "are") if n > 1 else ("nucleus lies", "is")
    return (Issue("incomplete", f"{n} annotated {lie} outside the image and {are} left out"),)
