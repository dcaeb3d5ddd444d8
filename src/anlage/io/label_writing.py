"""Write label images of any size piece by piece: OME-Zarr 0.5 and TIFF."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.io.atomic import replacing
from anlage.io.image_writing import LABELS, tiff_about, zarr_about
from anlage.io.mask_records import MaskRecord, tiff_tags, zarr_part
from anlage.io.seals import LIBRARY, MARK, Writer
from anlage.io.zarr_files.chunks import count_chunks
from anlage.timelapse import TimeLapse

__all__ = ["LabelWriter"]

_CHUNK = {"t": 1, "z": 32, "y": 256, "x": 256}


class LabelWriter:
    """Takes pieces of frames in any order; at the end the whole image is there, before nothing.

    Parameters
    ----------
    path
        File or folder to write: ``.zarr``, ``.tif`` or ``.tiff``.
    image
        The image that is labelled: shape, voxel size, time step.
    axes
        Which of tzyx the labels have.
    dtype
        Type of the labels.
    scratch
        Folder for what is half done.
    record
        Who found what is labelled.
    by
        Who writes, and whether anything may be replaced.
    """

    def __init__(
        self,
        path: Path,
        image: TimeLapse,
        axes: str,
        dtype: np.dtype[Any],
        *,
        scratch: Path,
        record: MaskRecord | None = None,
        by: Writer = LIBRARY,
    ) -> None:
        self._record = record
        self._by = by.of(LABELS)
        self._path, self._image, self._axes, self._dtype, self._scratch = path, image, axes, dtype, scratch
        self._stack = contextlib.ExitStack()
        self._array: Any = None
        self._group: Any = None
        self._temporary = path

    def __enter__(self) -> Self:
        is_zarr = self._path.suffix.lower() == ".zarr"
        self._temporary = self._stack.enter_context(replacing(self._path, self._by))
        folder = self._temporary if is_zarr else self._scratch / ".part-labels.zarr"
        self._array = self._created(folder)
        return self

    def put(self, t: int, box: Box, labels_ZYX: npt.NDArray[Any]) -> None:
        """Write a piece of frame `t`: its box, in voxels of the image (the time range is not looked at)."""
        spans = {"t": slice(t, t + 1), **dict(zip("zyx", box.slices[1:], strict=True))}
        piece = labels_ZYX[None]
        absent = tuple(i for i, axis in enumerate("tzyx") if axis not in self._axes)
        self._array[tuple(spans[axis] for axis in self._axes)] = piece.squeeze(absent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None and self._path.suffix.lower() != ".zarr":
            self._write_tiff()
        elif kind is None:
            mark = {**self._group.attrs[MARK], "chunks": count_chunks(self._temporary / "0")}
            self._group.attrs[MARK] = mark | zarr_part(self._record)
        return self._stack.__exit__(kind, error, trace)

    def _created(self, folder: Path) -> Any:
        import zarr
        from zarr.codecs import BloscCodec

        image = self._image
        lengths = dict(zip("tzyx", image.shape_tzyx, strict=True))
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        about = zarr_about(
            self._path.name, self._axes, image.known_spacing, image.interval_s, self._dtype, self._by.mark
        )
        group.attrs.update({**about, "ome": {**about["ome"], "image-label": {"version": "0.5"}}})
        self._group = group
        return group.create_array(
            "0",
            shape=tuple(lengths[axis] for axis in self._axes),
            dtype=self._dtype,
            chunks=tuple(min(lengths[axis], _CHUNK[axis]) for axis in self._axes),
            dimension_names=list(self._axes),
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=self._dtype.itemsize),
        )

    def _write_tiff(self) -> None:
        import tifffile

        image = self._image
        size = int(np.prod(self._array.shape)) * self._dtype.itemsize
        tifffile.imwrite(
            self._temporary, self._planes(), shape=self._array.shape, dtype=self._dtype, ome=True,
            bigtiff=size > 1 << 31, photometric="minisblack", compression="zlib",
            metadata=tiff_about(self._axes, image.known_spacing, image.interval_s), software=self._by.mark,
            extratags=tiff_tags(self._record),
        )  # fmt: skip

    def _planes(self) -> Iterator[npt.NDArray[Any]]:
        """Planes in order, a few at a time in memory."""
        leading = self._array.shape[:-2]
        if not leading:
            yield np.asarray(self._array[...])
            return
        step = min(leading[-1], _CHUNK["z"])
        for outer in np.ndindex(*leading[:-1]):
            for low in range(0, leading[-1], step):
                yield from np.asarray(self._array[(*outer, slice(low, low + step))])
