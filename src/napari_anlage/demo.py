"""Show the folder that ``anlage demo`` made: image, annotation, truth, prediction, and the dock with its run.

``python -m napari_anlage.demo DIR``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anlage import AnlageError, Annotations, Run, TimeLapse, command, load_model, open_annotations, open_image
from napari_anlage.viewer import camera, layer_roles, overlay
from napari_anlage.viewer.grid import LayerGrid

__all__ = ["main", "open_demo"]

_NEEDED = ("image.ome.zarr", "annotations.csv", "truth.csv", "found.csv", "heatmap.zarr", "run")
_TRUTH = "#ffffff"


def main(arguments: Sequence[str] | None = None) -> int:
    """Open a viewer on a demo's folder and stay until it is closed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1:
        sys.stderr.write("Give the folder that `anlage demo -o DIR` made: python -m napari_anlage.demo DIR\n")
        return 2
    import napari

    viewer = napari.Viewer(title="anlage demo")
    try:
        open_demo(viewer, Path(given[0]))
    except AnlageError as error:
        viewer.close()
        sys.stderr.write(f"{error}\n")
        return 2
    napari.run()
    return 0


def open_demo(viewer: Any, folder: Path) -> None:
    """Show a finished demo in a viewer, at a frame that the network never saw.

    Raises
    ------
    AnlageError
        If the folder lacks one of the demo's files.
    """
    missing = [name for name in _NEEDED if not (folder / name).exists()]
    if missing:
        raise AnlageError(
            f"{folder} is no finished demo: {missing[0]} is missing; make it with `{command('demo', '-o', folder)}`."
        )
    movie = open_image(folder / "image.ome.zarr")
    annotated, truth, found = (open_annotations(folder / f"{name}.csv") for name in ("annotations", "truth", "found"))
    image = _show_image(viewer, movie)
    grid = LayerGrid.of(image, "tzyx")
    overlay.show_annotations(viewer, grid, truth, "truth", _TRUTH).visible = False
    nuclei = overlay.show_annotations(viewer, grid, annotated, "annotated nuclei", layer_roles.ANNOTATED)
    heat = open_image(folder / "heatmap.zarr").read()[:, 0]
    viewer.add_image(
        heat, name="heat-map", blending="additive", colormap="magma", opacity=0.6, contrast_limits=(0.0, 1.0),
        projection_mode="none", visible=False, **grid.placed("tzyx"),
    )  # fmt: skip
    run = Run.open(folder / "run")
    overlay.show_centres(viewer, grid, found, _diameter_um(run, truth), 1, "demo")
    _show_dock(viewer, folder, image, nuclei, run)
    frame = int(found.frames.min()) if len(found) else 0
    camera.go_to(viewer, grid, (frame, movie.shape[2] // 2, movie.shape[3] / 2, movie.shape[4] / 2))
    viewer.reset_view()


def _show_image(viewer: Any, movie: TimeLapse) -> Any:
    pixels = movie.read()[:, 0]
    limits = tuple(float(v) for v in np.percentile(pixels[0], (1, 99.8)))
    spacing = (1.0, 1.0, 1.0) if movie.spacing is None else movie.spacing.zyx
    return viewer.add_image(
        pixels, name="embryo", contrast_limits=limits, scale=(movie.interval_s or 1.0, *spacing),
        units=("s", "µm", "µm", "µm"), axis_labels=tuple("tzyx"),
    )  # fmt: skip


def _diameter_um(run: Run, truth: Annotations) -> float:
    known = None if run.model_path is None else load_model(run.model_path).card.diameter_um
    return known or 2 * float(np.nanmedian(truth.radius_um))


def _show_dock(viewer: Any, folder: Path, image: Any, nuclei: Any, run: Run) -> None:
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(folder)
    dock.session.choose_image(image)
    dock.session.choose_nuclei(nuclei)
    dock.show_run(run)


if __name__ == "__main__":
    sys.exit(main())
