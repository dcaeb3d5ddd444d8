"""Faults in painted labels, each with its place: found before a network learns from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.issues import Issue, IssueKind, Position
from anlage.labels import are_classes, interpolated_voxels
from anlage.objects.label_objects import Objects, batches, commonest, find_objects, voxel_inside
from anlage.overlaps import slabs
from anlage.timelapse import TimeLapse
from anlage.wording import plural

__all__ = ["LabelReport", "find_faults"]


_CRUMB = 0.1
"""A piece smaller than this part of the largest is a slip of the brush."""
_TINY = 0.05
"""An object smaller than this part of the median is hardly one."""
_ENOUGH_OBJECTS = 5
"""With fewer objects there is no usual size."""
_SAME = 0.5
"""Cross-sections in neighbouring planes that overlap this much (intersection over union) may be of one object …"""
_BLUNT = 0.5
"""… if both are at least this part of their object's largest: whole objects end in small ones."""
_MOST = 200
"""Faults of one kind that are listed; all are counted."""
_FEW_VOXELS = 100
"""Of a class of fewer voxels nothing can be learnt."""
_FULL = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65_535}
"""Largest value of the types that programs save labels as."""


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What is in a label image, and what looks wrong.

    Parameters
    ----------
    n_frames
        Frames looked at.
    n_objects
        Objects in all frames together; of classes, how many there are.
    median_voxels
        Median size of an object; 0 without one.
    classes
        Voxels of each class, by value; empty where the values are objects.
    faults
        What looks wrong, the gravest kind first; of each kind the first 200.
    counts
        How many faults of each kind there are.
    """

    n_frames: int
    n_objects: int
    median_voxels: int
    classes: dict[int, int] = field(default_factory=dict)
    faults: tuple[Issue, ...] = ()
    counts: dict[IssueKind, int] = field(default_factory=dict)

    def __str__(self) -> str:
        frames = "" if self.n_frames == 1 else f" in {self.n_frames} frames"
        if self.classes:
            voxels = ", ".join(f"{value}: {n} voxels" for value, n in self.classes.items())
            return f"{plural(len(self.classes), 'class', 'classes')}{frames} ({voxels})"
        size = f", half of them larger than {self.median_voxels} voxels" if self.n_objects else ""
        return f"{plural(self.n_objects, 'object', 'objects')}{frames}{size}"


def find_faults(
    labels: TimeLapse,
    image: TimeLapse | None = None,
    *,
    classes: bool | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LabelReport:
    """Look through painted labels, frame by frame; frames larger than the memory are read in pieces.

    Parameters
    ----------
    labels
        (t, 1, z, y, x); 0 = background. Any type: what is no label is a fault, not an error.
    image
        The image that they belong to, for the shape.
    classes
        Whether the values are classes of voxels instead of objects; None takes them as they look.
    on_progress
        Called with (frames done, frames in all); what it raises ends the work.
    """
    found = _Collected()
    found.add(_of_shape(labels, image))
    if wrong := _of_type(labels):
        found.add([wrong])
        return found.report(labels.n_frames, [], {})
    frames: list[Objects] = []
    for t in range(labels.n_frames):
        if (negative := _negative(labels, t)) is not None:
            found.add([negative])
            return found.report(labels.n_frames, frames, {})
        objects = find_objects(labels, t)
        if classes is None and len(objects):
            classes = _are_class_like(labels, t, objects)
        found.add(_of_background(labels, t, objects))
        found.add(_interpolated(labels, t))
        found.add(_empty_planes(labels, t, objects))
        if not classes:
            found.add(_of_objects(labels, t, objects))
        frames.append(objects)
        if on_progress is not None:
            on_progress(t + 1, labels.n_frames)
    voxels: dict[int, int] = {}
    if classes:
        for objects in frames:
            for value, size in zip(objects.values.tolist(), objects.sizes.tolist(), strict=True):
                voxels[value] = voxels.get(value, 0) + size
        voxels = dict(sorted(voxels.items()))
        found.add(_of_classes(voxels, frames))
    else:
        found.add(_tiny(labels, frames))
        found.add(_overflown(labels, frames))
    return found.report(labels.n_frames, frames, voxels)


class _Collected:
    """Faults by kind, up to so many of each."""

    def __init__(self) -> None:
        self._faults: list[Issue] = []
        self._counts: Counter[IssueKind] = Counter()

    def add(self, faults: Iterator[Issue] | list[Issue]) -> None:
        for fault in faults:
            self._counts[fault.kind] += 1
            if self._counts[fault.kind] <= _MOST:
                self._faults.append(fault)

    def report(self, n_frames: int, frames: list[Objects], classes: dict[int, int]) -> LabelReport:
        order: tuple[IssueKind, ...] = ("shape", "type", "background", "pieces", "cut", "class", "fragment", "empty")
        sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(objects.sizes for objects in frames)])
        return LabelReport(
            n_frames=n_frames,
            n_objects=len(classes) if classes else len(sizes),
            median_voxels=int(np.median(sizes)) if len(sizes) and not classes else 0,
            classes=classes,
            faults=tuple(sorted(self._faults, key=lambda fault: order.index(fault.kind))),
            counts={kind: self._counts[kind] for kind in order if self._counts[kind]},
        )


def _of_shape(labels: TimeLapse, image: TimeLapse | None) -> Iterator[Issue]:
    if labels.n_channels != 1:
        yield Issue("shape", f"The labels have {labels.n_channels} channels; they must be a single one.")
    if image is None or image.shape_tzyx == labels.shape_tzyx:
        return
    both = f"the labels have the shape {labels.shape_tzyx} (t, z, y, x), the image {image.shape_tzyx}"
    if image.is_flat and not labels.is_flat:
        yield Issue("shape", f"These are 3D labels on a 2D image: {both}; take the labels of a single plane.")
    else:
        yield Issue("shape", f"Labels and image do not match: {both}; take labels of the same image.")


def _of_type(labels: TimeLapse) -> Issue | None:
    if labels.dtype.kind in "bui":
        return None
    for t in range(labels.n_frames if labels.dtype.kind == "f" else 0):
        z = 0
        for slab in slabs(labels, t):
            off = np.argwhere(slab != np.rint(slab))
            if len(off):
                place = (t, int(off[0][0]) + z, int(off[0][1]), int(off[0][2]))
                value = slab[tuple(off[0])]
                text = f"The value {value:g} is no whole number (type {labels.dtype}): is this the image instead of its labels?"
                return Issue("type", text, place)
            z += len(slab)
    return Issue("type", f"The labels are of type {labels.dtype}; save them as whole numbers, for example uint16.")


def _negative(labels: TimeLapse, t: int) -> Issue | None:
    if labels.dtype.kind != "i":
        return None
    z = 0
    for slab in slabs(labels, t):
        below = np.argwhere(slab < 0) if slab.min() < 0 else np.zeros((0, 3), dtype=np.int64)
        if len(below):
            place = (t, int(below[0][0]) + z, int(below[0][1]), int(below[0][2]))
            value = int(slab[tuple(below[0])])
            return Issue(
                "type", f"The value {value} is negative; labels are 0 (background) or larger.", place, labels=(value,)
            )
        z += len(slab)
    return None


def _of_background(labels: TimeLapse, t: int, objects: Objects) -> Iterator[Issue]:
    _, z, y, x = labels.shape_tzyx
    if int(objects.sizes.sum()) == z * y * x:
        text = f"Frame {t} has no background (0): every voxel has a label; is this the image, or is the background painted?"
        yield Issue("background", text, (t, 0, 0, 0))


def _interpolated(labels: TimeLapse, t: int) -> Iterator[Issue]:
    n = sum(interpolated_voxels(slab) for slab in slabs(labels, t))
    if n:
        text = (
            f"Frame {t} has rims of other labels around its objects ({plural(n, 'voxel', 'voxels')}), as a resize that interpolates leaves "
            "them: resize the labels again without interpolation (nearest neighbour)."
        )
        yield Issue("type", text, (t, 0, 0, 0))


def _empty_planes(labels: TimeLapse, t: int, objects: Objects) -> Iterator[Issue]:
    """Frames without anything, and planes without anything between planes with something."""
    if not len(objects):
        if labels.n_frames > 1:
            yield Issue(
                "empty", f"Nothing is painted in frame {t}; if it was not looked at, leave it out.", (t, 0, 0, 0)
            )
        else:
            yield Issue("empty", "Nothing is painted.")
        return
    painted = np.zeros(labels.shape_tzyx[1], dtype=bool)
    z = 0
    for slab in slabs(labels, t):
        painted[z : z + len(slab)] = slab.any(axis=(1, 2))
        z += len(slab)
    inside = np.flatnonzero(painted)
    for plane in (np.flatnonzero(~painted[inside[0] : inside[-1]]) + inside[0]).tolist():
        yield Issue(
            "empty", f"Nothing is painted in plane {plane} of frame {t}, between painted planes.", (t, plane, 0, 0)
        )


def _are_class_like(labels: TimeLapse, t: int, objects: Objects) -> bool:
    """By the frame, or what a piece of it shows that fits the memory."""
    if len(objects) >= 10:
        return False
    return any(are_classes(slab) for slab in slabs(labels, t))


def _of_objects(labels: TimeLapse, t: int, objects: Objects) -> Iterator[Issue]:
    """Objects in pieces, and objects that two numbers share."""
    _, z, y, x = labels.shape_tzyx
    ends: dict[int, tuple[int, int, float]] = {}  # row: the row that goes on above, voxels shared, cross-section here
    begins = np.zeros(len(objects))
    widest = np.ones(len(objects))
    for group, place in batches(objects, (z, y, x)):
        above = place.union(place.shifted((0, 1, 0, 0))).clipped((1, z, y, x))
        values = labels.read(above.shifted((t, 0, 0, 0)), [0])[0, 0]
        torn = _torn(values)
        for row in group.tolist():
            low, high = objects.start[row] - place.start[1:], objects.stop[row] - place.start[1:]
            inner = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            mask = values[inner] == objects.values[row]
            sections = mask.sum(axis=(1, 2))
            widest[row], begins[row] = sections.max(), sections[0]
            if high[0] < len(values):
                going_on = values[high[0]][inner[1:]][mask[-1]]
                if (other := commonest(going_on)) is not None:
                    ends[row] = (int(np.searchsorted(objects.values, other[0])), other[1], float(sections[-1]))
            if int(objects.values[row]) in torn:
                yield from _in_pieces(mask, t, objects, row)
    yield from _cut(ends, begins, widest, t, objects)


def _torn(values_ZYX: npt.NDArray[Any]) -> set[int]:
    """Values in more than one piece; all in one pass, for there may be a hundred thousand."""
    from skimage.measure import label

    number, n = label(values_ZYX, background=0, connectivity=3, return_num=True)
    of_piece = np.zeros(n + 1, dtype=np.int64)
    of_piece[number.reshape(-1)] = values_ZYX.reshape(-1)
    values, counts = np.unique(of_piece[1:], return_counts=True)
    return set(values[counts > 1].tolist())


def _in_pieces(mask: npt.NDArray[np.bool_], t: int, objects: Objects, row: int) -> Iterator[Issue]:
    from scipy import ndimage

    number, n = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if n < 2:
        return
    label = int(objects.values[row])
    sizes = np.bincount(number.reshape(-1))[1:]
    order = np.argsort(-sizes, kind="stable")
    large = order[sizes[order] >= _CRUMB * sizes[order[0]]]
    crumbs = order[len(large) :]
    if len(large) > 1:
        place = voxel_inside(number == large[1] + 1, objects.start[row], t)
        text = (
            f"Label {label} is in {len(large)} separate pieces in frame {t}; if they are different objects, give each a number "
            "of its own."
        )
        yield Issue("pieces", text, place, labels=(label,))
    if len(crumbs):
        place = voxel_inside(number == crumbs[0] + 1, objects.start[row], t)
        lost = int(sizes[crumbs].sum())
        text = (
            f"Label {label} has {plural(len(crumbs), 'loose crumb', 'loose crumbs')} of {plural(lost, 'voxel', 'voxels')} in frame "
            f"{t}; erase what was not meant."
        )
        yield Issue("fragment", text, place, labels=(label,))


def _cut(
    ends: dict[int, tuple[int, int, float]],
    begins: npt.NDArray[np.float64],
    widest: npt.NDArray[np.float64],
    t: int,
    objects: Objects,
) -> Iterator[Issue]:
    """Where one number ends bluntly and another begins bluntly at the same place of the next plane."""
    for row, (other, shared, section) in ends.items():
        plane = int(objects.stop[row, 0])
        if objects.start[other, 0] != plane or shared < _SAME * (section + begins[other] - shared):
            continue
        if section < _BLUNT * widest[row] or begins[other] < _BLUNT * widest[other]:
            continue
        a, b = int(objects.values[row]), int(objects.values[other])
        centre = (objects.start[other] + objects.stop[other]) // 2
        text = f"Label {a} ends at plane {plane - 1} where label {b} begins at plane {plane} in frame {t}: one object with two numbers?"
        yield Issue("cut", text, (t, plane, int(centre[1]), int(centre[2])), labels=(a, b))


def _tiny(labels: TimeLapse, frames: list[Objects]) -> Iterator[Issue]:
    sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(objects.sizes for objects in frames)])
    if len(sizes) < _ENOUGH_OBJECTS:
        return
    usual = float(np.median(sizes))
    for t, objects in enumerate(frames):
        for row in np.flatnonzero(objects.sizes < _TINY * usual).tolist():
            label, n = int(objects.values[row]), int(objects.sizes[row])
            values = labels.read(objects.box(row, t), [0])[0, 0]
            text = f"Label {label} has only {plural(n, 'voxel', 'voxels')} in frame {t}, where {usual:.0f} are usual; erase it if it is a slip."
            yield Issue("fragment", text, voxel_inside(values == label, objects.start[row], t), labels=(label,))


def _overflown(labels: TimeLapse, frames: list[Objects]) -> Iterator[Issue]:
    """As many objects as the type can hold: numbers may have begun anew."""
    largest = _FULL.get(labels.dtype)
    for t, objects in enumerate(frames):
        if largest is not None and len(objects) > 0.9 * largest and objects.values[-1] == largest:
            z, y, x = objects.start[-1].tolist()
            text = (
                f"Frame {t} has {len(objects)} objects, up to {largest}, the largest number that {labels.dtype} holds: some may "
                "share a number; save the labels as uint32."
            )
            yield Issue("type", text, (t, z, y, x), labels=(largest,))


def _of_classes(voxels: dict[int, int], frames: list[Objects]) -> Iterator[Issue]:
    for value, n in voxels.items():
        if n < _FEW_VOXELS:
            yield Issue(
                "class",
                f"Class {value} has only {plural(n, 'voxel', 'voxels')}; paint more of it.",
                _first(value, frames),
                labels=(value,),
            )
    values = list(voxels)
    for value in (
        [v for v in range(1, max(values, default=0)) if v not in voxels] if max(values, default=0) < 32 else []
    ):
        text = f"Class {value} was never painted, though class {max(values)} was; paint it, or number the classes without a gap."
        yield Issue("class", text, None, labels=(value,))


def _first(value: int, frames: list[Objects]) -> Position | None:
    for t, objects in enumerate(frames):
        rows = np.flatnonzero(objects.values == value)
        if len(rows):
            z, y, x = ((objects.start[rows[0]] + objects.stop[rows[0]]) // 2).tolist()
            return (t, z, y, x)
    return None
