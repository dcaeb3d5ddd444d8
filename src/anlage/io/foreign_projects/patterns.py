"""Images that are named by a pattern: one TIFF for each time point, and perhaps for each channel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import path_inside
from anlage.io.folders import tiff_files
from anlage.io.tiff import open_tiff
from anlage.timelapse import TimeLapse

__all__ = ["PatternFiles", "files_of_pattern", "has_time"]

_FIELD = re.compile(r"\{(time|channel)(?::[^}]*)?\}|%0?\d*d")


@dataclass(frozen=True, slots=True)
class PatternFiles:
    """Files by time point and channel, both as their names number them.

    Parameters
    ----------
    folder
        Where they lie.
    files
        (time point, channel) → file; every time point has every channel.
    """

    folder: Path
    files: Mapping[tuple[int, int], Path]

    @property
    def times(self) -> list[int]:
        return sorted({t for t, _ in self.files})

    @property
    def channels(self) -> list[int]:
        return sorted({c for _, c in self.files})

    @property
    def are_the_folder(self) -> bool:
        """Whether opening the folder gives the same movie."""
        return len(self.channels) == 1 and [self.files[t, self.channels[0]] for t in self.times] == tiff_files(
            self.folder
        )

    def first(self) -> TimeLapse:
        """The first file, which says type and voxel size of all."""
        return open_tiff(self.files[self.times[0], self.channels[0]], one_frame=True)

    def frames(self) -> Iterator[npt.NDArray[Any]]:
        """(c, z, y, x) of one time point after the other."""
        for t in self.times:
            channels = []
            for c in self.channels:
                one = open_tiff(self.files[t, c], one_frame=True)
                _, _, z, y, x = one.shape
                channels.append(np.asarray(one.data[(slice(None),) * len(one.axes)]).reshape(-1, z, y, x))
            yield np.concatenate(channels)


def has_time(pattern: str) -> bool:
    """Whether a pattern numbers time points."""
    return any(found.group(1) != "channel" for found in _FIELD.finditer(pattern))


def files_of_pattern(folder: Path, pattern: str, first: int | None = None, last: int | None = None) -> PatternFiles:
    """The files of a folder that a pattern names, from one time point to another.

    Raises
    ------
    AnlageError
        If there is none, or a time point lacks a channel that others have.
    """
    *folders, name = pattern.replace("\\", "/").split("/")
    place = path_inside(folder, "/".join(folders), f"The folder of the pattern '{pattern}'") if folders else folder
    regex = _regex(name)
    found: dict[tuple[int, int], Path] = {}
    for file in tiff_files(place) if place.is_dir() else []:
        match = regex.fullmatch(file.name)
        if match is None:
            continue
        numbers = match.groupdict()
        t = int(numbers["time"])
        if (first is None or t >= first) and (last is None or t <= last):
            found[t, int(numbers.get("channel") or 0)] = file
    if not found:
        span = "" if first is None and last is None else f" with a time point from {first} to {last}"
        raise AnlageError(f"There is no TIFF in '{place}' whose name fits '{name}'{span}; check pattern and folder.")
    files = PatternFiles(place, found)
    missing = next(((t, c) for t in files.times for c in files.channels if (t, c) not in found), None)
    if missing is not None:
        raise AnlageError(
            f"Time point {missing[0]} in '{place}' lacks channel {missing[1]}, which others have; copy its file there."
        )
    return files


def _regex(name: str) -> re.Pattern[str]:
    """A pattern of names as a regular expression; a field that stands twice must have the same number."""
    parts, at, seen = list[str](), 0, set[str]()
    for found in _FIELD.finditer(name):
        field = found.group(1) or "time"
        parts += [re.escape(name[at : found.start()]), f"(?P={field})" if field in seen else rf"(?P<{field}>\d{{1,9}})"]
        seen.add(field)
        at = found.end()
    if "time" not in seen:
        raise AnlageError(f"The pattern '{name}' numbers no time points; write {{time}} where their number stands.")
    return re.compile("".join(parts) + re.escape(name[at:]))
