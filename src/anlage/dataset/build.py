"""Build a store: cut the annotated part out of a movie, with its labels, graph and weight mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing, inside_any
from anlage.blobs import doubt_diameter
from anlage.dataset.diameter import find_diameter
from anlage.dataset.fingerprint import hash_annotations, hash_movie
from anlage.dataset.frame_cutter import FrameCutter, Plan
from anlage.dataset.holdout import choose_block
from anlage.dataset.intensity import Combine, measure_intensity
from anlage.dataset.region import StoreRegion, hull, regions_to_store
from anlage.dataset.store import ATTRIBUTE, CHECKSUMMED, Store, StoreCuboid, StoreMeta, StoreSource, Use, read_attribute
from anlage.errors import AnlageError
from anlage.io.atomic import replacing, root_attributes
from anlage.io.image_doubts import doubt_spacing
from anlage.io.nuclei_files.geff_graphs import write_graph
from anlage.io.zarr_files.chunks import count_chunks
from anlage.neighbours import typical_gap_um
from anlage.problems import check
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    from anlage.cuboid import Cuboid

__all__ = ["Progress", "build_store", "check_place", "describe", "unaccepted_links"]

Progress = Callable[[int, int], None]
"""Called with the frames done and the frames there are."""

CHUNK_ZYX = (32, 128, 128)


def build_store(  # noqa: PLR0913  each is a choice of the user's
    out: str | Path,
    image: TimeLapse,
    annotations: Annotations,
    *,
    channels: Sequence[int] | None = None,
    combine: Combine = "separate",
    cuboid: Literal["auto"] | Box | Sequence[Cuboid] = "auto",
    sparse: bool = False,
    use: Use = "auto",
    diameter_um: float | None = None,
    context_frames: int = 0,
    classes: Sequence[int] = (),
    annotations_source: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Write the annotated part of a movie as a store.

    Parameters
    ----------
    out
        Folder to write; missing parents are made.
    image
        The movie; it is read frame by frame and never changed.
    annotations
        Nuclei in voxels of the movie, rejected ones included; their labels are cut out with them.
    channels
        Numbers of the channels to use, from 0; None for all.
    combine
        ``"separate"`` keeps each channel as an input of its own, in the movie's type; ``"sum"`` adds them after each
        was normalised, as float32.
    cuboid
        Where annotation is complete: ``"auto"`` finds it, a box is taken as complete in every frame with a nucleus,
        and found cuboids may be given back after they were looked at.
    sparse
        Only some of the nuclei were marked: what was not marked is unknown, unless it is clearly dark.
    use
        ``"validation"``: networks are validated on it and never learn from it; ``"train"``: they learn from all of it, as
        long as there is something else to validate on; ``"auto"``: whichever suits.
    diameter_um
        Typical nucleus diameter in µm; by default measured on radii, labels or the image.
    context_frames
        Frames to keep before and after the cuboid, without annotation, for networks that see neighbouring frames.
    classes
        Label values, where labels are classes of voxels: the annotations are sites of these.
    annotations_source
        Path or layer name of the annotations, for the record.
    overwrite
        Replace a store that is already there.
    progress
        Called after each frame with the frames done and the frames there are.

    Raises
    ------
    AnlageError
        If `use` is none of these, the voxel size is unknown, nothing is annotated or nothing inside the cuboid, a channel does not exist,
        the image holds NaN, annotation and image do not fit together, or something else is already at `out`.
    """
    out = Path(out).expanduser()
    if use not in get_args(Use):
        raise AnlageError(f"A store cannot be for '{use}'; it is for {', '.join(get_args(Use))}.")
    check_place(out, overwrite=overwrite)
    spacing = _check_input(image, annotations, cuboid, annotations_source)
    intensity = measure_intensity(image, channels, combine)
    accepted = annotations.select(annotations.state != State.REJECTED)
    whole = combine == "separate" and list(intensity.indices) == list(range(image.n_channels))
    seen_um = None if isinstance(cuboid, (str, Box)) or not whole else next((c.measured_um for c in cuboid), None)
    diameter, diameter_from, note = find_diameter(accepted, image, intensity, spacing, diameter_um, seen_um)
    regions, notes = regions_to_store(
        annotations,
        image,
        cuboid,
        spacing=spacing,
        sparse_um=diameter if sparse else None,
        measured_um=diameter if diameter_from == "image" else None,
    )
    plan = _plan(image, annotations, regions, context_frames, spacing, diameter)
    gap_um = typical_gap_um(accepted.frames, accepted.positions[:, 1:] * spacing.um)
    doubt = doubt_spacing(spacing, flat=image.is_flat) or doubt_diameter(diameter, gap_um)
    notes += [*image.notes, *([] if doubt is None else [doubt])]
    left_out = len(annotations) - len(plan.inside)
    if left_out:
        notes.append(f"{left_out} annotated nuclei lie outside the cuboid and were left out.")
    unchecked = int((plan.inside.state == State.PROPOSED).sum())
    if unchecked:
        n_true = int((plan.inside.state != State.REJECTED).sum())
        notes.append(f"{unchecked} of {n_true} nuclei were proposed by a model and not checked.")
    notes += unaccepted_links(plan.inside)
    nuclei = plan.inside.shifted(-np.array(plan.hull.start))
    true = nuclei.state != State.REJECTED
    cutter = FrameCutter(image, intensity, plan, sparse=sparse)
    with replacing(out, lambda folder: ATTRIBUTE in root_attributes(folder)) as temporary:
        known = _write(temporary, cutter, nuclei, progress)
        meta = StoreMeta(
            shape_tczyx=cutter.shape_tczyx,
            spacing_um_zyx=spacing.zyx,
            interval_s=image.interval_s,
            channels=intensity.names,
            combine=combine,
            intensity=intensity,
            cuboids=tuple(_in_store(region, plan.hull) for region in regions),
            origin_tzyx=plan.hull.start,
            n_nuclei=int(true.sum()),
            n_rejected=int((~true).sum()),
            n_links=len(nuclei.links),
            known=known,
            sparse=sparse,
            diameter_um=diameter,
            diameter_from=diameter_from,
            validation=_validation(nuclei.positions[true], plan),
            use=use,
            chunks={name: count_chunks(temporary / name) for name in CHECKSUMMED if (temporary / name).is_dir()},
            classes=tuple(classes),
            source=_source(image, annotations, annotations_source),
            notes=(*notes, *([note] if note else [])),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={name: version(name) for name in ("anlage", "numpy", "zarr")},
        )
        describe(temporary, meta)
    return Store.open(out)


def unaccepted_links(nuclei: Annotations) -> list[str]:
    """A sentence about the links that a network proposed and nobody accepted, if there are any."""
    n = int((~nuclei.sure_links).sum())
    if not n:
        return []
    return [
        f"{n} of {len(nuclei.links)} links were proposed by a network and not accepted: networks of links and divisions take them "
        "as unknown."
    ]


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse to write a store where something else lies, or a store that may not be replaced."""
    if not out.exists():
        return
    if not overwrite:
        raise AnlageError(f"'{out}' exists already: choose another name, or say that it may be overwritten.")
    try:
        read_attribute(out)
    except AnlageError:
        raise AnlageError(f"'{out}' is not a store and will not be overwritten: choose another name.") from None


def _check_input(
    image: TimeLapse, annotations: Annotations, cuboid: Literal["auto"] | Box | Sequence[Cuboid], source: str
) -> Spacing:
    """Refuse what cannot become a store; returns the voxel size."""
    if image.spacing is None:
        raise AnlageError(
            f"The voxel size of the image '{image.source}' is unknown: give it in µm with --spacing Z,Y,X, "
            "for example --spacing 2,0.5,0.5."
        )
    check(annotations, image.shape_tzyx, source=source)
    frames = annotations.annotated_frames
    if not frames:
        raise AnlageError(
            f"Nothing is annotated: of {len(annotations)} nuclei none is accepted; mark at least one, then build again."
        )
    if isinstance(cuboid, Box):
        inside = annotations.select(cuboid.clipped(image.shape_tzyx).contains(annotations.positions))
        if not inside.annotated_frames:
            raise AnlageError(
                f"No annotated nucleus lies inside the cuboid {cuboid} (t, z, y, x): choose one that holds some of "
                f"the {len(annotations)}, which lie in frames {frames[0]} to {frames[-1]}."
            )
    return image.spacing


def _plan(
    image: TimeLapse,
    annotations: Annotations,
    regions: tuple[StoreRegion, ...],
    context_frames: int,
    spacing: Spacing,
    diameter_um: float,
) -> Plan:
    inside = inside_any((region.box for region in regions), annotations.positions)
    if not (inside & (annotations.state != State.REJECTED)).any():
        raise AnlageError(
            f"No annotated nucleus lies inside the cuboid {regions[0].box} (t, z, y, x): choose one that holds some."
        )
    box = hull(regions, image.n_frames, context_frames)
    outside = annotations.select(~inside & (annotations.state != State.REJECTED))
    # pixels beside a block of frames are its temporal context even where the next block lies elsewhere
    return Plan(regions, box, annotations.select(inside), outside, max(1, context_frames), spacing, diameter_um)


def _write(path: Path, cutter: FrameCutter, nuclei: Annotations, progress: Progress | None) -> float:
    """Write arrays and graph, the cuboids only; returns the part of their voxels that is known."""
    import zarr

    plan = cutter.plan
    root = zarr.create_group(path, zarr_format=3)
    n_frames, _, *zyx = cutter.shape_tczyx
    image = _array(root, "image", cutter.shape_tczyx, cutter.dtype)
    weight = _array(root, "weight", (n_frames, *zyx), np.dtype(np.uint8))
    source = plan.inside.labels
    labels = None if source is None else _array(root, "labels", (n_frames, *zyx), plan.label_type)
    n_known = 0
    values = _Values()
    for frame in _counted(cutter.frames, progress):
        for window in cutter.windows(frame):
            pixels = cutter.pixels(window)
            painted = None if labels is None else cutter.labels(window)
            values.add(pixels)
            known = cutter.weight(window, pixels, painted)
            t, *space = window.shifted(-np.array(plan.hull.start)).slices
            image[(t, slice(None), *space)], weight[(t, *space)] = pixels[None], known[None]
            if labels is not None and painted is not None:
                labels[(t, *space)] = painted[None]
            n_known += int(known.sum(dtype=np.int64))
    write_graph(path / "graph", nuclei, plan.spacing, cutter.image.interval_s)
    if values.are_equal:
        raise AnlageError(
            f"The image '{cutter.image.source}' is {values.low:g} everywhere in the cuboid {plan.hull}, so nothing can be learnt "
            "from it: is it the right file, and whole?"
        )
    return n_known / cutter.n_voxels


@dataclass(slots=True)
class _Values:
    """The lowest and the highest of the pixels that were written."""

    low: float = np.inf
    high: float = -np.inf

    def add(self, pixels: npt.NDArray[Any]) -> None:
        self.low = min(self.low, float(pixels.min()))
        self.high = max(self.high, float(pixels.max()))

    @property
    def are_equal(self) -> bool:
        return self.low == self.high


def describe(path: Path, meta: StoreMeta) -> None:
    """Write the description last: what has none is no store."""
    import zarr

    zarr.open_group(path, mode="r+").update_attributes({ATTRIBUTE: meta.model_dump(mode="json")})


def _counted(frames: Sequence[int], progress: Progress | None) -> Iterator[int]:
    for n, frame in enumerate(frames, start=1):
        yield frame
        if progress is not None:
            progress(n, len(frames))


def _array(root: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A compressed array whose chunks end in a checksum, which also makes the store's hash cheap; empty ones are absent."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    chunks = (*(1 for _ in shape[:-3]), *(min(n, c) for n, c in zip(shape[-3:], CHUNK_ZYX, strict=True)))
    return root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        fill_value=0,
        config={"write_empty_chunks": False},
        compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"), Crc32cCodec()],
        dimension_names=("t", "c", "z", "y", "x") if len(shape) == 5 else ("t", "z", "y", "x"),
    )


def _in_store(region: StoreRegion, hull: Box) -> StoreCuboid:
    origin = np.array(hull.start)
    return StoreCuboid(
        box=region.box.shifted(-origin),
        core=region.core.shifted(-origin),
        frames=tuple(t - hull.start[0] for t in region.frames),
    )


def _validation(positions: npt.NDArray[np.float64], plan: Plan) -> tuple[Box, ...]:
    block = choose_block(positions, plan.hull.shape, plan.spacing, plan.diameter_um)
    return () if block is None else (block,)


def _source(image: TimeLapse, annotations: Annotations, annotations_source: str) -> StoreSource:
    return StoreSource(
        image=image.source,
        axes=image.axes,
        shape_tczyx=image.shape,
        movie=hash_movie(image),
        annotations=annotations_source,
        annotations_sha256=hash_annotations(annotations),
    )
