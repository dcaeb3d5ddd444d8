"""Write images: OME-Zarr 0.5 and OME-TIFF, frame by frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.mask_records import MaskRecord, tiff_tags, zarr_part
from anlage.io.seals import LIBRARY, MARK, Writer
from anlage.io.zarr_files.chunks import count_chunks

__all__ = ["LABELS", "tiff_about", "write_image", "write_tiff", "zarr_about"]

LABELS = "labels"
"""Kind of the images that hold labels."""

_CHUNK_VOXELS = 1 << 20
_COLOURS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def write_image(  # noqa: PLR0913 - all that an image says of itself
    path: str | Path,
    data_tczyx: npt.NDArray[Any] | Iterable[npt.NDArray[Any]],
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    channels: Sequence[str] = (),
    axes: str = "tczyx",
    kind: str = "image",
    record: MaskRecord | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write an image as OME-Zarr 0.5 (zarr v3, one level); frames of an iterator are never together in memory.

    An image that the same writer wrote to `path` before is replaced at the end, in one step; anything else there is refused,
    unless `by` says otherwise. Missing parent folders are made.

    Parameters
    ----------
    path
        The folder, by custom ``NAME.ome.zarr``.
    data_tczyx
        The whole (t, c, z, y, x), or its frames (c, z, y, x) one after the other. With other `axes` accordingly.
    spacing, interval_s
        Voxel size in µm and time step in s.
    channels
        A name for each channel.
    axes
        What the data has of tczyx, in this order, beginning with t: labels are ``tzyx``.
    kind
        What it is, for example ``heat-map``: kept in the file.
    record
        Of labels, who found their nuclei.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If there is no frame, frames differ in shape, something else is at `path`, or the disk is full.
    """
    import zarr

    by = by.of(kind)
    with replacing(path, by) as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=3)
        array: zarr.Array[Any] | None = None
        for t, frame in enumerate(_frames(data_tczyx, axes, path)):
            if array is None:
                array = _create(group, frame, axes)
            else:
                array.resize((t + 1, *frame.shape))
            array[t] = frame
        if array is None:
            raise AnlageError(f"There is no frame to write to '{path}'.")
        n_channels = dict(zip(axes, array.shape, strict=True)).get("c", 1)
        names = list(channels) if len(channels) == n_channels else [f"channel {i}" for i in range(n_channels)]
        group.attrs["ome"] = _metadata(Path(path).name, axes, spacing, interval_s, names, array.dtype)
        counted = {"chunks": count_chunks(temporary / "0")}
        group.attrs[MARK] = {"kind": kind, "written_by": by.mark, **counted, **zarr_part(record)}


def write_tiff(  # noqa: PLR0913 - all that an image says of itself
    path: str | Path,
    data_tczyx: npt.NDArray[Any] | Iterable[npt.NDArray[Any]],
    *,
    n_frames: int | None = None,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    channels: Sequence[str] = (),
    axes: str = "tczyx",
    record: MaskRecord | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write an image as OME-TIFF (zlib), frame by frame; an iterator needs the number of frames beforehand.

    Parameters are those of `write_image`.

    Raises
    ------
    AnlageError
        If there is no frame, frames differ in shape or number, or the disk is full.
    """
    import tifffile

    if isinstance(data_tczyx, np.ndarray):
        n_frames = len(data_tczyx)
    frames = _frames(data_tczyx, axes, path)
    first = next(frames, None)
    if first is None or n_frames is None:
        raise AnlageError(f"There is no frame to write to '{path}', or their number is unknown.")
    shape = (n_frames, *first.shape)
    about = tiff_about(axes, spacing, interval_s)
    if channels and "c" in axes:
        about["Channel"] = {"Name": list(channels)}
    by = by.of("image" if "c" in axes else LABELS)
    with replacing(path, by) as temporary:
        tifffile.imwrite(
            temporary, _planes(first, frames, n_frames, path), shape=shape, dtype=first.dtype, ome=True,
            bigtiff=int(np.prod(shape)) * first.dtype.itemsize > 1 << 31, photometric="minisblack", compression="zlib",
            metadata=about, software=by.mark, extratags=tiff_tags(record),
        )  # fmt: skip


def tiff_about(axes: str, spacing: Spacing | None, interval_s: float | None) -> dict[str, Any]:
    """What an OME-TIFF says of itself, as tifffile takes it."""
    about: dict[str, Any] = {"axes": axes.upper()}
    if spacing:
        about |= {f"PhysicalSize{a.upper()}": getattr(spacing, a) for a in "zyx"}
        about |= {f"PhysicalSize{a}Unit": "µm" for a in "ZYX"}
    if interval_s:
        about |= {"TimeIncrement": interval_s, "TimeIncrementUnit": "s"}
    return about


def zarr_about(
    name: str, axes: str, spacing: Spacing | None, interval_s: float | None, dtype: np.dtype[Any], mark: str
) -> dict[str, Any]:
    """Attributes of labels as an OME-Zarr of ours with one level, ``0``."""
    return {"ome": _metadata(name, axes, spacing, interval_s, [], dtype), MARK: {"kind": LABELS, "written_by": mark}}


def _frames(
    data: npt.NDArray[Any] | Iterable[npt.NDArray[Any]], axes: str, path: str | Path
) -> Iterator[npt.NDArray[Any]]:
    if not axes.startswith("t") or [a for a in "tczyx" if a in axes] != list(axes):
        raise AnlageError(f"The axes '{axes}' are not some of tczyx in this order, beginning with t.")
    shape: tuple[int, ...] | None = None
    for t, piece in enumerate(data):
        frame = np.asarray(piece)
        frame = frame.astype(np.uint8) if frame.dtype == bool else frame
        shape = shape or frame.shape
        if frame.shape != shape or frame.ndim != len(axes) - 1:
            raise AnlageError(
                f"Frame {t} for '{path}' has the shape {frame.shape}; needed is {axes[1:]}, the same for all ({shape})."
            )
        yield frame


def _create(group: Any, frame: npt.NDArray[Any], axes: str) -> Any:
    from zarr.codecs import BloscCodec

    lengths = dict(zip(axes[1:], frame.shape, strict=True))
    y, x = min(lengths["y"], 512), min(lengths["x"], 512)
    z = max(1, min(lengths.get("z", 1), _CHUNK_VOXELS // (y * x)))
    chunk = {"t": 1, "c": 1, "z": z, "y": y, "x": x}
    return group.create_array(
        "0", shape=(1, *frame.shape), dtype=frame.dtype, chunks=tuple(chunk[a] for a in axes), dimension_names=list(axes),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=frame.dtype.itemsize),
    )  # fmt: skip


def _metadata(
    name: str,
    axes: str,
    spacing: Spacing | None,
    interval_s: float | None,
    channels: Sequence[str],
    dtype: np.dtype[Any],
) -> dict[str, Any]:
    """The "ome" attribute of OME-Zarr 0.5."""
    units = {"t": "second" if interval_s else None, **dict.fromkeys("zyx", "micrometer" if spacing else None)}
    steps = {"t": interval_s or 1.0, "c": 1.0, **(dict(zip("zyx", spacing.zyx, strict=True)) if spacing else {})}
    listed: list[dict[str, str]] = []
    for axis in axes:
        unit = units.get(axis)
        listed.append({"name": axis, "type": _TYPES[axis], **({"unit": unit} if unit else {})})
    low, high = (0, float(np.iinfo(dtype).max)) if dtype.kind in "ui" else (0, 1.0)
    window = {"min": low, "max": high, "start": low, "end": high}
    found: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": listed,
                "datasets": [
                    {
                        "path": "0",
                        "coordinateTransformations": [{"type": "scale", "scale": [steps.get(a, 1.0) for a in axes]}],
                    }
                ],
            }
        ],
    }
    if "c" in axes:
        found["omero"] = {
            "channels": [
                {"label": label, "color": _COLOURS[i % len(_COLOURS)], "window": window, "active": True}
                for i, label in enumerate(channels)
            ]
        }
    return found


def _planes(
    first: npt.NDArray[Any], rest: Iterator[npt.NDArray[Any]], n_frames: int, path: str | Path
) -> Iterator[npt.NDArray[Any]]:
    count = itertools.count()
    for frame in itertools.chain([first], rest):
        next(count)
        yield from frame.reshape(-1, *frame.shape[-2:])
    if (n := next(count)) != n_frames:
        raise AnlageError(f"'{path}' was announced with {n_frames} frames, but {n} came.")
