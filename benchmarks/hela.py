"""Divisions and tracks of HeLa cells (ctc-hela02): the tables of docs/lab-book/divisions.md.

    python benchmarks/hela.py ../shared/data/ctc-hela02 /tmp/hela [--steps 300] [--only divisions|tracks]

A division network is trained on one half of the film (of its frames, or of its field) and scored on the other: F1 of divisions at
most a frame early or late, at the model's own threshold, nuclei as in the silver truth, divisions marked as uncertain neither
wanted nor wrong. Then tracks of each half of the frames, with the model of the other half, beside nearest neighbours and the
Hungarian method. Trainings that are there already are not run again; WORK/results.json holds all figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.evaluation import score_tracks
from anlage.inference import predict, starter_path
from anlage.inference.divisions import score_divisions
from anlage.io import open_image
from anlage.model import load_model
from anlage.tasks.divisions.matching import find_divisions, match_events
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import track
from anlage.training.process import train
from anlage.training.run import Run

SPACING = Spacing(1.0, 0.645, 0.645)
HALVES = {"early": "late", "late": "early", "top": "bottom", "bottom": "top"}
BOXES = {
    "early": Box((0, 10), (0, 1), (0, 700), (0, 550)),
    "late": Box((10, 20), (0, 1), (0, 700), (0, 550)),
    "top": Box((0, 20), (0, 1), (0, 350), (0, 550)),
    "bottom": Box((0, 20), (0, 1), (350, 700), (0, 550)),
}
MATCH_UM = 18.0
"""A division nearer than this to a true one is right: the diameter of a nucleus."""
FARTHEST_UM = 20.0
"""Nearest neighbours and the Hungarian method link nothing further apart."""
CENTRE_UM = 9.0
"""A centre nearer than this to a true one is the same nucleus: half a diameter."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", choices=("divisions", "tracks"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    image = open_image(str(options.data / "image.tif"), axes="tyx", spacing=SPACING, interval_s=1800)
    truth, certain, uncertain = read_truth(options.data)
    models = {half: trained(options, image, truth, half) for half in HALVES}
    results: dict[str, object] = {}
    if options.only != "tracks":
        for half, other in HALVES.items():
            results[f"divisions: learnt {half}, scored {other}"] = divisions_of(
                models[half], image, truth, BOXES[other], certain, uncertain
            )
            keep(options.work, results)
    if options.only != "divisions":
        true = truth.linked(np.zeros((0, 2), dtype=np.int64))
        starter = detections(options.work / "starter.npz", image, starter_path(flat=True))
        for half, other in (("early", "late"), ("late", "early")):
            own = detections(options.work / f"nuclei-{half}.npz", image, nuclei_model(options, half))
            for name, nuclei in (("true centres", true), ("starter", starter), ("trained", own)):
                for method, result in ways(nuclei, image, models[half], BOXES[other]):
                    key = f"tracks: {name}, {other}, {method}"
                    results[key] = scores(result, truth, BOXES[other])
                    print(key, results[key], flush=True)
                    keep(options.work, results)


def keep(work: Path, results: dict[str, object]) -> None:
    (work / "results.json").write_text(json.dumps(results, indent=1))


def read_truth(data: Path) -> tuple[Annotations, pd.DataFrame, pd.DataFrame]:
    """Nuclei with links, those of uncertain mothers left away: their future is unknown; and the lists of divisions."""
    table, listed = pd.read_csv(data / "lineage.csv"), pd.read_csv(data / "divisions.csv")
    certain, uncertain = listed[listed.status == "verified"], listed[listed.status != "verified"]
    number = {(int(t), int(label)): int(i) for i, t, label in zip(table.id, table.t, table.label, strict=True)}
    unknown = [number[int(r.t_parent), int(r.label_parent)] for r in uncertain.itertuples()]
    links = table.loc[table.parent_id > 0, ["parent_id", "id"]].to_numpy()
    links = links[~np.isin(links[:, 0], unknown)]
    positions = np.column_stack([table.t, np.zeros(len(table)), table.y, table.x])
    return Annotations.of(positions, ids=table.id, links=links), certain, uncertain


def trained(options: argparse.Namespace, image, truth: Annotations, half: str):
    store = options.work / f"{half}.zarr"
    if not store.exists():
        build_store(store, image, truth, cuboid=BOXES[half])
    folder = options.work / f"run-{half}"
    if not folder.exists():
        Run.create(folder, "divisions", [store], [f"steps={options.steps}", "device=cpu"])
    return load_model(train(Run.open(folder)))


def divisions_of(model, image, truth: Annotations, box: Box, certain: pd.DataFrame, uncertain: pd.DataFrame) -> dict:
    here = truth.select(box.contains(truth.positions))
    probability = score_divisions(model, here, image, device="cpu")
    points = here.positions[:, 1:] * SPACING.um
    threshold = model.card.evidence.threshold
    wanted, doubtful = (_listed(table, box) for table in (certain, uncertain))
    events = find_divisions(here.frames, points, probability, MATCH_UM, threshold)
    found = (here.frames[events.rows], points[events.rows])
    right, ignored = match_events(found, wanted, MATCH_UM), match_events(found, doubtful, MATCH_UM)
    tp, fp = int(right.sum()), int((~right & ~ignored).sum())
    fn = len(wanted[0]) - tp
    wrong = events.rows[~right & ~ignored]
    every = find_divisions(here.frames, points, probability, MATCH_UM)
    at = (here.frames[every.rows], points[every.rows])
    hits, counted = match_events(at, wanted, MATCH_UM), ~match_events(at, doubtful, MATCH_UM)
    hits = hits[counted | hits]
    best = max(2 * hits.cumsum() / (np.arange(1, len(hits) + 1) + len(wanted[0])))
    result = {
        "threshold": round(threshold, 3), "tp": tp, "fp": fp, "fn": fn, "f1": round(2 * tp / (2 * tp + fp + fn), 3),
        "f1 at the threshold that would have been best": round(float(best), 3),
        "wrong (t, y, x, probability)": [
            (*np.round(here.positions[row, [0, 2, 3]]).tolist(), round(float(probability[row]), 2)) for row in wrong
        ],
    }  # fmt: skip
    print(result, flush=True)
    return result


def _listed(table: pd.DataFrame, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Frames and positions (µm) of the mothers in a box; those in the film's last frame cannot be seen."""
    at = np.column_stack([table.t_parent, np.zeros(len(table)), table.y_parent, table.x_parent]).astype(float)
    at = at[box.contains(at) & (at[:, 0] < 19)]
    return at[:, 0].astype(np.int64), at[:, 1:] * SPACING.um


def nuclei_model(options: argparse.Namespace, half: str) -> Path:
    """A network that finds nuclei, trained on one half."""
    folder = options.work / f"nuclei-{half}"
    if not folder.exists():
        Run.create(folder, "nuclei", [options.work / f"{half}.zarr"], ["steps=120", "device=cpu"])
    return train(Run.open(folder))


def detections(path: Path, image, model: Path) -> Annotations:
    """What a network finds in the film; the starter has never seen a real image."""
    if not path.exists():
        found = [p.nuclei for p in predict(load_model(model), image, device="cpu")]
        np.savez(
            path,
            positions=np.concatenate([n.positions for n in found]),
            probability=np.concatenate([n.probability for n in found]),
        )
    kept = np.load(path)
    return Annotations.of(kept["positions"], probability=kept["probability"])


def ways(nuclei: Annotations, image, model, box: Box):
    here = nuclei.select(box.contains(nuclei.positions))
    yield "nearest neighbour", here.linked(nearest(here))
    yield "Hungarian", here.linked(hungarian(here))
    yield "greedy", track(here, SPACING, image=image, settings=TrackingSettings(method="greedy")).tracks
    yield "optimal", track(here, SPACING, image=image).tracks
    yield "optimal, division network", track(here, SPACING, image=image, divisions=model).tracks


def nearest(nuclei: Annotations) -> np.ndarray:
    """Each nucleus to the nearest of the frame before, at most two to one."""
    links = []
    for earlier, later, distance in _pairs(nuclei):
        children = np.zeros(len(earlier), dtype=int)
        best = distance.argmin(axis=0) if len(earlier) else []
        for j in np.argsort(distance.min(axis=0)) if len(earlier) else []:
            i = best[j]
            if distance[i, j] <= FARTHEST_UM and children[i] < 2:
                children[i] += 1
                links.append((nuclei.ids[earlier[i]], nuclei.ids[later[j]]))
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def hungarian(nuclei: Annotations) -> np.ndarray:
    """The pairs of neighbouring frames with the least total distance, one to one."""
    links = []
    for earlier, later, distance in _pairs(nuclei):
        for i, j in zip(*linear_sum_assignment(np.minimum(distance, 10 * FARTHEST_UM)), strict=True):
            if distance[i, j] <= FARTHEST_UM:
                links.append((nuclei.ids[earlier[i]], nuclei.ids[later[j]]))
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def _pairs(nuclei: Annotations):
    points = nuclei.positions[:, 1:] * SPACING.um
    for t in range(nuclei.frames.min(), nuclei.frames.max()):
        earlier, later = np.flatnonzero(nuclei.frames == t), np.flatnonzero(nuclei.frames == t + 1)
        if len(earlier) and len(later):
            yield earlier, later, cdist(points[earlier], points[later])


def scores(result: Annotations, truth: Annotations, box: Box) -> dict:
    here = truth.select(box.contains(truth.positions))
    score = score_tracks(result, here, SPACING, CENTRE_UM, by_centres=True)
    near = score.divisions[1]
    return {
        **{name: round(getattr(score, name), 4) for name in ("det", "tra", "lnk")},
        "division_f1": score.division_f1 and round(score.division_f1, 3),
        "divisions": f"{near.tp} right, {near.fp} wrong, {near.fn} missed",
    }


if __name__ == "__main__":
    main()
