"""The same image at 1.75 × 0.8 × 0.8 µm and resampled to 0.9 × 0.4 × 0.4 µm: the same objects, the same volumes? For docs/lab-book/outlines.md.

    python benchmarks/voxel_size.py WORK [--steps 100]
    python benchmarks/voxel_size.py WORK --model RUN --data ../shared/data/bbbc050-mouse-embryo --embryos 01

A network learns outlines from two synthetic embryos; others are outlined at both voxel sizes, from the command line alone,
nothing being said of the nuclei's size. With --model and --data a model that is there outlines mouse embryos instead.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tifffile
from command import anlage
from scipy import ndimage

from anlage.axes import Spacing
from anlage.overlaps import Overlaps
from anlage.synthetic import embryo

COARSE, FINE = Spacing(1.75, 0.8, 0.8), Spacing(0.9, 0.4, 0.4)
SHAPE = (36, 128, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--embryos", default="01")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.model is not None and options.data is not None:
        model = options.model
        stacks = [
            p for e in options.embryos.split(",") for p in sorted((options.data / "images").glob(f"*Emb{e}_*.tif"))
        ]
        images = {path.stem: tifffile.imread(path) for path in stacks}
    else:
        model = trained(options.work, options.steps)
        images = {f"embryo {seed}": synthetic(seed).image.frame(0)[0] for seed in (21, 22, 23)}
    results = {name: compared(options.work, model, name, image) for name, image in images.items()}
    n = sum(one["objects"][0] for one in results.values())
    matched = sum(one["matched"] for one in results.values())
    ratios = np.concatenate([one.pop("ratios") for one in results.values()])
    for name, one in results.items():
        print(name, json.dumps(one))
    print(
        f"{matched} of {n} objects matched ({matched / n:.1%}); volume fine / coarse: median {np.median(ratios):.3f}, "
        f"half of them {np.percentile(ratios, 25):.3f} to {np.percentile(ratios, 75):.3f}"
    )


def synthetic(seed: int):
    return embryo(seed, 1, SHAPE, spacing=COARSE, n_nuclei=24, diameter_um=16.0)


def trained(work: Path, steps: int) -> Path:
    run = work / f"run-{steps}"
    if not list(run.glob("*.anlage")):
        stores = []
        for seed in (11, 12):
            movie = synthetic(seed)
            image, labels, store = (work / f"{seed}-{what}" for what in ("image.tif", "labels.tif", "store.zarr"))
            tifffile.imwrite(image, movie.image.frame(0)[0])
            tifffile.imwrite(labels, movie.labels.frame(0)[0])
            box = "0:1," + ",".join(f"0:{n}" for n in SHAPE)
            anlage("build", image, labels, "-o", store, "--spacing", said(COARSE), "--cuboid", box, "--overwrite")
            stores.append(store)
        anlage("train", "nuclei", *stores, "-o", run, "--set", "head=instances", "--set", f"steps={steps}")
    return run


def compared(work: Path, model: Path, name: str, image: np.ndarray) -> dict:
    """Objects of one image at both voxel sizes."""
    fine = finer(image)
    found = [outlined(work, model, f"{name} {what}", pixels, spacing) for what, pixels, spacing in (
        ("coarse", image, COARSE), ("fine", fine, FINE)
    )]  # fmt: skip
    at = [
        np.clip(((np.arange(n) + 0.5) * f / c).astype(int), 0, last - 1)
        for n, f, c, last in zip(fine.shape, FINE.zyx, COARSE.zyx, image.shape, strict=True)
    ]
    overlap = Overlaps.of(found[0][np.ix_(*at)], found[1])
    pairs = overlap.pairs[overlap.matched(0.5)]
    sizes = [np.bincount(labels.ravel()) * np.prod(um.um) for labels, um in zip(found, (COARSE, FINE), strict=True)]
    ratios = np.array([sizes[1][overlap.predicted[b]] / sizes[0][overlap.truth[a]] for a, b in pairs])
    return {
        "objects": (len(overlap.truth), len(overlap.predicted)), "matched": len(pairs), "ratios": ratios,
        "mean overlap": round(float(overlap.iou[overlap.matched(0.5)].mean()), 3),
        "median volume fine / coarse": round(float(np.median(ratios)), 3),
    }  # fmt: skip


def finer(image: np.ndarray) -> np.ndarray:
    """The same image on the finer voxels, by linear interpolation."""
    scale = FINE.um / COARSE.um
    shape = np.floor(np.array(image.shape) / scale).astype(int)
    fine = ndimage.affine_transform(
        image.astype(np.float32), scale, offset=(scale - 1) / 2, output_shape=tuple(shape), order=1, mode="nearest"
    )
    return np.rint(fine).astype(image.dtype)


def outlined(work: Path, model: Path, name: str, pixels: np.ndarray, spacing: Spacing) -> np.ndarray:
    image, out = (work / f"{name.replace(' ', '-')}{suffix}" for suffix in (".tif", "-found.tif"))
    if not out.exists():
        tifffile.imwrite(image, pixels)
        told = anlage("predict", model, image, "-o", out, "--spacing", said(spacing))
        print(name, next((line for line in told.splitlines() if "across" in line), ""), flush=True)
    return tifffile.imread(out)


def said(spacing: Spacing) -> str:
    return ",".join(f"{um:g}" for um in spacing.zyx)


if __name__ == "__main__":
    main()
