"""Read OME-Zarr 0.1 to 0.5 (zarr v2 and v3), and zarr arrays without metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, Lt
from pydantic import BaseModel, ConfigDict, ValidationError

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import path_inside
from anlage.io.default_axes import unnamed
from anlage.io.lazy import Pixels
from anlage.io.seals import MARK
from anlage.io.zarr_files.array_description import ArrayLayout
from anlage.io.zarr_files.chunks import check_chunks, find_chunks, presence
from anlage.io.zarr_files.nodes import ZarrNode, is_zarr, members, open_array, read_node
from anlage.io.zarr_files.ome_metadata import (
    Multiscale,
    channel_names,
    label_names,
    letters_of,
    multiscales_of,
    ome_part,
    scale_of,
)
from anlage.timelapse import AXES, TimeLapse

__all__ = ["is_zarr", "is_zipped", "label_groups", "open_zarr"]

_ZIPPED = (".zip", ".zarr.tar", ".zarr.tar.gz", ".zarr.tgz", ".ozx")

_STORE = "anlage_store"
_IMAGE = "image"
Positive = Annotated[float, Gt(0), Lt(1e9)]


class _StoreImage(BaseModel):
    """What a store says of its image."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    spacing_um_zyx: tuple[Positive, Positive, Positive] | None = None
    interval_s: Positive | None = None
    channels: tuple[str, ...] = ()


def is_zipped(path: Path) -> bool:
    """Whether a file is named as a zarr that was packed into one."""
    return path.name.lower().endswith(_ZIPPED)


def open_zarr(path: Path, axes: str | None = None, *, is_labels: bool = False) -> TimeLapse:
    """Open level 0 of an OME-Zarr image, the image of a store of ours, or a bare array.

    Of label images most chunks may be absent, because there is nothing in them.

    Raises
    ------
    AnlageError
        If there is no array, or several and nothing says which is meant; if its chunks are absent.
    """
    node = read_node(path)
    if node.layout is not None:
        return _open_array(node, node.layout, axes, is_labels=is_labels)
    multiscales = multiscales_of(node.attributes, path)
    if multiscales:
        return _open_multiscale(node, multiscales[0], path, axes, is_labels=is_labels)
    if is_zarr(path / _IMAGE) and read_node(path / _IMAGE).layout is not None:
        return _open_store(node, axes)
    return open_zarr(_only_child(node), axes, is_labels=is_labels)


def label_groups(path: Path) -> list[Path]:
    """Paths of the label images that an OME-Zarr carries."""
    labels = path / "labels"
    if not is_zarr(labels):
        return []
    names = label_names(read_node(labels).attributes, labels)
    paths = [path_inside(labels, name, f"A label image of '{path}'") for name in names]
    return [place for place in paths if is_zarr(place)]


def _open_multiscale(
    group: ZarrNode, multiscale: Multiscale, path: Path, axes: str | None, *, is_labels: bool
) -> TimeLapse:
    """The finest of its levels."""
    dataset = multiscale.datasets[0]
    place = path_inside(group.path, dataset.path, f"The largest level of '{path}'")
    layout = read_node(place).layout if is_zarr(place) else None
    if layout is None:
        raise AnlageError(f"'{path}' is an OME-Zarr without its largest level ('{dataset.path}'); copy it again.")
    array = open_array(place)
    letters = letters_of(multiscale, array.ndim, path)
    scale = scale_of(multiscale, dataset, array.shape, letters)
    found = axes or letters or unnamed(array.ndim)
    n_channels = dict(zip(found, array.shape, strict=False)).get("c", 1)
    return TimeLapse(
        _pixels(array, layout, place, path, found, written=_written(group), is_labels=is_labels), found, spacing=scale.spacing, interval_s=scale.interval_s,
        channels=channel_names(group.attributes, n_channels), source=str(path),
        axes_from="given" if axes else "the OME-Zarr metadata" if letters else "their count",
        spacing_from=scale.spacing_from, interval_from=scale.interval_from,
    )  # fmt: skip


def _open_array(node: ZarrNode, layout: ArrayLayout, axes: str | None, *, is_labels: bool) -> TimeLapse:
    path = node.path
    if axes is None and is_zarr(path.parent):
        # movie.zarr/0 was given: the group above it knows the axes and scale
        parent = read_node(path.parent)
        for multiscale in multiscales_of(parent.attributes, path.parent):
            for dataset in multiscale.datasets:
                if (path.parent / dataset.path).resolve() == path.resolve():
                    alone = multiscale.model_copy(update={"datasets": [dataset]})
                    return _open_multiscale(parent, alone, path, None, is_labels=is_labels)
    array = open_array(path)
    named = node.attributes.get("_ARRAY_DIMENSIONS")
    names = layout.names or (named if isinstance(named, list) else ())
    letters = "".join(str(name).lower()[:1] for name in names)
    is_named = len(letters) == array.ndim == len(set(letters)) and set(letters) <= set(AXES)
    found = axes or (letters if is_named else unnamed(array.ndim))
    source = "given" if axes else "the names in the array" if is_named else "their count"
    pixels = _pixels(array, layout, path, path, found, is_labels=is_labels)
    return TimeLapse(pixels, found, source=str(path), axes_from=source)


def _written(group: ZarrNode) -> int | None:
    """Chunks that we counted when we wrote the image; None where somebody else wrote it."""
    mark = group.attributes.get(MARK)
    n = mark.get("chunks") if isinstance(mark, dict) else None
    return n if isinstance(n, int) else None


def _pixels(
    array: Any, layout: ArrayLayout, place: Path, path: Path, axes: str, *, written: int | None = None, is_labels: bool
) -> Pixels:
    """Pixels of an array, with what is to be said of its absent chunks."""
    time = axes[: array.ndim].find("t")  # axes that were given may be too many, which is said later
    chunks = find_chunks(place, layout)
    doubt, refusal = check_chunks(chunks, path, None if time < 0 else time, written=written, sparse=is_labels)
    if (was_there := presence(chunks)) is not None:
        array.store.expect(was_there)
    return Pixels(array, str(path), () if doubt is None else (doubt,), refusal)


def _open_store(node: ZarrNode, axes: str | None) -> TimeLapse:
    """The image of a store: (t, c, z, y, x), its voxel size among the attributes of the group."""
    path, about = node.path, node.attributes
    try:
        known = _StoreImage.model_validate(about.get(_STORE, about))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise AnlageError(
            f"The description of '{path}' is damaged at '{where}' ({first['msg']}); copy it again."
        ) from None
    array = open_array(path / _IMAGE)
    n_channels = array.shape[1] if array.ndim == 5 else 1
    spacing, interval_s = known.spacing_um_zyx, known.interval_s
    return TimeLapse(
        Pixels(array, str(path)), axes or unnamed(array.ndim), spacing=Spacing(*spacing) if spacing else None,
        interval_s=interval_s, channels=known.channels if len(known.channels) == n_channels else (),
        source=str(path), axes_from="given" if axes else "their count", spacing_from="the store" if spacing else "",
        interval_from="the store" if interval_s else "",
    )  # fmt: skip


def _only_child(node: ZarrNode) -> Path:
    """The one image in a group."""
    path = node.path
    if "plate" in ome_part(node.attributes):
        raise AnlageError(f"'{path}' is a plate of many images; open one of its fields, for example '{path}/A/1/0'.")
    names = members(path)
    images = [name for name in names if _is_image(read_node(path / name))]
    if not images:
        raise AnlageError(f"The zarr '{path}' holds no image; its members are {list(names)}.")
    if len(images) > 1:
        raise AnlageError(
            f"The zarr '{path}' holds {len(images)} images {images}; open one, for example '{path}/{images[0]}'."
        )
    return path / images[0]


def _is_image(node: ZarrNode) -> bool:
    return (node.layout is not None and not node.layout.is_text) or "multiscales" in ome_part(node.attributes)
