"""Centres in mouse embryos (BBBC050), leave one embryo out: the tables of docs/lab-book/centres.md, from the command line only.

    python benchmarks/bbbc050.py ../shared/data/bbbc050-mouse-embryo /tmp/bbbc050 [--minutes 5 | --steps 500] [--only loo|one|starter|classical]

Each embryo is a movie of five stacks, the truth the centroids of its labels. Writes WORK/results.json as it goes; what is
there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import tifffile
from command import anlage

EMBRYOS = ("01", "02", "04", "07", "08")
SPACING = "1.75,0.8,0.8"
TRUE_UM = 16.0
"""Median diameter of the labels' volumes."""
ONE_CUBOID = (2, 4)
"""Frames of the single annotated cuboid: 45 to 63 nuclei."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument(
        "--steps", type=int, help="steps of each training, instead of minutes: for a machine that is busy"
    )
    parser.add_argument("--only", choices=("loo", "one", "starter", "classical"))
    parser.add_argument("--threads", type=int, help="CPU threads of each training (default: all cores)")
    parser.add_argument("--embryos", default=",".join(EMBRYOS))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for embryo in EMBRYOS:
        lay_out(options.data, options.work, embryo)
    for embryo in options.embryos.split(","):
        for untrained in ("classical", "starter"):
            if options.only in (None, untrained):
                record(options.work, f"{untrained} {embryo}", lambda e=embryo, u=untrained: score(options.work, u, [e]))
        if options.only in (None, "starter"):
            record(
                options.work,
                f"starter {embryo}, diameter given",
                lambda e=embryo: score(options.work, "starter", [e], TRUE_UM),
            )
        if options.only in (None, "loo"):
            record(options.work, f"left out {embryo}, {length(options)}", lambda e=embryo: left_out(options, e))
        if options.only in (None, "one"):
            record(options.work, f"one cuboid of {embryo}, {length(options)}", lambda e=embryo: one_cuboid(options, e))
    print((options.work / "results.json").read_text())


def length(options: argparse.Namespace) -> str:
    """How long a training takes, in words."""
    return f"{options.minutes:g} min" if options.steps is None else f"{options.steps} steps"


def lay_out(data: Path, work: Path, embryo: str) -> None:
    """A folder of stacks, a folder of labels and a CSV of centroids for one embryo."""
    images, labels = work / f"Emb{embryo}", work / f"Emb{embryo}-labels"
    if labels.exists():
        return
    images.mkdir(exist_ok=True)
    labels.mkdir()
    rows = []
    for t, source in enumerate(sorted((data / "images").glob(f"train_Emb{embryo}_*.tif"))):
        (images / source.name).symlink_to(source.resolve())
        truth = data / "labels" / source.name
        (labels / source.name).symlink_to(truth.resolve())
        painted = tifffile.imread(truth)
        at = np.argwhere(painted > 0)
        value = painted[painted > 0]
        size = np.bincount(value)
        mean = [np.bincount(value, at[:, axis]) / np.maximum(size, 1) for axis in range(3)]
        rows += [(t, *(m[v] for m in mean)) for v in np.flatnonzero(size)]
    lines = [f"{i + 1},{t},{z:.3f},{y:.3f},{x:.3f}" for i, (t, z, y, x) in enumerate(rows)]
    (work / f"Emb{embryo}.csv").write_text("id,t,z,y,x\n" + "\n".join(lines) + "\n")


def left_out(options: argparse.Namespace, embryo: str) -> dict:
    """Train on the other four, score on this one."""
    stores = [whole_store(options.work, other) for other in EMBRYOS if other != embryo]
    run = options.work / f"run-without-{embryo}-{length(options).replace(' ', '-')}"
    seconds = train(stores, run, options)
    return {**score(options.work, str(run), [embryo]), "seconds": seconds}


def one_cuboid(options: argparse.Namespace, embryo: str) -> dict:
    """Train on two frames of one embryo, score on the other four."""
    low, high = ONE_CUBOID
    z, y, x = tifffile.imread(next((options.work / f"Emb{embryo}").iterdir())).shape
    store = options.work / f"cuboid-{embryo}.zarr"
    if not store.exists():
        build(options.work, embryo, store, f"{low}:{high},0:{z},0:{y},0:{x}")
    run = options.work / f"run-cuboid-{embryo}-{length(options).replace(' ', '-')}"
    seconds = train([store], run, options)
    return {**score(options.work, str(run), [e for e in EMBRYOS if e != embryo]), "seconds": seconds}


def whole_store(work: Path, embryo: str) -> Path:
    store = work / f"whole-{embryo}.zarr"
    if not store.exists():
        z, y, x = tifffile.imread(next((work / f"Emb{embryo}").iterdir())).shape
        build(work, embryo, store, f"0:5,0:{z},0:{y},0:{x}")
    return store


def build(work: Path, embryo: str, store: Path, cuboid: str) -> None:
    anlage(
        "build", work / f"Emb{embryo}", work / f"Emb{embryo}.csv", "-o", store, "--spacing", SPACING, "--cuboid", cuboid
    )


def train(stores: list[Path], run: Path, options: argparse.Namespace) -> float:
    start = time.perf_counter()
    if not list(run.glob("*.anlage")):
        settings = [f"minutes={options.minutes:g}" if options.steps is None else f"steps={options.steps}"]
        settings += [] if options.threads is None else [f"threads={options.threads}"]
        anlage("train", "nuclei", *stores, "-o", run, *(word for s in settings for word in ("--set", s)))
    return round(time.perf_counter() - start, 1)


def score(work: Path, model: str, embryos: list[str], diameter_um: float | None = None) -> dict:
    """F1 and centre error within 5 µm, over embryos; once with all labels, once without slivers."""
    found = {e: work / f"found-{Path(model).name}-{e}.csv" for e in embryos}
    size = () if diameter_um is None else ("--diameter-um", diameter_um)
    reports = []
    for embryo, csv in found.items():
        anlage("predict", model, work / f"Emb{embryo}", "-o", csv, "--spacing", SPACING, *size)
        common = ("evaluate", csv, work / f"Emb{embryo}-labels", "--spacing", SPACING, "--radius-um", 5, "--json")
        reports.append((json.loads(anlage(*common)), json.loads(anlage(*common, "--ignore-smaller-than", 150))))
    every, without = zip(*reports, strict=True)
    mean = {
        key: round(float(np.mean([r["detection"][key] for r in every])), 4) for key in ("f1", "precision", "recall")
    }
    per_stack = [frame["f1"] for r in every for frame in r["detection"]["frames"]]
    return {
        **mean,
        "f1_mean_of_stacks": round(float(np.mean(per_stack)), 4),
        "f1_without_slivers": round(float(np.mean([r["detection"]["f1"] for r in without])), 4),
        "median_error_um": round(float(np.median([r["detection"]["median_error_um"] for r in every])), 3),
        "n_truth": sum(r["detection"]["n_truth"] for r in every),
    }


def record(work: Path, name: str, run) -> None:
    path = work / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if name not in results:
        results[name] = run()
        path.write_text(json.dumps(results, indent=1))
    print(name, results[name], flush=True)


if __name__ == "__main__":
    main()
