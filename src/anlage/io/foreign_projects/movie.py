"""What another program's project says of one movie, in our words, and what it says that has no place here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anlage.axes import Spacing

__all__ = ["ForeignMovie", "ForeignSettings"]


@dataclass(frozen=True, slots=True)
class ForeignMovie:
    """One movie of a project of another program.

    Parameters
    ----------
    name
        What it is called; a project is named like it.
    tracks
        Its annotation: anything that `open_annotations` reads; None where it has none.
    image
        File, or folder of `pattern`; None where it is not known.
    pattern
        Names of its files, with ``{time}`` and perhaps ``{channel}``; empty: `image` is opened as it is.
    axes
        Axes of the image where the project says them.
    frames
        First and last time point that count, as the other program numbers them; None: as the file has them.
    channels
        Numbers of the chosen channels, from 0; None: all.
    combine
        Whether they are summed.
    channel_names
        A name for each channel of the image; empty: as the image says.
    spacing, interval_s
        Voxel size in µm and time step in s.
    outlines
        Folder of label images whose values stand in the column ``class_id`` of the tracks; None where there is none.
    notes
        What was taken over, as sentences.
    lost
        What could not be taken over, as sentences.
    """

    name: str
    tracks: Path | None = None
    image: Path | None = None
    pattern: str = ""
    axes: str | None = None
    frames: tuple[int | None, int | None] = (None, None)
    channels: tuple[int, ...] | None = None
    combine: Literal["separate", "sum"] = "separate"
    channel_names: tuple[str, ...] = ()
    spacing: Spacing | None = None
    interval_s: float | None = None
    outlines: Path | None = None
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignSettings:
    """Settings of a training of another program.

    Parameters
    ----------
    task
        Kind of network: ``nuclei`` or ``events``.
    settings
        Each ``name=value``, as ``anlage train … --set`` takes them.
    spacing
        Voxel size in µm.
    data
        Image and labels that it names; empty where it names none.
    notes, lost
        What else was taken over, and what could not be, as sentences.
    """

    task: Literal["nuclei", "events"]
    settings: tuple[str, ...]
    spacing: Spacing | None = None
    data: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
