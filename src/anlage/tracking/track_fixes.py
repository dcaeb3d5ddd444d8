"""Fixes for track warnings: link, break, insert, divide, swap, accept; each is one edit of the document."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.document import (
    AddLinks,
    AddNuclei,
    ChangeLinks,
    ChangeNuclei,
    DescribeNuclei,
    Document,
    RemoveLinks,
    Several,
)
from anlage.errors import AnlageError
from anlage.tracking.track_warning import REVIEWED, TrackWarning
from anlage.wording import plural

__all__ = ["accepted", "divided", "inserted", "joined", "reviewed", "swapped", "unlinked"]

Pair = tuple[int, int]


def joined(document: Document, earlier: int, later: int) -> Several:
    """Link two nuclei; the later one leaves the mother that it had.

    Raises
    ------
    AnlageError
        If they are linked already, or the link would not go forward in time.
    """
    former = mother_of(document.nuclei, later)
    if former == earlier:
        raise AnlageError(f"Nucleus {earlier} and nucleus {later} are linked already.")
    edits: list[Any] = [RemoveLinks([(former, later)])] if former else []
    return _done(
        document, [*edits, AddLinks([(earlier, later)])], [earlier, later], f"link nuclei {earlier} and {later}"
    )


def unlinked(document: Document, pairs: Iterable[Pair]) -> Several:
    """Remove links."""
    there = _there(document.nuclei, pairs)
    if not there:
        raise AnlageError("There is no link to break here.")
    (a, b), *more = there
    text = f"break {len(there)} links" if more else f"break the link from nucleus {a} to nucleus {b}"
    return Several((RemoveLinks(there),), text)


def inserted(document: Document, earlier: int, later: int) -> Several:
    """Add the nuclei that are missing between two, on the straight line between them, and link them all.

    Raises
    ------
    AnlageError
        If no frame lies between them.
    """
    nuclei = document.nuclei
    a, b = (_row(nuclei, nucleus) for nucleus in (earlier, later))
    first, last = int(nuclei.frames[a]), int(nuclei.frames[b])
    if last - first < 2:
        raise AnlageError(
            f"No frame lies between nucleus {earlier} (frame {first}) and nucleus {later} (frame {last}), so none is missing; "
            "link them instead."
        )
    frames = np.arange(first + 1, last)
    share = ((frames - first) / (last - first))[:, None]
    positions = (1 - share) * nuclei.positions[a] + share * nuclei.positions[b]
    positions[:, 0] = frames
    radii = nuclei.radius_um[[a, b]]
    radius = float(np.mean(radii[np.isfinite(radii)])) if np.isfinite(radii).any() else np.nan
    new = document.new_ids(len(frames))
    former = mother_of(nuclei, later)
    edits: list[Any] = [RemoveLinks([(former, later)])] if former else []
    chain = [earlier, *new.tolist(), later]
    edits.append(AddNuclei(new, positions, radius_um=radius, links=list(itertools.pairwise(chain))))
    text = f"add {plural(len(new), 'missing nucleus', 'missing nuclei')} between {earlier} and {later}"
    return _done(document, edits, [earlier, later], text)


def swapped(document: Document, one: Pair, other: Pair) -> Several:
    """Exchange the ends of two links."""
    links = [(one[0], other[1]), (other[0], one[1])]
    text = f"swap the tracks of nuclei {one[1]} and {other[1]}"
    return _done(document, [RemoveLinks([one, other]), AddLinks(links)], [*one, *other], text)


def divided(document: Document, mother: int, daughter: int) -> Several:
    """Make a nucleus a second daughter, or, where it is one, no daughter any more."""
    nuclei = document.nuclei
    if mother_of(nuclei, daughter) == mother:
        edits: list[Any] = [RemoveLinks([(mother, daughter)])]
        return _done(document, edits, [mother], f"unset the division of nucleus {mother}")
    edit = joined(document, mother, daughter)
    return Several(edit.edits, f"let nucleus {mother} divide")


def reviewed(document: Document, warning: TrackWarning) -> Several:
    """Mark a warning as reviewed: what it is about is right, is accepted, and is not warned of again."""
    nuclei = document.nuclei
    links = [pair for pair in _there(nuclei, warning.links) if not np.isnan(_probability(nuclei, pair))]
    edits: list[Any] = [ChangeLinks(links)] if links else []
    words = nuclei.properties.get(REVIEWED, np.full(len(nuclei), ""))
    aspects: dict[int, set[str]] = {}
    for nucleus, aspect in warning.about:
        aspects.setdefault(nucleus, set(str(words[_row(nuclei, nucleus)]).split())).add(aspect)
    if aspects:
        edits.append(DescribeNuclei(list(aspects), {REVIEWED: [" ".join(sorted(said)) for said in aspects.values()]}))
    return _done(document, edits, warning.ids, f"accept nucleus {warning.ids[0]} as it is")


def accepted(document: Document, pairs: npt.NDArray[np.int64]) -> Several:
    """Accept links, and the nuclei that they join."""
    ids = np.unique(pairs)
    return _done(document, [ChangeLinks(pairs)], ids.tolist(), f"accept {plural(len(pairs), 'link')}")


def mother_of(nuclei: Annotations, daughter: int) -> int:
    """The mother of a nucleus; 0 if it has none."""
    at = np.flatnonzero(nuclei.links[:, 1] == daughter)
    return int(nuclei.links[at[0], 0]) if len(at) else 0


def _done(document: Document, edits: Sequence[Any], ids: Sequence[int], text: str) -> Several:
    """The edits as one step that also accepts the nuclei that were looked at."""
    nuclei = document.nuclei
    there = np.unique(np.asarray(ids, dtype=np.int64))
    there = there[np.isin(there, nuclei.ids)]
    proposed = there[nuclei.state[np.searchsorted(nuclei.ids, there)] == State.PROPOSED]
    more: list[Any] = [ChangeNuclei(proposed, state=int(State.ACCEPTED))] if len(proposed) else []
    return Several((*edits, *more), text)


def _there(nuclei: Annotations, pairs: Iterable[Pair]) -> list[Pair]:
    """Those of these links that exist."""
    return [(a, b) for a, b in pairs if mother_of(nuclei, b) == a]


def _probability(nuclei: Annotations, pair: Pair) -> float:
    known = nuclei.link_properties.get("probability")
    if known is None:
        return float("nan")
    return float(known[np.flatnonzero(nuclei.links[:, 1] == pair[1])[0]])


def _row(nuclei: Annotations, nucleus: int) -> int:
    row = int(np.searchsorted(nuclei.ids, nucleus))
    if row >= len(nuclei) or nuclei.ids[row] != nucleus:
        raise AnlageError(f"There is no nucleus {nucleus}; it may have been removed.")
    return row
