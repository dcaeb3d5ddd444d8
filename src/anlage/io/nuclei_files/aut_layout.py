"""The layout of OrganoidTracker's ``.aut`` files as models, so that files are checked when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anlage.errors import AnlageError
from anlage.foreign import MOST_FRAMES, shown

__all__ = ["AutGraph", "AutTracks", "Named", "Resolution", "load_aut"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Frame = Annotated[int, Field(ge=-MOST_FRAMES, le=MOST_FRAMES)]
Place = Annotated[list[Number], Field(min_length=3, max_length=3)]
"""x, y, z in pixels."""
Columns = dict[str, list[Any]]


class _Part(BaseModel):
    """A part of the file; what is not named here is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def further(self) -> dict[str, Any]:
        """What else it holds."""
        return dict(self.model_extra or {})


class Named(_Part):
    """A position as a graph names it."""

    x: Number
    y: Number
    z: Number
    t: Frame = Field(alias="_time_point_number")


class _Node(_Part):
    id: Named


class _Edge(_Part):
    source: Named
    target: Named


class _Graph(_Part):
    nodes: list[_Node] = []
    links: list[_Edge] = []


class Resolution(_Part):
    """Voxel size in µm and time step in minutes, where they are known."""

    x_um: Number | None = None
    y_um: Number | None = None
    z_um: Number | None = None
    t_m: Number | None = None


class _File(_Part):
    image_resolution: Resolution | None = None
    image_offsets: list[Named] | None = None


class AutGraph(_File):
    """Version 1: positions by time point, and a graph of links."""

    version: Literal["v1"]
    positions: dict[Frame, list[Place]] = {}
    links: _Graph | None = None


class _AtTime(_Part):
    time_point: Frame
    coords_xyz_px: list[Place]
    position_meta: Columns | None = None


class _Track(_Part):
    time_point_start: Frame
    coords_xyz_px: list[Place] = Field(min_length=1)
    coords_xyz_px_before: list[Place] | None = None
    link_meta: Columns | None = None
    link_meta_before: Columns | None = None


class AutTracks(_File):
    """Version 2: positions with columns, and tracks."""

    version: Literal["v2"]
    positions: list[_AtTime] = []
    tracks: list[_Track] = []


def load_aut(path: Path) -> AutGraph | AutTracks:
    """Read a file.

    Raises
    ------
    AnlageError
        If it is no JSON, of another version, or laid out differently: where, and what is wrong there.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise AnlageError(f"'{path}' is no whole JSON ({error}); save it in OrganoidTracker again.") from None
    version = data.get("version") if isinstance(data, dict) else None
    if version not in ("v1", "v2"):
        raise AnlageError(f"'{path}' is no file of OrganoidTracker of version v1 or v2, but of {shown(repr(version))}.")
    try:
        return AutGraph.model_validate(data) if version == "v1" else AutTracks.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = shown(".".join(map(str, first["loc"])))
        raise AnlageError(
            f"'{path}' is not laid out as a file of OrganoidTracker (at {where}: {first['msg']}, not {shown(repr(first['input']))}); "
            "save it there again."
        ) from None
