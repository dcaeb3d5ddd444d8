"""Find the annotated cuboids of a movie, with the evidence for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.cuboid.doubts import doubt_few, doubt_lost, find_doubts
from anlage.cuboid.extent import Extents, measure_extents
from anlage.cuboid.grouping import find_regions
from anlage.errors import AnlageError
from anlage.issues import Issue
from anlage.timelapse import TimeLapse

__all__ = ["Cuboid", "detect_cuboid", "examine_cuboid"]


@dataclass(frozen=True, slots=True)
class Cuboid:
    """A block of space and time in which every nucleus is annotated.

    Parameters
    ----------
    box
        The core and around it a margin of about one nucleus radius, clipped to the image. What lies in the margin is
        unknown: neither nucleus nor background.
    core
        The tight box: around the centres, or around painted labels with all their voxels. Where a nucleus is cut by
        the image's wall the core reaches that wall, because no other nucleus fits in between.
    n_nuclei
        Nuclei in it, counted once in every frame.
    frames
        The annotated frames. Others between the first and the last teach nothing.
    cut_walls
        Walls of the image that cut a nucleus: ``"z0"`` is the first plane, ``"x1"`` the last column.
    doubts
        What speaks against complete annotation.
    measured_um
        Typical diameter of all annotated nuclei in µm, if it had to be measured in the image (in all its channels).
    """

    box: Box
    core: Box
    n_nuclei: int
    frames: tuple[int, ...]
    cut_walls: tuple[str, ...] = ()
    doubts: tuple[Issue, ...] = ()
    measured_um: float | None = None


def detect_cuboid(
    annotations: Annotations,
    image: TimeLapse | None = None,
    *,
    spacing: Spacing | None = None,
    shape_tzyx: Sequence[int] | None = None,
    margin_um: float | None = None,
    measured_um: float | None = None,
) -> tuple[Cuboid, ...]:
    """Find where annotation is complete, over z, y, x and time.

    Nuclei form one region as long as the gaps between them are those of their own density; frames form one block as
    long as the annotated area stays. Rejected nuclei do not count. Every other nucleus lies in the core of exactly one
    cuboid.

    Parameters
    ----------
    annotations
        Centres, or centres with painted labels.
    image
        The movie; it gives the shape, the nuclei's size and the unannotated blobs. Without it the geometry must do.
    spacing
        Voxel size in µm; by default the image's.
    shape_tzyx
        Shape of the movie where no image is given.
    margin_um
        Width of the margin in µm; by default the typical radius of a nucleus.
    measured_um
        Typical diameter in µm, if it was measured in the image before.

    Returns
    -------
    cuboids
        In the order of their first frame.

    Raises
    ------
    AnlageError
        If nothing is annotated, if everything annotated lies outside the image, or if the voxel size is unknown.
    """
    spacing = spacing or (image.spacing if image is not None else None)
    if spacing is None:
        raise AnlageError("The voxel size is unknown, so no cuboid can be found; give it in µm (z, y, x).")
    if margin_um is not None and not 0 <= margin_um < np.inf:
        raise AnlageError(f"The margin of {margin_um} µm around the cuboid must not be negative.")
    shape = _shape(annotations, image, shape_tzyx)
    nuclei, n_lost = _inside(annotations, shape)
    extents = measure_extents(nuclei, image, spacing, shape, measured_um)
    regions = _disjoint(find_regions(nuclei.positions, spacing, extents.diameter_um), nuclei, extents)
    rejected = annotations.positions[annotations.state == State.REJECTED]
    cuboids: list[Cuboid] = []
    for rows in sorted(regions, key=lambda r: (nuclei.frames[r].min(), r.min())):
        core, cut = _core(nuclei, rows, extents)
        box = extents.clipped(core.grown(extents.margin(margin_um)))
        doubts = find_doubts(nuclei.select(rows), rejected, box, core, image, extents)
        frames = tuple(int(t) for t in np.unique(nuclei.frames[rows]))
        first = (*doubt_lost(n_lost), *doubt_few(nuclei)) if not cuboids else ()
        cuboids.append(Cuboid(box, core, len(rows), frames, cut, (*first, *doubts), extents.measured_um))
    return tuple(cuboids)


def examine_cuboid(
    box: Box, core: Box, annotations: Annotations, image: TimeLapse, *, spacing: Spacing | None = None
) -> Cuboid:
    """Look at a cuboid whose walls somebody chose: what it holds, and what is doubtful about it.

    Parameters
    ----------
    box, core
        The cuboid with and without its margin.
    annotations, image, spacing
        As in `detect_cuboid`.

    Raises
    ------
    AnlageError
        If it holds no nucleus, or the voxel size is unknown.
    """
    spacing = spacing or image.spacing
    if spacing is None:
        raise AnlageError("The voxel size is unknown, so the cuboid cannot be examined; give it in µm (z, y, x).")
    every, _ = _inside(annotations, image.shape_tzyx)
    rows = np.flatnonzero(box.contains(every.positions))
    if not len(rows):
        raise AnlageError(f"The cuboid {box} (t, z, y, x) holds no nucleus; move its walls around some.")
    nuclei = every.select(rows)
    extents = measure_extents(nuclei, image, spacing, image.shape_tzyx)
    rejected = annotations.positions[annotations.state == State.REJECTED]
    doubts = find_doubts(nuclei, rejected, box, core, image, extents)
    frames = tuple(int(t) for t in np.unique(nuclei.frames))
    _, _, cut = extents.core_of(np.arange(len(nuclei)))
    return Cuboid(box, core, len(nuclei), frames, cut, (*doubt_few(nuclei), *doubts))


def _shape(
    annotations: Annotations, image: TimeLapse | None, shape_tzyx: Sequence[int] | None
) -> tuple[int, int, int, int] | None:
    """Shape of the movie (t, z, y, x) from whatever knows it."""
    if image is not None:
        return image.shape_tzyx
    if shape_tzyx is not None:
        t, z, y, x = (int(n) for n in shape_tzyx)
        return (t, z, y, x)
    return annotations.labels.shape_tzyx if annotations.labels is not None else None


def _inside(annotations: Annotations, shape: tuple[int, int, int, int] | None) -> tuple[Annotations, int]:
    """The nuclei that count (not rejected, inside the image), and how many lie outside."""
    nuclei = annotations.select(np.flatnonzero(annotations.state != State.REJECTED))
    if len(nuclei) == 0:
        rejected = f" (all {len(annotations)} are rejected)" if len(annotations) else ""
        raise AnlageError(f"No nucleus is annotated{rejected}; annotate some before looking for the cuboid.")
    whole = Box.whole(shape) if shape is not None else None
    at = nuclei.positions
    inside = whole.contains(at) if whole is not None else (at > -0.5).all(axis=1)
    kept = nuclei.select(np.flatnonzero(inside & np.isfinite(at).all(axis=1)))
    if len(kept) == 0:
        first = ", ".join(f"{v:g}" for v in nuclei.positions[0])
        raise AnlageError(
            f"All {len(nuclei)} annotated nuclei lie outside the image, whose shape (t, z, y, x) is {shape}; the first "
            f"is at ({first}): check that the annotations belong to this image and are in voxels."
        )
    return kept, len(nuclei) - len(kept)


def _core(nuclei: Annotations, rows: npt.NDArray[np.int64], extents: Extents) -> tuple[Box, tuple[str, ...]]:
    frames = nuclei.frames[rows]
    start, stop, cut = extents.core_of(rows)
    return Box.of((frames.min(), *start), (frames.max() + 1, *stop)), cut


def _disjoint(
    regions: list[npt.NDArray[np.int64]], nuclei: Annotations, extents: Extents
) -> list[npt.NDArray[np.int64]]:
    """Join regions whose cores overlap, so that no nucleus lies in the core of another region."""
    joined: list[npt.NDArray[np.int64]] = []
    for region in regions:
        rows = region
        while True:
            core = _core(nuclei, rows, extents)[0]
            apart = [other for other in joined if _core(nuclei, other, extents)[0].intersection(core) is None]
            if len(apart) == len(joined):
                break
            rows = np.sort(np.concatenate([rows, *(o for o in joined if not any(o is a for a in apart))]))
            joined = apart
        joined.append(rows)
    return joined
