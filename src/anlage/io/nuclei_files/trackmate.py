"""Read and write TrackMate XML: spots in physical units, edges, tracks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, border, shown, whole_number
from anlage.io.atomic import replacing
from anlage.io.nuclei_files.foreign_graphs import without_zero
from anlage.io.nuclei_files.trackmate_marks import ASSUMED, MARKS, RADIUS, marks_of, origin_lines, origins_of
from anlage.io.seals import LIBRARY, Writer
from anlage.io.units import seconds, um
from anlage.issues import Issue
from anlage.wording import plural

__all__ = ["read_trackmate", "trackmate_scale", "write_trackmate"]

_EXACT = 2**53
"""From here on a float does not hold whole numbers exactly."""
RADIUS_UM = 3.5
"""TrackMate wants a radius of each spot; this is written where none is known."""
_RADIUS_PIXELS = 4.0

_SPOT = {
    "QUALITY": ("Quality", "QUALITY", "false"), "POSITION_X": ("X", "POSITION", "false"),
    "POSITION_Y": ("Y", "POSITION", "false"), "POSITION_Z": ("Z", "POSITION", "false"),
    "POSITION_T": ("T", "TIME", "false"), "FRAME": ("Frame", "NONE", "true"), "RADIUS": ("Radius", "LENGTH", "false"),
    "VISIBILITY": ("Visibility", "NONE", "true"),
}  # fmt: skip
_EDGE = {"SPOT_SOURCE_ID": ("Source spot ID", "NONE", "true"), "SPOT_TARGET_ID": ("Target spot ID", "NONE", "true")}
_ENDS = ("SPOT_SOURCE_ID", "SPOT_TARGET_ID")
_OURS = ("probability", "label", "state", *MARKS)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


@dataclass
class _Found:
    """What of a file is looked at: attributes as they stand."""

    has_model: bool = False
    units: dict[str, str] = field(default_factory=dict)
    image: dict[str, str] = field(default_factory=dict)
    spots: list[dict[str, str]] = field(default_factory=list)
    edges: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each with the id of its track."""
    shown: set[str] | None = None
    """Ids of the tracks that the filters leave; None where nothing says."""
    origins: dict[str, str] = field(default_factory=dict)
    """Who found spots, by number."""
    began: bool = False
    _track: str = ""

    def take(self, name: str, attributes: dict[str, str]) -> None:
        """Keep what an element says."""
        self.began = True
        match name:
            case "Model":
                self.has_model, self.units = True, attributes
            case "ImageData":
                self.image = attributes
            case "Spot":
                self.spots.append(attributes)
            case "Track":
                self._track = attributes.get("TRACK_ID", "")
            case "Edge":
                self.edges.append((self._track, attributes))
            case "AnlageOrigin":
                self.origins[attributes.get("number", "")] = attributes.get("name", "")
            case "FilteredTracks":
                self.shown = set()
            case "TrackID" if self.shown is not None:
                self.shown.add(attributes.get("TRACK_ID", ""))


def read_trackmate(path: str | Path, *, spacing: Spacing | None = None) -> Annotations:
    """Read what TrackMate shows: hidden spots and the spots of hidden tracks are left out.

    Numbers that it keeps of spots and edges become columns of the same names.

    Parameters
    ----------
    path
        The XML that TrackMate saves (not the simple one of "export tracks").
    spacing
        Voxel size in µm of the image. Where positions are in a unit of length it decides, if it is another than the file's size of pixels.

    Raises
    ------
    AnlageError
        If it is no such XML, declares a document type, has spots without a position, or needs a voxel size that nobody says.
    """
    place = Path(path)
    found = _parse(place)
    (dz, dy, dx), unit = _steps(found, spacing, place)
    edges = [edge for track, edge in found.edges if found.shown is None or track in found.shown]
    spots = _visible(found, edges)
    ids = _whole(spots, "ID", place)
    frame = _numbers(spots, "FRAME", place)
    z = _numbers(spots, "POSITION_Z", place, 0) / dz
    y, x = _numbers(spots, "POSITION_Y", place) / dy, _numbers(spots, "POSITION_X", place) / dx
    whole = [e for e in edges if all(_is_id(e.get(end)) for end in _ENDS)]
    lost = len(edges) - len(whole)
    links = np.column_stack([_whole(whole, end, place) for end in _ENDS])
    ids, links = without_zero(ids, _forward(links, ids, frame))  # TrackMate counts from 0
    probability = _numbers(spots, "probability", place, np.nan)
    state, known = _numbers(spots, "state", place, np.nan), np.isfinite(probability)
    found_nuclei = Annotations.of(
        np.column_stack([frame, z, y, x]),
        ids=ids,
        links=links,
        radius_um=_radii(spots, unit, place),
        label=_whole(spots, "label", place, 0),
        probability=probability,
        state=np.where(np.isfinite(state), state, np.where(known, State.PROPOSED, State.ACCEPTED)),
        origin=origins_of(spots, found.origins, probability),
        properties=_properties(spots),
        link_properties=_further(whole, {*_EDGE}),
        notes=(f"{plural(lost, 'edge')} without the ids of two spots left out of '{place.name}'.",) if lost else (),
    )
    return replace(found_nuclei, left_out=(Issue("link", "An edge without the ids of two spots was left out."),) * lost)


def _radii(spots: list[dict[str, str]], unit: float | None, place: Path) -> npt.NDArray[np.float64]:
    """Radii in µm; what was written only because TrackMate wants one is unknown, unless somebody changed it since."""
    if unit is None:
        return _numbers(spots, RADIUS, place, np.nan)
    radius = _numbers(spots, "RADIUS", place, np.nan) * unit
    assumed = np.array([ASSUMED in spot for spot in spots], dtype=bool) & np.isclose(radius, RADIUS_UM)
    return np.where(assumed, np.nan, radius)


def trackmate_scale(path: str | Path) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s that a TrackMate XML carries; None where it carries none."""
    found = _parse(Path(path))
    units, image = found.units, found.image
    z, y, x = (um(image.get(name), units.get("spatialunits")) for name in ("voxeldepth", "pixelheight", "pixelwidth"))
    spacing = Spacing(z or x, y, x) if y and x else None
    return spacing, seconds(image.get("timeinterval"), units.get("timeunits"))


def write_trackmate(
    path: str | Path,
    annotations: Annotations,
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write spots in µm (in pixels where the voxel size is unknown), edges, and a track for each lineage.

    Columns of numbers are kept as features; text, ``origin`` above all, and painted labels are not. A nucleus without a radius gets one of
    3.5 µm; rejected nuclei are hidden.

    Parameters
    ----------
    path
        The file, ``NAME.xml``.
    annotations
        The nuclei.
    spacing, interval_s
        Voxel size in µm and time step in s.
    by
        Who writes, and whether anything may be replaced.
    """
    by = by.of("nuclei")
    features = {**_features(annotations), **marks_of(annotations, in_um=spacing is not None)}
    of_links = {name: column for name, column in annotations.link_properties.items() if _is_feature(name, column)}
    spots, tracks = _lines(annotations, features, spacing, interval_s), _track_lines(annotations, of_links)
    units = f'spatialunits="{"micron" if spacing else "pixel"}" timeunits="{"sec" if interval_s else "frame"}"'
    with replacing(path, by) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<TrackMate version="7.11.1">\n')
        file.write(f"  <Model {units}>\n    <FeatureDeclarations>\n")
        for kind, declared in (
            ("SpotFeatures", _SPOT | {n: (n, "NONE", "false") for n in features}),
            ("EdgeFeatures", _EDGE | {n: (n, "NONE", "false") for n in of_links}),
            (
                "TrackFeatures",
                {"TRACK_ID": ("Track ID", "NONE", "true"), "TRACK_INDEX": ("Track index", "NONE", "true")},
            ),
        ):
            file.write(f"      <{kind}>\n")
            for name, (title, dimension, whole) in declared.items():
                file.write(
                    f'        <Feature feature="{name}" name="{title}" shortname="{title}" dimension="{dimension}" isint="{whole}" />\n'
                )
            file.write(f"      </{kind}>\n")
        file.write("    </FeatureDeclarations>\n")
        file.writelines(spots)
        file.writelines(tracks)
        file.write("  </Model>\n  <Settings>\n")
        file.write(_image_line(annotations, spacing, interval_s))
        file.write("  </Settings>\n")
        file.writelines(origin_lines(annotations))
        file.write("</TrackMate>\n")
        file.write(f"<!-- {by.mark} -->\n")


def _parse(path: Path) -> _Found:
    found = _Found()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise AnlageError(
            f"'{path}' declares a document type, which no file of TrackMate does and which can hide harm; it is not read."
        )

    def start(name: str, attributes: dict[str, str]) -> None:
        if not found.began and name != "TrackMate":
            raise AnlageError(
                f"'{path}' is XML but not TrackMate's: it begins with <{name}>; save it in TrackMate with Save, which keeps "
                "spots and edges."
            )
        found.take(name, attributes)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        with path.open("rb") as file, border(f"The XML '{path}'"):
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise AnlageError(f"'{path}' is no whole XML ({error}); save or copy it again.") from error
    if not found.has_model:
        raise AnlageError(f"'{path}' holds no model of TrackMate, so no spots; save it in TrackMate after detection.")
    return found


def _visible(found: _Found, edges: list[dict[str, str]]) -> list[dict[str, str]]:
    """Spots that are neither hidden (unless we did, because they are rejected) nor on hidden tracks."""
    on_shown = {edge.get(end) for edge in edges for end in _ENDS}
    on_any = {edge.get(end) for _, edge in found.edges for end in _ENDS}
    return [
        spot
        for spot in found.spots
        if (spot.get("VISIBILITY", "1") != "0" or "state" in spot)
        and (spot.get("ID") in on_shown or spot.get("ID") not in on_any)
    ]


def _steps(found: _Found, spacing: Spacing | None, path: Path) -> tuple[tuple[float, float, float], float | None]:
    """Voxel size (z, y, x) in the unit of the positions, and this unit in µm; None where it is the pixel."""
    unit = um(1.0, found.units.get("spatialunits"))
    own = _own_steps(found)
    if own is not None and (unit is None or spacing is None or np.allclose(own, spacing.um / unit, rtol=0.01)):
        return own, unit
    if unit is None:
        return (1.0, 1.0, 1.0), None
    if spacing is None:
        raise AnlageError(
            f"'{path}' gives positions in {found.units.get('spatialunits')} but no size of pixels; say it with --spacing Z,Y,X."
        )
    z, y, x = (length / unit for length in spacing.zyx)
    return (z, y, x), unit


def _own_steps(found: _Found) -> tuple[float, float, float] | None:
    """The size of pixels (z, y, x) in the unit of the positions that a file states; None where it states none."""
    z, y, x = (um(found.image.get(name), "µm") for name in ("voxeldepth", "pixelheight", "pixelwidth"))
    return (z or x, y, x) if y and x else None


def _numbers(
    elements: list[dict[str, str]], name: str, path: Path, absent: float | None = None
) -> npt.NDArray[np.float64]:
    """An attribute of all elements; `absent` stands where it is missing (None refuses that)."""
    values = np.empty(len(elements))
    for i, element in enumerate(elements):
        text = element.get(name)
        try:
            values[i] = absent if text is None and absent is not None else float(text or "")
        except ValueError:
            raise _no_value(element, i, name, "is no number", path) from None
    return values


def _whole(elements: list[dict[str, str]], name: str, path: Path, absent: int | None = None) -> npt.NDArray[np.int64]:
    """An attribute of all elements as whole numbers, exactly; `absent` stands where it is missing (None refuses that)."""
    values = np.empty(len(elements), dtype=np.int64)
    for i, element in enumerate(elements):
        text = element.get(name)
        value = absent if text is None else whole_number(text.strip())
        if value is None:
            raise _no_value(element, i, name, "is no whole number", path)
        if abs(value) > LARGEST_ID:
            raise _no_value(
                element, i, name, f"is beyond {LARGEST_ID} (2⁶³ − 1), the largest number that is kept", path
            )
        values[i] = value
    return values


def _no_value(element: dict[str, str], i: int, name: str, why: str, path: Path) -> AnlageError:
    who = f"spot {shown(element['ID'])}" if "ID" in element else f"{'spot' if name == 'ID' else 'edge'} {i + 1}"
    what = f"has '{shown(element[name])}' for {name}, which {why}" if name in element else f"has no {name}"
    return AnlageError(f"'{path}': {who} {what}.")


def _is_id(text: str | None) -> bool:
    return text is not None and whole_number(text.strip()) is not None


def _properties(spots: list[dict[str, str]]) -> dict[str, npt.NDArray[Any]]:
    """What else is known of spots; a quality of 1 all over, as `write_trackmate` has it, says nothing."""
    columns = _further(spots, {*_SPOT, "ID", "name", *_OURS} - {"QUALITY"})
    if "QUALITY" in columns and (columns["QUALITY"] == 1).all():
        del columns["QUALITY"]
    return columns


def _further(elements: list[dict[str, str]], known: set[str]) -> dict[str, npt.NDArray[Any]]:
    """Other attributes that are numbers wherever they stand; whole numbers of more than 53 bits as such."""
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in sorted({name for element in elements for name in element} - known):
        texts = [element.get(name, "nan") for element in elements]
        try:
            columns[name] = np.array([float(text) for text in texts])
        except ValueError:
            continue
        if (np.abs(columns[name]) >= _EXACT).any():
            whole = [whole_number(text) for text in texts]
            if all(value is not None and abs(value) <= LARGEST_ID for value in whole):
                columns[name] = np.array(whole, dtype=np.int64)
    return columns


def _forward(
    links: npt.NDArray[np.int64], ids: npt.NDArray[np.int64], frames: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Edges turned to run forward in time."""
    row = {number: i for i, number in enumerate(ids.tolist())}
    backward = [a in row and b in row and frames[row[a]] > frames[row[b]] for a, b in links.tolist()]
    return np.where(np.array(backward, dtype=bool)[:, None], links[:, ::-1], links)


def _is_feature(name: str, column: npt.NDArray[Any]) -> bool:
    return column.dtype.kind in "buif" and column.ndim == 1 and _NAME.fullmatch(name) is not None


def _features(nuclei: Annotations) -> dict[str, npt.NDArray[Any]]:
    """Columns of numbers that are not TrackMate's own."""
    ours: dict[str, npt.NDArray[Any]] = {
        "probability": nuclei.probability,
        "label": nuclei.label,
        "state": nuclei.state,
    }
    known = np.isfinite(nuclei.probability)
    expected = np.where(known, State.PROPOSED, State.ACCEPTED)
    used = {"probability": known.any(), "label": nuclei.label.any(), "state": (nuclei.state != expected).any()}
    further = {n: c for n, c in nuclei.properties.items() if _is_feature(n, c) and n not in {*_SPOT, "ID", "name"}}
    return {**{name: column for name, column in ours.items() if used[name]}, **further}


def _attributes(features: dict[str, npt.NDArray[Any]], i: int) -> str:
    return "".join(f' {name}="{column[i]!s}"' for name, column in features.items() if np.isfinite(column[i]))


def _lines(
    nuclei: Annotations, features: dict[str, npt.NDArray[Any]], spacing: Spacing | None, interval_s: float | None
) -> Iterator[str]:
    voxels = nuclei.positions[:, 1:]
    at = voxels * spacing.um if spacing else voxels
    radius = nuclei.radius_um if spacing else np.full(len(nuclei), np.nan)
    radius = np.where(np.isfinite(radius), radius, RADIUS_UM if spacing else _RADIUS_PIXELS)
    quality = nuclei.properties.get("QUALITY", np.ones(len(nuclei)))
    frames, visible = nuclei.frames, nuclei.state != State.REJECTED
    yield f'    <AllSpots nspots="{int(visible.sum())}">\n'
    order = np.argsort(frames, kind="stable")
    for t, rows in _grouped(frames[order], order):
        yield f'      <SpotsInFrame frame="{t}">\n'
        for i in rows:
            z, y, x = at[i].tolist()
            number = nuclei.ids[i]
            yield (
                f'        <Spot ID="{number}" name="ID{number}" QUALITY="{quality[i]!s}" POSITION_X="{x!r}" POSITION_Y="{y!r}" '
                f'POSITION_Z="{z!r}" POSITION_T="{float(t * (interval_s or 1.0))!r}" FRAME="{t}" RADIUS="{float(radius[i])!r}" '
                f'VISIBILITY="{int(visible[i])}"{_attributes(features, i)} />\n'
            )
        yield "      </SpotsInFrame>\n"
    yield "    </AllSpots>\n"


def _track_lines(nuclei: Annotations, features: dict[str, npt.NDArray[Any]]) -> Iterator[str]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    order = np.argsort(nuclei.ids, kind="stable")
    ends = order[np.searchsorted(nuclei.ids[order], nuclei.links)]
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(nuclei), len(nuclei)))
    _, lineage = connected_components(graph)
    numbers, of_link = np.unique(lineage[ends[:, 0]], return_inverse=True)
    by_track = np.argsort(of_link, kind="stable")
    yield "    <AllTracks>\n"
    for track, rows in _grouped(of_link[by_track], by_track):
        yield f'      <Track name="Track_{track}" TRACK_ID="{track}" TRACK_INDEX="{track}">\n'
        for i in rows:
            a, b = nuclei.links[i].tolist()
            yield f'        <Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}"{_attributes(features, i)} />\n'
        yield "      </Track>\n"
    yield "    </AllTracks>\n    <FilteredTracks>\n"
    yield from (f'      <TrackID TRACK_ID="{track}" />\n' for track in range(len(numbers)))
    yield "    </FilteredTracks>\n"


def _grouped(keys: npt.NDArray[Any], rows: npt.NDArray[Any]) -> Iterable[tuple[int, list[int]]]:
    """Rows by their key; both are in the order of the keys."""
    groups: dict[int, list[int]] = {}
    for key, row in np.column_stack([keys, rows]).tolist():
        groups.setdefault(key, []).append(row)
    return groups.items()


def _image_line(nuclei: Annotations, spacing: Spacing | None, interval_s: float | None) -> str:
    shape = nuclei.labels.shape_tzyx if nuclei.labels is not None else None
    far = np.floor(nuclei.positions.max(axis=0, initial=0)) + 1
    t, z, y, x = shape or [int(v) for v in far]
    dz, dy, dx = spacing.zyx if spacing else (1.0, 1.0, 1.0)
    return (
        f'    <ImageData filename="" folder="" width="{x}" height="{y}" nslices="{z}" nframes="{t}" '
        f'pixelwidth="{dx}" pixelheight="{dy}" voxeldepth="{dz}" timeinterval="{interval_s or 1.0}" />\n'
    )
