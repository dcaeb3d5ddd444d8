"""Our measures of tracks beside those of py-ctcmetrics and traccuracy, on sequences with every kind of mistake."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.evaluation.pairing import pair_by_masks
from anlage.evaluation.tracks import TrackScore, score_tracks
from anlage.io import open_annotations, open_image
from anlage.timelapse import TimeLapse

UNIT = Spacing(1, 1, 1)


def by_ctcmetrics(folder, result, truth, write) -> dict:
    from ctc_metrics.scripts.evaluate import evaluate_sequence

    write(folder / "01_RES", result, is_truth=False)
    write(folder / "01_GT", truth, is_truth=True)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = evaluate_sequence(
            str(folder / "01_RES"), str(folder / "01_GT"), ["Valid", "DET", "TRA", "LNK", "CT", "BC"], threads=1
        )
    assert scores["Valid"] == 1
    return scores


def by_traccuracy(result, truth, metric) -> dict:
    import networkx as nx
    from traccuracy import TrackingGraph
    from traccuracy.matchers import Matched

    graphs = []
    for table in (truth, result):
        graph = nx.DiGraph()
        for i, (t, _, y, x) in zip(table.ids.tolist(), table.positions.tolist(), strict=True):
            graph.add_node(i, t=int(t), y=y, x=x)
        graph.add_edges_from(table.links.tolist())
        graphs.append(TrackingGraph(graph))
    pairs = pair_by_masks(result, truth).pairs
    mapping = [(int(truth.ids[b]), int(result.ids[a])) for a, b in pairs]
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metric._compute(Matched(*graphs, mapping, {"name": "masks"}))


def operations(score: TrackScore) -> list[int]:
    e = score.errors
    return [e.missed, e.false, e.splits, e.missing_links, e.redundant_links, e.wrong_meaning]


def agree_with_ctcmetrics(ours: TrackScore, theirs: dict) -> None:
    assert operations(ours) == [theirs[f"AOGM_{name}"] for name in ("FN", "FP", "NS", "EA", "ED", "EC")]
    for name, value in {"DET": ours.det, "TRA": ours.tra, "LNK": ours.lnk, "CT": ours.complete_tracks}.items():
        assert value == pytest.approx(theirs[name], abs=1e-9), name
    for i, value in enumerate(ours.branching):
        assert value == (None if theirs[f"BC({i})"] is None else pytest.approx(theirs[f"BC({i})"], abs=1e-6)), i


@pytest.mark.parametrize("seed", range(15))
def test_as_py_ctcmetrics(seed, pair_of_movies, ctc_writer, tmp_path):
    result, truth = pair_of_movies(seed)
    ours = score_tracks(result, truth, UNIT)
    assert ours.paired_by == "masks"
    agree_with_ctcmetrics(ours, by_ctcmetrics(tmp_path, result, truth, ctc_writer))


def test_the_sequences_hold_every_kind_of_mistake(pair_of_movies):
    scores = [score_tracks(*pair_of_movies(seed), UNIT) for seed in range(15)]
    assert (np.sum([operations(score) for score in scores], axis=0) > 5).all()
    assert sum(score.branching[0] != score.branching[1] for score in scores) > 5
    assert sum(score.branching[1] != 1 for score in scores) > 5


@pytest.mark.parametrize("seed", range(15))
def test_as_traccuracy(seed, pair_of_movies):
    from traccuracy.metrics import CTCMetrics

    result, truth = pair_of_movies(seed)
    ours = score_tracks(result, truth, UNIT)
    theirs = by_traccuracy(result, truth, CTCMetrics())
    names = ["fn_nodes", "fp_nodes", "ns_nodes", "fn_edges", "fp_edges", "ws_edges"]
    assert operations(ours) == [theirs[name] for name in names]
    assert [ours.det, ours.tra, ours.lnk] == pytest.approx([theirs["DET"], theirs["TRA"], theirs["LNK"]], abs=1e-9)


@pytest.mark.parametrize("seed", range(15))
def test_divisions_as_traccuracy(seed, pair_of_movies):
    from traccuracy.metrics import DivisionMetrics

    result, truth = pair_of_movies(seed, plain=True)
    ours = score_tracks(result, truth, UNIT)
    theirs = by_traccuracy(result, truth, DivisionMetrics(max_frame_buffer=1))
    for tolerance, value in enumerate([ours.division_f1_exact, ours.division_f1]):
        assert value == pytest.approx(theirs[f"Frame Buffer {tolerance}"]["Division F1"], abs=1e-9)
        assert ours.divisions[tolerance].tp == theirs[f"Frame Buffer {tolerance}"]["True Positive Divisions"]


@pytest.mark.data
def test_as_py_ctcmetrics_on_a_real_movie_linked_by_nearness(shared_data, ctc_writer, tmp_path):
    folder = shared_data("ctc-hela02")
    frames, (y, x) = 7, (350, 300)
    labels = open_image(folder / "labels_silver.tif", axes="tyx").read(Box((0, frames), (0, 1), (0, y), (0, x)))
    table = open_annotations(folder / "lineage.csv")
    lapse = TimeLapse.of(labels[:, 0, 0], "tyx", source="hela")
    truth = Annotations.from_labels(lapse)
    # ids of the lineage, of which links are kept where both nuclei are in the part
    known = {(t, label): i for t, label, i in zip(table.frames, table.label, table.ids, strict=True)}
    ids = np.array([known.get(key, 0) for key in zip(truth.frames, truth.label, strict=True)])
    truth = Annotations.of(truth.positions, ids=ids, label=truth.label, labels=lapse).select(ids > 0)
    truth = truth.linked(table.links[np.isin(table.links, truth.ids).all(axis=1)])
    assert len(truth.divisions) >= 1

    links = []
    for t in range(frames - 1):
        now, after = (np.flatnonzero(truth.frames == u) for u in (t, t + 1))
        distance = np.linalg.norm(truth.positions[now][:, None] - truth.positions[after][None], axis=2)
        nearest = {}
        for b, a in enumerate(distance.argmin(axis=0)):
            nearest.setdefault(a, []).append(b)
        links += [(truth.ids[now[a]], truth.ids[after[b]]) for a, bs in nearest.items() for b in bs[:2]]
    result = truth.linked(np.array(links))
    ours = score_tracks(result, truth, Spacing(1, 0.645, 0.645))
    agree_with_ctcmetrics(ours, by_ctcmetrics(tmp_path, result, truth, ctc_writer))
    assert 0.8 < ours.lnk < 1
    assert ours.det == 1
