"""Read and write OrganoidTracker's ``.aut`` files: JSON, version 1 (a graph) and 2 (tracks)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, check_size, shown, text_array
from anlage.io.atomic import replacing
from anlage.io.nuclei_files.aut_layout import AutGraph, AutTracks, Named, Resolution, load_aut
from anlage.io.seals import LIBRARY, MARK, Writer
from anlage.io.units import seconds, um
from anlage.issues import Issue
from anlage.problems import check
from anlage.wording import plural

__all__ = ["aut_scale", "read_aut", "write_aut"]

_PROBABILITIES = ("marginal_probability", "link_probability", "probability")
"""Names of a link's probability, the most informative first: given its rivals, by itself, ours of old."""
_OURS = ("id", "radius_um", "label", "probability", "state", "origin")
_EXACT = 2**53
"""Up to here a float holds whole numbers exactly."""
_MOST_FILLED = 200_000
"""Positions that may be put into gaps; where there are more, frames are missing instead of nuclei."""
_FILLED = "anlage_filled"
"""Marks a position that stands only for a gap: a track has one in each of its frames."""

Key = tuple[int, float, float, float]
"""OrganoidTracker knows a position by where it is: frame, x, y, z."""


class _Table:
    """Positions and links as they are gathered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row: dict[Key, int] = {}
        self.about: list[dict[str, Any]] = []
        self.links: list[tuple[int, int, dict[str, Any]]] = []
        self.lost = list[Key]()
        """Where links lead to although no position is there."""

    def add(self, t: int, xyz: Sequence[float]) -> int:
        """The row of a position; the same place in the same frame is the same position."""
        key = _at(t, xyz)
        if key not in self.row:
            self.row[key] = len(self.about)
            self.about.append({})
        return self.row[key]

    def link(self, a: Key, b: Key, about: Mapping[str, Any]) -> None:
        """Link two places; where one holds no position, the link is counted as lost."""
        missing = next((key for key in (a, b) if key not in self.row), None)
        if missing is None:
            self.links.append((self.row[a], self.row[b], dict(about)))
        else:
            self.lost.append(missing)

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.lost:
            return ()
        t, *xyz = (round(v, 2) for v in self.lost[0])
        many = len(self.lost) > 1
        return (
            f"{plural(len(self.lost), 'link')} of '{self.path.name}' {'were' if many else 'was'} left out: {'the first' if many else 'it'} leads to "
            f"{xyz} in time point {t}, where no position is.",
        )

    @property
    def left_out(self) -> tuple[Issue, ...]:
        return tuple(
            Issue(
                "link", f"A link was left out: it leads to {[round(v, 2) for v in (x, y, z)]} in time point {t}, where no position is.",
                (float(t), z, y, x),
            )
            for t, x, y, z in self.lost
        )  # fmt: skip


def read_aut(path: str | Path, *, n_frames: int | None = None) -> Annotations:
    """Read positions (in pixels of the image, its offsets taken off), links and what is known of both.

    Parameters
    ----------
    path
        The file.
    n_frames
        Frames of the image; where time points count from 1 up to this number, they become frames from 0.

    Raises
    ------
    AnlageError
        If it is no such file.
    """
    place = Path(path)
    data = load_aut(place)
    table = _Table(place)
    if isinstance(data, AutGraph):
        _read_graph(data, table)
    else:
        _read_tracks(data, table)
    positions = _positions(table, data)
    if n_frames is not None and len(positions) and positions[:, 0].min() >= 1 and positions[:, 0].max() == n_frames:
        positions[:, 0] -= 1
    return _annotations(table, positions)


def aut_scale(path: str | Path) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s that a file carries; None where it carries none."""
    found = load_aut(Path(path)).image_resolution or Resolution()
    z, y, x = (um(_above_zero(length), "µm") for length in (found.z_um, found.y_um, found.x_um))
    spacing = Spacing(z, y, x) if z and y and x else None
    return spacing, seconds(_above_zero(found.t_m), "min")


def _above_zero(value: float | None) -> float:
    """A size; 0, which is none, where it is unknown or below 0."""
    return max(value or 0, 0)


def write_aut(
    path: str | Path,
    annotations: Annotations,
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write version 2, with the probability of each link as ``link_probability`` and ``marginal_probability``.

    Ids, radii, states, origins and further columns are kept as what is known of a position. A track has a position in each of
    its frames there, so a gap gets one half-way that is marked as filled, and is none again when read. Rejected nuclei are kept without links, marked
    by their state. Painted labels are not kept.

    Parameters
    ----------
    path
        The file, ``NAME.aut``.
    annotations
        The nuclei.
    spacing, interval_s
        Voxel size in µm and time step in s.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If the tracks contradict themselves, or two nuclei of a frame are at the same place.
    """
    check(annotations)
    _check_gaps(annotations)
    by = by.of("nuclei")
    data: dict[str, Any] = {"version": "v2", "name": Path(path).stem, MARK: by.mark, **_tracks(annotations)}
    if spacing is not None:
        data["image_resolution"] = {"x_um": spacing.x, "y_um": spacing.y, "z_um": spacing.z}
        data["image_resolution"]["t_m"] = interval_s / 60 if interval_s else 0
    with replacing(path, by) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(data, file)


def _read_graph(data: AutGraph, table: _Table) -> None:
    """Version 1: positions by time point, and a graph of links."""
    for t, places in data.positions.items():
        for xyz in places:
            table.add(t, xyz)
    if data.links is None:
        return
    for node in data.links.nodes:
        row = table.row.get(_key(node.id))
        if row is not None:
            table.about[row].update(node.further)
    for link in data.links.links:
        earlier, later = sorted((link.source, link.target), key=lambda place: place.t)
        table.link(_key(earlier), _key(later), link.further)


def _at(t: int, xyz: Sequence[float]) -> Key:
    x, y, z = xyz
    return (t, x, y, z)


def _key(place: Named) -> Key:
    return (place.t, place.x, place.y, place.z)


def _read_tracks(data: AutTracks, table: _Table) -> None:
    """Version 2: positions with columns, and tracks."""
    for frame in data.positions:
        rows = [table.add(frame.time_point, xyz) for xyz in frame.coords_xyz_px]
        for name, values in (frame.position_meta or {}).items():
            for row, value in zip(rows, values, strict=False):
                if value is not None:
                    table.about[row][name] = value
    for track in data.tracks:
        start = track.time_point_start
        keys = [_at(start + i, xyz) for i, xyz in enumerate(track.coords_xyz_px)]
        for i, about in enumerate(_spread(track.link_meta, len(keys) - 1)):
            table.link(keys[i], keys[i + 1], about)
        before = [_at(start - 1, xyz) for xyz in track.coords_xyz_px_before or []]
        for i, about in enumerate(_spread(track.link_meta_before, len(before))):
            table.link(before[i], keys[0], about)


def _spread(columns: dict[str, list[Any]] | None, n: int) -> list[dict[str, Any]]:
    """What is known of each of `n` links, from columns."""
    spread: list[dict[str, Any]] = [{} for _ in range(n)]
    for name, values in (columns or {}).items():
        for about, value in zip(spread, values, strict=False):
            if value is not None:
                about[name] = value
    return spread


def _positions(table: _Table, data: AutGraph | AutTracks) -> npt.NDArray[np.float64]:
    positions = np.array([(t, z, y, x) for t, x, y, z in table.row], dtype=np.float64).reshape(len(table.row), 4)
    for offset in data.image_offsets or []:
        positions[positions[:, 0] == offset.t, 1:] -= [offset.z, offset.y, offset.x]
    return positions


def _annotations(table: _Table, positions: npt.NDArray[np.float64]) -> Annotations:
    _bridge(table)
    real = np.array([_FILLED not in about for about in table.about], dtype=bool)
    about = [a for a in table.about if _FILLED not in a]
    ids = _ids(about)
    of_row = np.zeros(len(real), dtype=np.int64)
    of_row[real] = ids
    links = np.array([(a, b) for a, b, _ in table.links], dtype=np.int64).reshape(len(table.links), 2)
    known = {
        name: _column([a.get(name) for a in about], 0 if name == "label" else None)
        for name in sorted({n for a in about for n in a})
    }
    ours = {n: known.pop(n) for n in _OURS if n in known and (n == "origin") == (known[n].dtype.kind == "U")}
    probability = ours.get("probability", np.full(len(about), np.nan))
    state = np.where(np.isfinite(probability), State.PROPOSED, State.ACCEPTED)
    of_links = {name: _column([a.get(name) for *_, a in table.links]) for name in _names(table)}
    for name in _PROBABILITIES:
        if name in of_links and of_links[name].dtype.kind in "if":
            of_links["probability"] = of_links[name].astype(np.float64)
            break
    found = Annotations.of(
        positions[real], ids=ids, links=of_row[links], radius_um=ours.get("radius_um", np.nan),
        label=np.nan_to_num(ours.get("label", np.zeros(len(about), dtype=np.int64))), probability=probability,
        state=np.where(np.isfinite(s := ours.get("state", np.full(len(about), np.nan))), s, state),
        origin=ours.get("origin", np.where(np.isfinite(probability), "model", HUMAN)),
        properties={n: c for n, c in known.items() if n not in _OURS},
        link_properties={n: c for n, c in of_links.items() if n not in ("link_probability", "marginal_probability")},
        notes=table.notes,
    )  # fmt: skip
    return replace(found, left_out=table.left_out)


def _names(table: _Table) -> list[str]:
    return sorted({name for *_, about in table.links for name in about})


def _bridge(table: _Table) -> None:
    """Links that lead over filled positions, as one link over the gap with what was known of the last."""
    t = [key[0] for key in table.row]
    before = {b: a for a, b, _ in table.links if t[a] < t[b]}
    links = []
    for a, b, about in table.links:
        if _FILLED in table.about[b]:
            continue
        first = a
        while _FILLED in table.about[first] and first in before:
            first = before[first]
        links.append((first, b, about))
    table.links = links


def _ids(about: list[dict[str, Any]]) -> npt.NDArray[np.int64]:
    """The ids that we wrote, if all are there and differ; else counted."""
    own = [a.pop("id", None) for a in about]
    if all(type(i) is int and i > 0 for i in own) and len(set(own)) == len(own):
        if own and max(own) > LARGEST_ID:
            raise AnlageError(
                f"The id {shown(max(own))} is above {LARGEST_ID} (2⁶³ − 1), the largest number that is kept exactly."
            )
        return np.array(own, dtype=np.int64)
    return np.arange(1, len(own) + 1, dtype=np.int64)


def _column(values: list[Any], empty: int | None = None) -> npt.NDArray[Any]:
    """Whole numbers where all are, else numbers with NaN where there is none, or text."""
    values = [empty if value is None else value for value in values]
    if all(type(value) is int and abs(value) <= LARGEST_ID for value in values):
        return np.array(values, dtype=np.int64)
    if all(
        value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) <= _EXACT)
        for value in values
    ):
        return np.array([np.nan if value is None else float(value) for value in values])
    return text_array(
        ["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in values], "A column of the .aut"
    )


def _check_gaps(nuclei: Annotations) -> None:
    """Refuse gaps that would be filled with more positions than any film has nuclei missing."""
    order = np.argsort(nuclei.ids, kind="stable")
    ends = nuclei.frames[order[np.searchsorted(nuclei.ids[order], nuclei.links)]]
    filled = int((ends[:, 1] - ends[:, 0] - 1).sum())
    check_size(
        filled, _MOST_FILLED, "The number of frames that links leap over, each of which gets a position in an .aut,"
    )


def _tracks(nuclei: Annotations) -> dict[str, Any]:
    """The members ``positions`` and ``tracks``."""
    frames, coords = nuclei.frames, nuclei.positions[:, [3, 2, 1]]
    _, counts = np.unique(np.column_stack([frames, coords]), axis=0, return_counts=True)
    if (counts > 1).any():
        raise AnlageError(_same_place(nuclei))
    row = {int(i): r for r, i in enumerate(nuclei.ids)}
    places = [(int(frames[r]), xyz) for r, xyz in enumerate(coords.tolist())]
    about = _columns(nuclei)
    link_of = {row[int(b)]: (row[int(a)], k) for k, (a, b) in enumerate(nuclei.links)}
    n_after = Counter(a for a, _ in link_of.values())
    after = {a: b for b, (a, _) in link_of.items() if n_after[a] == 1}
    columns = {n: _plain(c) for n, c in nuclei.link_properties.items() if c.ndim == 1}
    tracks = []
    for start in sorted(range(len(places)), key=lambda r: places[r][0]):
        mother = link_of.get(start)
        if (mother is not None and n_after[mother[0]] == 1) or (mother is None and n_after[start] == 0):
            continue  # within a track, or alone
        tracks.append(_track(start, mother, after, link_of, places, about, columns))
    return {"positions": _by_frame(places, about), "tracks": tracks}


def _track(
    start: int,
    mother: tuple[int, int] | None,
    after: dict[int, int],
    link_of: dict[int, tuple[int, int]],
    places: list[tuple[int, list[float]]],
    about: list[dict[str, Any]],
    columns: dict[str, list[Any]],
) -> dict[str, Any]:
    """One track from its first nucleus on, gaps filled; the filled positions are added to `places` and `about`."""

    def fill(a: int, b: int) -> list[list[float]]:
        (t0, p), (t1, q) = places[a], places[b]
        middle = [[p[k] + (q[k] - p[k]) * (t - t0) / (t1 - t0) for k in range(3)] for t in range(t0 + 1, t1)]
        for t, xyz in enumerate(middle, start=t0 + 1):
            places.append((t, xyz))
            about.append({_FILLED: True})
        return middle

    lead = [] if mother is None else fill(mother[0], start)
    track: dict[str, Any] = {
        "time_point_start": places[start][0] - len(lead), "coords_xyz_px": [*lead, places[start][1]]
    }  # fmt: skip
    used: list[int] = [] if mother is None else [mother[1]] * len(lead)
    row = start
    while row in after:
        following = after[row]
        missing = fill(row, following)
        track["coords_xyz_px"] += [*missing, places[following][1]]
        used += [link_of[following][1]] * (len(missing) + 1)
        row = following
    if meta := _meta(columns, used):
        track["link_meta"] = meta
    if mother is not None:
        track["coords_xyz_px_before"] = [places[mother[0]][1]]
        if meta := _meta(columns, [mother[1]]):
            track["link_meta_before"] = meta
    return track


def _meta(columns: dict[str, list[Any]], links: list[int]) -> dict[str, list[Any]]:
    found = {name: [values[k] for k in links] for name, values in columns.items()}
    found = {name: values for name, values in found.items() if any(v is not None for v in values)}
    if "probability" in found:
        found["link_probability"] = found["marginal_probability"] = found.pop("probability")
    return found


def _columns(nuclei: Annotations) -> list[dict[str, Any]]:
    """What is known of each nucleus."""
    columns = {"id": nuclei.ids, **{n: c for n, c in nuclei.properties.items() if c.ndim == 1 and n not in _OURS}}
    if nuclei.label.any():
        columns["label"] = nuclei.label
    columns |= {"radius_um": nuclei.radius_um, "probability": nuclei.probability}
    expected = np.where(np.isfinite(nuclei.probability), State.PROPOSED, State.ACCEPTED)
    if (nuclei.state != expected).any():
        columns["state"] = nuclei.state
    if (nuclei.origin != np.where(np.isfinite(nuclei.probability), "model", HUMAN)).any():
        columns["origin"] = nuclei.origin
    plain = {name: _plain(column) for name, column in columns.items()}
    return [{name: values[i] for name, values in plain.items() if values[i] is not None} for i in range(len(nuclei))]


def _plain(column: npt.NDArray[Any]) -> list[Any]:
    """Values as JSON has them: None where there is no number."""
    if column.dtype.kind == "f":
        return [float(v) if np.isfinite(v) else None for v in column]
    values: list[Any] = column.tolist()
    return values


def _by_frame(places: list[tuple[int, list[float]]], about: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: dict[int, list[int]] = {}
    for row, (t, _) in enumerate(places):
        rows.setdefault(t, []).append(row)
    frames = []
    for t in sorted(rows):
        frame: dict[str, Any] = {"time_point": t, "coords_xyz_px": [places[r][1] for r in rows[t]]}
        names = sorted({name for r in rows[t] for name in about[r]})
        if names:
            frame["position_meta"] = {name: [about[r].get(name) for r in rows[t]] for name in names}
        frames.append(frame)
    return frames


def _same_place(nuclei: Annotations) -> str:
    places = [tuple(p) for p in nuclei.positions.tolist()]
    seen: dict[tuple[float, ...], int] = {}
    for row, place in enumerate(places):
        i = int(nuclei.ids[row])
        if place in seen:
            return (
                f"The nuclei {seen[place]} and {i} are at the same place in frame {place[0]:g}, but .aut tells nuclei apart by "
                "their place; move or remove one."
            )
        seen[place] = i
    raise AssertionError("no two nuclei share a place")
