"""Read the formats of microscope makers (CZI, LIF, ND2) lazily, through the readers of bioio, optional packages."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, VOXEL_EDGES_UM, border, printable
from anlage.installed import install
from anlage.io.lazy import Pixels
from anlage.timelapse import TimeLapse

__all__ = ["VENDOR_SUFFIXES", "is_vendor", "open_vendor", "vendor_images"]


@dataclass(frozen=True, slots=True)
class _Format:
    maker: str
    package: str


_FORMATS = {
    ".czi": _Format("Zeiss", "bioio-czi"),
    ".lif": _Format("Leica", "bioio-lif"),
    ".nd2": _Format("Nikon", "bioio-nd2"),
}
VENDOR_SUFFIXES = tuple(_FORMATS)
_MOST_NAMED = 5
"""Images of a file that a message lists."""


def is_vendor(path: Path) -> bool:
    """Whether it is a file of a microscope maker, by its name, or one of the images in such a file: ``movie.lif/Series003``."""
    return _parts(path) is not None


def open_vendor(path: Path) -> TimeLapse:
    """Open one image of a file, (t, c, z, y, x); a piece is decoded when it is asked for.

    Parameters
    ----------
    path
        The file; where it holds several images, one of them by its name or number (from 0): ``movie.lif/Series003``.

    Raises
    ------
    AnlageError
        If bioio's reader is not installed, the file cannot be read, or holds several images and none is named.
    """
    parts = _parts(path)
    if parts is None:
        raise AnlageError(f"'{path}' is no file of a microscope maker ({', '.join(VENDOR_SUFFIXES)}).")
    file, wanted = parts
    kind = _FORMATS[file.suffix.lower()]
    reader, errors = _reader(file)
    names = [str(name) for name in reader.scenes]
    index = _chosen(file, names, wanted)
    with border(f"'{path}'", *errors):
        reader.set_scene(index)
        pixels = reader.get_image_dask_data("TCZYX")
        channels = [printable(str(name)) for name in reader.channel_names or ()]
        interval = _interval(reader)
    try:
        spacing = _spacing(reader.physical_pixel_sizes)
    except errors:  # an image without a scale
        spacing = None
    source, says = str(path), f"the metadata of {kind.maker}"
    return TimeLapse(
        Pixels(_Computed(pixels), source), "tczyx", spacing=spacing, interval_s=interval,
        channels=tuple(channels) if len(channels) == pixels.shape[1] else (), source=source,
        axes_from=says, spacing_from=says if spacing else "", interval_from=says if interval else "",
    )  # fmt: skip


def vendor_images(path: Path) -> tuple[Path, ...]:
    """The images in a file, as paths that `open_vendor` takes: of a file with one the file itself.

    Raises
    ------
    AnlageError
        If bioio's reader is not installed, or the file cannot be read.
    """
    n = len(_reader(path)[0].scenes)
    return (path,) if n == 1 else tuple(path / str(index) for index in range(n))


def _reader(file: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    """Bioio's reader of a file, and the errors that are its own."""
    kind = _FORMATS[file.suffix.lower()]
    module = kind.package.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        raise AnlageError(
            f"'{file}' is a file of {kind.maker}, which needs the package {kind.package}: {install([kind.package])}"
        )
    library = importlib.import_module(module)  # optional, and seconds to import
    base = importlib.import_module("bioio_base.exceptions")  # comes with it
    metadata = getattr(getattr(library, "metadata", None), "UnsupportedMetadataError", None)  # of some readers
    errors = (base.UnsupportedFileFormatError, *([] if metadata is None else [metadata]))
    with border(f"'{file}'", *errors):
        return library.Reader(str(file)), errors


class _Computed:
    """A dask array whose pieces are computed when they are asked for, in this thread: the libraries beneath share one file."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = array.dtype

    def __getitem__(self, index: Any, /) -> Any:
        return self._array[index].compute(scheduler="synchronous")


def _parts(path: Path) -> tuple[Path, str | None] | None:
    """The file, and which of its images."""
    if path.suffix.lower() in _FORMATS and path.is_file():
        return path, None
    if path.parent.suffix.lower() in _FORMATS and path.parent.is_file():
        return path.parent, path.name
    return None


def _chosen(file: Path, names: Sequence[str], wanted: str | None) -> int:
    said = ", ".join(f"'{printable(name)}'" for name in names[:_MOST_NAMED])
    said += " …" if len(names) > _MOST_NAMED else ""
    if wanted is None:
        if len(names) != 1:
            example = f": give one, for example '{file}/{printable(names[0])}' or '{file}/0'" if names else ""
            raise AnlageError(f"'{file}' holds {len(names)} images ({said}){example}.")
        return 0
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise AnlageError(f"'{file}' holds no image '{wanted}'; its images are {said}, or 0 to {len(names) - 1}.")


def _spacing(sizes_um: Iterable[float | None]) -> Spacing | None:
    """Voxel size, of which z may be unknown in a plane."""
    z, y, x = (size if size is not None and math.isfinite(size) else None for size in sizes_um)
    if y is None or x is None or not all(VOXEL_EDGES_UM.holds(size) for size in (z or 1.0, y, x)):
        return None
    return Spacing(1.0 if z is None else z, y, x)


def _interval(reader: Any) -> float | None:
    """Seconds between frames: said by the reader, or the step of its time axis."""
    found = reader.time_interval
    if isinstance(found, timedelta):
        seconds = found.total_seconds()
    else:
        times = reader.xarray_dask_data.coords.get("T")
        seconds = float(times[1] - times[0]) if times is not None and times.size > 1 else 0.0
    return seconds if INTERVALS_S.holds(seconds) else None
