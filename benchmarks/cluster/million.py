"""A million nuclei tracked by their points alone: seconds, memory, and what the windows cost.

    python benchmarks/cluster/million.py /tmp/million [--nuclei 10000] [--frames 100]

First the whole command on all frames; then the first frames up to 100,000 nuclei, by windows as the command does and in a single
window, and the share of links that are right in each: 1 less wrong and missed links, over the true ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from speed import MEASURED, tissue

from anlage import Annotations
from anlage.axes import Spacing
from anlage.tracking import track as tracking
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.windows import Window, solve

SPACING = Spacing(2, 0.5, 0.5)


def right(pairs: np.ndarray, nuclei: int, n: int) -> float:
    """Of links by row, where row + `nuclei` is the same nucleus a frame later."""
    true = int((pairs[:, 1] - pairs[:, 0] == nuclei).sum())
    of = n - nuclei
    return 1 - (len(pairs) - true + of - true) / of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nuclei", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--part-only", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = options.folder / "nuclei.csv"
    if not table.exists():
        tissue(table, options.nuclei, options.frames)
    if not options.part_only:
        words = [
            "track",
            "-",
            "--nuclei",
            table,
            "-o",
            options.folder / "tracks.geff",
            "--spacing",
            "2,0.5,0.5",
            "--overwrite",
        ]
        subprocess.run([sys.executable, "-c", MEASURED, *map(str, words)], check=True)
    frames = 100_000 // options.nuclei
    rows = pd.read_csv(table, nrows=frames * options.nuclei)
    nuclei = Annotations.of(rows[["t", "z", "y", "x"]].to_numpy(float))
    settings = TrackingSettings(most_candidates=4, radius_um=8.0)
    whole = [Window(0, frames, frames)]
    found = {}
    for name, windows in (("windows", None), ("one window", whole)):
        tracking.solve = lambda problem, windows=windows, **how: solve(problem, windows=windows, **how)
        began = time.process_time()
        tracks = tracking.track(nuclei, SPACING, settings=settings)
        pairs = tracks.tracks.links - 1
        found[name] = set(map(tuple, pairs.tolist()))
        print(
            f"{len(nuclei)} nuclei, 4 candidates each, {name}: links {right(pairs, options.nuclei, len(nuclei)):.5f}, gap "
            f"{tracks.report.gap:.2g}, {time.process_time() - began:.0f} s of CPU",
            flush=True,
        )  # fmt: skip
    print(f"{len(found['windows'] ^ found['one window'])} links differ")


if __name__ == "__main__":
    main()
