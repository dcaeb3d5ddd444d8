"""Measure every object of a label image: size, shape, position and brightness, with units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.objects.label_objects import Objects, batches, check_labels, find_objects
from anlage.objects.surfaces import mesh_area, outline_length, surface_mesh
from anlage.timelapse import TimeLapse

__all__ = ["ObjectTable", "measure_objects"]

Floats = npt.NDArray[np.float64]
_STATISTICS = ("mean", "median", "sd", "min", "max", "sum")


@dataclass(frozen=True, slots=True)
class ObjectTable:
    """One row for each object and frame.

    Parameters
    ----------
    columns
        (N,) arrays by name, in the order of the table; lengths, areas and volumes carry their unit in the name, what has
        none is in voxels, or a brightness as it stands in the image.
    source
        The label image.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    source: str = ""

    def __len__(self) -> int:
        return len(self.columns["label"])

    @property
    def positions(self) -> Floats:
        """(N, 4) centroids t, z, y, x in voxels."""
        return np.stack([self.columns[axis].astype(np.float64) for axis in "tzyx"], axis=1)


def measure_objects(
    labels: TimeLapse,
    image: TimeLapse | None = None,
    *,
    spacing: Spacing | None = None,
    channels: Sequence[int] | None = None,
    surfaces: bool = True,
    frames: Iterable[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ObjectTable:
    """Measure all objects; background is none of them. Frames are read in pieces that fit the memory.

    Parameters
    ----------
    labels
        (t, 1, z, y, x) whole numbers, 0 = background.
    image
        Its brightness is measured, channel by channel; same t, z, y, x.
    spacing
        Voxel size in µm; None takes that of the labels, then the image's.
    channels
        Channels to measure; None is all.
    surfaces
        Whether to measure the surface (in 2D the outline) and what follows from it, which takes most of the time.
    frames
        Frames to measure; None is all.
    on_progress
        Called with (objects measured, objects in all); what it raises ends the work.

    Returns
    -------
    ObjectTable
        `id` (row from 1), `t`, `z`, `y`, `x` (centroid in voxels), `label`, `z_um` … (centroid in µm), `t_s` where the time
        step is known, `n_voxels`, `volume_um3` (flat images: `area_um2`), `surface_um2` (`perimeter_um`),
        `equivalent_diameter_um` (ball or disc of that size), `axis_major_um`, `axis_middle_um` (not if flat),
        `axis_minor_um` (of the ellipsoid with the same second moments), `sphericity` (`circularity`; 1 for a ball or
        disc), `z_min`, `z_max` … (bounding box, first voxel and one past the last), `cut_by_border`, and for each channel
        its `_mean`, `_median`, `_sd`, `_min`, `_max`, `_sum`.

    Raises
    ------
    AnlageError
        If the voxel size is unknown, image and labels differ in shape, or the labels are none.

    Notes
    -----
    A voxel is a box, not a point: its own extent is in the second moments, so that an object of a single plane has a
    thickness. Sphericity is π^⅓ (6 V)^⅔ / A (Wadell, 1935), circularity 4π A / P²; both may exceed 1 by a few per cent for
    objects of few voxels.
    """
    check_labels(labels)
    for source in (labels, image):
        if source is not None:
            source.require_pixels()
    known = spacing or labels.spacing or (image.spacing if image is not None else None)
    if known is None:
        raise AnlageError(
            f"The voxel size of '{labels.source}' is unknown, so nothing can be measured in µm; give it as --spacing Z,Y,X, "
            "for example --spacing 2,0.5,0.5."
        )
    _check_image(labels, image)
    names = _channel_names(image, channels)
    times = list(range(labels.n_frames) if frames is None else frames)
    found = [find_objects(labels, t) for t in times]
    total = sum(map(len, found))
    rows: list[dict[str, float]] = []
    for t, objects in zip(times, found, strict=True):
        of_frame = []
        for row in _measure_frame(labels, image, t, objects, known, names, surfaces=surfaces):
            of_frame.append(row)
            if on_progress is not None:
                on_progress(len(rows) + len(of_frame), total)
        rows += sorted(of_frame, key=itemgetter("label"))
    return _table(rows, labels, image, known, names, surfaces=surfaces)


def _measure_frame(
    labels: TimeLapse, image: TimeLapse | None, t: int, objects: Objects, spacing: Spacing, names: Mapping[str, int],
    *, surfaces: bool,
) -> Iterator[dict[str, float]]:  # fmt: skip
    """The objects of a frame in the order in which they are read."""
    _, *shape = labels.shape_tzyx
    for group, place in batches(objects, (shape[0], shape[1], shape[2])):
        box = place.shifted((t, 0, 0, 0))
        values = labels.read(box, [0])[0, 0]
        pixels = None if image is None else image.read(box, list(names.values()))[0]
        for row in group.tolist():
            start = objects.start[row]
            inner = tuple(
                slice(a, b) for a, b in zip(start - place.start[1:], objects.stop[row] - place.start[1:], strict=True)
            )
            mask = values[inner] == objects.values[row]
            yield {
                "t": t,
                "label": int(objects.values[row]),
                **_form(mask, start, spacing, is_flat=labels.is_flat, surfaces=surfaces),
                **_bounds(objects.box(row), labels),
                **({} if pixels is None else _brightness(pixels[(slice(None), *inner)][:, mask], list(names))),
            }


def _form(
    mask: npt.NDArray[np.bool_], start: npt.NDArray[np.int64], spacing: Spacing, *, is_flat: bool, surfaces: bool
) -> dict[str, float]:
    um = spacing.um
    points = np.argwhere(mask)
    centre = points.mean(axis=0)
    spread = (points - centre) * um
    moments = spread.T @ spread / len(points) + np.diag(um**2 / 12)
    size = len(points) * float((um[1:] if is_flat else um).prod())
    z, y, x = (centre + start).tolist()
    form = {"z": z, "y": y, "x": x, "n_voxels": len(points)}
    if is_flat:
        major, minor = (4 * np.sqrt(np.linalg.eigvalsh(moments[1:, 1:])[::-1])).tolist()
        form |= {"area_um2": size, "equivalent_diameter_um": 2 * float(np.sqrt(size / np.pi))}
        if surfaces:
            outline = outline_length(mask[0], spacing)
            form |= {"perimeter_um": outline, "circularity": 4 * np.pi * size / outline**2}
        return form | {"axis_major_um": major, "axis_minor_um": minor}
    major, middle, minor = (2 * np.sqrt(5 * np.linalg.eigvalsh(moments)[::-1])).tolist()
    form |= {"volume_um3": size, "equivalent_diameter_um": float(np.cbrt(6 * size / np.pi))}
    if surfaces:
        area = mesh_area(*surface_mesh(mask, spacing))
        form |= {"surface_um2": area, "sphericity": float(np.cbrt(np.pi) * np.cbrt(6 * size) ** 2 / area)}
    return form | {"axis_major_um": major, "axis_middle_um": middle, "axis_minor_um": minor}


def _bounds(box: Box, labels: TimeLapse) -> dict[str, float]:
    bounds: dict[str, float] = {}
    cut = False
    for axis, (low, high), length in zip("zyx", box.ranges[1:], labels.shape_tzyx[1:], strict=True):
        bounds |= {f"{axis}_min": low, f"{axis}_max": high}
        cut |= length > 1 and (low == 0 or high == length)
    return {**bounds, "cut_by_border": int(cut)}


def _brightness(values_CN: npt.NDArray[Any], names: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, pixels in zip(names, values_CN.astype(np.float64), strict=True):
        statistics = (
            pixels.mean(), np.median(pixels), pixels.std(), pixels.min(), pixels.max(), pixels.sum(),
        )  # fmt: skip
        found |= {f"{name}_{what}": float(value) for what, value in zip(_STATISTICS, statistics, strict=True)}
    return found


def _table(
    rows: list[dict[str, float]], labels: TimeLapse, image: TimeLapse | None, spacing: Spacing, names: Mapping[str, int],
    *, surfaces: bool,
) -> ObjectTable:  # fmt: skip
    order = ["t", "z", "y", "x", "label", "n_voxels"]
    size, surface, roundness = (
        ("area_um2", "perimeter_um", "circularity") if labels.is_flat else ("volume_um3", "surface_um2", "sphericity")
    )
    axes = ("major", "minor") if labels.is_flat else ("major", "middle", "minor")
    measured = [size, *([surface] if surfaces else []), "equivalent_diameter_um", *(f"axis_{a}_um" for a in axes)]
    bounds = [f"{axis}_{end}" for axis in "zyx" for end in ("min", "max")]
    whole = {"t", "label", "n_voxels", *bounds, "cut_by_border"}
    brightness = [f"{name}_{what}" for name in names for what in _STATISTICS]
    wanted = [*order, *measured, *([roundness] if surfaces else []), *bounds, "cut_by_border", *brightness]
    arrays = {
        name: np.array([row[name] for row in rows], dtype=np.int64 if name in whole else np.float64) for name in wanted
    }
    interval = labels.interval_s or (image.interval_s if image is not None else None)
    columns: dict[str, npt.NDArray[Any]] = {"id": np.arange(1, len(rows) + 1, dtype=np.int64)}
    for name in order[:5]:
        columns[name] = arrays.pop(name)
    if interval is not None and labels.n_frames > 1:
        columns["t_s"] = columns["t"] * interval
    for axis, step in zip("zyx", spacing.zyx, strict=True):
        columns[f"{axis}_um"] = columns[axis] * step
    return ObjectTable({**columns, **arrays}, source=labels.source)


def _channel_names(image: TimeLapse | None, channels: Sequence[int] | None) -> dict[str, int]:
    """Column names of the channels: as the image calls them, without what a table's heading would stumble over."""
    if image is None:
        return {}
    names: dict[str, int] = {}
    for c in range(image.n_channels) if channels is None else channels:
        if not 0 <= c < image.n_channels:
            raise AnlageError(
                f"Channel {c} is to be measured, but '{image.source}' has {image.n_channels} (0 to {image.n_channels - 1})."
            )
        plain = (
            "_".join("".join(sign if sign.isalnum() else " " for sign in image.channels[c]).split()) or f"channel_{c}"
        )
        names[plain if plain not in names else f"{plain}_{c}"] = c
    return names


def _check_image(labels: TimeLapse, image: TimeLapse | None) -> None:
    if image is not None and image.shape_tzyx != labels.shape_tzyx:
        raise AnlageError(
            f"The labels '{labels.source}' have the shape {labels.shape_tzyx} (t, z, y, x), but the image '{image.source}' "
            f"has {image.shape_tzyx}; both must be the same."
        )
