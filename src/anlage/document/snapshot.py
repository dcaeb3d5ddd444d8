"""The document as `Annotations`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.document.label_volume import PaintedLabels
from anlage.document.table import LINK_PROBABILITY, Table
from anlage.timelapse import TimeLapse

__all__ = ["annotations_of"]


def annotations_of(table: Table, painted: PaintedLabels | None, spacing: Spacing | None) -> Annotations:
    """The nuclei as the rest of the package takes them; arrays are shared and cannot be written to."""
    links = table.links
    links.flags.writeable = False
    properties = {name: _as_integers(column) for name, column in table.properties.items() if name != LINK_PROBABILITY}
    chance = table.properties.get(LINK_PROBABILITY)
    columns: Mapping[str, Any] = table.columns
    return Annotations(
        table.ids,
        table.positions,
        links,
        **columns,
        properties=properties,
        link_properties={} if chance is None else {"probability": chance[table.mother > 0]},
        labels=None if painted is None else TimeLapse.of(painted, "tzyx", spacing=spacing, source="painted labels"),
    )


def _as_integers(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A property of whole numbers without gaps as such."""
    if column.dtype.kind == "f" and (column == np.rint(column)).all() and (np.abs(column) < 2**53).all():
        return column.astype(np.int64)
    return column
