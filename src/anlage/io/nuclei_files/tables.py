"""Read and write nuclei as a CSV table: one row for each nucleus, positions in voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, PROBABILITIES, RADII_UM, shown, text_array, whole_number
from anlage.io.csv_columns import EXACT, TextColumns
from anlage.io.csv_files import write_csv
from anlage.io.nuclei_files.foreign_tables import translated
from anlage.io.nuclei_files.named_tracks import links_of_tracks, unlinked_tracks
from anlage.io.scale_columns import SCALE_COLUMNS, scale_columns
from anlage.io.seals import LIBRARY, Writer

__all__ = ["read_table", "write_table"]

_NEEDED = ("id", "t", "y", "x")
_OURS = (
    "id", "t", "z", "y", "x", "parent_id", "link_probability", "label", "radius_um", "probability", "state", "origin",
    *SCALE_COLUMNS,
)  # fmt: skip


def read_table(
    path: Path, *, shape_tzyx: tuple[int, int, int, int] | None = None, axes: str | None = None
) -> tuple[Annotations, npt.NDArray[np.int64]]:
    """Read a CSV with the columns ``id,t,z,y,x``.

    Also read are ``parent_id``, ``link_probability`` (of the link to the parent), ``label``, ``radius_um``,
    ``probability``, ``state`` and ``origin``; further columns become properties. Rows with a probability and no state are proposals of a network.
    Without ``parent_id``, successive rows of one ``track_id`` are linked, and a note says so. The points that napari saves and tables with
    ``POSITION_X`` are read, too.

    Parameters
    ----------
    path
        The file; its columns may be separated by commas, semicolons or tabs.
    shape_tzyx
        Of the image: only where Z is 1 may the column ``z`` be missing (all nuclei then lie in plane 0).
    axes
        What the axes of napari's points are; None: what the image, or their count, says.

    Returns
    -------
    annotations, rows
        And the row of each nucleus in the file (the header is row 1), for messages.

    Raises
    ------
    AnlageError
        If a column is missing, or a value is no number: with the row and the value.
    """
    table = _Table(path, shape_tzyx, axes)
    n_planes = 1 if shape_tzyx is None else shape_tzyx[1]
    frame = table.frame
    if "z" not in frame and n_planes > 1:
        raise AnlageError(
            f"'{path}' has no column z, but the image has {n_planes} planes; add the column (or, if these planes are frames, open the "
            "image with --axes tyx)."
        )
    rows = frame.index.to_numpy(dtype=np.int64)
    ids = table.whole("id", least=None)
    positions = table.position()
    probability = table.share("probability")
    links, of_links = _links_of(table, ids, positions[:, 0])
    annotations = Annotations.of(
        positions,
        ids=ids,
        links=links,
        link_properties=of_links,
        radius_um=table.radius(),
        label=table.count("label"),
        probability=probability,
        state=table.state(np.where(np.isfinite(probability), State.PROPOSED, State.ACCEPTED)),
        origin=table.text("origin", np.where(np.isfinite(probability), "model", HUMAN)),
        properties={str(name): _further(table, str(name)) for name in frame.columns if name not in _OURS},
        notes=tuple(table.notes),
    )
    return annotations, rows


def write_table(
    path: str | Path,
    annotations: Annotations,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    *,
    by: Writer = LIBRARY,
) -> None:
    """Write a CSV; see `table_columns`."""
    write_csv(path, table_columns(annotations, spacing, interval_s), by.of("nuclei"))


def table_columns(
    annotations: Annotations, spacing: Spacing | None = None, interval_s: float | None = None
) -> dict[str, Any]:
    """The columns ``id,t,z,y,x`` and those that hold anything, ``parent_id`` where there are links.

    Of the links' columns, their probability is written, as ``link_probability``. Positions are in voxels to four decimals. States and origins are written only where they differ from what reading
    the other columns would give. Voxel size (µm) and time step (s), where they are known, are columns of one value: `scale_columns`.
    """
    z, y, x = annotations.positions[:, 1:].T
    columns: dict[str, Any] = {"id": annotations.ids, "t": annotations.frames}
    columns |= {"z": z.round(4), "y": y.round(4), "x": x.round(4)}
    if np.isfinite(annotations.probability).any() or not len(annotations):
        columns["probability"] = annotations.probability.round(6)
    if np.isfinite(annotations.radius_um).any():
        columns["radius_um"] = annotations.radius_um.round(4)
    columns |= _links(annotations)
    if annotations.label.any():
        columns["label"] = annotations.label
    columns |= _proposal_states(annotations)
    columns |= {name: values for name, values in annotations.properties.items() if values.ndim == 1}
    columns |= scale_columns(len(annotations), spacing, interval_s)
    return columns


def _links(annotations: Annotations) -> dict[str, Any]:
    if not len(annotations.links):
        return {}
    known = np.isin(annotations.links[:, 1], annotations.ids)
    links, order = annotations.links[known], np.argsort(annotations.ids, kind="stable")
    row = order[np.searchsorted(annotations.ids[order], links[:, 1])]
    parents = np.zeros(len(annotations), dtype=np.int64)
    parents[row] = links[:, 0]
    columns: dict[str, Any] = {"parent_id": parents}
    probability = annotations.link_properties.get("probability")
    if probability is not None and np.isfinite(probability).any():
        columns["link_probability"] = np.full(len(annotations), np.nan)
        columns["link_probability"][row] = np.asarray(probability[known], dtype=np.float64).round(6)
    return columns


def _proposal_states(annotations: Annotations) -> dict[str, Any]:
    is_proposal = np.isfinite(annotations.probability)
    expected = np.where(is_proposal, State.PROPOSED, State.ACCEPTED)
    columns: dict[str, Any] = {}
    if (annotations.state != expected).any():
        columns["state"] = [State(s).name.lower() for s in annotations.state]
    if (annotations.origin != np.where(is_proposal, "model", HUMAN)).any():
        columns["origin"] = annotations.origin
    return columns


def _known(name: str) -> str:
    """Our columns are found whatever their case and the spaces around them."""
    stripped = name.strip()
    return stripped.lower() if stripped.lower() in _OURS else stripped


class _Table(TextColumns):
    """The columns of a table of nuclei, with what an absent one means."""

    def __init__(self, path: Path, shape_tzyx: tuple[int, int, int, int] | None, axes: str | None) -> None:
        super().__init__(path, "a table of nuclei needs the columns id,t,z,y,x", known=_known, may_be_empty=True)
        self.frame, notes = translated(self.frame, path.name, shape_tzyx, axes)
        self.notes += notes
        missing = [name for name in _NEEDED if name not in self.frame]
        if missing:
            raise AnlageError(
                f"'{path}' lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has "
                f"{shown(', '.join(self.frame.columns), 200)}, but a table of nuclei needs id,t,z,y,x (z may be missing in 2D)."
            )

    def position(self) -> npt.NDArray[np.float64]:
        """(N, 4) t, z, y, x; z is 0 where there is no such column."""
        return np.column_stack([self._coordinate(axis) for axis in "tzyx"])

    def _coordinate(self, axis: str) -> npt.NDArray[np.float64]:
        if axis not in self.frame:
            return np.zeros(len(self.frame))
        values = self.numbers(axis)
        self.refuse(axis, np.isnan(values), "is no number")
        return values

    def share(self, name: str) -> npt.NDArray[np.float64]:
        """A column of probabilities; NaN where it says nothing, and where there is none."""
        if name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return self.numbers(name, known=PROBABILITIES)

    def count(self, name: str) -> npt.NDArray[np.int64]:
        """A column of whole numbers; 0 where it says nothing, and where there is none."""
        if name not in self.frame:
            return np.zeros(len(self.frame), dtype=np.int64)
        return self.whole(name, empty=0, least=None)

    def radius(self) -> npt.NDArray[np.float64]:
        """Radii in µm; 0 and -1 are what many programs write where nothing was measured."""
        if "radius_um" not in self.frame:
            return np.full(len(self.frame), np.nan)
        values = self.numbers("radius_um")
        unknown = np.isin(values, (0, -1))
        if unknown.any():
            self.notes.append(f"{int(unknown.sum())} radii of 0 or -1 in '{self.path.name}' were taken for unknown.")
        values[unknown] = np.nan
        self.refuse("radius_um", RADII_UM.outside(values), str(RADII_UM))
        return values

    def text(self, name: str, default: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
        if name not in self.frame:
            return default
        found = self.texts(name)
        return np.where(found == "", default, found)

    def state(self, default: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        names = {state.name.lower(): state.value for state in State}
        known = names | {str(state.value): state.value for state in State}
        words = np.char.lower(self.text("state", default.astype(np.str_))).tolist()
        self.refuse(
            "state", np.array([word not in known for word in words], dtype=bool), f"is none of {', '.join(names)}"
        )
        return np.array([known[word] for word in words], dtype=np.int64)

    def further(self, name: Any) -> npt.NDArray[Any]:
        """Whole numbers, numbers or text, whichever fits all cells; an empty cell makes a column of numbers a NaN there."""
        import pandas as pd

        column = self.frame[name]
        text = column.str.strip()
        blank = np.array(text.str.lower().isin(("", "nan")), dtype=bool)
        whole = [whole_number(cell) for cell in text] if len(text) else [None]
        if all(value is not None and abs(value) <= LARGEST_ID for value in whole):
            return np.array(whole, dtype=np.int64)
        values = np.array(pd.to_numeric(text.where(~blank, "nan"), errors="coerce"), dtype=np.float64)
        changed = any(value is not None and abs(value) > EXACT for value in whole)
        if len(values) and not changed and (np.isfinite(values) | blank).all():
            return values
        return text_array(column.tolist(), f"The column '{shown(name)}' of '{self.path}'")


def _further(table: _Table, name: str) -> npt.NDArray[Any]:
    return table.share(name) if name == "division_probability" else table.further(name)


def _links_of(
    table: _Table, ids: npt.NDArray[np.int64], frames: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
    """Links (M, 2) by id and their columns, from parent_id or, without it, from the tracks that are named."""
    if "parent_id" not in table.frame:
        links, notes = links_of_tracks(table, ids, frames)
        table.notes += notes
        return links, {}
    parents = table.count("parent_id").clip(min=0)  # other programs write -1 for none
    if not parents.any():
        table.notes += unlinked_tracks(table)
    certainty = table.share("link_probability")[parents != 0]
    return _parents(parents, ids), {"probability": certainty} if "link_probability" in table.frame else {}


def _parents(parents: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    has = parents != 0
    links: npt.NDArray[np.int64] = np.column_stack([parents[has], ids[has]])
    return links
