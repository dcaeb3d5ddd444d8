"""Open an image of any format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.folders import open_folder
from anlage.io.kinds import IMAGES, check_kind
from anlage.io.microscope_files.bigdataviewer import is_bdv, open_bdv
from anlage.io.microscope_files.imaris import is_imaris, open_imaris
from anlage.io.microscope_files.vendor import is_vendor, open_vendor, vendor_images
from anlage.io.tiff import TIFF_SUFFIXES, open_tiff
from anlage.io.tiff_integrity import is_tiff
from anlage.io.zarr_files.ome_zarr import is_zarr, is_zipped, open_zarr
from anlage.timelapse import AXES, TimeLapse

__all__ = ["image_paths", "open_image", "reading"]


def open_image(
    path: str | Path, *, axes: str | None = None, spacing: Spacing | None = None, interval_s: float | None = None
) -> TimeLapse:
    """Open an image lazily.

    Read are OME-Zarr (0.1 to 0.5), zarr arrays, TIFF (OME, ImageJ, plain), folders with a TIFF for each frame, BigDataViewer's
    XML with HDF5 or N5, Imaris' IMS, and through bioio CZI, LIF and ND2 (the extra ``vendor``).

    Parameters
    ----------
    path
        File or folder; of a file with several images one of them, by its name or number: ``movie.lif/Series003``.
    axes
        The file's axes in its order, for example ``tzyx``; overrides the file. Unnamed axes mean yx, zyx, tzyx, tczyx by
        their count.
    spacing
        Voxel size in µm; overrides the file.
    interval_s
        Seconds between frames; overrides the file.

    Raises
    ------
    AnlageError
        If there is no such file, it is cut short or damaged, or the format is none of the above.
    """
    letters = checked_axes(axes)
    if is_vendor(Path(path).expanduser()):
        timelapse = _of_axes(open_vendor(Path(path).expanduser()), letters)
        return timelapse.with_scale(spacing, interval_s)
    place = existing(path)
    check_kind(
        place, IMAGES, "an image is needed here: give an OME-Zarr, a TIFF or a folder with one TIFF for each frame"
    )
    if place.is_dir():
        timelapse = open_zarr(place, letters) if is_zarr(place) else open_folder(place, letters)
    elif place.stat().st_size == 0:
        raise AnlageError(f"'{place}' is an empty file; copy it again.")
    elif is_tiff(place):
        timelapse = open_tiff(place, letters)
    elif is_bdv(place):
        timelapse = _of_axes(open_bdv(place), letters)
    elif is_imaris(place):
        timelapse = _of_axes(open_imaris(place), letters)
    elif is_zipped(place):
        raise AnlageError(f"'{place}' is a zipped zarr; unpack it into a folder, and open that.")
    elif place.suffix.lower() in TIFF_SUFFIXES:
        raise AnlageError(f"'{place}' is no TIFF although its name says so; copy or save it again.")
    else:
        raise AnlageError(
            f"'{place}' is of a format that cannot be read ('{place.suffix}'); save it as OME-Zarr or TIFF, for example with Fiji."
        )
    return timelapse.with_scale(spacing, interval_s)


def image_paths(path: str | Path) -> tuple[Path, ...]:
    """The images in a file, as paths that `open_image` takes; of most files and folders this is the path itself.

    Raises
    ------
    AnlageError
        If a package that is needed for it is not installed, or the file cannot be read.
    """
    place = Path(path).expanduser()
    return vendor_images(place) if place.is_file() and is_vendor(place) else (place,)


def _of_axes(timelapse: TimeLapse, axes: str | None) -> TimeLapse:
    """With other axes than its format has; None keeps these."""
    return timelapse if axes is None else replace(timelapse, axes=axes, channels=(), axes_from="given")


def reading(timelapse: TimeLapse) -> str:
    """How an image was read, as one sentence to print: axes, shape, voxel size, time step, and who says so."""
    lengths = dict(zip(AXES, timelapse.shape, strict=True))
    shape = " × ".join(f"{lengths[axis]} {axis}" for axis in AXES if axis in timelapse.axes)
    axes = f" (axes from {timelapse.axes_from})" if timelapse.axes_from else ""
    parts = [f"'{timelapse.source}' is read as {shape}, {timelapse.dtype}{axes}"]
    if timelapse.axes == "zyx" and timelapse.axes_from == "their count":
        parts.append("if its planes are frames of a 2D movie, say --axes tyx")
    if timelapse.n_channels > 1:
        parts.append(f"channels {', '.join(timelapse.channels)}")
    if timelapse.spacing is None:
        parts.append(f"voxel size unknown{_by(timelapse.spacing_from)}")
    else:
        parts.append(f"voxels of {timelapse.spacing}{_by(timelapse.spacing_from)}")
    if timelapse.n_frames > 1:
        known = timelapse.interval_s is not None
        step = (
            f"a frame every {timelapse.interval_s:g} s{_by(timelapse.interval_from)}" if known else "time step unknown"
        )
        parts.append(step)
    return "; ".join(parts) + "."


def existing(path: str | Path) -> Path:
    """The path, which must exist.

    Raises
    ------
    AnlageError
        If it does not.
    """
    place = Path(path).expanduser()
    if not place.exists():
        near = sorted(p.name for p in place.parent.iterdir())[:5] if place.parent.is_dir() else []
        there = f" (in that folder are {', '.join(near)} …)" if near else ""
        raise AnlageError(f"There is no file or folder '{place}'{there}.")
    return place


def checked_axes(axes: str | None) -> str | None:
    """Axes in lower case.

    Raises
    ------
    AnlageError
        If a letter is none of tczyx or stands twice.
    """
    if axes is None:
        return None
    letters = axes.strip().lower()
    if not letters or set(letters) - set(AXES) or len(set(letters)) != len(letters):
        raise AnlageError(f"The axes '{axes}' are not some of the letters t, c, z, y, x, each once, for example tzyx.")
    return letters


def _by(source: str) -> str:
    return f" ({source})" if source else ""
