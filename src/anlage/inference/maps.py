"""Raw output of a segmentation network for part of one frame, kept on disk, and the labels at given thresholds.

The network is the slow part, and thresholds come after it: whoever wants to tune them asks for the maps once and makes
labels of them as often as need be. Nothing here imports torch: the napari plugin uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le
from pydantic import ValidationError

from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.foreign import border
from anlage.frozen import Frozen
from anlage.inference.pieces import Piece, TileMaps, class_piece, object_piece
from anlage.inference.stitching import least_voxels, number_objects
from anlage.io.atomic import replacing, root_attributes
from anlage.io.seals import LIBRARY, MARK, Writer
from anlage.io.zarr_files.nodes import open_group

__all__ = ["LabelMaps", "LabelledPart", "MapsAbout", "is_maps", "labels_of", "open_maps", "write_maps"]

_SCHEMA = 1
_KEY = "anlage-maps"
_COLUMNS = ("seeds", "names", "owned", "centres", "probability")
_AXES = ("at_z", "at_y", "at_x")


class MapsAbout(Frozen):
    """What the maps are of."""

    schema_version: Annotated[int, Ge(1), Le(_SCHEMA)] = _SCHEMA
    model: str
    """Model by name and the beginning of its weights' hash."""
    head: Literal["instances", "classes"]
    """What it paints."""
    frame: int
    """The frame."""
    region: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """First voxel and one after the last along z, y, x."""
    spacing_um_zyx: tuple[float, float, float]
    """Voxel size in µm."""
    flat: bool
    """Whether the image is a single plane."""
    diameter_um: float
    """Nucleus diameter in µm by which the image was scaled."""
    cell_diameters_zyx: tuple[float, float, float]
    """Edge lengths of a network's cell in nucleus diameters."""
    classes: tuple[int, ...] = ()
    """Label values of the classes, in the order of their scores."""
    threshold: float
    """The model's own probability from which something is an object."""
    inside: float
    """The model's own probability from which a voxel belongs to an object."""
    smallest: float
    """Objects smaller than this, in µm³ (single planes: µm²), are left out unless something else is said."""
    notes: tuple[str, ...] = ()
    """What was assumed, as sentences."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMaps:
    """Maps of a part of one frame: what they are of, and the tiles that they were made in."""

    about: MapsAbout
    tiles: tuple[TileMaps, ...]

    @property
    def box(self) -> Box:
        """The part, in voxels of the image."""
        return Box((self.about.frame, self.about.frame + 1), *self.about.region)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPart:
    """Labels of a part of one frame.

    Parameters
    ----------
    box
        The part, in voxels of the image.
    labels
        (Z, Y, X) unsigned integers: objects from 1 on, or classes; 0 is background.
    sizes
        (N,) voxels of the objects 1 … N; none of classes.
    centres
        (N, 3) in voxels of the image.
    probability
        (N,) calibrated.
    ids
        (N,) numbers from 1 on that the objects have at every threshold, with gaps.
    """

    box: Box
    labels: npt.NDArray[Any]
    sizes: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    ids: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def steady(self) -> npt.NDArray[Any]:
        """The labels with `ids` for numbers, so that an object keeps its number while thresholds are tuned; classes as they are."""
        if not len(self):
            return self.labels
        dtype = np.uint16 if self.ids.max() <= np.iinfo(np.uint16).max else np.uint32
        steady: npt.NDArray[Any] = np.concatenate([[0], self.ids]).astype(dtype)[self.labels]
        return steady


def labels_of(
    maps: LabelMaps, *, threshold: float | None = None, inside: float | None = None, smallest: float | None = None
) -> LabelledPart:
    """Make labels of maps, as ``anlage predict`` does with the same thresholds. Needs no network.

    Parameters
    ----------
    maps
        What a network said.
    threshold
        Calibrated probability from which something is an object; None: the model's own.
    inside
        Probability from which a voxel belongs to an object; None: the model's own.
    smallest
        Smallest object in µm³ (single planes: µm²); None: the usual part of a typical one.

    Raises
    ------
    AnlageError
        If a probability is not between 0 and 1.
    """
    about, box = maps.about, maps.box
    for name, value in (("threshold", threshold), ("inside", inside)):
        if value is not None and not 0 < value < 1:
            raise AnlageError(f"The probability {name} = {value:g} is not between 0 and 1.")
    if about.classes:
        labels = np.zeros(box.shape[1:], dtype=np.min_scalar_type(max(about.classes)))
        for tile in maps.tiles:
            _put(labels, box, class_piece(tile, about.classes).labels, tile.box)
        none, numbers = np.zeros(0), np.zeros(0, dtype=np.int64)
        return LabelledPart(box, labels, numbers, np.zeros((0, 3)), none, numbers)
    chosen = (about.threshold if threshold is None else threshold, about.inside if inside is None else inside)
    pieces = [object_piece(tile, about.cell_diameters_zyx, *chosen) for tile in maps.tiles]
    return _joined(maps, pieces, smallest)


def _joined(maps: LabelMaps, pieces: list[Piece], smallest: float | None) -> LabelledPart:
    about, box = maps.about, maps.box
    spacing = Spacing(*about.spacing_um_zyx)
    least = least_voxels(about.smallest if smallest is None else smallest, spacing, flat=about.flat)
    numbering = number_objects(pieces, spacing.um / about.diameter_um, least)
    dtype = np.uint16 if len(numbering) <= np.iinfo(np.uint16).max else np.uint32
    labels = np.zeros(box.shape[1:], dtype=dtype)
    for piece in pieces:
        _put(labels, box, numbering.of(piece), piece.box)
    every = np.unique(np.concatenate([tile.names for tile in maps.tiles]))
    ids = 1 + np.searchsorted(every, numbering.homes)
    return LabelledPart(box, labels, numbering.sizes, numbering.centres, numbering.probability, ids)


def _put(whole: npt.NDArray[Any], box: Box, part: npt.NDArray[Any], at: Box) -> None:
    spans = tuple(
        slice(low - start, high - start) for (low, high), start in zip(at.ranges[1:], box.start[1:], strict=True)
    )
    whole[spans] = part


def write_maps(path: Path, about: MapsAbout, tiles: Iterable[TileMaps], by: Writer = LIBRARY) -> None:
    """Write maps to a zarr group, tile by tile; it is there whole or not at all.

    Raises
    ------
    AnlageError
        If something else is there.
    """
    import zarr

    by = by.of("maps")
    with replacing(path, by) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=3)
        root.attrs[_KEY] = about.model_dump(mode="json")
        n = 0
        for n, tile in enumerate(tiles, start=1):
            group = root.create_group(f"tile-{n - 1:06d}")
            group.attrs["box"] = [list(pair) for pair in tile.box.ranges]
            # half precision: a thousandth of a logit and of a vote, which no threshold distinguishes
            columns = {"fine": tile.fine.astype(np.float16), **dict(zip(_AXES, tile.at, strict=True))}
            columns |= {name: getattr(tile, name) for name in _COLUMNS}
            for name, column in columns.items():
                group.create_array(name, data=np.ascontiguousarray(column))
        root.attrs["tiles"] = n
        root.attrs[MARK] = {"written_by": by.mark}


def is_maps(path: str | Path) -> bool:
    """Whether maps lie here."""
    return _KEY in root_attributes(Path(path).expanduser())


def open_maps(path: str | Path) -> LabelMaps:
    """Read maps.

    Raises
    ------
    AnlageError
        If there are none, or they were made by a newer version.
    """
    if not is_maps(path):
        raise AnlageError(f"'{path}' holds no maps of a network; make some with `anlage predict … --maps`.")
    root: Any = open_group(Path(path).expanduser())
    try:
        about = MapsAbout.model_validate(root.attrs[_KEY])
    except ValidationError:
        raise AnlageError(f"The maps '{path}' cannot be read by this version; make them again.") from None
    with border(f"The maps '{path}'", MemoryError):
        return LabelMaps(about, tuple(_tile(root[f"tile-{n:06d}"]) for n in range(int(root.attrs["tiles"]))))


def _tile(group: Any) -> TileMaps:
    (t0, t1), z, y, x = (tuple(pair) for pair in group.attrs["box"])
    fine, *at = (np.asarray(group[name][:]) for name in ("fine", *_AXES))
    columns = [np.asarray(group[name][:]) for name in _COLUMNS]
    return TileMaps(Box((t0, t1), z, y, x), fine, (at[0], at[1], at[2]), *columns)
