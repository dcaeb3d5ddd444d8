"""Read TIFF lazily: OME, ImageJ or plain."""

from __future__ import annotations

import html
import re
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anlage.errors import AnlageError
from anlage.foreign import border, is_inside, printable
from anlage.io.default_axes import unnamed
from anlage.io.lazy import Pixels
from anlage.io.raw_pixels import RawPixels
from anlage.io.tiff_integrity import count_pages
from anlage.io.tiff_metadata import Scale, imagej_scale, ome_scale
from anlage.timelapse import TimeLapse

__all__ = ["TIFF_SUFFIXES", "open_tiff"]

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2", ".lsm", ".stk")
_FILE_NAME = re.compile(r"""FileName\s*=\s*(["'])(.*?)\1""")
"""Other files of a set, in OME-XML."""
_COLOURS = ("red", "green", "blue", "alpha")


@dataclass(frozen=True, slots=True)
class _Axes:
    letters: str
    source: str
    is_colour: bool = False


def open_tiff(path: Path, axes: str | None = None, *, one_frame: bool = False) -> TimeLapse:
    """Open one TIFF file.

    Pixels stored in one uncompressed piece are read from it, others are decoded page by page (or tile by tile) when
    asked for. Several threads may read at once.

    Parameters
    ----------
    path
        The file.
    axes
        Overrides the axes of the file, one letter of tczyx for each, in the order of the file.
    one_frame
        The file is one frame of a folder: unnamed axes then mean yx, zyx, czyx.

    Raises
    ------
    AnlageError
        If the file is cut or damaged, needs a codec that is not installed, or its axes are unknown.
    """
    import tifffile

    # Zeiss LSM files state wrong lengths of compressed strips, which tifffile can repair
    if path.suffix.lower() != ".lsm" and count_pages(path) is None:
        raise _cut(path)
    with border(f"The TIFF '{path}'", tifffile.TiffFileError):
        file = tifffile.TiffFile(path)
    try:
        # tifffile reads a file bit by bit, whenever something is asked of it
        with border(f"The TIFF '{path}'", tifffile.TiffFileError):
            timelapse, is_raw = _open(file, path, axes, one_frame=one_frame)
    except BaseException:
        file.close()
        raise
    if is_raw:
        file.close()
    else:
        weakref.finalize(timelapse.data, file.close)
    return timelapse


def _open(file: Any, path: Path, axes: str | None, *, one_frame: bool) -> tuple[TimeLapse, bool]:
    """The image, and whether its pixels lie uncompressed in one piece."""
    import zarr

    _check_others(file, path)
    if not file.series:
        raise AnlageError(f"'{path}' holds no image.")
    series = file.series[0]
    parts = {str(page.parent.filehandle.path) for page in series.pages if page is not None} if file.is_ome else set()
    if any(not is_inside(Path(part), path.parent) for part in parts):
        raise _elsewhere(path, sorted(parts)[0])
    _check_complete(file, series, path)
    _check_codec(series, path)
    found, series_shape = _axes(file, series, axes, path, one_frame=one_frame)
    raw = _raw(series, path)
    array = raw if raw is not None else zarr.open_array(series.aszarr(level=0), mode="r")
    if tuple(array.shape) != series_shape:  # given axes may name those of length 1 that tifffile leaves out
        array = _Reshaped(array, series_shape) if raw is None else raw.reshape(series_shape)
    if len(file.series) > 1:
        found = replace(found, source=f"{found.source}; the first of {len(file.series)} images in the file")
    scale = _scale(file, series, found)
    channels = scale.channels
    n_channels = dict(zip(found.letters, series_shape, strict=False)).get("c", 1)
    if found.is_colour and n_channels in (3, 4):
        channels = _COLOURS[:n_channels]
    timelapse = TimeLapse(
        Pixels(array, str(path)),
        found.letters,
        spacing=scale.spacing,
        interval_s=scale.interval_s,
        channels=channels if len(channels) == n_channels else (),
        source=str(path),
        axes_from=found.source,
        spacing_from=scale.spacing_from,
        interval_from=scale.interval_from,
    )
    return timelapse, raw is not None


def _raw(series: Any, path: Path) -> RawPixels | None:
    """Pixels that lie uncompressed in one piece; None where they do not."""
    if series.dataoffset is None or series.nbytes <= 0:
        return None
    dtype = series.dtype.newbyteorder(series.keyframe.parent.byteorder)
    return RawPixels(path, dtype, series.dataoffset, series.shape)


class _Reshaped:
    """Axes of length 1 put in front of or between those of an array, by leaving them out of the index."""

    def __init__(self, array: Any, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.dtype = array.dtype
        self._array = array

    def __getitem__(self, index: Any, /) -> Any:
        kept = tuple(part for part, n in zip(index, self.shape, strict=True) if n != 1)
        # the array itself may still have axes of length 1 (a shaped TIFF): read them whole
        parts = iter(kept)
        inner = tuple(slice(None) if n == 1 else next(parts) for n in self._array.shape)
        piece = np.asarray(self._array[inner])
        lengths = [len(range(*part.indices(n))) for part, n in zip(index, self.shape, strict=True)]
        return piece.reshape(lengths)


def _check_others(file: Any, path: Path) -> None:
    """Refuse an OME-TIFF of several files of which one lies outside its folder, before any of them is opened."""
    for _, name in _FILE_NAME.findall(file.ome_metadata or "" if file.is_ome else ""):
        plain = html.unescape(name)
        if not is_inside(path.parent / plain, path.parent) or (
            (path.parent / plain).exists() and not (path.parent / plain).is_file()
        ):
            raise _elsewhere(path, plain)


def _elsewhere(path: Path, name: str) -> AnlageError:
    return AnlageError(
        f"'{path}' says that some of its planes lie in '{printable(name[:100])}', outside its folder, where nothing is read; put "
        "all files of the set into one folder."
    )


def _check_complete(file: Any, series: Any, path: Path) -> None:
    if series.dataoffset is not None and series.dataoffset + series.nbytes > path.stat().st_size:
        raise _cut(path)
    promised = int((file.imagej_metadata or {}).get("images", 1)) if file.is_imagej else 1
    planes = 1
    for n, letter in zip(series.shape, series.axes, strict=True):
        planes *= n if letter not in "YXS" else 1
    if promised > planes:
        raise _cut(path)
    missing = sum(page is None for page in series.pages) if series.kind == "ome" else 0
    if missing:
        raise AnlageError(
            f"'{path}' lacks {missing} of its {len(series.pages)} planes; put all files of the set into one folder, "
            "or save the image again as one file."
        )


def _check_codec(series: Any, path: Path) -> None:
    import tifffile

    codec = series.keyframe.compression
    try:
        tifffile.TIFF.DECOMPRESSORS[codec]
    except KeyError:
        raise AnlageError(
            f"'{path}' is compressed with {getattr(codec, 'name', codec)}, which needs the package imagecodecs: "
            "pip install imagecodecs."
        ) from None


def _axes(file: Any, series: Any, axes: str | None, path: Path, *, one_frame: bool) -> tuple[_Axes, tuple[int, ...]]:
    squeezed = tuple(int(n) for n in series.shape)
    if axes is not None:
        full = _with_singles(series)
        return _Axes(axes, "given"), full if len(axes) == len(full) else squeezed
    letters = series.axes.upper()
    if series.kind == "shaped" and letters.find("S") not in (-1, len(letters) - 1):
        letters = letters.replace("S", "Q")  # tifffile takes any axis of length 3 or 4 before y for planes of colour
    named = "the OME metadata" if series.kind == "ome" else "the ImageJ metadata" if file.is_imagej else "the file"
    is_colour = "S" in letters
    rest = letters.replace("S", "")
    if not set(rest) - set("TCZYX"):
        found = rest.lower()
        named = named if series.kind in ("ome", "imagej") or len(rest) > 2 else "their count"
    elif set(rest[:-2]) <= set("QI") and rest.endswith("YX"):
        found = unnamed(len(rest), one_frame=one_frame)
        named = "their count"
    else:
        raise AnlageError(
            f"The axes '{letters}' of '{path}' (shape {squeezed}) are not all known; name them, for example --axes tzyx."
        )
    if is_colour and "c" in found:
        raise AnlageError(
            f"'{path}' has both channels and colours ({letters}, shape {squeezed}); save it with one axis of channels."
        )
    if is_colour:
        place = letters.index("S")
        found = found[:place] + "c" + found[place:]
    return _Axes(found, named, is_colour=is_colour), squeezed


def _with_singles(series: Any) -> tuple[int, ...]:
    """The shape with the axes of length 1 that tifffile leaves out, but without samples of a grey pixel."""
    full = tuple(int(n) for n in series.get_shape(squeeze=False))
    return full[:-1] if series.get_axes(squeeze=False)[-1] == "S" and full[-1] == 1 else full


def _scale(file: Any, series: Any, axes: _Axes) -> Scale:
    n_planes = dict(zip(axes.letters, series.shape, strict=False)).get("z", 1)
    if series.kind == "ome" and file.ome_metadata:
        return ome_scale(file.ome_metadata, n_planes)
    if file.is_imagej:
        tags = file.pages[0].tags
        resolution = [tags[name].value if name in tags else None for name in ("XResolution", "YResolution")]
        return imagej_scale(file.imagej_metadata or {}, resolution, n_planes)
    return Scale()


def _cut(path: Path) -> AnlageError:
    return AnlageError(
        f"'{path}' is cut short: its {path.stat().st_size} bytes end before the pixels it promises; copy it again."
    )
