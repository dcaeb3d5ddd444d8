"""Links: the tables of docs/lab-book/links.md. Trained on the first half of a film, scored on the second; and how fast pairs are scored.

    python benchmarks/linking.py WORK --data ../shared/data/ce-lineage-only [--only baseline|untrained|trained|speed]
        [--steps 300]

The film is the C. elegans lineage of the Cell Tracking Challenge (Fluo-N3DH-CE 01, true points, no image). The baseline is a
linear programme on distances alone over the whole part; untrained and trained are `anlage.tracking.track`. LNK is
1 − (1.5·missing + wrong) / (1.5·true), a division is right if its mother and both daughters are. Writes
WORK/linking.json as it goes; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command import anlage
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, vstack

from anlage import Annotations, Spacing, load_model, open_annotations, write_annotations
from anlage.calibration import expected_calibration_error
from anlage.candidates import find_candidates, is_among
from anlage.inference.links import link_scores
from anlage.tracking.track import track

SPACING = Spacing(1.0, 0.09, 0.09)
HALF = 98
STRIDES = (1, 3, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ce-lineage-only"))
    parser.add_argument("--only", choices=("baseline", "untrained", "trained", "speed"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--model", type=Path, help="a links model that is there already, instead of training one")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.only in (None, "speed"):
        record(options.work, "speed, 1000 nuclei × 8 candidates", speed)
    if options.only == "speed":
        return
    film = Film.read(options.data)
    if options.only in (None, "baseline"):
        for stride in STRIDES:
            record(options.work, f"distance only, whole film, stride {stride}", lambda s=stride: baseline(film, s, 0))
            record(
                options.work, f"distance only, second half, stride {stride}", lambda s=stride: baseline(film, s, HALF)
            )
    if options.only in (None, "untrained"):
        for stride in STRIDES:
            record(options.work, f"untrained, whole film, stride {stride}", lambda s=stride: scored(film, s, 0, None))
            record(
                options.work, f"untrained, second half, stride {stride}", lambda s=stride: scored(film, s, HALF, None)
            )
    if options.only in (None, "trained"):
        model = options.model or trained(film, options.work, options.steps)
        for stride in STRIDES:
            name = f"trained {model.stem}, second half, stride {stride}"
            record(options.work, name, lambda s=stride: scored(film, s, HALF, model))
        record(
            options.work, f"trained {model.stem}, second half, stride 1, lengths times 3",
            lambda: scored(film, 1, HALF, model, times=3.0),
        )  # fmt: skip


def record(work: Path, name: str, measure: Callable[[], dict[str, Any]]) -> None:
    path = work / "linking.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        began = time.monotonic()
        known[name] = {**measure(), "seconds": round(time.monotonic() - began, 1)}
        path.write_text(json.dumps(known, indent=1))
    print(name, known[name], flush=True)


class Film:
    """Frames, places in µm, and the row of each nucleus's mother (−1: none)."""

    def __init__(self, frames: Any, points_um: Any, mothers: Any, spacing: Spacing = SPACING) -> None:
        self.frames, self.points_um, self.mothers, self.spacing = frames, points_um, mothers, spacing

    @classmethod
    def read(cls, folder: Path) -> Film:
        nuclei = open_annotations(next(folder.glob("*.geff")))
        order = np.argsort(nuclei.ids)
        row = order[np.searchsorted(nuclei.ids[order], nuclei.links)]
        mothers = np.full(len(nuclei), -1)
        mothers[row[:, 1]] = row[:, 0]
        return cls(nuclei.frames, nuclei.positions[:, 1:] * SPACING.um, mothers)

    def part(self, stride: int, first: int, stop: int = 10**9) -> Annotations:
        """Every so many frames of a part, with the links between the frames that are left."""
        kept = np.flatnonzero((self.frames % stride == 0) & (self.frames >= first) & (self.frames < stop))
        number = np.full(len(self.frames) + 1, -1)
        number[kept] = np.arange(len(kept))
        ancestor = kept
        for _ in range(stride):
            ancestor = np.where(ancestor >= 0, self.mothers[ancestor], -1)
        links = np.column_stack([number[ancestor], np.arange(len(kept))])
        positions = np.column_stack([self.frames[kept] // stride, self.points_um[kept] / self.spacing.um])
        return Annotations.of(positions, links=links[links[:, 0] >= 0] + 1)


def solved(n: int, pairs: Any, cost: Any, *, appear: float, end: float, division: float) -> Any:
    """The cheapest choice of links; every nucleus is kept. The relaxation of the programme, which was integral."""
    e = len(pairs)
    one, edges, nodes = np.ones(e), np.arange(e), np.arange(n)
    into = coo_array(
        (np.r_[one, np.ones(n)], (np.r_[pairs[:, 1], nodes], np.r_[edges, e + nodes])), shape=(n, e + 3 * n)
    )
    onwards = coo_array(
        (
            np.r_[one, np.ones(n), -np.ones(n)],
            (np.r_[pairs[:, 0], nodes, nodes], np.r_[edges, e + n + nodes, e + 2 * n + nodes]),
        ),
        shape=(n, e + 3 * n),
    )
    costs = np.r_[cost, np.full(n, appear), np.full(n, end), np.full(n, division)]
    found = milp(
        costs, constraints=LinearConstraint(vstack([into, onwards]).tocsr(), 1, 1), bounds=Bounds(0, 1), integrality=0
    )
    return pairs[found.x[:e] > 0.5]


def score(links: Any, truth: Annotations) -> dict[str, Any]:
    true, said = {tuple(link) for link in (truth.links - 1).tolist()}, {tuple(link) for link in links.tolist()}
    missing, wrong = len(true - said), len(said - true)
    families = divisions(true), divisions(said)
    right = len(families[0] & families[1])
    return {
        "LNK": round(1 - min(1.5 * missing + wrong, 1.5 * len(true)) / (1.5 * len(true)), 4),
        "division F1": round(2 * right / max(1, len(families[0]) + len(families[1])), 4),
        "divisions": len(families[0]), "divisions said": len(families[1]), "links": len(true),
    }  # fmt: skip


def divisions(links: set[tuple[int, ...]]) -> set[tuple[int, ...]]:
    daughters: dict[int, list[int]] = {}
    for mother, daughter in links:
        daughters.setdefault(mother, []).append(daughter)
    return {(mother, *sorted(both)) for mother, both in daughters.items() if len(both) == 2}


def baseline(film: Film, stride: int, first: int) -> dict[str, Any]:
    """Linear programme on distances alone: a link costs its length, in median lengths of the nearest one."""
    truth = film.part(stride, first)
    points_um = truth.positions[:, 1:] * SPACING.um
    still = find_candidates(truth.frames, points_um, 15.0, gaps=False, motion=_no_motion(len(truth)))
    length = np.linalg.norm(np.subtract(*points_um[still.pairs.T]), axis=1)
    nearest = np.full(len(truth), np.inf)
    np.minimum.at(nearest, still.pairs[:, 1], length)
    unit = float(np.median(nearest[np.isfinite(nearest)]))
    # to leave a nucleus without a mother costs as much as a link of the greatest length; a division as much as its typical one
    far = 15.0 / unit
    links = solved(len(truth), still.pairs, length / unit, appear=far, end=far, division=1.0)
    return score(links, truth)


def _no_motion(n: int) -> Any:
    from anlage.candidates import Motion

    return Motion(np.zeros((n, 3)), np.full(n, np.nan))


def scored(film: Film, stride: int, first: int, model: Path | None, times: float = 1.0) -> dict[str, Any]:
    truth = film.part(stride, first)
    spacing = Spacing(*(SPACING.um * times).tolist())
    given = None if model is None else load_model(model)
    found = link_scores(given, truth, spacing, device="cpu")
    candidates, probability = found.candidates, found.links
    true = is_among(candidates.pairs, truth.links - 1)
    tracks = track(truth.linked(np.zeros((0, 2), dtype=np.int64)), spacing, links=given).tracks
    links = tracks.links - 1  # ids count from 1 in the order of the rows, and true points are all kept
    return {
        **score(links, truth),
        "ECE": round(expected_calibration_error(probability, true), 5),
        "proposal recall": round(float(is_among(truth.links - 1, candidates.pairs).mean()), 5),
    }


def trained(film: Film, work: Path, steps: int) -> Path:
    """Train on the first half, through the command line."""
    run = work / f"half-{steps}"
    model = run / f"{run.name}.anlage"
    if not model.exists():
        write_annotations(work / "half.csv", film.part(1, 0, HALF))
        spacing = ",".join(f"{um:g}" for um in SPACING.zyx)
        anlage("build", "-", work / "half.csv", "-o", work / "half.zarr", "--spacing", spacing, "--overwrite")
        anlage("train", "links", work / "half.zarr", "-o", run, "--set", f"steps={steps}")
    return model


def speed() -> dict[str, Any]:
    """1000 nuclei × 8 candidates: the link network, and one small CNN pass for each pair, in one thread.

    The network scores a film of five frames, of which a quarter is told: each nucleus is encoded once, not once a pair of frames.
    """
    import torch
    from torch import nn

    from anlage.networks.linker import Glance, Linker
    from anlage.tasks.links.graph import N_EDGE, N_NEARBY, N_NODE, Film, describe

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    n, crop, stem, kernels = 1000, (8, 20, 20), (2, 2, 2), ((3, 3, 3),) * 3
    first = rng.uniform(0, 80, (n, 3))
    points_um = np.concatenate([first + t * rng.normal(0, 1, first.shape) for t in range(5)])
    frames = np.repeat(np.arange(5), n)
    crops = torch.randn(5 * n, 1, *crop)
    glance = Glance(1, crop, stem=stem, strides=((2, 2, 2), (2, 2, 2)), kernels=kernels)
    network = Linker(N_NEARBY, N_NODE, N_EDGE, glance=glance, width=64, rounds=2).eval()
    candidates = find_candidates(frames, points_um, 1e9, most=8, gaps=False)

    def ours() -> None:
        graph = describe(Film.of(frames, points_um), candidates)
        names = ("nearby", "node", "pairs", "edge", "prior", "prior_divides")
        network({name: torch.from_numpy(getattr(graph, name)) for name in names} | {"crops": crops})

    def convolution(a: int, b: int) -> list[nn.Module]:
        return [
            nn.Conv3d(a, b, 3, padding=1),
            nn.ReLU(),
            nn.Conv3d(b, b, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool3d((1, 2, 2)),
        ]

    of_pair = nn.Sequential(
        *convolution(2, 8), *convolution(8, 16), *convolution(16, 32), nn.Flatten(), nn.LazyLinear(64)
    )
    of_pair = nn.Sequential(of_pair, nn.ReLU(), nn.Linear(64, 1)).eval()

    def pairwise() -> None:
        for some in np.array_split(candidates.pairs[frames[candidates.pairs[:, 0]] == 0], 16):
            of_pair(torch.cat([crops[some[:, 0]], crops[some[:, 1]]], dim=1))

    with torch.inference_mode():
        of_pair(torch.cat([crops[:2], crops[:2]], dim=1))
        times = {name: [] for name in ("ours", "pairwise")}
        for _ in range(3):
            for name, run in (("ours", ours), ("pairwise", pairwise)):
                began = time.thread_time()
                run()
                times[name].append(time.thread_time() - began)
    mine, theirs = float(np.median(times["ours"])) / 4, float(np.median(times["pairwise"]))
    return {
        "pairs": len(candidates) // 4, "link network, CPU s": round(mine, 3), "one CNN pass per pair, CPU s": round(theirs, 3),
        "times faster": round(theirs / mine, 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
