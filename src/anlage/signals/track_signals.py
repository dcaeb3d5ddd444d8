"""Measure signals along tracks: brightness, size, movement and neighbourhood of every nucleus in every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.objects.measure import measure_objects
from anlage.signals.signals import Signals, check_dense
from anlage.timelapse import TimeLapse

__all__ = ["measure_signals", "tracks_of", "with_divisions"]

Floats = npt.NDArray[np.float64]
_STATISTICS = ("mean", "median", "sum", "sd", "p5", "p95")
_SHAPES = (
    "volume_um3", "area_um2", "equivalent_diameter_um", "sphericity", "circularity", "axis_major_um", "axis_middle_um",
    "axis_minor_um",
)  # fmt: skip
_NEIGHBOURHOOD = 2.0
"""Neighbours are nearer than so many times the usual distance to the nearest one."""
_WHOLE = 2**27
"""Voxels up to which the nuclei of a frame are read in one piece; of a larger one each nucleus is read by itself."""


def tracks_of(nuclei: Annotations) -> npt.NDArray[np.int64]:
    """(N,) the track of each nucleus: the id of its first nucleus. Daughters of a division begin tracks of their own.

    Parameters
    ----------
    nuclei
        With links.
    """
    daughters: dict[int, list[int]] = {}
    for mother, daughter in nuclei.links.tolist():
        daughters.setdefault(mother, []).append(daughter)
    only = {children[0]: mother for mother, children in daughters.items() if len(children) == 1}
    track: dict[int, int] = {}
    for row in np.argsort(nuclei.frames, kind="stable"):
        own = int(nuclei.ids[row])
        before = only.get(own)
        track[own] = own if before is None else track.get(before, own)
    return np.array([track[int(i)] for i in nuclei.ids], dtype=np.int64)


def measure_signals(
    nuclei: Annotations,
    image: TimeLapse | None,
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    radius_um: float | None = None,
    movie: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Signals:
    """Measure along tracks, in physical units.

    Parameters
    ----------
    nuclei
        With links; rejected ones are left out. Where they have labels, brightness and shape are those of the label, else
        brightness is that of the ball (in 2D the disc) of the nucleus' radius.
    image
        Its brightness, channel by channel; None measures place and movement alone.
    spacing, interval_s
        Voxel size in µm and time between frames in seconds; None takes the image's.
    radius_um
        Radius of the balls; None takes each nucleus' own, where it is unknown the median of the others.
    movie
        Name of the movie, kept as the group of every track.
    on_progress
        Called with (frames measured, frames in all).

    Returns
    -------
    Signals
        For each channel its ``_mean``, ``_median``, ``_sum``, ``_sd``, ``_p5`` and ``_p95`` (percentiles); volume, diameter,
        sphericity and axes where there are labels; ``speed_um_per_min`` from the frame before (``step_um`` where the
        interval is unknown), ``neighbours`` (nearer than twice the usual distance to the nearest), ``neighbour_distance_um``
        and ``depth_um`` below the first plane. A frame without the nucleus is missing (NaN).

    Raises
    ------
    AnlageError
        If there is no nucleus, the voxel size is unknown, or so is every radius; if the image's pixels are not there.
    """
    if image is not None:
        image.require_pixels()
    nuclei = nuclei.select(nuclei.state != State.REJECTED)
    if not len(nuclei):
        raise AnlageError("There is no nucleus to measure; give tracks, for example those of `anlage track`.")
    spacing = spacing or (None if image is None else image.spacing)
    if spacing is None:
        raise AnlageError("The voxel size is unknown, so nothing can be measured in µm; give it as --spacing Z,Y,X.")
    interval_s = interval_s or (None if image is None else image.interval_s)
    if image is not None and nuclei.frames.max() >= image.n_frames:
        raise AnlageError(
            f"There are nuclei in frame {nuclei.frames.max()}, but '{image.source}' has the frames 0 to {image.n_frames - 1}; "
            "are the tracks of this image?"
        )
    points = nuclei.positions[:, 1:] * np.array(spacing.zyx)
    tracks = tracks_of(nuclei)
    columns: dict[str, Floats] = {}
    notes: list[str] = []
    if image is not None:
        columns |= _brightness(nuclei, image, spacing, _radii(nuclei, radius_um, notes), on_progress)
    if nuclei.labels is not None:
        columns |= _shapes(nuclei, spacing)
    columns |= _movement(nuclei, points, tracks, interval_s)
    columns |= _surroundings(nuclei, points)
    columns["depth_um"] = points[:, 0]
    return _table(nuclei, tracks, columns, interval_s, movie, tuple(notes))


def with_divisions(signals: Signals, nuclei: Annotations) -> Signals:
    """The signals with what the tracks say of divisions: class 0 and the last frame where a track ends in one, else class 1.

    Parameters
    ----------
    signals
        As `measure_signals` gives them of these nuclei.
    nuclei
        With the links that somebody made or looked through.
    """
    mothers = set(nuclei.divisions[:, 0].tolist())
    tracks = tracks_of(nuclei)
    last = {
        int(track): int(frame)
        for nucleus, track, frame in zip(nuclei.ids.tolist(), tracks, nuclei.frames, strict=True)
        if nucleus in mothers
    }
    times = np.array([last.get(int(track), np.nan) for track in signals.ids], dtype=np.float64)
    return signals.scored(np.where(np.isfinite(times), 0, 1), times)


def _table(
    nuclei: Annotations, tracks: npt.NDArray[np.int64], columns: dict[str, Floats], interval_s: float | None, movie: str,
    notes: tuple[str, ...],
) -> Signals:  # fmt: skip
    ids, row = np.unique(tracks, return_inverse=True)
    low, high = int(nuclei.frames.min()), int(nuclei.frames.max()) + 1
    at = nuclei.frames - low
    check_dense(len(ids), len(columns), high - low, (len(columns) + 4) * len(nuclei), "The table of signals")
    values = np.full((len(ids), len(columns), high - low), np.nan)
    for c, column in enumerate(columns.values()):
        values[row, c, at] = column
    places = np.full((len(ids), 3, high - low), np.nan)
    places[row, :, at] = nuclei.positions[:, 1:]
    numbers = np.zeros((len(ids), high - low), dtype=np.int64)
    numbers[row, at] = nuclei.ids
    return Signals.of(
        values, tuple(columns), interval_s=interval_s, first_frame=low, ids=ids, group=movie, places=places, nuclei=numbers,
        notes=notes,
    )  # fmt: skip


def _radii(nuclei: Annotations, radius_um: float | None, notes: list[str]) -> Floats:
    if radius_um is not None:
        return np.full(len(nuclei), radius_um)
    known = np.isfinite(nuclei.radius_um)
    if nuclei.labels is not None and not known.any():
        return np.full(len(nuclei), np.nan)
    if not known.any():
        raise AnlageError(
            "The radius of the nuclei is unknown, so it is unclear which voxels to measure; give it as --radius-um R."
        )
    usual = float(np.median(nuclei.radius_um[known]))
    if not known.all():
        notes.append(
            f"{int((~known).sum())} nuclei have no radius; {usual:.2f} µm, the median of the others, was taken."
        )
    return np.where(known, nuclei.radius_um, usual)


@dataclass(frozen=True, slots=True)
class _Voxels:
    """The voxels of one nucleus: where they begin in the frame, and which of the box they are."""

    start: tuple[int, int, int]
    mask: npt.NDArray[np.bool_]


def _brightness(
    nuclei: Annotations,
    image: TimeLapse,
    spacing: Spacing,
    radii: Floats,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Floats]:
    names = [f"{channel.replace(' ', '_')}_{statistic}" for channel in image.channels for statistic in _STATISTICS]
    found = np.full((len(nuclei), len(names)), np.nan)
    frames = np.unique(nuclei.frames)
    for done, t in enumerate(frames.tolist()):
        rows = np.flatnonzero(nuclei.frames == t)
        labelled = _labelled(nuclei, rows, t)
        voxels = {
            int(row): labelled.get(int(row)) or _ball(nuclei.positions[row, 1:], float(radii[row]), spacing, image)
            for row in rows
        }
        whole = _frame(image, t, [v for v in voxels.values() if v is not None])
        for row, part in voxels.items():
            if part is not None and part.mask.any():
                found[row] = _statistics(_pixels(image, t, part, whole)[:, part.mask])
        if on_progress is not None:
            on_progress(done + 1, len(frames))
    return dict(zip(names, found.T, strict=True))


def _statistics(pixels: npt.NDArray[np.float64]) -> Floats:
    """Of each channel (C, V) in turn."""
    columns = [
        pixels.mean(axis=1), np.median(pixels, axis=1), pixels.sum(axis=1), pixels.std(axis=1),
        *np.percentile(pixels, (5, 95), axis=1),
    ]  # fmt: skip
    return np.stack(columns, axis=1).reshape(-1)


def _frame(image: TimeLapse, t: int, voxels: list[_Voxels]) -> tuple[npt.NDArray[np.int64], Floats] | None:
    """What holds all nuclei of a frame, and where it begins; None where that is too large for the memory."""
    if not voxels:
        return None
    low = np.min([v.start for v in voxels], axis=0)
    high = np.max([np.add(v.start, v.mask.shape) for v in voxels], axis=0)
    if int(np.prod(high - low)) * image.n_channels > _WHOLE:
        return None
    return low, image.read(_box(t, low, high))[0].astype(np.float64)


def _pixels(image: TimeLapse, t: int, part: _Voxels, whole: tuple[npt.NDArray[np.int64], Floats] | None) -> Floats:
    shape = np.array(part.mask.shape)
    if whole is None:
        return np.asarray(image.read(_box(t, np.array(part.start), np.array(part.start) + shape))[0], dtype=np.float64)
    start = np.array(part.start) - whole[0]
    z, y, x = (slice(int(a), int(a + n)) for a, n in zip(start, shape, strict=True))
    return np.asarray(whole[1][:, z, y, x])


def _box(t: int, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> Box:
    z, y, x = ((int(a), int(b)) for a, b in zip(low, high, strict=True))
    return Box((t, t + 1), z, y, x)


def _ball(centre: Floats, radius_um: float, spacing: Spacing, image: TimeLapse) -> _Voxels | None:
    """The voxels whose centres lie in a ball (in a single plane: a disc); the nearest one where none does."""
    if not np.isfinite(radius_um):
        return None
    size = np.array(spacing.zyx)
    shape = np.array(image.shape_tzyx[1:])
    reach = np.where(shape > 1, radius_um / size, 0.0)
    low = np.clip(np.ceil(centre - reach), 0, shape - 1).astype(int)
    high = np.clip(np.floor(centre + reach) + 1, low + 1, shape).astype(int)
    if (np.rint(centre) < 0).any() or (np.rint(centre) >= shape).any():
        return None
    axes = [(np.arange(a, b) - c) * s for a, b, c, s in zip(low, high, centre, size, strict=True)]
    z, y, x = (np.where(n > 1, axis, 0.0) ** 2 for axis, n in zip(axes, shape, strict=True))
    squared = z[:, None, None] + y[:, None] + x
    mask = np.asarray(squared <= radius_um**2)
    if not mask.any():
        mask = np.asarray(squared == np.min(squared))
    return _Voxels((int(low[0]), int(low[1]), int(low[2])), mask)


def _labelled(nuclei: Annotations, rows: npt.NDArray[np.int64], t: int) -> dict[int, _Voxels]:
    """The voxels of each nucleus that has a label in this frame."""
    from scipy.ndimage import find_objects

    if nuclei.labels is None or not (nuclei.label[rows] > 0).any():
        return {}
    z, y, x = nuclei.labels.shape_tzyx[1:]
    frame = nuclei.labels.read(Box((t, t + 1), (0, z), (0, y), (0, x)))[0, 0]
    values, inverse = np.unique(frame, return_inverse=True)
    boxes = find_objects(inverse.reshape(frame.shape) + 1)
    found = {}
    for row in rows:
        at = int(np.searchsorted(values, nuclei.label[row]))
        if nuclei.label[row] > 0 and at < len(values) and values[at] == nuclei.label[row] and boxes[at] is not None:
            box = boxes[at]
            found[int(row)] = _Voxels((box[0].start, box[1].start, box[2].start), frame[box] == nuclei.label[row])
    return found


def _shapes(nuclei: Annotations, spacing: Spacing) -> dict[str, Floats]:
    assert nuclei.labels is not None  # noqa: S101
    table = measure_objects(nuclei.labels, spacing=spacing, frames=np.unique(nuclei.frames).tolist())
    keys = {
        (int(t), int(v)): i for i, (t, v) in enumerate(zip(table.columns["t"], table.columns["label"], strict=True))
    }
    at = np.array([keys.get((int(t), int(v)), -1) for t, v in zip(nuclei.frames, nuclei.label, strict=True)])
    return {
        name: np.where(at >= 0, table.columns[name][at].astype(np.float64), np.nan)
        for name in _SHAPES if name in table.columns
    }  # fmt: skip


def _movement(
    nuclei: Annotations, points: Floats, tracks: npt.NDArray[np.int64], interval_s: float | None
) -> dict[str, Floats]:
    """Speed from the nucleus before on the same track, over the frames in between."""
    order = np.lexsort((nuclei.frames, tracks))
    same = np.diff(tracks[order]) == 0
    way = np.linalg.norm(np.diff(points[order], axis=0), axis=1) / np.maximum(np.diff(nuclei.frames[order]), 1)
    speed = np.full(len(nuclei), np.nan)
    speed[order[1:]] = np.where(same, way, np.nan)
    return {"step_um": speed} if interval_s is None else {"speed_um_per_min": speed * 60 / interval_s}


def _surroundings(nuclei: Annotations, points: Floats) -> dict[str, Floats]:
    from scipy.spatial import KDTree

    distance = np.full(len(nuclei), np.nan)
    trees: dict[int, tuple[npt.NDArray[np.int64], Any]] = {}
    for t in np.unique(nuclei.frames).tolist():
        rows = np.flatnonzero(nuclei.frames == t)
        tree: Any = KDTree(points[rows])
        trees[t] = rows, tree
        if len(rows) > 1:
            distance[rows] = tree.query(points[rows], k=2)[0][:, 1]
    number = np.zeros(len(nuclei))
    if np.isfinite(distance).any():
        reach = _NEIGHBOURHOOD * float(np.nanmedian(distance))
        for rows, tree in trees.values():
            number[rows] = [len(found) - 1 for found in tree.query_ball_point(points[rows], reach)]
    return {"neighbours": number, "neighbour_distance_um": distance}
