"""Adopt the nuclei or labels of a layer or a file into a document, as one edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.document import AddNuclei, Document, Paint, Several
from anlage.errors import AnlageError
from anlage.wording import plural

__all__ = ["adoption_edit"]


def adoption_edit(document: Document, found: Annotations, source: str) -> Several:
    """The edit that adds nuclei, links and painted labels to a document, whose own stay.

    Parameters
    ----------
    document
        Where they go.
    found
        What a layer or a file holds, in voxels of the document's image.
    source
        Its name.

    Raises
    ------
    AnlageError
        If there is nothing to take over.
    """
    if not len(found):
        raise AnlageError(f"'{source}' holds no nucleus, so there is nothing to take over.")
    new = document.new_ids(len(found))
    order = np.argsort(found.ids, kind="stable")
    links = new[order[np.searchsorted(found.ids, found.links, sorter=order)]].reshape(-1, 2)
    shift = document.new_label() - 1
    label = np.where(found.label > 0, found.label + shift, 0)
    edits: list[Any] = [
        AddNuclei(
            new, found.positions, radius_um=found.radius_um, label=label, probability=found.probability, state=found.state,
            origin=found.origin, properties=dict(found.properties), links=links,
            link_probability=found.link_properties.get("probability", np.nan),
        )
    ]  # fmt: skip
    edits += _paints(document, found, shift)
    return Several(edits, f"take over {plural(len(found), 'nucleus', 'nuclei')} from '{source}'")


def _paints(document: Document, found: Annotations, shift: int) -> Iterator[Paint]:
    """The painted labels, a box for each frame that has any; what is painted there already stays."""
    if found.labels is None:
        return
    t_end, z, y, x = found.labels.shape_tzyx
    for t in range(t_end):
        whole = found.labels.read(Box((t, t + 1), (0, z), (0, y), (0, x)))[0, 0]
        places = np.argwhere(whole)
        if not len(places):
            continue
        box = Box.of((t, *places.min(axis=0)), (t + 1, *(places.max(axis=0) + 1)))
        piece = whole[box.slices[1:]].astype(np.int64)
        painted = document.painted
        before = np.zeros(piece.shape, np.uint32) if painted is None else painted.committed(box)[0]
        after = np.where((before == 0) & (piece > 0), piece + shift, before)
        yield Paint(t, box.start[1:], before, after)
