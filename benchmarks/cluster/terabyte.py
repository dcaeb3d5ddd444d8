"""What sharing costs on a movie of a terabyte, without the prediction itself: planning, claiming, keeping, collecting.

    python benchmarks/cluster/terabyte.py /tmp/terabyte

The movie is virtual: 8000 frames of 64 × 1024 × 1024 voxels (uint16, 1.07 TB) whose chunks are hard links of a few real ones, so that it
takes 200 MB. Each run is a process of its own, which does all that `anlage predict classical` does, save that the nuclei of the
first frame are taken for those of all others: what is measured is what sharing costs, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FRAMES, SHAPE, CHUNK = 8000, (64, 1024, 1024), (64, 512, 512)
LINKS = 60_000
"""A file may have no more names on ext4."""


def make(folder: Path) -> Path:
    """The movie, if it is not there."""
    import zarr

    from anlage.axes import Spacing
    from anlage.io import write_image
    from anlage.synthetic import embryo

    path = folder / "terabyte.ome.zarr"
    if path.exists():
        return path
    small = embryo(5, 1, (32, 128, 128), n_nuclei=60).image.read()
    frame = np.tile(small.reshape(small.shape[-3:]), (2, 8, 8))
    write_image(path, frame[None, None], spacing=Spacing(1.0, 0.5, 0.5), interval_s=30)
    array = zarr.open_group(path, mode="r+")["0"]
    array.resize((FRAMES, *array.shape[1:]))
    chunks = sorted(p.relative_to(path / "0" / "c" / "0") for p in (path / "0" / "c" / "0").rglob("*") if p.is_file())
    first = path / "0" / "c" / "0"
    for t in range(1, FRAMES):
        source = first.parent / str(t - 1) if (t * len(chunks)) % LINKS else first
        for chunk in chunks:
            place = first.parent / str(t) / chunk
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(source / chunk, place)
    return path


def child(movie: Path, n: int, folder: Path) -> None:
    """One process on n frames; prints what it took, as JSON."""
    from dataclasses import replace

    from anlage.cli import main
    from anlage.cli.sharing import shared_prediction
    from anlage.inference.classical import ClassicalFinder

    times: dict[str, float] = {"begin": time.perf_counter()}
    real, work = ClassicalFinder.predictions, shared_prediction.work_through

    def repeated(self, frames):
        found = None
        for t in frames:
            if found is None:
                before = time.perf_counter()
                found = next(real(self, [t]))
                times["one frame"] = time.perf_counter() - before
            positions = found.nuclei.positions.copy()
            positions[:, 0] = t
            yield replace(found, frame=t, nuclei=replace(found.nuclei, positions=positions))

    def timed(*arguments, **options):
        times["planned"] = time.perf_counter()
        done = work(*arguments, **options)
        times["done"] = time.perf_counter()
        times["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return done

    ClassicalFinder.predictions, shared_prediction.work_through = repeated, timed
    out = folder / f"found-{n}.geff"
    code = main(
        ["predict", "classical", str(movie), "-o", str(out), "--frames", f"0:{n}", "--progress", "json", "--overwrite"]
    )
    print(json.dumps({
        "n": n, "code": code, "plan": times["planned"] - times["begin"], "one frame": times["one frame"],
        "units": times["done"] - times["planned"] - times["one frame"], "collect": time.perf_counter() - times["done"],
        "GB": times["rss"], "GB in all": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }), file=sys.stderr)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    movie = make(options.folder)
    if options.n is not None:
        child(movie, options.n, options.folder)
        return
    print(f"movie made in {time.perf_counter() - began:.0f} s", flush=True)
    print("| units | planning s | first frame s | per unit ms | collecting s | GB at work | GB in all |")
    print("|---|---|---|---|---|---|---|")
    for n in (1, 100, FRAMES):
        run = subprocess.run(
            [sys.executable, __file__, str(options.folder), "--n", str(n)], capture_output=True, text=True, check=True
        )
        told = json.loads(run.stderr.splitlines()[-1])
        per_unit = 1000 * told["units"] / n
        print(
            f"| {n} | {told['plan']:.1f} | {told['one frame']:.1f} | {per_unit:.1f} | {told['collect']:.1f} | {told['GB']:.2f} | "
            f"{told['GB in all']:.2f} |",
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
