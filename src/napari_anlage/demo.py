"""``python -m napari_anlage.demo DIR``: what `anlage demo` left in a folder, in napari."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from anlage import Annotations, Spacing, open_annotations, open_image

__all__ = ["show"]


def show(folder: Path, viewer: Any) -> None:
    """Add image, heat-map, truth and found nuclei to a viewer, and go to the first frame that was predicted."""
    image = open_image(folder / "image.ome.zarr")
    spacing = image.spacing or Spacing(1, 1, 1)
    interval_s = image.interval_s or 1.0
    world = {"units": ("s", "µm", "µm", "µm"), "axis_labels": ("t", "z", "y", "x")}
    pixels = image.read()[:, 0]
    limits = tuple(float(value) for value in np.percentile(pixels, (1, 99.8)))
    scale = (interval_s, *spacing.zyx)
    viewer.add_image(pixels, name="embryo", scale=scale, contrast_limits=limits, **world)
    heatmap = open_image(folder / "heatmap.zarr").read()[:, 0]
    viewer.add_image(
        heatmap,
        name="heat-map",
        scale=scale,
        colormap="magma",
        blending="additive",
        opacity=0.6,
        visible=False,
        **world,
    )
    truth, found = (open_annotations(folder / name) for name in ("truth_unseen.csv", "found.csv"))
    diameter_um = 2 * float(np.nanmedian(truth.radius_um))
    for name, nuclei, size, colour in (("truth", truth, diameter_um, "#00d5ff"), ("found", found, 3.0, "#ff4fd8")):
        viewer.add_points(
            _in_um(nuclei, spacing), name=name, scale=(interval_s, 1, 1, 1), size=size, face_color="transparent",
            border_color=colour, border_width=0.12, features={"probability": nuclei.probability}, **world,
        )  # fmt: skip
    if len(found):
        first = found.positions[found.frames == found.frames.min()]
        viewer.dims.set_point((0, 1), (interval_s * first[0, 0], spacing.z * float(np.median(first[:, 1]))))


def _in_um(nuclei: Annotations, spacing: Spacing) -> Any:
    """Positions (t, z, y, x) in frames and µm: sizes of points are then in µm whatever the voxels."""
    return nuclei.positions * (1.0, *spacing.zyx)


def main() -> int:
    """Open a window and stay until it is closed."""
    import napari

    viewer = napari.Viewer(title="anlage demo")
    show(Path(sys.argv[1]), viewer)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
