"""The document's painted labels as a Labels layer: each stroke becomes an edit. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import Change, PaintedLabels
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.placement import Place

__all__ = ["LabelsView", "Seen"]


class Seen:
    """Painted labels (t, z, y, x) with the axes of a layer: read and written like an array, nothing is loaded as a whole.

    Parameters
    ----------
    painted
        The labels.
    axes
        Axes of the layer, letters of tczyx. Those of length 1 in `painted` may be missing; a channel axis has length 1.
    written
        Called after every write.
    """

    def __init__(self, painted: PaintedLabels, axes: str, written: Callable[[], None] = lambda: None) -> None:
        self._painted, self.axes, self._written = painted, axes, written
        lengths = dict(zip("tzyx", painted.shape, strict=True)) | {"c": 1}
        self.shape = tuple(lengths[axis] for axis in axes)
        self.dtype = painted.dtype
        self.ndim = len(axes)
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> Any:
        there, order, rest = self._split(index)
        block = np.asarray(self._painted[there])
        return self._from_tzyx(block, order)[rest]

    def __setitem__(self, index: Any, value: Any) -> None:
        there, order, rest = self._split(index)
        block = np.asarray(self._painted[there])
        seen = self._from_tzyx(block, order)
        seen[rest] = value
        have = [axis for axis in order if axis != "c"]
        back = seen.reshape([n for n, axis in zip(seen.shape, order, strict=True) if axis != "c"])
        back = back.transpose([have.index(axis) for axis in "tzyx" if axis in have])
        self._painted[there] = back.reshape(block.shape)
        self._written()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001  numpy's protocol
        return np.asarray(self[:], dtype=dtype)

    def _split(self, index: Any) -> tuple[tuple[slice, ...], str, Any]:
        """The block (t, z, y, x) around what an index selects, the layer's axes, and the index as seen from the block."""
        parts = list(index) if isinstance(index, tuple) else [index]
        if any(part is Ellipsis for part in parts):
            at = next(i for i, part in enumerate(parts) if part is Ellipsis)
            parts[at : at + 1] = [slice(None)] * (self.ndim - len(parts) + 1)
        parts += [slice(None)] * (self.ndim - len(parts))
        ranges, rest = {"t": (0, 1), "z": (0, 1), "y": (0, 1), "x": (0, 1)}, []
        for axis, length, part in zip(self.axes, self.shape, parts, strict=True):
            if axis == "c":
                rest.append(part)
                continue
            low, high, inner = _around(part, length)
            rest.append(inner)
            ranges[axis] = (low, high)
        return tuple(slice(*ranges[axis]) for axis in "tzyx"), self.axes, tuple(rest)

    def _from_tzyx(self, block: npt.NDArray[Any], order: str) -> npt.NDArray[Any]:
        kept = block.transpose(
            ["tzyx".index(axis) for axis in order if axis != "c"] + ["tzyx".index(a) for a in "tzyx" if a not in order]
        )
        lengths = dict(zip("tzyx", block.shape, strict=True)) | {"c": 1}
        return kept.reshape([lengths[axis] for axis in order])


class LabelsView:
    """The Labels layer of a document's painted labels.

    Attributes
    ----------
    layer
        The layer.
    """

    def __init__(self, viewer: Any, place: Place, painted: PaintedLabels, commit: Callable[[], bool]) -> None:
        self._viewer, self._place, self._commit = viewer, place, commit
        self._announced = False
        grid, n = place.grid, place.n_channels
        at = grid.placed(grid.axes, {"c": (n - 1) / 2}, {"c": float(n)})
        self.layer = viewer.add_labels(
            Seen(painted, grid.axes, self._on_written), name="painted labels", opacity=0.5, projection_mode="none",
            metadata={"anlage": {"role": layer_roles.PAINTED}}, **at,
        )  # fmt: skip
        self.layer.locked = True
        self.layer.events.paint.connect(self._on_paint)

    def refresh(self, change: Change) -> None:
        """Draw anew where labels were painted."""
        if (
            change.where is None
            or self._viewer.dims.ndisplay == 3
            or self._place.frame(self._viewer) == change.where[0]
        ):
            self.layer.refresh()

    def _on_paint(self, event: Any = None) -> None:
        """A stroke is over; napari tells of one that was not made with the mouse just before it writes it."""
        self._announced = not self._commit()

    def _on_written(self) -> None:
        if self._announced:
            self._announced = False
            self._commit()


def _around(part: Any, length: int) -> tuple[int, int, Any]:
    """First and one-past-last of what an index selects along one axis, and the index as seen from there."""
    if isinstance(part, slice):
        low, high, step = part.indices(length)
        if step != 1:
            raise IndexError(f"painted labels are read in steps of 1, not {step}")
        return low, max(low, high), slice(None)
    if isinstance(part, np.ndarray | list):
        picked = np.asarray(part)
        if not picked.size:
            return 0, 0, picked
        low = int(picked.min())
        return low, int(picked.max()) + 1, picked - low
    i = int(part) % length
    return i, i + 1, 0
