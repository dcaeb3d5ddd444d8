"""Links from tables with a track id on each row (napari, btrack, ultrack, trackpy, Celldetective)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.io.csv_columns import TextColumns

__all__ = ["links_of_tracks", "unlinked_tracks"]

_TRACK = ("track_id", "trackid", "track", "tracklet_id", "particle")
_MOTHER = ("parent_track_id", "parent_track", "parent")
_SHOWN = 3
"""So many tracks are named in a note."""

Rows = npt.NDArray[np.int64]


def links_of_tracks(table: TextColumns, ids: Rows, frames: npt.NDArray[np.float64]) -> tuple[Rows, list[str]]:
    """Links between successive rows of one track, and from the track that a table names as the mother's.

    A track with several rows in a frame has no order, so it gets no links.

    Parameters
    ----------
    table
        With a column for the track (``track_id``, ``particle`` …), and perhaps one for its mother's track.
    ids, frames
        (N,) of the rows.

    Returns
    -------
    links, notes
        (M, 2) ids, the earlier first; and sentences that say what was done.
    """
    named = _numbers(table, _TRACK)
    if named is None or not _repeats(named[1]):
        return np.zeros((0, 2), dtype=np.int64), []
    column, track = named
    order = np.lexsort((frames, track))
    order = order[track[order] >= 0]
    earlier, later = order[:-1], order[1:]
    same = track[earlier] == track[later]
    crowded = np.unique(track[later[same & (frames[earlier] == frames[later])]])
    same &= ~np.isin(track[later], crowded)
    earlier, later = earlier[same], later[same]
    mothers = _from_mothers(table, track, order[~np.isin(track[order], crowded)])
    pairs = np.concatenate([np.column_stack([earlier, later]), mothers])
    gaps = int((frames[later] - frames[earlier] > 1).sum())
    over = f" ({gaps} of them over missing frames)" if gaps else ""
    divisions = f", and {len(mothers)} from a track to those that name it as their parent" if len(mothers) else ""
    notes = [
        f"'{table.path.name}' has no parent_id: {len(earlier)} links were made between successive rows of the same {column}"
        f"{over}{divisions}."
    ]
    if len(crowded):
        which = ", ".join(map(str, crowded[:_SHOWN])) + ("…" if len(crowded) > _SHOWN else "")
        notes.append(
            f"{len(crowded)} tracks ({column} {which}) have several nuclei in one frame, so no links were made in them; state these "
            "with parent_id."
        )
    return ids[pairs], notes


def unlinked_tracks(table: TextColumns) -> list[str]:
    """A note where parent_id is empty in every row although tracks are named; none otherwise."""
    named = _numbers(table, _TRACK)
    if named is None or not _repeats(named[1]):
        return []
    return [
        f"parent_id is empty in every row of '{table.path.name}', so no links were made, although rows share a {named[0]}; remove "
        "the column parent_id to link these."
    ]


def _from_mothers(table: TextColumns, track: Rows, order: Rows) -> Rows:
    """(K, 2) rows: the last one of a mother's track, and the first of a daughter's."""
    named = _numbers(table, _MOTHER)
    if named is None or not len(order):
        return np.zeros((0, 2), dtype=np.int64)
    mother = named[1]
    values, first = np.unique(track[order], return_index=True)
    last = np.append(first[1:], len(order)) - 1
    of_first = mother[order[first]]
    at = np.minimum(np.searchsorted(values, of_first), len(values) - 1)
    # a root names itself, 0, -1 or nothing
    has = (of_first > 0) & (values[at] == of_first) & (of_first != values)
    return np.column_stack([order[last[at[has]]], order[first[has]]])


def _numbers(table: TextColumns, names: tuple[str, ...]) -> tuple[Any, Rows] | None:
    """The first column of such a name that holds whole numbers, -1 where it says nothing."""
    by_name = {str(name).lower(): name for name in reversed(table.frame.columns)}
    column = next((by_name[name] for name in names if name in by_name), None)
    if column is None or not _are_whole(table, column):
        return None
    return column, table.whole(column, empty=-1, least=None)


def _are_whole(table: TextColumns, column: Any) -> bool:
    values = table.numbers(column, strict=False)
    unknown = np.isnan(values)
    return bool((unknown == table.empty(column)).all() and (unknown | (values == np.rint(values))).all())


def _repeats(track: Rows) -> bool:
    known = track[track >= 0]
    return len(np.unique(known)) < len(known)
