"""Write tracks as a folder of the Cell Tracking Challenge (CTC): a mask for each frame and a table of tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import check_size
from anlage.io.atomic import replacing
from anlage.io.mask_records import MaskRecord, record_of, write_record
from anlage.io.seals import LIBRARY, Writer
from anlage.problems import check

__all__ = ["DEFAULT_RADIUS_UM", "Drawn", "ctc_labels", "means_ctc", "write_ctc"]

DEFAULT_RADIUS_UM = 3.5
"""Radius that is drawn where no nucleus of the table has one."""

_RADIUS_VOXELS = 4.0
"""The same where the voxel size is unknown."""

_MOST_VOXELS = 1 << 31
"""Of a mask of a frame, where no image says its shape: more than fit into the memory of most computers."""
_FEW_FRAMES, _SPARSE = 10_000, 100
"""So many masks are written at least, and for each frame that holds nuclei, where no image says how many there are."""
_THICK = 1e6
"""Depth of a disc: of the single plane all is in it."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Masks, and what they hold.

    Parameters
    ----------
    frames
        One mask (z, y, x) after the other, drawn when it is asked for.
    table
        (K, 4) number of the track (from 1), first and last frame, number of the parent or 0.
    n_frames
        Number of masks.
    record
        Who found the nuclei, and which radii were assumed.
    """

    frames: Iterator[npt.NDArray[Any]]
    table: Rows
    n_frames: int
    record: MaskRecord


def means_ctc(path: str | Path) -> bool:
    """Whether an output of this name is to be such a folder: ``ctc``, ``NAME.ctc``, or a name without suffix."""
    return Path(path).suffix.lower() in ("", ".ctc")


def write_ctc(
    path: str | Path,
    annotations: Annotations,
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    shape_tzyx: Sequence[int] | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write masks (16 bit where that is enough, zlib) and ``res_track.txt``; in a folder ``NAME_GT`` truth in ``TRA``.

    A nucleus with a painted label is its painted voxels; any other is drawn as a ball of its radius (in one plane a
    disc), which leaves painted voxels alone, and of two balls that overlap the nearer one has a voxel. A track is a line of the table: it ends at a
    division, and before a gap, after which a new track has it as parent. Rejected nuclei are left out. Ids, probabilities and
    further columns cannot be kept. Scale, origins and which radii were assumed stand in `anlage.json` beside the masks. A folder that the same writer wrote to `path` before is replaced at the end.

    Parameters
    ----------
    path
        The folder.
    annotations
        The nuclei.
    spacing
        Voxel size in µm; None: radii are taken as 4 voxels.
    interval_s
        Time between two frames in seconds.
    shape_tzyx
        Shape of the image; None takes that of the painted labels, or the smallest that holds all nuclei.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If the tracks contradict themselves, a nucleus lies outside the image, or something else is at `path`.
    """
    import tifffile

    drawn = ctc_labels(annotations, spacing=spacing, shape_tzyx=shape_tzyx)
    record = drawn.record.model_copy(
        update={"spacing_um": None if spacing is None else spacing.zyx, "interval_s": interval_s}
    )
    by = by.of("nuclei")
    is_truth = Path(path).name.endswith("_GT")
    stem = "man_track" if is_truth else "mask"
    with replacing(path, by) as temporary:
        folder = temporary / "TRA" if is_truth else temporary
        folder.mkdir(parents=True)
        for t, mask in enumerate(drawn.frames):
            flat = mask[0] if len(mask) == 1 else mask
            about = {"photometric": "minisblack", "compression": "zlib", "software": by.mark}
            tifffile.imwrite(folder / f"{stem}{t:03}.tif", flat, **about)
        lines = "".join(" ".join(map(str, row)) + "\n" for row in drawn.table.tolist())
        (folder / ("man_track.txt" if is_truth else "res_track.txt")).write_text(lines, encoding="ascii")
        if not record.is_empty:
            write_record(folder, record)


def ctc_labels(
    annotations: Annotations, *, spacing: Spacing | None = None, shape_tzyx: Sequence[int] | None = None
) -> Drawn:
    """Masks of each frame, in which a nucleus has the number of its track, and the table of tracks.

    Parameters are those of `write_ctc`.
    """
    nuclei = annotations.select(annotations.state != State.REJECTED)
    shape = _shape(nuclei, spacing, shape_tzyx)
    check(nuclei, shape)
    track, table = _tracks(nuclei)
    dtype = np.uint16 if len(table) < 1 << 16 else np.uint32
    radii = _radii_voxels(nuclei, spacing, is_flat=shape[1] == 1)
    record = record_of(nuclei.frames, track, nuclei.origin, _are_assumed(nuclei, spacing))
    return Drawn(_frames(nuclei, track.astype(dtype), radii, shape), table, shape[0], record)


def _are_assumed(nuclei: Annotations, spacing: Spacing | None) -> npt.NDArray[np.bool_]:
    """Which nuclei are drawn as balls of a radius that nobody measured."""
    unknown = ~np.isfinite(nuclei.radius_um) if spacing is not None else np.ones(len(nuclei), dtype=bool)
    painted = np.zeros(len(nuclei), dtype=bool) if nuclei.labels is None else nuclei.label > 0
    assumed: npt.NDArray[np.bool_] = unknown & ~painted
    return assumed


def _tracks(nuclei: Annotations) -> tuple[Rows, Rows]:
    """(N,) number of each nucleus' track, and the table of tracks."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(nuclei)
    order = np.argsort(nuclei.ids, kind="stable")
    links = order[np.searchsorted(nuclei.ids[order], nuclei.links)] if len(nuclei.links) else nuclei.links
    frames = nuclei.frames
    alone = np.bincount(links[:, 0], minlength=n)[links[:, 0]] == 1
    within = alone & (frames[links[:, 1]] - frames[links[:, 0]] == 1)
    graph = coo_array((np.ones(int(within.sum()), np.int8), (links[within, 0], links[within, 1])), shape=(n, n))
    component = connected_components(graph, directed=False)[1] if n else np.zeros(0, np.int64)
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1)
    np.minimum.at(first, component, frames)
    np.maximum.at(last, component, frames)
    # numbers in the order in which tracks begin, and of those that begin together by their ids
    lowest = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(lowest, component, nuclei.ids)
    used = np.unique(component)
    ordered = used[np.lexsort((lowest[used], first[used]))]
    number = np.zeros(n, dtype=np.int64)
    number[ordered] = np.arange(1, len(ordered) + 1)
    track = number[component]
    parent = np.zeros(len(ordered) + 1, dtype=np.int64)
    parent[track[links[~within, 1]]] = track[links[~within, 0]]
    table = np.column_stack([number[ordered], first[ordered], last[ordered], parent[1:]])
    return track, table.astype(np.int64)


def _shape(nuclei: Annotations, spacing: Spacing | None, shape_tzyx: Sequence[int] | None) -> tuple[int, int, int, int]:
    if shape_tzyx is None and nuclei.labels is not None:
        shape_tzyx = nuclei.labels.shape_tzyx
    if shape_tzyx is not None:
        t, z, y, x = (int(n) for n in shape_tzyx)
        return t, z, y, x
    if not len(nuclei):
        raise AnlageError("There is no nucleus and no image, so the size of the masks is unknown; say --image IMAGE.")
    low, high = nuclei.positions.min(axis=0), nuclei.positions.max(axis=0)
    if not np.isfinite(low).all() or (low < -0.5).any():
        check(nuclei)
        raise AnlageError(f"A nucleus lies at {np.round(low, 2).tolist()} (t, z, y, x), outside any image.")
    flat = high[1] < 0.5 and low[1] > -0.5
    reach = _radii_voxels(nuclei, spacing, is_flat=bool(flat)).max(axis=0)
    t, z, y, x = (np.ceil(high + np.array([0, *reach])) + 1).astype(int).tolist()
    _check_masks(t, 1 if flat else z, y, x, len(np.unique(nuclei.frames)))
    return t, 1 if flat else z, y, x


def _check_masks(t: int, z: int, y: int, x: int, n_filled: int) -> None:
    """Refuse masks that would be far larger than any image, or nearly all empty, as a wrong number in a table makes them."""
    of = "of the smallest image that holds all nuclei (say --image IMAGE if they are right)"
    check_size(z * y * x, _MOST_VOXELS, f"The number of voxels in a frame {of}")
    check_size(t, max(_FEW_FRAMES, _SPARSE * n_filled), f"The number of frames {of}")


def _radii_voxels(nuclei: Annotations, spacing: Spacing | None, *, is_flat: bool) -> npt.NDArray[np.float64]:
    """(N, 3) radius along z, y and x in voxels; where there is none, that of the typical nucleus."""
    if spacing is None:
        radii: npt.NDArray[np.float64] = np.full((len(nuclei), 3), _RADIUS_VOXELS)
    else:
        known = nuclei.radius_um[np.isfinite(nuclei.radius_um)]
        typical = float(np.median(known)) if len(known) else DEFAULT_RADIUS_UM
        radii = np.where(np.isfinite(nuclei.radius_um), nuclei.radius_um, typical)[:, None] / spacing.um
    if is_flat:
        radii[:, 0] = _THICK
    return radii.clip(0.5)


def _frames(
    nuclei: Annotations, track: npt.NDArray[Any], radii: npt.NDArray[np.float64], shape: tuple[int, int, int, int]
) -> Iterator[npt.NDArray[Any]]:
    order = np.argsort(nuclei.frames, kind="stable")
    at = np.searchsorted(nuclei.frames[order], np.arange(shape[0] + 1))
    for t in range(shape[0]):
        rows = order[at[t] : at[t + 1]]
        mask = np.zeros(shape[1:], dtype=track.dtype)
        if nuclei.labels is not None and t < nuclei.labels.n_frames:
            rows = _keep_painted(mask, nuclei.labels.frame(t)[0], nuclei.label, track, rows)
        _draw(mask, nuclei.positions[:, 1:], radii, track, rows)
        yield mask


def _keep_painted(
    mask: npt.NDArray[Any], painted_ZYX: npt.NDArray[Any], label: Rows, track: npt.NDArray[Any], rows: Rows
) -> Rows:
    """Copy what was painted under the numbers of the tracks; the rows that have nothing painted."""
    values, place = np.unique(painted_ZYX, return_inverse=True)
    numbers = np.zeros(len(values), dtype=track.dtype)
    at = np.minimum(np.searchsorted(values, label[rows]), len(values) - 1)
    has = (values[at] == label[rows]) & (label[rows] > 0)
    _, once = np.unique(label[rows], return_index=True)
    has &= np.isin(np.arange(len(rows)), once)
    numbers[at[has]] = track[rows[has]]
    mask[...] = numbers[place.reshape(painted_ZYX.shape)]
    left: Rows = rows[~has]
    return left


def _draw(
    mask: npt.NDArray[Any],
    centres_zyx: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    track: npt.NDArray[Any],
    rows: Rows,
) -> None:
    """Draw balls where nothing is yet; every nucleus has at least a voxel."""
    taken = mask != 0
    nearness = np.full(mask.shape, np.inf, dtype=np.float32)
    for row in rows.tolist():
        centre, radius = centres_zyx[row], radii[row]
        low = np.clip(np.ceil(centre - radius), 0, mask.shape).astype(int)
        high = np.clip(np.floor(centre + radius) + 1, low, mask.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.ogrid[box]
        far = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True))
        inside = (far <= 1) & (far < nearness[box]) & ~taken[box]
        nearness[box][inside] = far[inside]
        mask[box][inside] = track[row]
    _ensure_all(mask, taken, centres_zyx, track, rows)


def _ensure_all(
    mask: npt.NDArray[Any],
    taken: npt.NDArray[np.bool_],
    centres_zyx: npt.NDArray[np.float64],
    track: npt.NDArray[Any],
    rows: Rows,
) -> None:
    """Give a voxel to those that have none, the nearest that is not the only one of another."""
    sizes = np.bincount(mask.reshape(-1), minlength=int(track.max(initial=0)) + 1)
    for row in rows[sizes[track[rows]] == 0].tolist():
        free = np.argwhere(~taken & ((sizes[mask] > 1) | (mask == 0)))
        if not len(free):
            raise AnlageError(
                f"There is no room for track {track[row]} in its frame; are the nuclei too many for the image?"
            )
        z, y, x = free[((free - centres_zyx[row]) ** 2).sum(axis=1).argmin()]
        sizes[mask[z, y, x]] -= 1
        mask[z, y, x] = track[row]
        sizes[track[row]] = 1
