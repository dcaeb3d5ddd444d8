"""Convert the graphs of other programs to our rules: one mother, at most two daughters, links forward in time.

One bad edge does not refuse a whole film: it is left out, and a note says which and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.foreign import LARGEST_ID
from anlage.issues import Issue, position_of
from anlage.problems import problems
from anlage.wording import plural

__all__ = ["of_solution", "with_sound_links", "without_bad_nuclei", "without_zero"]

_MANY = 10
"""From so many links on, most of them bad, it is not single edges that are wrong."""

Rows = npt.NDArray[np.int64]


def without_zero(ids: Rows, links: Rows) -> tuple[Rows, Rows]:
    """Ids and links without 0, which other programs give to nuclei: it becomes the number after the largest, or a free one."""
    if not (ids == 0).any():
        return ids, links
    largest = int(ids.max())
    spare = largest + 1 if largest < LARGEST_ID else _free_below(ids)
    return np.where(ids == 0, spare, ids), np.where(links == 0, spare, links)


def with_sound_links(nuclei: Annotations, name: str) -> Annotations:
    """The nuclei with the links that can be kept; a note counts the others by reason, `left_out` lists each with its place.

    Of several parents the nearest is kept, of several daughters the two nearest.

    Parameters
    ----------
    nuclei
        As they were read.
    name
        Of the file, for the note.
    """
    if not len(nuclei.links) or len(np.unique(nuclei.ids)) < len(nuclei.ids):
        return nuclei  # ids that stand twice are refused with their rows
    kept = np.ones(len(nuclei.links), dtype=bool)
    said, places = list[str](), list[Issue]()
    for bad, why in _faults(nuclei, kept):
        if bad.any():
            a, b = nuclei.links[int(np.flatnonzero(bad)[0])]
            more = ", among others" if bad.sum() > 1 else ""
            said.append(f"{int(bad.sum())} {why} ({a} → {b}{more})")
            places += _issues(nuclei, bad, why)
            kept &= ~bad
    lost = int((~kept).sum())
    if not lost or (lost >= _MANY and 2 * lost > len(kept)):
        return nuclei  # a graph that is mostly wrong was misread, which the check of contradictions says
    note = f"{plural(lost, 'link')} of '{name}' {'were' if lost > 1 else 'was'} left out: {'; '.join(said)}."
    columns = {column: values[kept] for column, values in nuclei.link_properties.items()}
    return replace(
        nuclei.linked(nuclei.links[kept], columns), notes=(*nuclei.notes, note), left_out=(*nuclei.left_out, *places)
    )


def without_bad_nuclei(nuclei: Annotations, shape_tzyx: Sequence[int] | None, name: str) -> Annotations:
    """The nuclei that can be: those outside the image, in no frame, or with an id that stands before are left out, and listed.

    Where they are most of them the file was misread, and nothing is left out.

    Parameters
    ----------
    nuclei
        As they were read, with sound links.
    shape_tzyx
        Of the image; None where it is unknown.
    name
        Of the file, for the note.
    """
    found = [issue for issue in problems(nuclei, shape_tzyx) if issue.ids]
    repeated = np.isin(np.arange(len(nuclei)), np.unique(nuclei.ids, return_index=True)[1], invert=True)
    bad = np.isin(nuclei.ids, [issue.ids[0] for issue in found]) | (nuclei.ids <= 0)
    bad &= repeated | ~np.isin(nuclei.ids, nuclei.ids[repeated])  # of those with the same id the first stays
    if not bad.any() or 2 * int(bad.sum()) > len(nuclei):
        return nuclei
    kept = nuclei.links[np.isin(nuclei.links, nuclei.ids[~bad]).all(axis=1)]
    lost = len(nuclei.links) - len(kept)
    with_links = f", with {plural(lost, 'link')}" if lost else ""
    n = int(bad.sum())
    note = f"{plural(n, 'nucleus', 'nuclei')} of '{name}' {'were' if n > 1 else 'was'} left out{with_links}: {found[0].text}"
    return replace(nuclei.select(~bad), notes=(*nuclei.notes, note), left_out=(*nuclei.left_out, *found))


def of_solution(nuclei: Annotations, name: str) -> Annotations:
    """The nuclei and links that a tracker chose: candidates that it marked with ``solution = false`` are left out, and counted.

    Parameters
    ----------
    nuclei
        Perhaps with the column ``solution`` of nuclei, of links, or of both.
    name
        Of the file, for the note.
    """
    chosen = ~_says_no(nuclei.properties.get("solution"), len(nuclei))
    kept = ~_says_no(nuclei.link_properties.get("solution"), len(nuclei.links))
    if chosen.all() and kept.all():
        return nuclei
    kept &= ~np.isin(nuclei.links, nuclei.ids[~chosen]).any(axis=1)
    columns = {column: values[kept] for column, values in nuclei.link_properties.items()}
    lost = [
        plural(int((~rows).sum()), *words)
        for rows, words in ((chosen, ("nucleus", "nuclei")), (kept, ("link",)))
        if not rows.all()
    ]
    note = f"Candidates in '{name}' that its tracker did not choose (solution = false) were left out: {' and '.join(lost)}."
    found = nuclei.linked(nuclei.links[kept], columns).select(chosen)
    return replace(found, notes=(*nuclei.notes, note))


def _says_no(column: npt.NDArray[Any] | None, n: int) -> npt.NDArray[np.bool_]:
    """(n,) where a column says false or 0; nowhere where there is none, or nothing is said."""
    if column is None or column.dtype.kind not in "buif":
        return np.zeros(n, dtype=bool)
    says_no: npt.NDArray[np.bool_] = column == 0
    return says_no


def _issues(nuclei: Annotations, bad: npt.NDArray[np.bool_], why: str) -> Iterator[Issue]:
    """Each of the links that are left out, at its later nucleus where that is there, else at the earlier."""
    row = {number: i for i, number in enumerate(nuclei.ids.tolist())}
    for a, b in nuclei.links[bad].tolist():
        there = [number for number in (b, a) if number in row]
        place = position_of(nuclei.positions[row[there[0]]]) if there else None
        yield Issue("link", f"The link {a} → {b} was left out: {why}.", place, tuple(there))


def _faults(nuclei: Annotations, kept: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.bool_], str]]:
    """Links that cannot be kept, with why; `kept` is what those before left."""
    order = np.argsort(nuclei.ids, kind="stable")
    place = np.minimum(np.searchsorted(nuclei.ids, nuclei.links, sorter=order), max(0, len(order) - 1))
    rows = order[place] if len(order) else np.zeros_like(place)
    missing = (nuclei.ids[rows] != nuclei.links).any(axis=1) if len(order) else np.ones(len(kept), dtype=bool)
    yield missing, "to a nucleus that is not there"
    if not len(order):
        return
    earlier, later = nuclei.positions[rows[:, 0]], nuclei.positions[rows[:, 1]]
    yield kept & ~(later[:, 0] > earlier[:, 0]), "not forward in time"
    _, first = np.unique(nuclei.links, axis=0, return_index=True)
    yield kept & np.isin(np.arange(len(kept)), first, invert=True), "stated twice"
    far = ((later[:, 1:] - earlier[:, 1:]) ** 2).sum(axis=1)
    yield kept & (_rank(nuclei.links[:, 1], far, kept) >= 1), "from a second parent, of which the nearest was kept"
    yield kept & (_rank(nuclei.links[:, 0], far, kept) >= 2), "to a third daughter, of which the two nearest were kept"


def _rank(keys: Rows, far: npt.NDArray[np.float64], kept: npt.NDArray[np.bool_]) -> Rows:
    """The place of each kept link among those of the same key, the nearest first."""
    order = np.lexsort((far, keys, ~kept))
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
    ranks = np.zeros(len(keys), dtype=np.int64)
    ranks[order] = rank
    return ranks


def _free_below(ids: Rows) -> int:
    """The largest number that no nucleus has."""
    taken = set(ids.tolist())
    return next(number for number in range(LARGEST_ID, 0, -1) if number not in taken)
