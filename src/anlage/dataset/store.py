"""The store: training data on disk, a zarr v3 group that is written once and then only read.

::

    NAME.zarr/
      zarr.json      attributes: {"anlage_store": StoreMeta}
      image          (t, c, z, y, x), the source's own type; float32 and normalised where channels were summed; absent,
                     like weight, where the store was made from points alone (no channels)
      weight         (t, z, y, x) uint8: 1 where the annotation is known, 0 where nothing is known
      labels         (t, z, y, x) unsigned integers, where labels were given; 0 = background
      graph/         GEFF layout: nuclei and links

Chunks that hold nothing of a cuboid are absent: they read as 0. All positions and boxes are in voxels of the store;
`StoreMeta.origin_tzyx` leads back to the source image.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le
from pydantic import BeforeValidator, PlainSerializer, ValidationError, model_validator

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.intensity import Combine, Intensity
from anlage.dataset.noise import noise_level
from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES, checked_name
from anlage.frozen import BareName, DiameterUm, Finite, Frame, IntervalS, VoxelUm, first_problem
from anlage.io.atomic import root_attributes
from anlage.io.lazy import Pixels
from anlage.io.nuclei_files.geff_graphs import read_graph
from anlage.io.zarr_files.chunks import count_chunks
from anlage.io.zarr_files.nodes import is_zarr, open_array

__all__ = [
    "ATTRIBUTE",
    "SCHEMA_VERSION",
    "BoxText",
    "Store",
    "StoreCuboid",
    "StoreMeta",
    "StoreSource",
    "Use",
    "hash_store",
]

END = 64
"""Bytes at the end of each chunk that enter the hash; the last four are the chunk's own CRC32C."""
CHECKSUMMED = ("image", "weight", "labels")
NOT_CONTENT = ("created", "versions", "source", "notes")
SCHEMA_VERSION = 2
"""1 knew no `use`."""
ATTRIBUTE = "anlage_store"

Use = Literal["auto", "train", "validation"]
"""What a store serves for: validation (nothing is ever learnt from it), training, or whichever suits."""

_FURTHEST = 2**40
"""No wall of a box lies further from the origin, in voxels: sums and differences of such numbers are exact."""


def _box(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        box = Box.parse(value)
    except AnlageError as error:
        raise ValueError(str(error)) from error
    if max(map(abs, (*box.start, *box.stop))) > _FURTHEST:
        raise ValueError(f"the box {value[:80]} lies further out than any image reaches")
    return box


BoxText = Annotated[
    Box,
    BeforeValidator(_box),
    PlainSerializer(str, return_type=str),
]
"""A box that is written as ``t0:t1,z0:z1,y0:y1,x0:x1``."""


Edge = Annotated[int, Ge(1), Le(2**31)]


class StoreCuboid(Finite):
    """One block of space-time that was annotated."""

    box: BoxText
    """The cuboid with its margin, in voxels of the store."""
    core: BoxText
    """Where every nucleus was annotated; the margin around it is unknown."""
    frames: tuple[Frame, ...]
    """Annotated frames of the store; the other frames of the box are temporal context."""


ShapeTczyx = tuple[
    Annotated[int, Ge(1), Le(MOST_FRAMES)], Annotated[int, Ge(0), Le(65535)], Edge, Edge, Edge,
]  # fmt: skip


class StoreSource(Finite):
    """Where a store came from."""

    image: BareName
    """Name of the image's file or layer, without its folders: a store goes to others; empty where there is none."""
    axes: str
    """Axes of the image as it was read."""
    shape_tczyx: ShapeTczyx
    """Shape of the whole image."""
    movie: str
    """Fingerprint of the image's pixels: equal for stores that were cut from the same movie."""
    annotations: BareName
    """Name of the annotations' file or layer, without its folders."""
    annotations_sha256: str
    """Hash of the annotated nuclei and links."""


class StoreMeta(Finite):
    """What a store says of itself."""

    schema_version: Annotated[int, Ge(1)] = SCHEMA_VERSION
    """Version of this description."""
    shape_tczyx: ShapeTczyx
    """Shape of the store's image."""
    spacing_um_zyx: tuple[VoxelUm, VoxelUm, VoxelUm]
    """Voxel size (z, y, x) in µm."""
    interval_s: IntervalS | None
    """Time between frames in seconds; None where unknown."""
    channels: tuple[str, ...]
    """Names of the store's channels; one where the source's were summed."""
    combine: Combine
    """Whether the source's channels are separate or summed."""
    intensity: Intensity
    """Percentiles of the whole movie, for each source channel."""
    cuboids: tuple[StoreCuboid, ...]
    """The annotated blocks."""
    origin_tzyx: tuple[int, int, int, int]
    """Position of the store's first voxel in the source image."""
    n_nuclei: Annotated[int, Ge(0)]
    """Nuclei that are true."""
    n_rejected: Annotated[int, Ge(0)]
    """Nuclei that were rejected: explicit background."""
    n_links: Annotated[int, Ge(0)]
    """Links between frames."""
    known: Annotated[float, Ge(0), Le(1)]
    """Part of the voxels that were written (the cuboids and their context) where it is known whether there is a nucleus."""
    sparse: bool
    """Whether only some of the nuclei were marked."""
    diameter_um: DiameterUm
    """Typical nucleus diameter in µm."""
    diameter_from: Literal["given", "radii", "labels", "image", "assumed"]
    """How the diameter is known."""
    validation: tuple[BoxText, ...]
    """Blocks kept for validation when no other movie can be, in voxels of the store."""
    use: Use = "auto"
    """What it serves for: validation (nothing is ever learnt from it), train, or auto, whichever suits."""
    chunks: dict[str, Annotated[int, Ge(0)]] | None = None
    """Files of pixels of each array; None in stores of earlier versions, which did not count them."""
    classes: tuple[int, ...] = ()
    """Label values, where labels are classes of voxels; its nuclei are sites of these then."""
    source: StoreSource
    """Where it came from."""
    notes: tuple[str, ...] = ()
    """What was assumed or left out, as sentences."""
    created: str
    """Date and time of building (ISO 8601, UTC)."""
    versions: dict[str, str]
    """Versions of the software that built it."""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        t, _, *space = self.shape_tczyx
        for box in (
            *self.validation,
            *(cuboid.box for cuboid in self.cuboids),
            *(cuboid.core for cuboid in self.cuboids),
        ):
            if min(box.start) < 0 or any(stop > n for stop, n in zip(box.stop, (t, *space), strict=True)):
                raise ValueError(f"the box {box} (t, z, y, x) reaches outside the store's shape {(t, *space)}")
        last = max((frame for cuboid in self.cuboids for frame in cuboid.frames), default=0)
        if last >= t:
            raise ValueError(f"frame {last} is said to be annotated, and the store has {t}")
        return self


@dataclass(frozen=True)
class Store:
    """Training data on disk.

    Parameters
    ----------
    path
        The store's folder.
    meta
        What it says of itself.
    """

    path: Path
    meta: StoreMeta

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a store for reading; arrays are read when they are asked for.

        Raises
        ------
        AnlageError
            If there is no store at `path`, it was written by a newer version, or its description is damaged.
        """
        path = Path(path).expanduser()
        found = read_attribute(path)
        version = found.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise AnlageError(
                f"The store '{path}' has schema {version}, newer than the {SCHEMA_VERSION} that this version reads: "
                "update anlage."
            )
        try:
            store = cls(path, StoreMeta.model_validate(found))
        except ValidationError as error:
            raise AnlageError(
                f"The description of the store '{path}' is damaged ({first_problem(error)}): build it again."
            ) from None
        for name, n in (store.meta.chunks or {}).items():
            there = count_chunks(path / checked_name(name, f"An array of the store '{path}'"))
            if there < n:
                raise AnlageError(
                    f"{n - there} of the {n} chunks of '{name}' in the store '{path}' are missing: copy it again, whole, or build "
                    "it again."
                )
        return store

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def spacing(self) -> Spacing:
        return Spacing(*self.meta.spacing_um_zyx)

    @property
    def image(self) -> Any:
        """Pixels (t, c, z, y, x), read piece by piece."""
        return self._array("image")

    @property
    def weight(self) -> Any:
        """What is known (t, z, y, x), uint8: 1 known, 0 unknown; read piece by piece."""
        return self._array("weight")

    @property
    def labels(self) -> Any | None:
        """Labels (t, z, y, x), read piece by piece; None where none were given."""
        return self._array("labels") if (self.path / "labels").is_dir() else None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Shape of the image, (t, c, z, y, x)."""
        return self.meta.shape_tczyx

    @property
    def shape_tzyx(self) -> tuple[int, int, int, int]:
        t, _, z, y, x = self.shape
        return (t, z, y, x)

    @property
    def has_image(self) -> bool:
        """Whether it holds pixels; else it holds points alone."""
        return self.shape[1] > 0

    @property
    def frames(self) -> tuple[int, ...]:
        """Annotated frames of the store, in order."""
        return tuple(sorted({t for cuboid in self.meta.cuboids for t in cuboid.frames}))

    @cached_property
    def nuclei(self) -> Annotations:
        """Nuclei and links in voxels of the store, rejected ones included."""
        return read_graph(self.path / "graph")

    @property
    def positives(self) -> Annotations:
        """The nuclei that are true: all but the rejected."""
        return self.nuclei.select(self.nuclei.state != State.REJECTED)

    @cached_property
    def hash(self) -> str:
        """Hash of the content, hexadecimal; the same for every copy, and for another build from the same input."""
        return hash_store(self.path)

    @cached_property
    def noise(self) -> float:
        """Noise of its middle annotated frame, as a part of the brightness range; see `anlage.dataset.noise.noise_level`."""
        frames = self.frames if self.has_image else ()
        return noise_level(self.frame(frames[len(frames) // 2])) if frames else 0.0

    def frame(self, t: int, box: Box | None = None) -> npt.NDArray[np.float32]:
        """One frame, normalised, as the network sees it: float32 (C, Z, Y, X); or the part of it inside a box.

        Raises
        ------
        AnlageError
            If a chunk's checksum shows that the file was damaged.
        """
        space = Box.whole(self.shape_tzyx).slices[1:] if box is None else box.slices[1:]
        image = self.image
        pixels = image[(t, slice(None), *space)]
        return pixels if self.meta.combine == "sum" else self.meta.intensity.apply(pixels)

    def summary(self) -> str:
        """What the store holds, in a few lines for the user."""
        meta = self.meta
        t, c, z, y, x = self.shape
        if self.has_image:
            pixels = f"{_count(c, 'channel')} ({', '.join(meta.channels)}), {z} × {y} × {x} voxels (z, y, x)"
            known = f"; known: {100 * meta.known:.0f} % of the voxels"
            doubted = any("inside the cuboid" in note and "not annotated" in note for note in meta.notes)
            taken = "Taken for complete inside the cuboid, though bright blobs in it are not annotated"
            kind = taken if doubted else "Complete inside the cuboid"
            kind = "Only some nuclei marked (sparse)" if meta.sparse else kind
        else:
            pixels, known = "points alone, without an image", ""
            kind = "Only some nuclei marked (sparse)" if meta.sparse else "All nuclei marked"
        interval = f"{meta.interval_s:g} s between frames" if meta.interval_s else "time between frames unknown"
        uses = {"auto": "", "train": "; for training", "validation": "; for validation, nothing is learnt from it"}
        lines = [
            f"Store {self.path.name}: {_count(t, 'frame')}, {pixels}",
            f"Voxel {self.spacing}; {interval}",
            f"{self._content()} in {_count(len(self.frames), 'annotated frame')}, "
            f"{_count(meta.n_links, 'link')}; nucleus diameter {meta.diameter_um:.1f} µm ({meta.diameter_from})",
            f"{kind}{known}{uses[meta.use]}",
            f"From {meta.source.image or meta.source.annotations or 'an unnamed image'}, first voxel (t, z, y, x) {meta.origin_tzyx}",
            *(f"Note: {note}" for note in meta.notes),
        ]
        return "\n".join(lines)

    def _content(self) -> str:
        meta = self.meta
        if meta.classes:
            return f"Classes {', '.join(map(str, meta.classes))} painted, {_count(meta.n_nuclei, 'site')} of them"
        rejected = f", {meta.n_rejected} rejected" if meta.n_rejected else ""
        return f"{_count(meta.n_nuclei, 'nucleus', 'nuclei')}{rejected}"

    def _array(self, name: str) -> Any:
        if not is_zarr(self.path / name):
            raise AnlageError(f"The store '{self.path}' lacks its array '{name}': build it again.")
        array = open_array(self.path / name)
        wanted = self.shape if name == "image" else self.shape_tzyx
        if array.shape != wanted or array.dtype.kind not in "buif":
            raise AnlageError(
                f"The array '{name}' of the store '{self.path}' is {array.dtype} of shape {array.shape}, but the store's shape is "
                f"{wanted}: build it again."
            )
        return Pixels(array, str(self.path / name))


def read_attribute(path: Path) -> dict[str, Any]:
    """The description in a store's zarr.json, unchecked; a sentence if there is none."""
    if not path.exists():
        raise AnlageError(f"There is no store at '{path}': build one with `anlage build`.")
    found = root_attributes(path).get(ATTRIBUTE)
    if not isinstance(found, dict):
        raise AnlageError(f"'{path}' is not a store of training data: build one with `anlage build`.")
    return found


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def hash_store(path: Path) -> str:
    """Hash a store's content without reading all of it.

    Every chunk of a large array ends in a checksum of its content (the crc32c codec), so its name, size and end stand
    for the whole; all else is hashed in full. Where and when the store was built does not enter.
    """
    digest = hashlib.sha256()
    about = {key: value for key, value in read_attribute(path).items() if key not in NOT_CONTENT}
    digest.update(json.dumps(about, sort_keys=True).encode())
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
    for name in files:
        if name != "zarr.json":
            digest.update(f"\n{name} ".encode())
            has_checksum = name.split("/")[0] in CHECKSUMMED and not name.endswith(".json")
            _add_file(digest, path / name, END if has_checksum else None)
    return digest.hexdigest()


def _add_file(digest: Any, path: Path, end: int | None) -> None:
    """Add a file's size and its last bytes, or all of them."""
    size = path.stat().st_size
    digest.update(f"{size} ".encode())
    with path.open("rb") as file:
        file.seek(0 if end is None else max(0, size - end))
        digest.update(file.read())
