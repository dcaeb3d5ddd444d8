"""Records beside label images: which model found the nuclei, which radii were only assumed, and the voxel size.

In a TIFF it is a private tag, in a zarr a part of our attribute, in a folder of the Cell Tracking Challenge a file beside the masks.
Other programs pass over all three.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from anlage.annotations import HUMAN, Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES, border, parsed_json, read_json
from anlage.frozen import DiameterUm, Finite, Frame, IntervalS, VoxelUm, first_problem
from anlage.io.atomic import root_attributes
from anlage.io.seals import MARK
from anlage.io.tiff_integrity import is_tiff

__all__ = ["FILE", "MaskRecord", "mask_record", "record_of", "tiff_tags", "with_record", "write_record", "zarr_part"]

FILE = "anlage.json"
"""Name of the record in a folder of masks."""
_KEY = "masks"
"""Where it stands in our attribute of a zarr."""
_TAG, _ASCII = 65020, 2
"""Private tag of a TIFF, and its type."""
_MOST_ORIGINS = 10_000
_Value = Annotated[int, Field(gt=0, lt=2**32)]
_Text = Annotated[str, Field(max_length=1000)]


class MaskRecord(Finite):
    """What is known of the nuclei of masks, and of the image they belong to."""

    spacing_um: tuple[VoxelUm, VoxelUm, VoxelUm] | None = None
    """Edges of a voxel along z, y and x in µm, where the masks do not say it themselves."""
    interval_s: IntervalS | None = None
    """Time between two frames in seconds, where the masks do not say it themselves."""
    diameter_um: DiameterUm | None = None
    """Usual diameter of a nucleus in µm, as it was set when they were predicted."""
    origins: tuple[_Text, ...] = Field(default=(HUMAN,), min_length=1, max_length=_MOST_ORIGINS)
    """Who found nuclei: a human, or the id of a model."""
    tracks: tuple[tuple[_Value, Frame, Frame, Annotated[int, Field(ge=0, lt=_MOST_ORIGINS)], bool], ...] = ()
    """Value, first and last frame, number of who found it, and whether its radius was only assumed when it was drawn.

    Nuclei that are not listed were found by the first of the origins, and their size is theirs."""

    @property
    def spacing(self) -> Spacing | None:
        """Voxel size in µm."""
        return None if self.spacing_um is None else Spacing(*self.spacing_um)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self == MaskRecord()


def record_of(
    frames: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    origin: npt.NDArray[np.str_],
    assumed: npt.NDArray[np.bool_],
    spacing: Spacing | None = None,
    interval_s: float | None = None,
) -> MaskRecord:
    """The record of nuclei that are drawn.

    Parameters
    ----------
    frames, values, origin, assumed
        (N,) of each nucleus: its frame, its value in the masks, who found it, whether its radius is not known.
    spacing, interval_s
        Voxel size in µm and time step in s, where the masks themselves cannot say it.
    """
    names, number, counts = np.unique(origin, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_ORIGINS]
    rank = np.zeros(len(names), dtype=np.int64)
    rank[order] = np.arange(len(order))
    who = rank[number.reshape(-1)]
    listed = np.flatnonzero((who > 0) | assumed)
    listed = listed[np.lexsort((frames[listed], values[listed]))]
    rows = np.column_stack([values, who, assumed, frames])[listed]
    # a stretch of frames in which a value stays the same kind of nucleus is one entry
    steps = np.diff(rows, axis=0)
    begins = np.flatnonzero(np.concatenate([[True], (steps[:, :3] != 0).any(axis=1) | (steps[:, 3] > 1)])[: len(rows)])
    ends = np.concatenate([begins[1:], [len(rows)]])[: len(begins)] - 1
    tracks = [(int(rows[a, 0]), int(rows[a, 3]), int(rows[b, 3]), int(rows[a, 1]), bool(rows[a, 2])) for a, b in zip(begins, ends, strict=True)]  # fmt: skip
    return MaskRecord(
        spacing_um=None if spacing is None else spacing.zyx,
        interval_s=interval_s,
        origins=tuple(names[order].tolist()) or (HUMAN,),
        tracks=tuple(tracks),
    )


def mask_record(path: Path) -> MaskRecord | None:
    """What a TIFF, a zarr or a folder of masks of ours carries; None where it carries nothing.

    Raises
    ------
    AnlageError
        If what it carries is damaged.
    """
    found = _of_folder(path) if path.is_dir() else _of_tiff(path)
    if found is None:
        return None
    try:
        return MaskRecord.model_validate(found)
    except ValidationError as error:
        raise AnlageError(
            f"What '{path}' says of its nuclei is damaged ({first_problem(error)}); write it again, or remove it there."
        ) from error


def with_record(nuclei: Annotations, record: MaskRecord | None) -> Annotations:
    """Nuclei that were read from masks, with who found them, and without the radii that were only assumed."""
    if record is None or not len(nuclei):
        return nuclei
    who, assumed = np.zeros(len(nuclei), dtype=np.int64), np.zeros(len(nuclei), dtype=bool)
    if record.tracks:
        runs = np.array(sorted(record.tracks), dtype=np.int64)
        starts = runs[:, 0] * MOST_FRAMES + runs[:, 1]
        small = np.where(nuclei.label < 2**32, nuclei.label, 0)
        at = np.searchsorted(starts, small * MOST_FRAMES + nuclei.frames, side="right") - 1
        run = runs[np.maximum(at, 0)]
        listed = (at >= 0) & (run[:, 0] == small) & (nuclei.frames <= run[:, 2]) & (run[:, 3] < len(record.origins))
        who[listed], assumed[listed] = run[listed, 3], run[listed, 4] > 0
    return replace(nuclei, origin=np.array(record.origins)[who], radius_um=np.where(assumed, np.nan, nuclei.radius_um))


def tiff_tags(record: MaskRecord | None) -> list[tuple[int, int, int, str, bool]]:
    """The tag that holds a record, as tifffile takes it."""
    if record is None or record.is_empty:
        return []
    return [(_TAG, _ASCII, 0, json.dumps({_KEY: _plain(record)}), True)]


def zarr_part(record: MaskRecord | None) -> dict[str, Any]:
    """What our attribute of a zarr holds of it."""
    return {} if record is None or record.is_empty else {_KEY: _plain(record)}


def write_record(folder: Path, record: MaskRecord) -> None:
    """Put a record beside the masks of a folder."""
    (folder / FILE).write_text(json.dumps({_KEY: _plain(record)}, indent=1) + "\n", encoding="ascii")


def _plain(record: MaskRecord) -> dict[str, Any]:
    found: dict[str, Any] = record.model_dump(mode="json", exclude_defaults=True)
    return found


def _of_folder(path: Path) -> Any:
    """As it stands; None where there is none."""
    file = path / FILE
    found = read_json(file, f"'{file}'") if file.is_file() else root_attributes(path).get(MARK)
    return found.get(_KEY) if isinstance(found, Mapping) else None


def _of_tiff(path: Path) -> Any:
    import tifffile

    if not path.is_file() or not is_tiff(path):
        return None
    with border(f"The TIFF '{path}'", tifffile.TiffFileError), tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags.get(_TAG) if len(file.pages) else None
        text = None if tag is None else tag.value
    if not isinstance(text, str) or not text.startswith("{"):
        return None  # of another program, which uses the number for something else
    found = parsed_json(text.encode(), f"What '{path}' says of its nuclei")
    return found.get(_KEY) if isinstance(found, Mapping) else None
