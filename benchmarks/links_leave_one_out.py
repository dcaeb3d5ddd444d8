"""Links across embryos: six C. elegans lineages, each scored by a network that never saw it.

    python benchmarks/links_leave_one_out.py WORK --data ../shared/data/ce-live-lineages [--leave 2] [--steps 400]
        [--embryos 0,1,2] [--score 0,1,2] [--strides 1,3,5] [--set NAME=VALUE]

True points, no image, every frame, every third and every fifth. `untrained` is `anlage track` without models, `trained` is
the same with a links model that `anlage train links` made with its defaults (`--steps` and `--set` aside). LNK is
1 − (1.5·missing + wrong) / (1.5·true); a division is right if its mother and both daughters are. ECE is of the candidates.
Learnt from are the `--embryos` but those that are scored: one, or with `--leave 2` two that share a network and a third of
the time. Writes WORK/links.json as it goes; what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from command import anlage
from linking import Film, score

from anlage import Spacing, load_model, write_annotations
from anlage.calibration import expected_calibration_error
from anlage.candidates import is_among
from anlage.model import Model
from anlage.tracking.track import track

SPACING = Spacing(0.5, 0.087, 0.087)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ce-live-lineages"))
    parser.add_argument("--embryos", default="0,1,2,3,4,5", help="learnt from, in the order of their names")
    parser.add_argument("--score", help="scored; those learnt from where left out")
    parser.add_argument("--leave", type=int, default=1, help="embryos that are left out, and scored, together")
    parser.add_argument("--strides", default="1,3,5")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--name", default="default", help="of these settings")
    parser.add_argument("--untrained-only", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    films = [read(path) for path in sorted(options.data.glob("*.csv"))]
    learnt = numbers(options.embryos)
    known = Known(options.work / "links.json")
    for embryo in numbers(options.score or options.embryos):
        model = None
        if not options.untrained_only:
            first = embryo - embryo % options.leave
            out = range(first, first + options.leave)
            model = trained(films, [one for one in learnt if one not in out], first, options, known)
        for stride in numbers(options.strides):
            known.add(f"untrained {embryo} {stride}", lambda e=embryo, s=stride: scored(films[e], s, None))
            if model is not None:
                known.add(
                    f"{options.name} {embryo} {stride}", lambda e=embryo, s=stride, m=model: scored(films[e], s, m)
                )
    table(known, options)


def numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


class Known:
    """Results in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, measure: Any) -> None:
        if name in self.found:
            return
        began = time.process_time()
        found = measure()
        self.found[name] = {"CPU s": round(time.process_time() - began, 1), **found}
        self.path.write_text(json.dumps(self.found, indent=1))
        print(name, self.found[name], flush=True)


def read(path: Path) -> Film:
    """A lineage: rows of id, t, z, y, x, parent_id."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    ids, parents = table[:, 0].astype(int), table[:, 5].astype(int)
    order = np.argsort(ids)
    row = order[np.minimum(np.searchsorted(ids[order], parents), len(ids) - 1)]
    return Film(table[:, 1].astype(int), table[:, 2:5] * SPACING.um, np.where(ids[row] == parents, row, -1), SPACING)


def trained(films: list[Film], learnt: list[int], embryo: int, options: argparse.Namespace, known: Known) -> Model:
    """Train on all but one, through the command line."""
    stores = []
    for number in learnt:
        stores.append(options.work / f"{number}.zarr")
        if not stores[-1].exists():
            points = options.work / f"{number}.csv"
            write_annotations(points, films[number].part(1, 0))
            anlage("build", "-", points, "-o", stores[-1], "--spacing", ",".join(f"{um:g}" for um in SPACING.zyx))
    run = options.work / f"{options.name}-{embryo}"
    path = run / f"{run.name}.anlage"
    if not path.exists():
        words = [word for setting in options.set for word in ("--set", setting)]
        words += [] if options.steps is None else ["--set", f"steps={options.steps}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        anlage("train", "links", *stores, "-o", run, *words)
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        known.add(f"training {options.name} {embryo}", lambda: {"CPU s": round(seconds, 1)})
    return load_model(path)


def scored(film: Film, stride: int, model: Model | None) -> dict[str, Any]:
    truth = film.part(stride, 0)
    found = track(truth.linked(np.zeros((0, 2), dtype=np.int64)), SPACING, links=model)
    pairs, probability = found.problem.pairs, 1 / (1 + np.exp(found.problem.edge))
    true = is_among(pairs, truth.links - 1)  # ids count from 1 in the order of the rows, and true points are all kept
    return {
        **score(found.tracks.links - 1, truth),
        "ECE": round(expected_calibration_error(probability, true), 4),
        "recall": round(float(is_among(truth.links - 1, pairs).mean()), 4),
    }


def table(known: Known, options: argparse.Namespace) -> None:
    """Mean over the embryos of each column, and each embryo."""
    embryos = numbers(options.score or options.embryos)
    print("| frames | | LNK | division F1 | ECE | CPU s | each embryo |\n|---|---|---|---|---|---|---|")
    for stride in numbers(options.strides):
        for name in ("untrained", options.name):
            every = [
                known.found[f"{name} {embryo} {stride}"]
                for embryo in embryos
                if f"{name} {embryo} {stride}" in known.found
            ]
            if not every:
                continue
            mean = {key: np.mean([one[key] for one in every]) for key in ("LNK", "division F1", "ECE", "CPU s")}
            each = ", ".join(f"{one['LNK']:.3f}/{one['division F1']:.3f}" for one in every)
            print(
                f"| {stride} | {name} | {mean['LNK']:.4f} | {mean['division F1']:.3f} | {mean['ECE']:.4f} | "
                f"{mean['CPU s']:.0f} | {each} |"
            )


if __name__ == "__main__":
    main()
