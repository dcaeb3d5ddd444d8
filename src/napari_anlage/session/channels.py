"""Names and roles of the channels, as the user chose them, kept with the layers and the project. Knows no Qt.

Separate layers are named by their own names. Names of the channels along an axis, and all roles, are in the layer's
metadata, so they last as long as the layer and belong to it under any image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from anlage import Box, TimeLapse

if TYPE_CHECKING:
    from napari_anlage.session.session import Session

from napari_anlage.viewer.channel_names import _KEY, _notes

__all__ = [
    "Role",
    "guessed",
    "nuclei_channels",
    "nuclei_image",
    "rename",
    "restore_channels",
    "roles",
    "saved_channels",
    "set_role",
]

_NUCLEAR = re.compile(r"nucle|dapi|hoechst|h2[ab]|histone|draq|sytox|\bnls\b|nls[-_]", re.IGNORECASE)


class Role(StrEnum):
    """What a channel shows."""

    NUCLEI = "nuclei"
    """Nuclei: the classical detector and the search for forgotten nuclei look at these."""
    OTHER = "other"
    """Something else, a membrane or a marker: one more input for a network."""


def guessed(names: Sequence[str]) -> tuple[Role, ...]:
    """Roles by the names alone: those that name a nuclear stain, else the first."""
    nuclear = [bool(_NUCLEAR.search(name)) for name in names]
    if not any(nuclear):
        nuclear = [i == 0 for i in range(len(names))]
    return tuple(Role.NUCLEI if yes else Role.OTHER for yes in nuclear)


def roles(session: Session) -> tuple[Role, ...]:
    """Role of each channel of `Session.channel_names`."""
    names = session.channel_names()
    chosen = [_notes(layer).get("channel_roles", {}).get(i) for layer, i in _places(session, len(names))]
    return tuple(guess if role is None else Role(role) for role, guess in zip(chosen, guessed(names), strict=True))


def nuclei_channels(session: Session) -> tuple[int, ...]:
    """The ticked channels that show nuclei, by their place in `Session.image`; all ticked ones if none is said to."""
    every, picked = roles(session), session.picked
    place = {i: (i if session.has_channel_axis else k) for k, i in enumerate(picked)}
    return tuple(place[i] for i in picked if every[i] is Role.NUCLEI) or tuple(place.values())


def nuclei_image(session: Session) -> TimeLapse:
    """The image, lazily, with only the ticked channels that show nuclei.

    Raises
    ------
    AnlageError
        If there is no image, or its voxel size is unknown.
    """
    image, shown = session.scaled_image(), nuclei_channels(session)
    if shown == tuple(range(image.n_channels)):
        return image
    return replace(image, data=_Some(image, shown), axes="tczyx", channels=tuple(image.channels[c] for c in shown))


def rename(session: Session, channel: int, name: str) -> None:
    """Call a channel so; an empty name goes back to what it was called."""
    layer, i = _places(session, len(session.channel_names()))[channel]
    if not session.has_channel_axis:
        layer.name = name.strip() or layer.name
        session.remember(**saved_channels(session))
        return
    given = dict(_notes(layer).get("channel_names", {}))
    given.pop(i, None)
    if name.strip():
        given[i] = name.strip()
    _note(layer, channel_names=given)
    session.remember(**saved_channels(session))
    session.image_changed.emit()


def set_role(session: Session, channel: int, role: Role) -> None:
    """Say what a channel shows."""
    layer, i = _places(session, len(session.channel_names()))[channel]
    _note(layer, channel_roles={**_notes(layer).get("channel_roles", {}), i: str(role)})
    session.remember(**saved_channels(session))
    session.image_changed.emit()


def saved_channels(session: Session) -> dict[str, Any]:
    """The ticked channels, and names and roles of the image's own channels, as a project keeps them.

    Its own are those along its axis; else the layers of its file, and after them what is ticked beside them. Other layers
    of the viewer are other images, and no business of this one's project.
    """
    own, names, every = _own(session), session.channel_names(), roles(session)
    return {
        "channels": tuple(k for k, i in enumerate(own) if i in session.picked),
        "channel_names": tuple(names[i] for i in own), "channel_roles": tuple(str(every[i]) for i in own),
    }  # fmt: skip


def restore_channels(
    session: Session, names: Sequence[str], shown: Sequence[str], picked: Sequence[int] | None
) -> list[int] | None:
    """Name the image's channels as its project kept them, and give them their roles.

    A layer of another file is known by its name, and keeps it. What is not there is passed over.

    Returns
    -------
    picked
        Places in `Session.channel_names` of the channels that were ticked; None where the project says nothing or one is
        missing.
    """
    now, own = session.channel_names(), _own(session, ticked=False)
    places = list(range(len(now))) if session.has_channel_axis and len(names) == len(now) else own[: len(names)]
    for k, name in enumerate(names[len(places) :], start=len(places)):
        beside = [i for i, other in enumerate(now) if other == name and i not in own]
        places[k:] = beside[:1] or [-1]
    for place, name in zip(places, names, strict=False):
        if place in own and len(own) > 1 and name != now[place]:
            rename(session, place, name)
    before = roles(session)
    for place, role in zip(places, shown, strict=False):
        if place >= 0 and str(before[place]) != role:
            set_role(session, place, Role(role))
    if picked is None or not all(k < len(places) and places[k] >= 0 for k in picked):
        return None
    return [places[k] for k in picked]


def _own(session: Session, *, ticked: bool = True) -> list[int]:
    """Places of the image's own channels, those of its file first."""
    n = len(session.channel_names())
    if session.has_channel_axis:
        return list(range(n))
    mine = session.layers_of_file()
    own = [i for i, layer in enumerate(session.joinable()) if any(layer is one for one in mine)]
    return own + [i for i in session.picked if i not in own] if ticked else own


def _places(session: Session, n: int) -> list[tuple[Any, int]]:
    """Layer of each channel, and its number in it."""
    if session.has_channel_axis:
        return [(session.image_layer, i) for i in range(n)]
    return [(layer, 0) for layer in session.joinable()]


def _note(layer: Any, **more: Any) -> None:
    layer.metadata[_KEY] = {**_notes(layer), **more}


@dataclass(frozen=True, slots=True)
class _Some:
    """Some channels of an image (t, c, z, y, x), read piece by piece."""

    image: TimeLapse
    shown: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        t, _, z, y, x = self.image.shape
        return (t, len(self.shown), z, y, x)

    @property
    def dtype(self) -> Any:
        return self.image.dtype

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        frames, channels, *space = index
        ranges = [piece.indices(n)[:2] for piece, n in zip((frames, *space), self.image.shape_tzyx, strict=True)]
        box = Box.of([low for low, _ in ranges], [high for _, high in ranges])
        pixels: npt.NDArray[Any] = self.image.read(box, self.shown[channels])
        return pixels
