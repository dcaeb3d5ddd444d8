"""OME-Zarr 0.4 (zarr v2) and 0.5 (zarr v3), and zarr arrays without metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.axes_of import unnamed
from anlage.io.lazy import Pixels
from anlage.io.tiff_metadata import Scale
from anlage.io.units import seconds, um
from anlage.timelapse import AXES, TimeLapse

if TYPE_CHECKING:
    import zarr

__all__ = ["is_zarr", "label_groups", "open_zarr", "open_zarr_node"]

_MARKERS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Whether the folder is a zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in _MARKERS)


def open_zarr_node(path: Path) -> zarr.Group | zarr.Array[Any]:
    """Open the array or group at a path.

    Raises
    ------
    AnlageError
        If it is no zarr, or its metadata cannot be read.
    """
    import zarr
    import zarr.errors

    try:
        return zarr.open(path, mode="r")
    except (OSError, ValueError, KeyError, TypeError, zarr.errors.BaseZarrError) as error:
        raise AnlageError(f"'{path}' cannot be read as a zarr ({error}).") from error


def open_zarr(path: Path, axes: str | None = None) -> TimeLapse:
    """Open level 0 of an OME-Zarr image, the image of a store of ours, or a bare array.

    Raises
    ------
    AnlageError
        If there is no array, or several and nothing says which is meant.
    """
    import zarr

    node = open_zarr_node(path)
    if isinstance(node, zarr.Array):
        return _open_array(node, path, axes)
    multiscales = attributes(node).get("multiscales")
    if multiscales:
        return _open_multiscale(node, multiscales[0], path, axes)
    if "image" in node and isinstance(node["image"], zarr.Array):
        return _open_store(node, path, axes)
    return _open_only_child(node, path, axes)


def attributes(node: Any) -> dict[str, Any]:
    """The OME part of the attributes: below "ome" since 0.5, at the top before."""
    found = dict(node.attrs)
    ome = found.get("ome")
    return dict(ome) if isinstance(ome, Mapping) else found


def label_groups(path: Path) -> list[Path]:
    """Paths of the label images that an OME-Zarr carries."""
    labels = path / "labels"
    if not is_zarr(labels):
        return []
    names = attributes(open_zarr_node(labels)).get("labels", [])
    return [labels / str(name) for name in names if is_zarr(labels / str(name))]


def _open_multiscale(group: zarr.Group, multiscale: Mapping[str, Any], path: Path, axes: str | None) -> TimeLapse:
    try:
        dataset = multiscale["datasets"][0]
        array = group[dataset["path"]]
    except (KeyError, IndexError) as error:
        raise AnlageError(f"'{path}' is an OME-Zarr without its largest level ({error}); copy it again.") from error
    letters = _letters(multiscale.get("axes"), array.ndim, path)
    scale = _scale(multiscale, dataset, array.shape, letters)
    found = axes or letters or unnamed(array.ndim)
    n_channels = dict(zip(found, array.shape, strict=False)).get("c", 1)
    names = _channel_names(attributes(group), n_channels)
    return TimeLapse(
        Pixels(array, str(path)), found, spacing=scale.spacing, interval_s=scale.interval_s, channels=names,
        source=str(path), axes_from="given" if axes else "the OME-Zarr metadata" if letters else "their count",
        spacing_from=scale.spacing_from, interval_from=scale.interval_from,
    )  # fmt: skip


def _letters(axes: Sequence[Any] | None, n_dimensions: int, path: Path) -> str | None:
    """Axes of a multiscale as letters; None for versions that name none (0.1 and 0.2 are always tczyx)."""
    if not axes:
        return "tczyx" if n_dimensions == 5 else None
    letters = ""
    for axis in axes:
        name = str(axis["name"] if isinstance(axis, Mapping) else axis).lower()
        kind = axis.get("type") if isinstance(axis, Mapping) else None
        letters += {"time": "t", "channel": "c"}.get(str(kind), name[:1])
    if set(letters) - set(AXES) or len(letters) != n_dimensions:
        raise AnlageError(
            f"The axes {list(axes)} of '{path}' cannot be read as some of t, c, z, y, x; name them, for example --axes tczyx."
        )
    return letters


def _scale(
    multiscale: Mapping[str, Any], dataset: Mapping[str, Any], shape: Sequence[int], letters: str | None
) -> Scale:
    if letters is None:
        return Scale()
    factors = [1.0] * len(letters)
    for holder in (dataset, multiscale):
        for transform in holder.get("coordinateTransformations") or []:
            steps = transform.get("scale")
            if transform.get("type") == "scale" and steps is not None and len(steps) == len(factors):
                factors = [a * float(b) for a, b in zip(factors, steps, strict=True)]
    steps_of = dict(zip(letters, factors, strict=True))
    axes = multiscale.get("axes") or []
    units = {a: axis.get("unit") if isinstance(axis, Mapping) else None for a, axis in zip(letters, axes, strict=False)}
    spacing, spacing_from = _spacing(steps_of, units, dict(zip(letters, shape, strict=True)).get("z", 1))
    interval_s = seconds(steps_of.get("t"), units.get("t"))
    return Scale(spacing, interval_s, (), spacing_from, "the OME-Zarr metadata" if interval_s else "")


def _spacing(steps: Mapping[str, float], units: Mapping[str, str | None], n_planes: int) -> tuple[Spacing | None, str]:
    space = [axis for axis in "zyx" if axis in steps]
    source = "the OME-Zarr metadata"
    if not any(units.get(axis) for axis in space):
        if all(steps[axis] == 1 for axis in space):
            return None, ""  # writers put 1 where nothing is known
        units, source = dict.fromkeys(space, "micrometer"), "the OME-Zarr metadata (no unit there, so taken as µm)"
    lengths = {axis: um(steps[axis], units.get(axis)) for axis in space}
    y, x = lengths.get("y"), lengths.get("x")
    z = lengths.get("z") or (y if n_planes == 1 else None)
    if z is None or y is None or x is None:
        return None, ""
    return Spacing(z, y, x), source


def _channel_names(found: Mapping[str, Any], n_channels: int) -> tuple[str, ...]:
    channels = (found.get("omero") or {}).get("channels") or []
    names = tuple(str(channel.get("label") or f"channel {i}") for i, channel in enumerate(channels))
    return names if len(names) == n_channels else ()


def _open_array(array: zarr.Array[Any], path: Path, axes: str | None) -> TimeLapse:
    parent = path.parent
    if axes is None and is_zarr(parent):
        # movie.zarr/0 was given: the group above it knows the axes and scale
        for multiscale in attributes(open_zarr_node(parent)).get("multiscales") or []:
            for dataset in multiscale.get("datasets") or []:
                if (parent / str(dataset.get("path"))).resolve() == path.resolve():
                    alone = {**multiscale, "datasets": [dataset]}
                    return _open_multiscale(open_zarr_node(parent), alone, path, None)
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = "".join(str(name).lower()[:1] for name in names or ())
    is_named = len(letters) == array.ndim == len(set(letters)) and set(letters) <= set(AXES)
    found = axes or (letters if is_named else unnamed(array.ndim))
    source = "given" if axes else "the names in the array" if is_named else "their count"
    return TimeLapse(Pixels(array, str(path)), found, source=str(path), axes_from=source)


def _open_store(group: zarr.Group, path: Path, axes: str | None) -> TimeLapse:
    """The image of a store: (t, c, z, y, x), its voxel size among the attributes of the group."""
    about = dict(group.attrs)
    about = next((dict(value) for key, value in about.items() if isinstance(value, Mapping) and "anlage" in key), about)
    array = group["image"]
    spacing = about.get("spacing_um_zyx")
    interval_s = about.get("interval_s")
    names = tuple(str(name) for name in about.get("channels") or ())
    n_channels = array.shape[1] if array.ndim == 5 else 1
    return TimeLapse(
        Pixels(array, str(path)), axes or unnamed(array.ndim), spacing=Spacing(*spacing) if spacing else None,
        interval_s=float(interval_s) if interval_s else None, channels=names if len(names) == n_channels else (),
        source=str(path), axes_from="given" if axes else "their count", spacing_from="the store" if spacing else "",
        interval_from="the store" if interval_s else "",
    )  # fmt: skip


def _open_only_child(group: zarr.Group, path: Path, axes: str | None) -> TimeLapse:
    import zarr

    found = attributes(group)
    if "plate" in found:
        raise AnlageError(f"'{path}' is a plate of many images; open one of its fields, for example '{path}/A/1/0'.")
    images = sorted(
        name for name, node in group.members() if isinstance(node, zarr.Array) or "multiscales" in attributes(node)
    )
    if not images:
        raise AnlageError(f"The zarr '{path}' holds no image; its members are {sorted(group.keys())}.")
    if len(images) > 1:
        raise AnlageError(
            f"The zarr '{path}' holds {len(images)} images {images}; open one, for example '{path}/{images[0]}'."
        )
    return open_zarr(path / images[0], axes)
