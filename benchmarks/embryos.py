"""Tracks of rendered synthetic embryos with the networks of links and divisions, beside those without.

    python benchmarks/embryos.py WORK [--steps 150]

The networks learn from embryos of their own, with true nuclei. Then tracks of others, whose lineages they never saw: crowded, 10 % of
the nuclei missed, 10 % false, centres off by 0.5 µm. TRA and F1 of divisions against the whole truth, and how far the probabilities
of the links are from what came true.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tracking import spoiled

from anlage.axes import Box
from anlage.dataset.build import build_store
from anlage.evaluation.tracks import score_tracks
from anlage.model import load_model
from anlage.synthetic import SyntheticMovie, embryo
from anlage.tracking.confidence import link_reliability
from anlage.tracking.track import track
from anlage.training.process import train
from anlage.training.run import Run

LEARNT, TESTED = range(1, 4), range(101, 104)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    models = {task: trained(options, task) for task in ("links", "divisions")}
    films = {seed: film(seed) for seed in TESTED}
    for name, used in (("no network", ()), ("links", ("links",)), ("links and divisions", ("links", "divisions"))):
        report(name, films, {task: models[task] for task in used})


def film(seed: int) -> SyntheticMovie:
    return embryo(seed, 20, (16, 96, 96), n_nuclei=30, vivid=True, division_rate=0.02)


def trained(options: argparse.Namespace, task: str):
    run = options.work / f"{task}-{options.steps}"
    if not run.exists():
        stores = []
        for seed in LEARNT:
            path = options.work / f"{seed}.zarr"
            if not path.exists():
                made = film(seed)
                build_store(path, made.image, made.truth, cuboid=Box.whole(made.image.shape_tzyx))
            stores.append(path)
        train(Run.create(run, task, stores, [f"steps={options.steps}"]))
    return load_model(Run.open(run).target_path)


def report(name: str, films: dict[int, SyntheticMovie], models: dict) -> None:
    p, right, scores = [], [], []
    for seed, made in films.items():
        nuclei, wanted = spoiled(made.truth, seed, known=0.9, spacing=made.spacing)
        result = track(nuclei, made.spacing, image=made.image, **models).tracks
        p.append(result.link_properties["probability"])
        right.append(np.array([tuple(link) in wanted for link in result.links.tolist()]))
        scores.append(score_tracks(result, made.truth, made.spacing))
    found = link_reliability(np.concatenate(p), np.concatenate(right))
    tra, division = (np.mean([getattr(s, field) or 0 for s in scores]) for field in ("tra", "division_f1"))
    lnk = np.mean([s.lnk or 0 for s in scores])
    print(
        f"{name}: TRA {tra:.4f}, LNK {lnk:.4f}, division F1 {division:.3f}; links right {np.concatenate(right).mean():.4f}, "
        f"ECE {found.ece:.4f} over {found.n}",
        flush=True,
    )
    for one in found.bins:
        print(f"  {one.low:.1f} to {one.high:.1f} {one.n:7d}   {one.mean_probability:.3f}   {one.fraction_true:.3f}")


if __name__ == "__main__":
    main()
