"""Read BigDataViewer's HDF5 lazily: an XML that describes it, and the file beside it; the finest level of each setup, which is a channel."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import VOXEL_EDGES_UM, border, path_inside
from anlage.io.lazy import Pixels
from anlage.io.units import um
from anlage.timelapse import TimeLapse

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
        If it declares a document type, is of another format than HDF5, or its parts differ in shape.
    """
    import h5py  # as everywhere, only where such a file is opened

    text = path.read_bytes()[:_MOST_BYTES]
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise AnlageError(
            f"'{path}' declares a document type, which no XML of BigDataViewer does; save it there again."
        )
    with border(f"The XML '{path}'"):
        root = ElementTree.fromstring(text)  # noqa: S314  without a document type there are no entities
    named = root.find(".//ImageLoader/hdf5")
    if named is None:
        raise AnlageError(
            f"'{path}' describes no HDF5 (bdv.hdf5), the only format of BigDataViewer that is read; export it as HDF5."
        )
    place = path_inside(path.parent, (named.text or "").strip(), f"The file that '{path.name}' names")
    with border(f"'{place}'"):
        file = h5py.File(place, "r")
    try:
        cells = _Cells(file, place)
    except BaseException:
        file.close()
        raise
    weakref.finalize(cells, file.close)
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


class _Cells:
    """The finest level of all time points and setups, as one array; 16 bits are stored as signed numbers and are none."""

    def __init__(self, file: Any, place: Path) -> None:
        times = sorted(name for name in file if name[:1] == "t" and name[1:].isdecimal())
        setups = sorted(name for name in (file[times[0]] if times else ()) if name[:1] == "s")
        if not setups:
            raise AnlageError(f"'{place}' holds no time point of BigDataViewer; export it again.")
        self._parts = [[_part(file, f"{t}/{s}/0/cells", place) for s in setups] for t in times]
        shapes = {part.shape for row in self._parts for part in row}
        if len(shapes) > 1 or len(next(iter(shapes))) != 3:
            raise AnlageError(
                f"The parts of '{place}' differ in shape ({sorted(shapes)[:3]}); only images of one shape are read."
            )
        self.shape = (len(times), len(setups), *next(iter(shapes)))
        stored = self._parts[0][0].dtype
        self.dtype: np.dtype[Any] = np.dtype(np.uint16) if stored == np.int16 else stored

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        times, setups, *inner = index
        rows = [
            np.stack([self._parts[t][s][tuple(inner)] for s in range(*setups.indices(self.shape[1]))])
            for t in range(*times.indices(self.shape[0]))
        ]
        return np.stack(rows).view(self.dtype)


def _part(file: Any, name: str, place: Path) -> Any:
    """A dataset of the file itself: a link to another file is not followed."""
    import h5py

    with border(f"'{place}'"):
        link, part = file.get(name, getlink=True), file[name]
    if isinstance(link, h5py.ExternalLink) or part.file.filename != file.filename or part.is_virtual or part.external:
        raise AnlageError(
            f"'{name}' of '{place}' lies in another file, where nothing is read; export it again as one file."
        )
    return part
