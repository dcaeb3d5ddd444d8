"""Outlines in mouse embryos (BBBC050), leave one embryo out, beside a tuned classical pipeline: a table of benchmarks.md.

    python docs/benchmark_instances.py ../shared/data/bbbc050-mouse-embryo /tmp/outlines [--minutes 10 | --steps 500] [--embryos 01,04]

The classical pipeline finds seeds as blobs and floods from them; its two parameters are chosen on the training embryos alone.
Scores are told twice: pooled over an embryo's stacks, and as the mean of its stacks. Writes WORK/outlines.json as it goes;
what is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage
from skimage.segmentation import watershed

from anlage.axes import Spacing
from anlage.blobs import detect
from anlage.overlaps import Overlaps

EMBRYOS = ("01", "02", "04", "07", "08")
SPACING = Spacing(1.75, 0.8, 0.8)
DIAMETER_UM = 16.0
SLIVER = 150
"""Voxels below which a label of the truth is left out in the second count."""
SIGMAS = (1.0, 1.5)
LEVELS = (0.15, 0.2, 0.25, 0.3, 0.4)
"""Blur in voxels of the plane, and level between background and the seeds' brightness, among which the classical one is tuned."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--embryos", default=",".join(EMBRYOS))
    parser.add_argument("--only", choices=("classical", "network"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / "outlines.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    length = f"{options.minutes:g} min" if options.steps is None else f"{options.steps} steps"
    for embryo in options.embryos.split(","):
        runs = {f"classical {embryo}": classical, f"network {embryo}, {length}": network}
        for name, run in runs.items():
            if name not in results and options.only in (None, name.split()[0]):
                results[name] = run(options, embryo)
                path.write_text(json.dumps(results, indent=1))
            if name in results:
                print(name, results[name], flush=True)


def stacks(data: Path, embryo: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image and labels of each stack of an embryo."""
    paths = sorted((data / "images").glob(f"train_Emb{embryo}_*.tif"))
    return [(tifffile.imread(p), tifffile.imread(data / "labels" / p.name)) for p in paths]


def classical(options: argparse.Namespace, embryo: str) -> dict:
    """Blob seeds and a watershed, tuned on the other embryos."""
    others = [ready(*pair) for other in EMBRYOS if other != embryo for pair in stacks(options.data, other)]
    grid = [(sigma, level) for sigma in SIGMAS for level in LEVELS]
    tuned = max(grid, key=lambda p: mean_of_stacks([Overlaps.of(t, flooded(m, c, *p)) for m, c, t in others])["ap50"])
    own = [ready(*pair) for pair in stacks(options.data, embryo)]
    found = scores([(truth, flooded(image, centres, *tuned)) for image, centres, truth in own])
    return {"sigma": tuned[0], "level": tuned[1], **found}


def ready(image: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The image, its blobs, and the truth."""
    pixels = image.astype(np.float32)
    centres, _ = detect(pixels, SPACING, DIAMETER_UM)
    return pixels, np.rint(centres).astype(int), truth


def flooded(image: np.ndarray, at: np.ndarray, sigma: float, level: float) -> np.ndarray:
    """Labels by a watershed on the blurred image, from seeds (N, 3)."""
    smooth = ndimage.gaussian_filter(image, (sigma / 2, sigma, sigma))
    background = np.percentile(smooth, 20)
    bright = np.percentile(smooth[tuple(at.T)], 50) if len(at) else smooth.max()
    seeds = np.zeros(image.shape, np.int32)
    seeds[tuple(at.T)] = np.arange(1, len(at) + 1)
    return watershed(-smooth, seeds, mask=smooth > background + level * (bright - background))


def network(options: argparse.Namespace, embryo: str) -> dict:
    """Train on the other four, outline this one; from the command line only."""
    stores = [whole_store(options, other) for other in EMBRYOS if other != embryo]
    length = f"minutes={options.minutes:g}" if options.steps is None else f"steps={options.steps}"
    run = options.work / f"run-{embryo}-{length.replace('=', '-')}"
    if not list(run.glob("*.anlage")):
        anlage("train", "nuclei", *stores, "-o", run, "--set", "head=instances", "--set", length)
    out = options.work / f"{run.name}.zarr"
    if not out.exists():
        anlage("predict", run, images(options, embryo), "-o", out, "--spacing", "1.75,0.8,0.8")
    import zarr

    found = zarr.open_group(out, mode="r")["0"]
    truth = [labels for _, labels in stacks(options.data, embryo)]
    return scores([(labels, np.asarray(found[t])) for t, labels in enumerate(truth)])


def images(options: argparse.Namespace, embryo: str, what: str = "images") -> Path:
    """A folder with the stacks of one embryo."""
    folder = options.work / f"{what}-{embryo}"
    folder.mkdir(exist_ok=True)
    for source in sorted((options.data / what).glob(f"train_Emb{embryo}_*.tif")):
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source.resolve())
    return folder


def whole_store(options: argparse.Namespace, embryo: str) -> Path:
    store = options.work / f"whole-{embryo}.zarr"
    if not store.exists():
        folder, labels = images(options, embryo), images(options, embryo, "labels")
        z, y, x = tifffile.imread(next(folder.iterdir())).shape
        box = f"0:5,0:{z},0:{y},0:{x}"
        anlage("build", folder, labels, "-o", store, "--spacing", "1.75,0.8,0.8", "--cuboid", box)
    return store


def scores(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict:
    """AP50, AP75 and SEG of (truth, found) stacks, with all labels and without slivers."""
    every = [Overlaps.of(truth, found) for truth, found in pairs]
    large = [one.without(one.truth_sizes < SLIVER) for one in every]
    return {
        "pooled": pooled(every),
        "mean of stacks": mean_of_stacks(every),
        "pooled, without slivers": pooled(large),
        "mean of stacks, without slivers": mean_of_stacks(large),
    }


def pooled(overlaps: list[Overlaps]) -> dict[str, float]:
    found = {f"ap{int(100 * least)}": ap(overlaps, least) for least in (0.5, 0.75)}
    return {**found, "seg": round(float(np.concatenate([seg(one) for one in overlaps]).mean()), 3)}


def mean_of_stacks(overlaps: list[Overlaps]) -> dict[str, float]:
    each = [pooled([one]) for one in overlaps]
    return {name: round(float(np.mean([one[name] for one in each])), 3) for name in each[0]}


def ap(overlaps: list[Overlaps], least: float) -> float:
    tp = sum(len(one.matched(least)) for one in overlaps)
    return round(tp / max(1, sum(len(one.truth) + len(one.predicted) for one in overlaps) - tp), 3)


def seg(one: Overlaps) -> np.ndarray:
    best = np.zeros(len(one.truth))
    covers = 2 * one.shared > one.truth_sizes[one.pairs[:, 0]]
    best[one.pairs[covers, 0]] = one.iou[covers]
    return best


def anlage(*words: object) -> None:
    command = [sys.executable, "-m", "anlage", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    main()
