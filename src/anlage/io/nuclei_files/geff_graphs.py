"""Read and write nuclei and links as GEFF, the graph exchange file format.

Positions are written in voxels; the axes carry the voxel size in µm and the time step in seconds as their scale.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations, State, track_numbers
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, border, text_array, whole_number
from anlage.io.nuclei_files.foreign_graphs import of_solution, without_zero
from anlage.io.nuclei_files.geff_arrays import check_graph
from anlage.io.seals import MARK
from anlage.io.units import seconds, um
from anlage.io.zarr_files.nodes import is_zarr, members, read_node

__all__ = ["append_nodes", "find_graph", "graph_scale", "read_graph", "time_reading", "write_graph"]

_EXACT = 2**53
"""Up to here a float holds whole numbers exactly."""
_TOLERATED = 0.1
"""Part of a time step by which times may be off it."""
_TRACKS = {"tracklet": "tracklet_id", "lineage": "lineage_id"}
"""Names of the columns with the numbers of tracks and lineages, by what GEFF calls these. They follow from the links."""
_COLUMNS = ("radius_um", "label", "probability", "state", "origin")


@dataclass(frozen=True, slots=True)
class _Axis:
    """One of t, z, y, x: the property that holds it, its unit and scale."""

    name: str
    unit: str | None
    scale: float | None
    scaled_unit: str | None


def write_graph(
    group_path: str | Path,
    annotations: Annotations,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    *,
    mark: str = "",
) -> None:
    """Write nuclei and links as a GEFF (zarr v3) at a path where there is nothing yet.

    A file of its own also says what other programs ask for: the numbers of tracks, which end at divisions, and of lineages;
    radii as spheres; which axis a viewer shows where.

    Parameters
    ----------
    group_path
        The folder; may lie inside another zarr.
    annotations
        Positions in voxels. Properties of one value a nucleus or link are kept; painted labels are not written.
    spacing, interval_s
        Voxel size in µm and time step in s, kept as the scale of the axes.
    mark
        Who writes (`anlage.io.seals.Writer.mark`); empty: it is part of something else.
    """
    import zarr
    from geff import GeffMetadata
    from geff.core_io import write_arrays
    from geff_spec import Axis, DisplayHint  # type: ignore[import-untyped, unused-ignore]

    properties = _node_columns(annotations)
    steps = spacing.zyx if spacing else (None, None, None)
    axes = [
        Axis(name="t", type="time", unit="frame", scale=interval_s, scaled_unit="second" if interval_s else None),
        *(
            Axis(name=name, type="space", unit="pixel", scale=step, scaled_unit="micrometer" if step else None)
            for name, step in zip("zyx", steps, strict=True)
        ),
    ]
    metadata = GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={})
    if mark:
        metadata.display_hints = DisplayHint(
            display_horizontal="x", display_vertical="y", display_depth="z", display_time="t"
        )
        if spacing is not None and np.isfinite(annotations.radius_um).any():
            metadata.sphere = "radius_um"  # in the axes' scaled unit
        if len(annotations.links):
            properties |= _track_columns(annotations)
            metadata.track_node_props = dict(_TRACKS)
    with _quiet():
        write_arrays(
            str(group_path), annotations.ids.astype(np.uint64), properties, annotations.links.astype(np.uint64),
            {name: _column(values) for name, values in annotations.link_properties.items()}, metadata, zarr_format=3,
            structure_validation=False,  # a quarter of the time; whoever reads it looks at it anyway
        )  # fmt: skip
    if mark:
        zarr.open_group(group_path, mode="r+").attrs[MARK] = {"written_by": mark}


def append_nodes(group_path: str | Path, blocks: Iterable[Annotations]) -> None:
    """Add nuclei without links, block by block, to a GEFF that `write_graph` wrote of the first block.

    Parameters
    ----------
    group_path
        The folder.
    blocks
        With the same columns as the first one.
    """
    import zarr

    with _quiet():
        root = zarr.open_group(group_path, mode="r+")
        nodes, about = root["nodes"], dict(root.attrs["geff"])
        for block in blocks:
            nodes["ids"].append(block.ids.astype(np.uint64))
            for name, column in _node_columns(block).items():
                for part, values in column.items():
                    if values is not None:
                        nodes[f"props/{name}/{part}"].append(values)
            for axis, values in zip(about["axes"], block.positions.T, strict=True):
                axis |= {"min": min(axis["min"], float(values.min())), "max": max(axis["max"], float(values.max()))}
        root.attrs["geff"] = about


def read_graph(
    group_path: str | Path, *, spacing: Spacing | None = None, interval_s: float | None = None
) -> Annotations:
    """Read a GEFF (zarr v2 or v3).

    Positions in a unit of length are divided by the voxel size, times in a unit of time by the time step; those in pixels
    and frames, or without a unit, are taken as they are. Where the time step is unknown, it is the common step of the
    times (`time_reading` says so).

    Parameters
    ----------
    group_path
        The folder.
    spacing, interval_s
        Voxel size in µm and time step in s, where the positions need them.

    Raises
    ------
    AnlageError
        If it is no valid GEFF, the axes are not t, z, y, x, or a needed voxel size is unknown.
    """
    geff = _load(Path(group_path))
    axes = _axes(geff, group_path)
    n = len(geff["node_ids"])
    positions = np.zeros((n, 4))
    for i, letter in enumerate("tzyx"):
        if letter in axes:
            positions[:, i] = _in_voxels(geff, axes[letter], letter, _step(letter, spacing, interval_s), group_path)
    used = {axis.name for axis in axes.values()}
    columns = {name: _values(p) for name, p in geff["node_props"].items() if name not in used}
    tracks = geff["metadata"].track_node_props or {}
    if MARK in read_node(Path(group_path)).attributes:
        used |= {name for kind, name in _TRACKS.items() if tracks.get(kind) == name}  # links say it, also after an edit
    columns = {name: values for name, values in columns.items() if values.shape == (n,) and name not in used}
    ids, links = _ids(geff, group_path)
    if not geff["metadata"].directed:
        links = _forward(links, ids, positions[:, 0])
    of_links = {name: _values(p) for name, p in geff["edge_props"].items()}
    found = Annotations.of(
        positions, ids=ids, links=links, properties={k: v for k, v in columns.items() if k not in _COLUMNS},
        link_properties={k: v for k, v in of_links.items() if v.shape == (len(links),)}, **_ours(columns, n),
    )  # fmt: skip
    return of_solution(found, Path(group_path).name)


def graph_scale(group_path: str | Path) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s that a GEFF in voxels carries; None where it carries none."""
    geff = _load(Path(group_path))
    axes = _axes(geff, group_path)
    length = {a: um(axes[a].scale, axes[a].scaled_unit) if a in axes else None for a in "zyx"}
    z, y, x = length["z"] or length["y"], length["y"], length["x"]
    spacing = Spacing(z, y, x) if z and y and x else None
    return spacing, seconds(axes["t"].scale, axes["t"].scaled_unit)


def time_reading(group_path: str | Path) -> str | None:
    """How times become frames where the time step is unknown, as a sentence; None where they are frames already."""
    geff = _load(Path(group_path))
    axis = _axes(geff, group_path)["t"]
    if seconds(1, axis.unit) is None or not len(geff["node_ids"]):
        return None
    times = np.asarray(geff["node_props"][axis.name]["values"], dtype=np.float64)
    step = _common_step(times)
    how = (
        f"they were taken as {step:g} {axis.unit} apart, the common step of the times"
        if step
        else "its times, which have no common step, were numbered in their order"
    )
    return (
        f"The time between frames is unknown and '{group_path}' gives t in {axis.unit}: {how}. "
        "If that is wrong, say --interval S."
    )


def find_graph(path: Path) -> Path | None:
    """The GEFF at a path or, where there is exactly one, in a group directly below it."""
    if not is_zarr(path):
        return None
    if "geff" in read_node(path).attributes:
        return path
    below = [path / name for name in members(path) if "geff" in read_node(path / name).attributes]
    return below[0] if len(below) == 1 else None


def _node_columns(annotations: Annotations) -> dict[str, Any]:
    """All properties of the nuclei."""
    properties: dict[str, Any] = {
        axis: _column(annotations.positions[:, i] if i else annotations.frames) for i, axis in enumerate("tzyx")
    }
    properties |= {name: _column(values) for name, values in annotations.properties.items() if values.ndim == 1}
    return properties | {name: _column(getattr(annotations, name)) for name in _COLUMNS}


def _track_columns(annotations: Annotations) -> dict[str, Any]:
    """Numbers of tracks and lineages, which take the place of properties of these names."""
    order = np.argsort(annotations.ids, kind="stable")
    rows = order[np.searchsorted(annotations.ids[order], annotations.links)]
    found = track_numbers(len(annotations), rows)
    return {name: _column(numbers) for name, numbers in zip(_TRACKS.values(), found, strict=True)}


def _column(values: npt.NDArray[Any]) -> dict[str, Any]:
    """A property as GEFF wants it: values, and a mask of the missing ones."""
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
        if missing.any():
            return {"values": np.where(missing, 0.0, values), "missing": missing}
    if values.dtype.kind == "f" and values.dtype.itemsize < 4:
        values = values.astype(np.float32)
    return {"values": values, "missing": None}


def _values(prop: Any) -> npt.NDArray[Any]:
    values, missing = np.asarray(prop["values"]), prop.get("missing")
    if values.dtype.kind in "OT":
        values = text_array([str(value) for value in values.reshape(-1)], "A column of the GEFF").reshape(values.shape)
    if missing is None or not np.any(missing) or values.ndim != 1:
        return values
    if values.dtype.kind in "US":
        return np.where(missing, "", values)
    if values.dtype.kind in "iu" and (np.where(missing, 0, values) > _EXACT).any():
        return np.where(missing, "", values.astype(np.str_))  # as a number with a point it would be another
    return np.where(missing, np.nan, values.astype(np.float64))


def _load(path: Path) -> Any:
    from geff.core_io import read_to_memory

    from anlage.io.zarr_files.checked_folder import CheckedFolder

    check_graph(path)
    with border(f"The GEFF '{path}'"), _quiet():
        return read_to_memory(CheckedFolder(path))  # geff opens even what it only reads for writing


def _axes(geff: Any, path: str | Path) -> dict[str, _Axis]:
    listed = geff["metadata"].axes or []
    found: dict[str, _Axis] = {}
    for axis in listed:
        letter = _letter(axis)
        if letter and letter not in found:
            found[letter] = _Axis(axis.name, axis.unit, axis.scale, axis.scaled_unit)
    space = [axis for axis in listed if axis.type == "space"]
    if not set(found) & set("zyx") and len(space) in (2, 3):  # names of their own: by their order
        for letter, axis in zip("zyx"[-len(space) :], space, strict=True):
            found[letter] = _Axis(axis.name, axis.unit, axis.scale, axis.scaled_unit)
    if not listed:
        found = {letter: _Axis(letter, None, None, None) for letter in "tzyx" if letter in geff["node_props"]}
    missing = [letter for letter in "tyx" if letter not in found]
    if missing:
        names = [axis.name for axis in listed] or sorted(geff["node_props"])
        raise AnlageError(f"The GEFF '{path}' has no axis {', '.join(missing)}; it has {', '.join(names) or 'none'}.")
    return found


def _letter(axis: Any) -> str | None:
    if axis.type == "time":
        return "t"
    name = axis.name.strip().lower().removeprefix("position_").removeprefix("pos_")
    return name if name in ("t", "z", "y", "x") else None


def _step(letter: str, spacing: Spacing | None, interval_s: float | None) -> float | None:
    if letter == "t":
        return interval_s
    return None if spacing is None else getattr(spacing, letter)


def _in_voxels(geff: Any, axis: _Axis, letter: str, step: float | None, path: str | Path) -> npt.NDArray[np.float64]:
    values = np.asarray(geff["node_props"][axis.name]["values"], dtype=np.float64)
    factor = seconds(1, axis.unit) if letter == "t" else um(1, axis.unit)
    if factor is None:
        return values
    if step is None and letter == "t":
        return _numbered(values)
    if step is None:
        raise AnlageError(
            f"The GEFF '{path}' gives {letter} in {axis.unit}, so the voxel size of the image must be known; say it with "
            "--spacing Z,Y,X."
        )
    values = values * factor / step
    # times come back as whole frames although 0.1 s cannot be divided exactly
    return np.rint(values) if letter == "t" and np.allclose(values, np.rint(values), atol=1e-3) else values


def _common_step(times: npt.NDArray[np.float64]) -> float | None:
    """The step of which all times are multiples, within a tenth; None where there is none or it cannot be found."""
    distinct = np.unique(times[np.isfinite(times)])
    if len(distinct) < 2:
        return None
    shortest = float(np.diff(distinct).min())
    # what stage and shutter cost makes gaps uneven; over all of them it evens out
    steps = np.rint((distinct - distinct[0]) / shortest)
    step = float((distinct[-1] - distinct[0]) / steps[-1])
    off = np.abs((distinct - distinct[0]) / step - steps)
    return step if (off < _TOLERATED).all() else None


def _numbered(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Times as frames by their common step, counted from time 0 where that lies on a step; else in their order."""
    known = np.isfinite(times)
    frames = times.copy()
    step = _common_step(times)
    if step is None:
        frames[known] = np.unique(times[known], return_inverse=True)[1].reshape(-1)
        return frames
    first = float(times[known].min())
    start = round(first / step)
    start = start if start >= 0 and abs(first / step - start) < _TOLERATED else 0
    frames[known] = start + np.rint((times[known] - first) / step)
    return frames


def _ids(geff: Any, path: str | Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ids above 0, exactly; GEFF allows 0, which becomes another number."""
    nodes, edges = np.asarray(geff["node_ids"]), np.asarray(geff["edge_ids"]).reshape(-1, 2)
    for found in (nodes, edges):
        if found.size and int(found.max()) > LARGEST_ID:
            raise AnlageError(
                f"The GEFF '{path}' has the id {found.max()}, which is above {LARGEST_ID} (2⁶³ − 1), the largest number that is kept "
                "exactly; number the nuclei anew."
            )
    return without_zero(nodes.astype(np.int64), edges.astype(np.int64))


def _forward(
    links: npt.NDArray[np.int64], ids: npt.NDArray[np.int64], t: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Edges of a graph without direction, turned to run forward in time."""
    frame = dict(zip(ids.tolist(), t.tolist(), strict=True))
    turned = [sorted(pair, key=lambda i: frame.get(i, 0.0)) for pair in links.tolist()]
    return np.array(turned, dtype=np.int64).reshape(-1, 2)


def _ours(columns: dict[str, npt.NDArray[Any]], n: int) -> dict[str, Any]:
    """Those of our columns that the file has, with what an absent value means."""
    found = {name: columns[name] for name in _COLUMNS if name in columns}
    if "label" in found and found["label"].dtype.kind == "U":  # whole numbers of which some are missing
        found["label"] = np.array(
            [max(0, whole_number(text) or 0) for text in found["label"].tolist()], dtype=np.uint64
        )
    for name in ("radius_um", "label", "probability", "state"):
        if name in found and found[name].dtype.kind not in "buif":
            del found[name]
    if "label" in found:
        found["label"] = (
            np.nan_to_num(found["label"].astype(np.float64)) if found["label"].dtype.kind == "f" else found["label"]
        )
    probability = found.get("probability", np.full(n, np.nan))
    if "state" not in found:
        found["state"] = np.where(np.isfinite(probability), State.PROPOSED, State.ACCEPTED)
    if "origin" not in found or found["origin"].dtype.kind != "U":
        found["origin"] = np.where(np.isfinite(probability), "model", HUMAN)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without remarks on what is not ours to change.

    That text has no final place in zarr's third version yet, as geff chose how it is stored; and on names of units, which
    we look up ourselves.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        warnings.filterwarnings("ignore", message=".*not in valid OME-Zarr units.*")
        yield
