"""The contents of ``project.json``: image, channels, voxel size, regions."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen
from pydantic import StringConstraints

from anlage.axes import Spacing
from anlage.document.regions import Region
from anlage.document.table import MOST_ID
from anlage.foreign import MOST_FRAMES
from anlage.frozen import DiameterUm, Finite, IntervalS, VoxelUm

__all__ = ["SCHEMA", "ProjectFile", "ProjectSettings"]

SCHEMA = 1
Edge = Annotated[int, Ge(1), Le(2**31)]
MOST_CHANNELS = 8
"""Channels of an image that its fingerprint is taken of."""


Fingerprint = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,20} [0-9]+x[0-9]+x[0-9]+x[0-9]+ [0-9a-f]{32}$")]


class ProjectSettings(Finite):
    """The image that is annotated, and how it is read."""

    image: str | None = None
    """Path of the image, with ``/`` on every system; None where it was never on disk."""
    image_relative: str | None = None
    """The same path as seen from the project folder; it comes first, for projects that were moved or copied with their image."""
    fingerprint: Annotated[tuple[Fingerprint, ...], MaxLen(MOST_CHANNELS)] = ()
    """What the image is known by under any name, one for each of its first channels: type, shape (t, z, y, x) and a hash of some of
    its pixels; empty where the image was not seen yet."""
    axes: str | None = None
    """Axes of the image as they were read, letters of tczyx; None: as the file says."""
    shape_tzyx: tuple[Annotated[int, Ge(1), Le(MOST_FRAMES)], Edge, Edge, Edge] | None = None
    """Shape of the image without channels; None where unknown."""
    spacing_um_zyx: tuple[VoxelUm, VoxelUm, VoxelUm] | None = None
    """Voxel size (z, y, x) in µm; None where unknown."""
    interval_s: IntervalS | None = None
    """Time between frames in seconds; None where unknown."""
    channels: tuple[Annotated[int, Ge(0), Le(65535)], ...] | None = None
    """Numbers of the chosen channels, from 0; None: all."""
    channel_names: tuple[str, ...] = ()
    """Names of all channels that can be chosen, as the user gave them; empty: as the image says."""
    channel_roles: tuple[Literal["nuclei", "other"], ...] = ()
    """What each of these channels shows; empty: guessed from the names."""
    combine: Literal["separate", "sum"] = "separate"
    """Each channel an input of its own, or their sum."""
    diameter_um: DiameterUm | None = None
    """Typical diameter of a nucleus in µm as the user measured it; None: measured when needed."""

    @property
    def spacing(self) -> Spacing | None:
        return None if self.spacing_um_zyx is None else Spacing(*self.spacing_um_zyx)


class ProjectFile(Finite):
    """All of ``project.json``."""

    schema_version: Annotated[int, Ge(1), Le(SCHEMA)] = SCHEMA
    """Version of this record's layout."""
    created: str
    """When the project was made, ISO 8601 in UTC."""
    version: str
    """Version of anlage that wrote it."""
    settings: ProjectSettings
    """The image, and how it is read."""
    regions: tuple[Region, ...] = ()
    """The annotated cuboids when the project was last saved; later changes stand in the journal."""
    next_id: Annotated[int, Ge(1), Le(MOST_ID)] = 1
    """Ids of nuclei below this were given already."""
    fold: Annotated[int, Ge(0), Le(MOST_ID)] = 0
    """How often the journal was folded into the saved state; the graph and the journal that belong to it carry the same number."""
