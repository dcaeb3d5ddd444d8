"""Open an image of any format."""

from __future__ import annotations

from pathlib import Path

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.bdv import is_bdv, open_bdv
from anlage.io.folders import open_folder
from anlage.io.kinds import IMAGES, check_kind
from anlage.io.tiff import TIFF_SUFFIXES, open_tiff
from anlage.io.tiff_integrity import is_tiff
from anlage.io.zarr_files.ome_zarr import is_zarr, is_zipped, open_zarr
from anlage.timelapse import AXES, TimeLapse

__all__ = ["open_image", "reading"]


def open_image(
    path: str | Path, *, axes: str | None = None, spacing: Spacing | None = None, interval_s: float | None = None
) -> TimeLapse:
    """Open an image lazily: OME-Zarr (0.1 to 0.5), a zarr array, TIFF (OME, ImageJ, plain), a folder of per-frame TIFFs.

    Parameters
    ----------
    path
        File or folder.
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
    place = existing(path)
    check_kind(
        place, IMAGES, "an image is needed here: give an OME-Zarr, a TIFF or a folder with one TIFF for each frame"
    )
    letters = checked_axes(axes)
    if place.is_dir():
        timelapse = open_zarr(place, letters) if is_zarr(place) else open_folder(place, letters)
    elif place.stat().st_size == 0:
        raise AnlageError(f"'{place}' is an empty file; copy it again.")
    elif is_tiff(place):
        timelapse = open_tiff(place, letters)
    elif is_bdv(place):
        timelapse = open_bdv(place)
    elif is_zipped(place):
        raise AnlageError(f"'{place}' is a zipped zarr; unpack it into a folder, and open that.")
    elif place.suffix.lower() in TIFF_SUFFIXES:
        raise AnlageError(f"'{place}' is no TIFF although its name says so; copy or save it again.")
    else:
        raise AnlageError(
            f"'{place}' is of a format that cannot be read ('{place.suffix}'); save it as OME-Zarr or TIFF, for example with Fiji."
        )
    return timelapse.with_scale(spacing, interval_s)


def reading(timelapse: TimeLapse) -> str:
    """How an image was read, as one sentence to print: axes, shape, voxel size, time step, and who says so."""
    lengths = dict(zip(AXES, timelapse.shape, strict=True))
    shape = " × ".join(f"{lengths[axis]} {axis}" for axis in AXES if axis in timelapse.axes)
    axes = f" (axes from {timelapse.axes_from})" if timelapse.axes_from else ""
    parts = [f"'{timelapse.source}' is read as {shape}, {timelapse.dtype}{axes}"]
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
