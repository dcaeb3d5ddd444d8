"""Pictures of the worst objects: image, truth and result as outlines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anlage.axes import Box, Spacing
from anlage.evaluation.worst import WorstObject
from anlage.timelapse import TimeLapse

__all__ = ["FOUND_COLOUR", "TRUE_COLOUR", "worst_picture"]

TRUE_COLOUR, FOUND_COLOUR = (0, 213, 255), (255, 79, 216)
"""Red, green, blue of the outlines: what is true, and what was found; white where both run."""
_AROUND = 1.9
"""A picture is so many times as wide as its object."""
_NARROWEST = 8
"""Voxels that a picture shows at least."""
_DIM = 0.45
"""Outlines of the neighbours, which the picture is not about, are so much darker."""
_UNKNOWN = Spacing(1, 1, 1)

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]


def worst_picture(
    one: WorstObject, truth: TimeLapse, found: TimeLapse, image: TimeLapse | None = None, *, pixels: int = 160
) -> Pixels:
    """Draw an object in the plane of its middle, with what lies around it.

    Parameters
    ----------
    one
        Which.
    truth, found
        Labels on the same voxels.
    image
        What was labelled; None: outlines on black. Of several channels the first is shown.
    pixels
        Edge of the picture.

    Returns
    -------
    picture
        (pixels, pixels, 3) red, green, blue; a micrometre is as wide as it is high.
    """
    spacing = truth.spacing or found.spacing or (None if image is None else image.spacing) or _UNKNOWN
    _, y, x = (np.array(size) for size in spacing.zyx)
    rows, columns = _window(one, truth, float(y), float(x), pixels)
    true, seen = (_labels(labels, one, rows, columns) for labels in (truth, found))
    grey = np.zeros((pixels, pixels)) if image is None else _grey(image, one, rows, columns)
    picture = np.repeat((200 * grey)[..., None], 3, axis=2)
    own = true == one.label
    partners = np.unique(seen[own & (seen > 0)])
    for labels, mine, colour in ((true, own, TRUE_COLOUR), (seen, np.isin(seen, partners), FOUND_COLOUR)):
        rim = _rims(labels)
        picture[rim & ~mine] = np.maximum(picture[rim & ~mine], _DIM * np.array(colour))
        picture[rim & mine] = np.array(colour)
    both = _rims(true) & own & _rims(seen) & np.isin(seen, partners)
    picture[both] = 255
    return np.clip(picture, 0, 255).astype(np.uint8)


def _window(one: WorstObject, truth: TimeLapse, y_um: float, x_um: float, pixels: int) -> tuple[Plane, Plane]:
    """Rows and columns of the image, in voxels, at the middle of each pixel."""
    t, z = one.frame, one.z
    _, _, height, width = truth.shape_tzyx
    plane = truth.read(Box((t, t + 1), (z, z + 1), (0, height), (0, width)))[0, 0, 0] == one.label
    at = np.nonzero(plane)
    tall, wide = ((float(np.ptp(places)) + 1) if len(places) else 1.0 for places in at)
    edge_um = max(_AROUND * max(tall * y_um, wide * x_um), _NARROWEST * max(y_um, x_um))
    middle = [
        float(places.min() + places.max()) / 2 if len(places) else float(m)
        for places, m in zip(at, (one.y, one.x), strict=True)
    ]
    steps = (np.arange(pixels) + 0.5) / pixels - 0.5
    return middle[0] + steps * edge_um / y_um, middle[1] + steps * edge_um / x_um


def _labels(labels: TimeLapse, one: WorstObject, rows: Plane, columns: Plane) -> npt.NDArray[np.int64]:
    """The label under each pixel; 0 outside the image."""
    block, origin = _block(labels, one, rows, columns)
    i, j = np.rint(rows).astype(int) - origin[0], np.rint(columns).astype(int) - origin[1]
    inside = ((i >= 0) & (i < block.shape[0]))[:, None] & ((j >= 0) & (j < block.shape[1]))[None]
    seen = block[np.ix_(np.clip(i, 0, block.shape[0] - 1), np.clip(j, 0, block.shape[1] - 1))]
    return np.where(inside, seen, 0).astype(np.int64)


def _grey(image: TimeLapse, one: WorstObject, rows: Plane, columns: Plane) -> Plane:
    """Brightness under each pixel, 0 to 1; dark outside the image."""
    block, origin = _block(image, one, rows, columns)
    low, high = np.nanpercentile(block, (1, 99.8)) if np.isfinite(block).any() else (0.0, 1.0)
    scaled = np.nan_to_num(np.clip((block - low) / max(high - low, 1e-9), 0, 1))
    at = np.meshgrid(rows - origin[0], columns - origin[1], indexing="ij")
    grey: Plane = ndimage.map_coordinates(scaled, at, order=1, mode="constant", cval=0.0)
    return grey


def _block(
    image: TimeLapse, one: WorstObject, rows: Plane, columns: Plane
) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
    """The part of the plane that the pixels need, and where it begins."""
    ranges = []
    for places, n in zip((rows, columns), image.shape_tzyx[2:], strict=True):
        low = int(np.clip(np.floor(places[0]) - 1, 0, n - 1))
        ranges.append((low, int(np.clip(np.ceil(places[-1]) + 2, low + 1, n))))
    box = Box((one.frame, one.frame + 1), (one.z, one.z + 1), ranges[0], ranges[1])
    return image.read(box)[0, 0, 0].astype(np.float64), (ranges[0][0], ranges[1][0])


def _rims(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Pixels of objects that touch something else, two wide."""
    least, most = (f(labels, size=3, mode="nearest") for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    rim: npt.NDArray[np.bool_] = (least != most) & (labels > 0)
    return rim
