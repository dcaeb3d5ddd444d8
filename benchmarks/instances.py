"""Outlines in mouse embryos (BBBC050), leave one embryo out, beside a tuned classical pipeline: a table of docs/lab-book/outlines.md.

    python benchmarks/instances.py ../shared/data/bbbc050-mouse-embryo /tmp/outlines [--minutes 10 | --steps 800] [--embryos 01,04]
        [--only starter --starter MODEL]

With `--starter` a model that has seen none of the embryos outlines them as it is, beside the others.
The classical pipeline finds seeds as blobs and floods from them; its two parameters are chosen on the training embryos alone.
Scores are told as the mean of an embryo's stacks and pooled over them; with all labels, without the smallest, and without those
that join several nuclei as well. Writes WORK/outlines-EMBRYO.json as it goes, so that folds may run at once; what is there already
is not run again. At the end the table of what is there is printed.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import numpy as np
import tifffile
from command import anlage
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
SETTINGS = ("head=instances", "validate_every=100")
"""All else is as usual; looked at in even steps, so that courses can be compared."""
SCORES = ("ap50", "ap75", "seg")
COUNTED = (
    "mean of stacks",
    "mean of stacks, without slivers",
    "mean of stacks, without slivers and joined labels",
    "pooled",
    "pooled, without slivers",
)
JOINED = 1.4
"""A label that is so many times as large as most of its stack, and that several outlines share, joins several nuclei."""
SIGMAS = (1.0, 1.5)
LEVELS = (0.15, 0.2, 0.25, 0.3, 0.4)
"""Blur in voxels of the plane, and level between background and the seeds' brightness, among which the classical one is tuned."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument(
        "--turns", type=int, default=1, help="copies over which a prediction is averaged: 1, 4, 8 or 16"
    )
    parser.add_argument("--embryos", default=",".join(EMBRYOS))
    parser.add_argument("--only", choices=("classical", "network", "starter", "table"))
    parser.add_argument("--starter", type=Path, help="a model that outlines, and has seen none of the embryos")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    length = f"{options.minutes:g} min" if options.steps is None else f"{options.steps} steps"
    kinds = {
        "classical": (classical, ""),
        "network": (network, f", {length}" + (f", {options.turns} turns" if options.turns > 1 else "")),
    }
    if options.starter is not None:
        kinds["starter"] = (starter, f", {options.starter.stem}")
    for embryo in options.embryos.split(","):
        for kind, (run, detail) in kinds.items():
            name = kind + detail
            if name not in results(options.work, embryo) and options.only in (None, kind):
                found = run(options, embryo)
                # read again: another process may have written meanwhile
                every = {**results(options.work, embryo), name: found}
                where(options.work, embryo).write_text(json.dumps(every, indent=1))
    print_table(options.work)


def where(work: Path, embryo: str) -> Path:
    return work / f"outlines-{embryo}.json"


def results(work: Path, embryo: str) -> dict:
    path = where(work, embryo)
    return json.loads(path.read_text()) if path.exists() else {}


def print_table(work: Path) -> None:
    """A row for each embryo and way, and the mean of the embryos."""
    every = {embryo: results(work, embryo) for embryo in EMBRYOS}
    for way in sorted({name for found in every.values() for name in found}):
        done = {embryo: found[way] for embryo, found in every.items() if way in found}
        for counted in COUNTED:
            rows = {embryo: found[counted] for embryo, found in done.items()}
            mean = {score: float(np.mean([row[score] for row in rows.values()])) for score in SCORES}
            for embryo, row in {**rows, f"mean of {len(rows)}": mean}.items():
                print(f"| {way} | {counted} | {embryo} | " + " | ".join(f"{row[score]:.3f}" for score in SCORES) + " |")


def stacks(data: Path, embryo: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image and labels of each stack of an embryo."""
    paths = sorted((data / "images").glob(f"train_Emb{embryo}_*.tif"))
    return [(tifffile.imread(p), tifffile.imread(data / "labels" / p.name)) for p in paths]


def classical(options: argparse.Namespace, embryo: str) -> dict:
    """Blob seeds and a watershed, tuned on the other embryos."""
    others = [other for other in EMBRYOS if other != embryo]

    def on_others(parameters: tuple[float, float]) -> float:
        return mean_of_stacks([one for other in others for one in watersheds(options.data, other)[parameters]])["ap50"]

    tuned = max(((sigma, level) for sigma in SIGMAS for level in LEVELS), key=on_others)
    return {"sigma": tuned[0], "level": tuned[1], **scores(watersheds(options.data, embryo)[tuned])}


@functools.cache
def watersheds(data: Path, embryo: str) -> dict[tuple[float, float], list[Overlaps]]:
    """The stacks of an embryo, flooded with every choice of the two parameters."""
    own = [ready(*pair) for pair in stacks(data, embryo)]
    return {
        (sigma, level): [Overlaps.of(truth, flooded(image, centres, sigma, level)) for image, centres, truth in own]
        for sigma in SIGMAS
        for level in LEVELS
    }


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
        anlage("train", "nuclei", *stores, "-o", run, "--set", *SETTINGS, length)
    found = outlined(options, embryo, run, f"{run.name}-turns-{options.turns}")
    finished = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    return {**found, "steps": finished["step"], "seconds": finished["seconds"]}


def starter(options: argparse.Namespace, embryo: str) -> dict:
    """Outlines without any annotation; the nucleus diameter is measured."""
    return outlined(options, embryo, options.starter, f"{options.starter.stem}-{embryo}")


def outlined(options: argparse.Namespace, embryo: str, model: Path, name: str) -> dict:
    """Scores of the embryo as a model, or a run's, outlines it."""
    out = options.work / f"{name}.zarr"
    if not out.exists():
        anlage(
            "predict", model, images(options, embryo), "-o", out, "--spacing", "1.75,0.8,0.8", "--turns", options.turns
        )
    import zarr

    found = zarr.open_group(out, mode="r")["0"]
    truth = [labels for _, labels in stacks(options.data, embryo)]
    return scores([Overlaps.of(labels, np.asarray(found[t])) for t, labels in enumerate(truth)])


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


def scores(every: list[Overlaps]) -> dict:
    """AP50, AP75 and SEG of an embryo's stacks, for everything that is `COUNTED`; and how many labels join several nuclei."""
    large = [one.without(one.truth_sizes < SLIVER) for one in every]
    single = [one.without(joined(one)) for one in large]
    return {
        "joined": sum(len(a.truth) - len(b.truth) for a, b in zip(large, single, strict=True)),
        "mean of stacks": mean_of_stacks(every),
        "mean of stacks, without slivers": mean_of_stacks(large),
        "mean of stacks, without slivers and joined labels": mean_of_stacks(single),
        "pooled": pooled(every),
        "pooled, without slivers": pooled(large),
    }


def pooled(overlaps: list[Overlaps]) -> dict[str, float]:
    found = {f"ap{int(100 * least)}": ap(overlaps, least) for least in (0.5, 0.75)}
    return {**found, "seg": round(float(np.concatenate([seg(one) for one in overlaps]).mean()), 3)}


def mean_of_stacks(overlaps: list[Overlaps]) -> dict[str, float]:
    each = [pooled([one]) for one in overlaps]
    return {name: round(float(np.mean([one[name] for one in each])), 3) for name in each[0]}


def joined(one: Overlaps) -> np.ndarray:
    """Which labels of the truth (N,) are large, match no outline, and match the union of several that lie in them."""
    found = one.truth_sizes > JOINED * np.median(one.truth_sizes)
    found[one.pairs[one.matched(0.5), 0]] = False
    inside = 2 * one.shared > one.predicted_sizes[one.pairs[:, 1]]
    for row in np.flatnonzero(found):
        parts = inside & (one.pairs[:, 0] == row)
        shared, sizes = one.shared[parts].sum(), one.predicted_sizes[one.pairs[parts, 1]].sum()
        found[row] = parts.sum() > 1 and 2 * shared > one.truth_sizes[row] + sizes - shared
    return found


def ap(overlaps: list[Overlaps], least: float) -> float:
    tp = sum(len(one.matched(least)) for one in overlaps)
    return round(tp / max(1, sum(len(one.truth) + len(one.predicted) for one in overlaps) - tp), 3)


def seg(one: Overlaps) -> np.ndarray:
    best = np.zeros(len(one.truth))
    covers = 2 * one.shared > one.truth_sizes[one.pairs[:, 0]]
    best[one.pairs[covers, 0]] = one.iou[covers]
    return best


if __name__ == "__main__":
    main()
