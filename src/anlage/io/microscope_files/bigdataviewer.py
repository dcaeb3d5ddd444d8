"""Read BigDataViewer's HDF5 and N5 lazily: an XML that describes it, and what lies beside it; the finest level of each setup, which is a channel."""

from __future__ import annotations

import importlib.util
import re
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import VOXEL_EDGES_UM, border, path_inside
from anlage.installed import install
from anlage.io.lazy import Pixels
from anlage.io.microscope_files.hdf5 import own_dataset
from anlage.io.microscope_files.stacked import Stacked
from anlage.io.units import um
from anlage.timelapse import LazyArray, TimeLapse

__all__ = ["is_bdv", "open_bdv"]

_MOST_BYTES = 2**26


def is_bdv(path: Path) -> bool:
    """Whether a file is the XML of BigDataViewer."""
    if path.suffix.lower() != ".xml":
        return False
    with path.open("rb") as file:
        return b"<SpimData" in file.read(1 << 14)


def open_bdv(path: Path) -> TimeLapse:
    """Open the image that an XML describes, (t, c, z, y, x).

    Raises
    ------
    AnlageError
        If it declares a document type, is of another format than HDF5 and N5, or its parts differ in shape.
    """
    text = path.read_bytes()[:_MOST_BYTES]
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise AnlageError(
            f"'{path}' declares a document type, which no XML of BigDataViewer does; save it there again."
        )
    with border(f"The XML '{path}'"):
        root = ElementTree.fromstring(text)  # noqa: S314  without a document type there are no entities
    container = next((c for kind in _CONTAINERS if (c := root.find(f".//ImageLoader/{kind}")) is not None), None)
    if container is None:
        raise AnlageError(
            f"'{path}' describes neither HDF5 (bdv.hdf5) nor N5 (bdv.n5), the formats of BigDataViewer that are read; export it "
            "as one of them."
        )
    place = path_inside(path.parent, (container.text or "").strip(), f"The file that '{path.name}' names")
    cells = _CONTAINERS[container.tag](place)
    names = [setup.findtext("name", "").strip() for setup in root.iterfind(".//ViewSetup")]
    return TimeLapse(
        Pixels(cells, str(path)), "tczyx", spacing=_spacing(root), channels=tuple(names) if len(names) == cells.shape[1] else (), source=str(path),
        axes_from="BigDataViewer's XML", spacing_from="BigDataViewer's XML",
    )  # fmt: skip


def _spacing(root: ElementTree.Element) -> Spacing | None:
    size = root.find(".//ViewSetup/voxelSize")
    words = [] if size is None else size.findtext("size", "").split()
    try:
        x, y, z = (um(float(word), size.findtext("unit", "") if size is not None else "") for word in words)
    except ValueError:
        return None
    if not all(edge is not None and VOXEL_EDGES_UM.holds(edge) for edge in (x, y, z)):
        return None
    return Spacing(float(z or 0), float(y or 0), float(x or 0))


class _Unsigned:
    """Numbers of 16 bits, which BigDataViewer stores in HDF5 as signed ones, as what they are."""

    def __init__(self, part: LazyArray) -> None:
        self._part = part
        self.shape = part.shape
        stored = np.dtype(part.dtype)
        self.dtype: np.dtype[Any] = np.dtype(np.uint16) if stored == np.int16 else stored

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        return np.asarray(self._part[index]).view(self.dtype)


class _N5Array:
    """An array of an N5 container, whose axes are x, y, z there, as (z, y, x)."""

    def __init__(self, place: Path) -> None:
        import tensorstore  # an optional package

        with border(f"The N5 array '{place}'", ValueError):
            kept = {"driver": "n5", "kvstore": {"driver": "file", "path": str(place)}}
            self._array = tensorstore.open(kept, read=True).result().T
        self.shape: tuple[int, ...] = tuple(self._array.shape)
        self.dtype: np.dtype[Any] = self._array.dtype.numpy_dtype

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self._array[index].read().result()
        return found


def _hdf5(place: Path) -> Stacked:
    """The finest level of all time points and setups of an HDF5 file."""
    import h5py  # as everywhere, only where such a file is opened

    with border(f"'{place}'"):
        file = h5py.File(place, "r")
    try:
        times = sorted(name for name in file if name[:1] == "t" and name[1:].isdecimal())
        setups = sorted(name for name in (file[times[0]] if times else ()) if name[:1] == "s")
        _require(setups, place)
        cells = Stacked(
            [[_Unsigned(own_dataset(file, f"{t}/{s}/0/cells", place)) for s in setups] for t in times], place
        )
    except BaseException:
        file.close()
        raise
    weakref.finalize(cells, file.close)
    return cells


def _n5(place: Path) -> Stacked:
    """The finest level of all time points and setups of an N5 container."""
    if importlib.util.find_spec("tensorstore") is None:
        raise AnlageError(f"'{place}' is an N5, which needs the package tensorstore: {install(['tensorstore'])}")
    setups = _numbered(place, "setup")
    times = _numbered(setups[0], "timepoint") if setups else []
    _require(times, place)
    names = [time.name for time in times]
    return Stacked([[_N5Array(setup / name / "s0") for setup in setups] for name in names], place)


def _numbered(folder: Path, word: str) -> list[Path]:
    """Folders that are called by a word and a number, in the order of the numbers."""
    found = [f for f in (folder.iterdir() if folder.is_dir() else ()) if re.fullmatch(rf"{word}\d+", f.name)]
    return sorted(found, key=lambda f: int(f.name.removeprefix(word)))


def _require(found: Sequence[object], place: Path) -> None:
    if not found:
        raise AnlageError(f"'{place}' holds no time point of BigDataViewer; export it again.")


_CONTAINERS = {"hdf5": _hdf5, "n5": _n5}
"""How each is opened, by the name of its element in the XML."""
