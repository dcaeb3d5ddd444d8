"""Beyond nuclei: chloroplasts in 3D, outlined, and a plate with holes in 2D, by classes: tables of docs/lab-book/outlines.md.

    python benchmarks/anatomics.py ../shared/data/anatomics WORK [--steps 150] [--only chloroplasts|plate]

Chloroplasts: learnt on planes 0 to 6 of the stack, scored on planes 7 to 9, beside a threshold and a watershed that are tuned
on the first. Plate: learnt on the upper half, scored on the lower, beside the best brightness threshold of the upper. The
data do not tell a voxel size; one is assumed, and only its ratio of z to xy matters. What is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tifffile
from command import anlage
from scipy import ndimage
from skimage.segmentation import watershed

from anlage.axes import Spacing
from anlage.evaluation.segmentation import SegmentationScore, score_classes, score_segmentation
from anlage.timelapse import TimeLapse

PLANES = 7
"""Planes from the first on that are learnt from."""
SPACING = Spacing(0.1, 0.025, 0.025)
DISTANCES = (8, 12, 16, 22)
"""Least distance of two seeds in pixels, among which the watershed is tuned."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--only", choices=("chloroplasts", "plate"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name, run in {"chloroplasts": chloroplasts, "plate": plate}.items():
        if options.only in (None, name):
            for method, scores in run(options).items():
                print(name, method, json.dumps(scores), flush=True)


def chloroplasts(options: argparse.Namespace) -> dict[str, dict]:
    image, labels = (options.data / f"chloroplast_{what}_xy2.tif" for what in ("images", "labels"))
    pixels, truth = tifffile.imread(image), tifffile.imread(labels)
    _, y, x = truth.shape
    model = trained(options, "chloroplasts", image, labels, f"0:1,0:{PLANES},0:{y},0:{x}", "instances")
    found = predicted(options, "chloroplasts", model, image)
    return {
        f"network, {options.steps} steps": of_objects(truth[PLANES:], found[PLANES:]),
        "threshold and watershed": of_objects(truth[PLANES:], classical(pixels, truth)[PLANES:]),
    }


def classical(pixels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Bright or dark beyond a threshold, parted by distance: threshold and distance of seeds chosen on the planes learnt from."""
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), (0, 2, 2))
    inside = truth[:PLANES] > 0
    levels = np.percentile(smooth, range(10, 95, 5))
    signed = [(sign, level) for sign in (1, -1) for level in levels]
    sign, level = max(signed, key=lambda p: dice(p[0] * smooth[:PLANES] > p[0] * p[1], inside))
    mask = ndimage.binary_opening(sign * smooth > sign * level, iterations=2)
    depth = ndimage.distance_transform_edt(mask, (4, 1, 1))
    tuned = max(DISTANCES, key=lambda d: of_objects(truth[:PLANES], parted(mask, depth, d)[:PLANES])["AP50"])
    return parted(mask, depth, tuned)


def parted(mask: np.ndarray, depth: np.ndarray, distance: int) -> np.ndarray:
    peaks = (depth == ndimage.maximum_filter(depth, (len(mask) | 1, 2 * distance + 1, 2 * distance + 1))) & mask
    seeds, _ = ndimage.label(peaks, np.ones((3, 3, 3)))
    return watershed(-depth, seeds, mask=mask)


def plate(options: argparse.Namespace) -> dict[str, dict]:
    image, labels = options.data / "plateImage2D.tif", options.data / "plateLabel2D.tif"
    pixels, truth = tifffile.imread(image), tifffile.imread(labels)
    half, x = truth.shape[0] // 2, truth.shape[1]
    model = trained(options, "plate", image, labels, f"0:1,0:1,0:{half},0:{x}", "classes")
    found = predicted(options, "plate", model, image)
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), 1)
    signed = [(sign, level) for sign in (1, -1) for level in np.percentile(smooth, range(2, 99, 2))]
    sign, level = max(signed, key=lambda p: dice(p[0] * smooth[:half] > p[0] * p[1], truth[:half] == 1))
    return {
        f"network, {options.steps} steps": of_classes(truth[half:], found[half:]),
        "threshold": of_classes(truth[half:], (sign * smooth > sign * level)[half:].astype(np.uint8)),
    }


def trained(options: argparse.Namespace, name: str, image: Path, labels: Path, box: str, head: str) -> Path:
    run = options.work / f"{name}-{options.steps}"
    if not list(run.glob("*.anlage")):
        store = options.work / f"{name}.zarr"
        words = ["--classes"] if head == "classes" else []
        spacing = ",".join(f"{um:g}" for um in SPACING.zyx)
        anlage("build", image, labels, "-o", store, "--spacing", spacing, "--cuboid", box, "--overwrite", *words)
        # sections know no up and down
        anlage(
            "train", "nuclei", store, "-o", run, "--set", f"head={head}", "orientation=any", f"steps={options.steps}"
        )
    return run


def predicted(options: argparse.Namespace, name: str, model: Path, image: Path) -> np.ndarray:
    out = options.work / f"{model.name}.tif"
    if not out.exists():
        anlage("predict", model, image, "-o", out, "--spacing", ",".join(f"{um:g}" for um in SPACING.zyx))
    return tifffile.imread(out)


def of_objects(truth: np.ndarray, found: np.ndarray) -> dict:
    score = score_segmentation(*(TimeLapse.of(labels, "zyx") for labels in (found, truth)))
    return {
        "objects": score.n_truth, "found": score.n_predicted, "AP50": rounded(score.ap50), "AP75": rounded(score.ap75),
        "PQ": rounded(score.pq), "SEG": rounded(score.seg),
    }  # fmt: skip


def of_classes(truth: np.ndarray, found: np.ndarray) -> dict:
    score: SegmentationScore = score_classes(*(TimeLapse.of(labels, "yx") for labels in (found, truth)))
    return {**{f"Dice {one.value}": rounded(one.dice) for one in score.classes}, "mean Dice": rounded(score.dice)}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / max(1, int(one.sum()) + int(other.sum()))


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


if __name__ == "__main__":
    main()
