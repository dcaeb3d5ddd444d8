"""Adopt tracks into the document as one step: new nuclei as proposals, links with their probability.

What a human did stays: links without a probability, and places that were rejected. Knows no Qt and no napari.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import (
    AddLinks,
    AddNuclei,
    AnlageError,
    Annotations,
    DescribeNuclei,
    Document,
    RemoveLinks,
    Several,
    Spacing,
    State,
)
from anlage.wording import plural

__all__ = ["adopt_tracks_edit"]

Ids = npt.NDArray[np.int64]
_DIVISION = "division_probability"


def adopt_tracks_edit(
    document: Document, tracks: Annotations, spacing: Spacing, reach_um: float, *, same_ids: bool = False
) -> Several:
    """The edit that brings tracks into a document.

    Parameters
    ----------
    document
        Where they go.
    tracks
        What was found, in voxels of the document's image.
    spacing
        Voxel size in µm.
    reach_um
        A nucleus of the tracks nearer than this to one of the document is that one.
    same_ids
        The tracks are made of the document's own nuclei, and have their ids.

    Raises
    ------
    AnlageError
        If there is nothing to take.
    """
    if not len(tracks.links):
        raise AnlageError("These tracks hold no link, so there is nothing to accept.")
    nuclei = document.nuclei
    known = (
        np.where(np.isin(tracks.ids, nuclei.ids), tracks.ids, 0)
        if same_ids
        else _known(nuclei, tracks, spacing, reach_um)
    )
    rejected = np.isin(known, nuclei.ids[nuclei.state == State.REJECTED])
    fresh = (known == 0) & ~rejected
    new = document.new_ids(int(fresh.sum()))
    ids = known.copy()
    ids[fresh], ids[rejected] = new, 0
    edits: list[Any] = []
    links, probability = _links(tracks, ids)
    links, probability, gone = _beside_a_humans(nuclei, links, probability, ids)
    if len(gone):
        edits.append(RemoveLinks(gone))
    if len(new):
        properties = {name: column[fresh] for name, column in tracks.properties.items() if column.ndim == 1}
        edits.append(
            AddNuclei(
                new, tracks.positions[fresh], radius_um=tracks.radius_um[fresh], probability=tracks.probability[fresh],
                state=int(State.PROPOSED), origin=tracks.origin[fresh], properties=properties,
            )
        )  # fmt: skip
    if len(links):
        edits.append(AddLinks(links, probability))
    divides = tracks.properties.get(_DIVISION)
    if divides is not None and (old := (ids > 0) & ~fresh & np.isfinite(divides)).any():
        edits.append(DescribeNuclei(ids[old], {_DIVISION: divides[old]}))
    if not edits:
        raise AnlageError("The project has these tracks already.")
    return Several(
        edits, f"take {plural(len(links), 'link')} and {plural(len(new), 'nucleus', 'nuclei')} of a tracking"
    )


def _known(nuclei: Annotations, tracks: Annotations, spacing: Spacing, reach_um: float) -> Ids:
    """(N,) the nucleus of the document that each of the tracks is, 0: none; each once, the nearest first."""
    from scipy.spatial import cKDTree

    found = np.zeros(len(tracks), dtype=np.int64)
    if not len(nuclei) or not len(tracks):
        return found
    apart = 10.0 * reach_um + 1.0  # frames so far apart that nothing reaches over
    ours = np.column_stack([nuclei.frames * apart, nuclei.positions[:, 1:] * spacing.um])
    theirs = np.column_stack([tracks.frames * apart, tracks.positions[:, 1:] * spacing.um])
    near = cKDTree(theirs).sparse_distance_matrix(cKDTree(ours), reach_um, output_type="ndarray")
    taken: set[int] = set()
    for row in near[np.argsort(near["v"], kind="stable")]:
        i, j = int(row["i"]), int(row["j"])
        if not found[i] and j not in taken:
            found[i] = nuclei.ids[j]
            taken.add(j)
    return found


def _links(tracks: Annotations, ids: Ids) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The links by the document's ids, without those to nuclei that were rejected."""
    order = np.argsort(tracks.ids)
    rows = order[np.searchsorted(tracks.ids, tracks.links, sorter=order)].reshape(-1, 2)
    links = ids[rows]
    probability = tracks.link_properties.get("probability", np.full(len(links), np.nan))
    kept = (links > 0).all(axis=1)
    return links[kept], np.asarray(probability, dtype=np.float64)[kept]


def _beside_a_humans(
    nuclei: Annotations, links: Ids, probability: npt.NDArray[np.float64], ids: Ids
) -> tuple[Ids, npt.NDArray[np.float64], Ids]:
    """The links that contradict none of a human's, their probabilities, and a network's links that go for them."""
    chance = nuclei.link_properties.get("probability", np.full(len(nuclei.links), np.nan))
    humans = nuclei.links[np.isnan(chance)]
    replaced = nuclei.links[np.isfinite(chance) & np.isin(nuclei.links, ids).all(axis=1)]
    staying = nuclei.links[np.isfinite(chance) & ~np.isin(nuclei.links, ids).all(axis=1)]
    kept = np.concatenate([humans, staying])
    free = ~np.isin(links[:, 1], kept[:, 1])
    order = np.flatnonzero(free)[np.argsort(-np.nan_to_num(probability[free], nan=2.0), kind="stable")]
    mothers, counts = np.unique(kept[:, 0], return_counts=True)
    room = {int(m): 2 - int(n) for m, n in zip(mothers, counts, strict=True)}
    chosen = []
    for row in order.tolist():  # the likelier ones first, as long as a mother has room
        mother = int(links[row, 0])
        if room.get(mother, 2) > 0:
            room[mother] = room.get(mother, 2) - 1
            chosen.append(row)
    chosen.sort()
    return links[chosen], probability[chosen], replaced
