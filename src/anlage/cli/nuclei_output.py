"""Output files of ``anlage predict`` for nuclei: the table, and the heat-map on the voxels of the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anlage.annotations import Annotations
    from anlage.inference.frame_store import PredictionParts
    from anlage.io.seals import Writer
    from anlage.prediction import DenseMap
    from anlage.timelapse import TimeLapse

from anlage.wording import plural

__all__ = ["GOES_ON", "HEATMAP", "collect", "count_sentence", "on_image_grid", "write_heatmap", "write_table"]

HEATMAP = "heat-map"
"""Kind and channel name of the image that holds the map."""
GOES_ON = "The same command goes on with what is finished."


def collect(parts: PredictionParts) -> Annotations:
    """The nuclei of all finished frames as one table, numbered from 1."""
    import numpy as np

    from anlage.annotations import Annotations

    found = [parts.read(t).nuclei for t in parts.done] or [Annotations.of([])]
    names = ("positions", "radius_um", "label", "probability", "state", "origin")
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in found]) for name in names}
    return Annotations.of(columns.pop("positions"), **columns)


def count_sentence(nuclei: Annotations, frames: Sequence[int], output: Path) -> str:
    """How many nuclei there are in these frames, as a sentence."""
    import numpy as np

    counts = np.bincount(nuclei.frames, minlength=max(frames) + 1)[list(frames)]
    middle = sorted(counts.tolist())[len(counts) // 2]
    shown = plural(len(frames), "frame")
    return f"{len(nuclei)} nuclei in {shown} (typically {middle} a frame), written to {output}."


def write_table(path: Path, nuclei: Annotations, image: TimeLapse, by: Writer) -> None:
    """Write a GEFF with all that is known; a CSV with id, t, z, y, x, probability, radius, origin, voxel size and time step.

    A radius in µm means something only where the image has a voxel size of its own: an assumed one is not passed on.
    """
    import numpy as np

    from anlage.annotations import Annotations
    from anlage.io import write_annotations

    if path.suffix.lower() == ".csv":
        nuclei = Annotations.of(
            nuclei.positions, ids=nuclei.ids, probability=nuclei.probability, state=nuclei.state, origin=nuclei.origin,
            radius_um=nuclei.radius_um,
        )  # fmt: skip
    spacing = image.known_spacing
    if spacing is None:
        nuclei = dataclasses.replace(nuclei, radius_um=np.full(len(nuclei), np.nan))
    write_annotations(path, nuclei, spacing=spacing, interval_s=image.interval_s, by=by)


def write_heatmap(path: Path, parts: PredictionParts, image: TimeLapse, by: Writer, *, fades: bool) -> None:
    """Write the maps of the finished frames, one at a time; frames that were not asked for are 0."""
    import numpy as np

    from anlage.io import write_image

    shape_zyx = image.shape_tzyx[1:]
    done = set(parts.done)

    def frames() -> Iterator[npt.NDArray[np.float32]]:
        for t in range(image.n_frames):
            dense = parts.read(t).heatmap if t in done else None
            if dense is None:
                yield np.zeros((1, *shape_zyx), np.float32)
            else:
                yield on_image_grid(dense, shape_zyx, fades=fades)[None]

    write_image(
        path, frames(), spacing=image.known_spacing, interval_s=image.interval_s, channels=(HEATMAP,), kind=HEATMAP, by=by
    )  # fmt: skip


def on_image_grid(heatmap: DenseMap, shape_zyx: tuple[int, int, int], *, fades: bool) -> npt.NDArray[np.float32]:
    """A map on the image's own voxels, by linear interpolation.

    Parameters
    ----------
    heatmap
        The map on the network's grid.
    shape_zyx
        The image's voxels.
    fades
        Whether the map is 0 outside its grid (a region was predicted) or goes on as at its rim.
    """
    import numpy as np
    from scipy.ndimage import affine_transform

    step = np.array(heatmap.step_zyx)
    result: npt.NDArray[np.float32] = affine_transform(
        np.asarray(heatmap.data, dtype=np.float32), 1 / step, -np.array(heatmap.origin_zyx) / step,
        output_shape=shape_zyx, order=1, mode="grid-constant" if fades else "nearest", prefilter=False,
    )  # fmt: skip
    return result
