"""Adopt predicted objects as painted labels of the project, to correct and learn from. Knows no Qt and no napari."""

from __future__ import annotations

import numpy as np

from anlage import AnlageError, Document, LabelledPart, Paint, Several
from anlage.wording import plural

__all__ = ["adopt_labels_edit"]

_OWN = 0.5
"""An object of which more than this part is painted already is taken to be what is painted there."""


def adopt_labels_edit(document: Document, part: LabelledPart) -> tuple[Several, int]:
    """What paints the objects that are new, each with a value that nothing else has; what is painted stays.

    Returns
    -------
    edit, n
        One step to undo, and how many objects it paints.

    Raises
    ------
    AnlageError
        If everything is painted already, or there is nothing.
    """
    if not len(part):
        raise AnlageError("There is no object to take over; lower the thresholds.")
    t = part.box.start[0]
    spans = part.box.slices[1:]
    before = np.asarray(document.start_painting()[(t, *spans)])
    covered = np.bincount(part.labels.reshape(-1), (before > 0).reshape(-1), minlength=len(part) + 1)[1:]
    new = covered <= _OWN * part.sizes
    n = int(new.sum())
    if not n:
        raise AnlageError("All of these objects are painted already; there is nothing to take over.")
    values = np.zeros(len(part) + 1, dtype=np.uint32)
    values[1:][new] = document.new_label() + np.arange(n)
    after = np.where(before == 0, values[part.labels], before)
    where = np.nonzero(after != before)
    low = [int(places.min()) for places in where]
    inner = tuple(slice(a, int(places.max()) + 1) for a, places in zip(low, where, strict=True))
    z, y, x = (a + start for a, start in zip(low, part.box.start[1:], strict=True))
    paint = Paint(t, (z, y, x), before[inner], after[inner])
    return Several([paint], f"take over {plural(n, 'predicted object')}"), n
