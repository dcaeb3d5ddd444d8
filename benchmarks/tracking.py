"""Tracking: how good the solver's tracks are, how fast it is, and how honest its probabilities.

python benchmarks/tracking.py --only solver      # optimum, speed, memory, an end that is asked for
python benchmarks/tracking.py --only embryos     # synthetic embryos with missed and false nuclei
"""

from __future__ import annotations

import argparse
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.synthetic.nuclei import new_nucleus, next_frame, relax
from anlage.synthetic.stage import Optics, Stage
from anlage.tracking.confidence import link_reliability
from anlage.tracking.linear_program import StoppedError
from anlage.tracking.marginals import marginals
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import track
from anlage.tracking.windows import Window, solve

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/anlage/tracking"))
from films import film

UM = Spacing(1, 1, 1)


def lineage(seed: int, n_frames: int, n_nuclei: int) -> Annotations:
    """The truth of a crowded synthetic embryo, positions in µm, without its pixels."""
    side = round((n_nuclei / 0.25) ** (1 / 3) * 8)
    stage = Stage((side, side, side), UM, Optics(), 8.0, np.random.default_rng(seed))
    nuclei = [new_nucleus(stage, number) for number in range(1, n_nuclei + 1)]
    relax(nuclei, stage, rounds=120)
    frames = [nuclei]
    for _ in range(n_frames - 1):
        frames.append(next_frame(frames[-1], stage))
    everyone = [(t, n) for t, those in enumerate(frames) for n in those]
    number = {(t, n.track): row for row, (t, n) in enumerate(everyone, start=1)}
    before = [number.get((t - 1, n.track)) or number.get((t - 1, n.mother)) for t, n in everyone]
    links = [(b, row) for row, b in enumerate(before, start=1) if b is not None]
    return Annotations.of(np.array([[t, *n.centre] for t, n in everyone]), links=np.array(links))


def spoiled(
    truth: Annotations, seed: int, *, known: float | None, spacing: Spacing = UM
) -> tuple[Annotations, set[tuple[int, int]]]:
    """Detections: 10 % missed, 10 % false, centres off by 0.5 µm; and the links that are right among them.

    A right link joins a nucleus to the next detection of the same nucleus or its daughter, at most one frame missed.
    """
    rng = np.random.default_rng(1000 + seed)
    n = len(truth)
    seen = truth.select(rng.random(n) >= 0.1)
    n_false = int(0.1 * n)
    low, high = truth.positions[:, 1:].min(axis=0), truth.positions[:, 1:].max(axis=0)
    false = np.column_stack(
        [rng.integers(0, truth.frames.max() + 1, n_false), low + rng.random((n_false, 3)) * (high - low)]
    )
    positions = np.concatenate([seen.positions, false])
    positions[:, 1:] += (
        rng.normal(0, 0.5, (len(positions), 3)) / spacing.um * np.r_[np.ones(len(seen)), np.zeros(n_false)][:, None]
    )
    ids = np.concatenate([seen.ids, np.arange(n + 1, n + 1 + n_false)])
    right = {(int(a), int(b)) for a, b in seen.links}
    mother = {int(b): int(a) for a, b in truth.links}
    there = set(seen.ids.tolist())
    for one in there:
        m = mother.get(one)
        if m is not None and m not in there and mother.get(m) in there:
            right.add((mother[m], one))
    return Annotations.of(positions, ids=ids, probability=np.nan if known is None else known), right


def embryos(seeds: range, n_frames: int, n_nuclei: int, settings: TrackingSettings) -> None:
    """Links, divisions and calibration over several embryos, and the reliability diagram."""
    from anlage.evaluation.tracks import score_tracks

    everything: dict[str, list[np.ndarray]] = {"p": [], "right": [], "all p": [], "all right": []}
    for seed in seeds:
        truth = lineage(seed, n_frames, n_nuclei)
        nuclei, right = spoiled(truth, seed, known=0.9)
        result = track(nuclei, UM, settings=settings)
        tracks = result.tracks
        links = [tuple(x) for x in tracks.links.tolist()]
        is_right = np.array([x in right for x in links])
        p = tracks.link_properties["probability"]
        considered = nuclei.ids[result.problem.pairs]
        everything["p"].append(p)
        everything["right"].append(is_right)
        everything["all p"].append(result.marginals.edge)
        everything["all right"].append(np.array([tuple(x) in right for x in considered.tolist()]))
        scores = score_tracks(tracks, truth, UM)
        print(
            f"seed {seed}: {len(nuclei)} detections, {result.report.n_left_out} left out; links precision "
            f"{is_right.mean():.4f} recall {is_right.sum() / len(right):.4f}; TRA {scores.tra:.4f} LNK {scores.lnk:.4f} division F1 {scores.division_f1 or 0:.3f}; expected wrong "
            f"{result.report.expected_wrong_links:.0f}, wrong {int((~is_right).sum())}; gap {result.report.gap:.1e}",
            flush=True,
        )
    for name, p, true in (("links of the tracks", "p", "right"), ("all candidates", "all p", "all right")):
        found = link_reliability(np.concatenate(everything[p]), np.concatenate(everything[true]))
        print(f"\n{name}: ECE {found.ece:.4f} over {found.n}\n  probability   links   mean   came true")
        for one in found.bins:
            print(
                f"  {one.low:.1f} to {one.high:.1f} {one.n:9d}   {one.mean_probability:.3f}   {one.fraction_true:.3f}"
            )


def solver() -> None:
    """What the issue asks of the solver."""
    print("windows against the whole, about 20 000 nuclei")
    for seed, restless in ((1, 1.0), (2, 1.4)):
        problem = film(seed, 60, 300, restless=restless)
        n = int(problem.frames.max()) + 1
        (whole, a), (cut, b) = _timed(problem, [Window(0, n, n)]), _timed(problem, None)
        print(
            f"  {len(problem)} nuclei, {len(problem.pairs)} links: whole {whole.objective:.6f} in {a}; windows {cut.objective:.6f} "
            f"in {b}; difference {cut.objective - whole.objective:.2e}, gap {cut.gap:.1e}",
            flush=True,
        )
    print("an ambiguous set (30 % false) against the whole search in whole numbers")
    for seed in (5, 6, 7):
        problem = film(seed, 30, 100, false=0.3, restless=1.6)
        cut, took = _timed(problem, None)
        began = time.monotonic()
        best, bound = _exact(problem)
        print(
            f"  {len(problem)} nuclei, {len(problem.pairs)} links: {cut.objective:.4f} in {took}; whole search {best:.4f} "
            f"(bound {bound:.4f}) in {time.monotonic() - began:.1f} s; {(cut.objective - best) / abs(best):.1e}",
            flush=True,
        )
    problem = film(1, 330, 600, missing=0.05, most=3)
    print(f"large: {len(problem)} nuclei, {len(problem.pairs)} links", flush=True)
    asked = threading.Event()
    threading.Timer(5.0, asked.set).start()
    try:
        solve(problem, should_stop=asked.is_set)
    except StoppedError:
        print("  an end was asked for after 5 s", flush=True)
    began = time.monotonic()
    asked.clear()
    threading.Timer(5.0, asked.set).start()
    try:
        solve(problem, should_stop=asked.is_set)
    except StoppedError:
        print(f"  ended {time.monotonic() - began - 5:.2f} s after it was asked", flush=True)
    cut, took = _timed(problem, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"  {took}; cost {cut.objective:.1f}, gap {cut.gap:.1e}; peak memory of the process {peak:.2f} GB", flush=True
    )
    began = time.process_time()
    marginals(problem)
    print(f"  probabilities of all links: {time.process_time() - began:.1f} s of one core")


def _timed(problem, windows):
    wall, cpu = time.monotonic(), time.process_time()
    found = solve(problem, windows=windows)
    return found, f"{time.monotonic() - wall:.1f} s ({time.process_time() - cpu:.1f} s of one core)"


def _exact(problem):
    from scipy.optimize import Bounds, LinearConstraint, milp

    from anlage.tracking.linear_program import build_program

    zero = np.zeros(len(problem))
    lp = build_program(problem, zero, zero, problem.useful_divisions())
    rows = [LinearConstraint(lp.equal, lp.equal_to, lp.equal_to), LinearConstraint(lp.below, -np.inf, lp.below_to)]
    found = milp(
        lp.cost, integrality=np.ones(len(lp.cost)), bounds=Bounds(lp.low, lp.high), constraints=rows,
        options={"mip_rel_gap": 0.0, "time_limit": 300},
    )  # fmt: skip
    return found.fun, found.mip_dual_bound


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["solver", "embryos"])
    parser.add_argument("--seeds", default="100:105")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--nuclei", type=int, default=80)
    parser.add_argument("--set", nargs="*", default=[], metavar="name=value")
    options = parser.parse_args()
    settings = TrackingSettings(**dict(one.split("=") for one in options.set))
    if options.only != "embryos":
        solver()
    if options.only != "solver":
        low, high = map(int, options.seeds.split(":"))
        embryos(range(low, high), options.frames, options.nuclei, settings)


if __name__ == "__main__":
    main()
