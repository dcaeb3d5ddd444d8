"""Draw pictures of a result with matplotlib, without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from anlage.axes import Spacing
from anlage.evaluation.worst import WorstObject
from anlage.io.atomic import replacing
from anlage.io.seals import LIBRARY, Writer
from anlage.training.progress import Curve, Event

__all__ = ["Scene", "draw_result", "draw_slices", "draw_training", "draw_worst"]

_TRUTH, _FOUND = "#00d5ff", "#ff4fd8"
_BAR_UM = 20.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame, what is in it and what was found.

    Parameters
    ----------
    image, heatmap
        (z, y, x) on the same voxels.
    truth, found
        (N, 3) centres z, y, x in voxels.
    spacing
        Voxel size in µm.
    """

    image: npt.NDArray[Any]
    heatmap: npt.NDArray[Any]
    truth: npt.NDArray[np.float64]
    found: npt.NDArray[np.float64]
    spacing: Spacing


def draw_result(path: Path, scene: Scene, title: str, by: Writer = LIBRARY) -> None:
    """Write the frame seen from above: image, truth, what was found, and the heat-map."""
    figure = Figure(figsize=(12, 12.4), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    flat = scene.image.max(axis=0)
    _show(panels[0], flat, scene, "image (brightest along z)")
    _show(panels[1], flat, scene, f"truth: {len(scene.truth)} nuclei")
    _mark(panels[1], scene.truth, scene, truth=True)
    _show(panels[2], flat, scene, f"found: {len(scene.found)} nuclei, truth as circles")
    _mark(panels[2], scene.truth, scene, truth=True)
    _mark(panels[2], scene.found, scene, truth=False)
    _show(panels[3], scene.heatmap.max(axis=0), scene, "the network's heat-map", colours="magma")
    figure.suptitle(title)
    _save(figure, path, by)


def draw_slices(path: Path, scene: Scene, by: Writer = LIBRARY, n: int = 6) -> None:
    """Write single planes with the nuclei whose centres lie in them, truth and found."""
    planes = np.unique(np.linspace(0, len(scene.image) - 1, n + 2).round().astype(int)[1:-1])
    figure = Figure(figsize=(4.2 * min(3, len(planes)), 4.4 * -(-len(planes) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(planes) // 3), min(3, len(planes)), squeeze=False).ravel()
    for panel in panels[len(planes) :]:
        panel.set_axis_off()
    for panel, z in zip(panels, planes, strict=False):
        _show(panel, scene.image[z], scene, f"z = {z} ({z * scene.spacing.z:g} µm)")
        for points, truth in ((scene.truth, True), (scene.found, False)):
            _mark(panel, points[np.abs(points[:, 0] - z) <= 1], scene, truth=truth)
    figure.suptitle("planes; ○ truth, + found, within one plane")
    _save(figure, path, by)


def draw_training(path: Path, events: Sequence[Event], by: Writer = LIBRARY) -> None:
    """Write the learning curve."""
    curve = Curve()
    for event in events:
        curve.add(event)
    figure = Figure(figsize=(9, 4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for points, label in ((curve.train, "training"), (curve.validation, "held-out")):
        if points:
            losses.plot(*zip(*points, strict=True), label=label)
    if curve.train:
        losses.set_yscale("log")
        losses.legend()
    losses.set(xlabel="step", ylabel="loss")
    if curve.score:
        scores.plot(*zip(*curve.score, strict=True), "o-", label="held-out")
    if curve.best_step is not None:
        scores.axvline(curve.best_step, color="grey", linestyle=":", label="kept weights")
        scores.legend()
    scores.set(xlabel="step", ylabel="score on held-out data (higher is better)")
    _save(figure, path, by)


def draw_worst(path: Path, pictures: Sequence[tuple[WorstObject, npt.NDArray[np.uint8]]], by: Writer = LIBRARY) -> None:
    """Write the worst objects side by side, each with its overlap and its place."""
    columns = min(4, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(3.0 * columns, 3.5 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, (one, picture) in zip(panels, pictures, strict=False):
        panel.imshow(picture)
        how = "missed" if one.iou == 0 else f"IoU {one.iou:.2f}"
        panel.set_title(f"label {one.label}: {how}\nframe {one.frame}, z {one.z}, y {one.y}, x {one.x}", fontsize=9)
    figure.suptitle("The worst objects: truth cyan, found magenta, both white", fontsize=10)
    _save(figure, path, by)


def _save(figure: Figure, path: Path, by: Writer) -> None:
    by = by.of("picture")
    with replacing(path, by) as temporary:
        figure.savefig(temporary, format="png", dpi=90, metadata={"Software": by.mark})


def _show(panel: Any, plane_YX: npt.NDArray[Any], scene: Scene, title: str, colours: str = "gray") -> None:
    """A plane in µm with a scale bar."""
    height, width = np.array(plane_YX.shape) * scene.spacing.um[1:]
    low, high = np.percentile(plane_YX, [1, 99.8])
    panel.imshow(plane_YX, cmap=colours, vmin=low, vmax=max(high, low + 1e-6), extent=(0, width, height, 0))
    panel.set_axis_off()
    panel.set_title(title, fontsize=10)
    panel.plot([0.03 * width, 0.03 * width + _BAR_UM], [0.97 * height] * 2, color="white", linewidth=3)
    panel.text(0.03 * width, 0.95 * height, f"{_BAR_UM:g} µm", color="white", fontsize=8, va="bottom")


def _mark(panel: Any, points_zyx: npt.NDArray[np.float64], scene: Scene, *, truth: bool) -> None:
    places = (points_zyx + 0.5) * scene.spacing.um
    if truth:
        panel.scatter(places[:, 2], places[:, 1], s=60, facecolors="none", edgecolors=_TRUTH, linewidths=1.0)
    else:
        panel.scatter(places[:, 2], places[:, 1], s=40, marker="+", c=_FOUND, linewidths=1.2)
