"""`Prediction`: the result of a model for one frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations

__all__ = ["DenseMap", "Prediction"]


@dataclass(frozen=True, slots=True)
class DenseMap:
    """A network's map on its own grid, and where that grid lies in the input image.

    Parameters
    ----------
    data
        (Z, Y, X) values.
    step_zyx
        Distance of neighbouring cells, in voxels of the input image.
    origin_zyx
        Position of the first cell's centre, in voxels of the input image.
    """

    data: npt.NDArray[Any]
    step_zyx: tuple[float, float, float]
    origin_zyx: tuple[float, float, float]

    def to_image(self, cells_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Cell positions (N, 3) on the grid → positions in voxels of the input image."""
        result: npt.NDArray[np.float64] = np.asarray(cells_zyx, float) * self.step_zyx + np.array(self.origin_zyx)
        return result


@dataclass(frozen=True, slots=True)
class Prediction:
    """One frame's prediction: nuclei with probabilities, in voxels of the input image, and the map behind them."""

    frame: int
    nuclei: Annotations
    model: str
    heatmap: DenseMap | None = None
    notes: tuple[str, ...] = ()
    """What the predictor assumed (diameter, spacing, resampling), as sentences."""
    diameter_um: float = math.nan
    """Nucleus diameter in µm that was given, measured or assumed, by which the image was scaled; NaN where unknown."""
