"""What a tracking knew is kept, and a correction is decided by it as the whole programme would decide."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.synthetic import embryo
from anlage.tracking.problem import LinkingProblem
from anlage.tracking.redecide import decide_around
from anlage.tracking.scores import TrackScores, read_track_scores, write_track_scores
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import Tracking, track
from anlage.tracking.windows import solve

Pairs = set[tuple[int, int]]


@pytest.fixture(scope="module")
def tracking() -> Tracking:
    """Tracks through detections of which some are missing and some false, so that much is doubtful."""
    movie = embryo(seed=3, n_frames=12, shape_zyx=(12, 72, 72), n_nuclei=24)
    rng = np.random.default_rng(0)
    truth = movie.truth.select(rng.random(len(movie.truth)) > 0.1)
    n = len(truth) // 10
    false = np.column_stack([rng.integers(0, 12, n), *(rng.uniform(0, side, n) for side in (12, 72, 72))])
    positions = np.concatenate([truth.positions, false])
    positions[:, 1:] += rng.normal(0, 1.0, (len(positions), 3)) / movie.spacing.um
    return track(Annotations.of(positions, probability=0.9, state=State.PROPOSED), movie.spacing)


def links_of(table: Annotations) -> Pairs:
    return {(int(a), int(b)) for a, b in table.links}


def corrected(tracks: Annotations, right: tuple[int, int]) -> tuple[Annotations, Pairs]:
    """Tracks in which a human linked two nuclei; and the links that had to go."""
    gone = {pair for pair in links_of(tracks) if pair[1] == right[1]}
    daughters = [pair for pair in links_of(tracks) - gone if pair[0] == right[0]]
    gone |= set(daughters[1:])  # two daughters at most
    kept = [i for i, pair in enumerate(tracks.links.tolist()) if tuple(pair) not in gone]
    chance = tracks.link_properties["probability"]
    links = np.concatenate([tracks.links[kept], [right]])
    return tracks.linked(links, {"probability": np.append(chance[kept], np.nan)}), gone


def whole(tracking: Tracking, ids: np.ndarray, accepted: tuple[int, int]) -> Pairs:
    """The links of the whole programme through the nuclei of the tracks, with one of them clamped."""
    nodes = np.flatnonzero(np.isin(tracking.nuclei.ids, ids))
    inside = np.isin(tracking.problem.pairs, nodes).all(axis=1)
    problem = tracking.problem.part(nodes, np.flatnonzero(inside))
    names = tracking.nuclei.ids[nodes]
    clamped = (names[problem.pairs] == accepted).all(axis=1)
    assert clamped.any()
    chosen = solve(problem.clamped(clamped, 1)).edges
    return {(int(a), int(b)) for a, b in names[problem.pairs[chosen]]}


def test_a_link_that_was_accepted_is_decided_around_as_by_the_whole_programme(tracking: Tracking) -> None:
    scores, tracks = TrackScores.of(tracking), tracking.tracks
    names = tracking.nuclei.ids[tracking.problem.pairs]
    present = np.isin(names, tracks.ids).all(axis=1) & ~tracking.solution.edges
    rivals = np.flatnonzero(present)[np.argsort(-tracking.marginals.edge[present], kind="stable")][:40:4]
    n_others = 0
    for row in rivals:  # links that were nearly chosen
        right = (int(names[row, 0]), int(names[row, 1]))
        changed, gone = corrected(tracks, right)
        began = time.process_time()
        decision = decide_around(changed, tracking.spacing, [*right, *(i for pair in gone for i in pair)], (), scores)
        assert time.process_time() - began < 1.0
        removed, added = (set(map(tuple, pairs.tolist())) for pairs in (decision.removed, decision.added))
        assert links_of(changed) - removed | added == whole(tracking, tracks.ids, right)
        assert right not in removed
        assert ((decision.probability > 0) & (decision.probability <= 1)).all()
        n_others += len(added)
    assert n_others > 0  # something followed from the corrections


def two(straight: float) -> tuple[Annotations, TrackScores]:
    """Two nuclei that lie still for three frames, and a network that says they change places at the second step."""
    rows = [(t, 0, 10, x) for t in range(3) for x in (10.0, 16.0)]
    pairs = np.array([(0, 2), (1, 3), (2, 4), (3, 5), (2, 5), (3, 4)])
    cost = np.array([-6.0, -6.0, straight, straight, -6.0, -6.0])
    flat = np.zeros(6)
    problem = LinkingProblem(
        np.repeat([0, 1, 2], 2),
        pairs,
        flat - 3,
        cost,
        flat + 4,
        flat + 4,
        flat + 6,
        np.ones(6, bool),
        np.zeros(6, np.int8),
    )
    table = Annotations.of(
        rows, links=[(1, 3), (2, 4)], link_properties={"probability": np.full(2, 0.9)}, state=State.PROPOSED
    )
    return table, TrackScores(table.positions, Spacing(1, 1, 1), problem, TrackingSettings())


def test_what_the_network_said_decides_and_not_the_distance() -> None:
    table, scores = two(straight=6.0)
    by_distance = decide_around(table, scores.spacing, [3, 4])
    assert {(3, 5), (4, 6)} <= set(map(tuple, by_distance.added.tolist()))
    by_network = decide_around(table, scores.spacing, [3, 4], (), scores)
    assert {(3, 6), (4, 5)} <= set(map(tuple, by_network.added.tolist()))
    assert (by_network.probability > 0.7).all()
    without = decide_around(table, scores.spacing, [3, 4], [(3, 6)], scores)
    assert (3, 6) not in set(map(tuple, without.added.tolist()))


def test_nuclei_that_the_tracking_did_not_know_are_linked_by_distance() -> None:
    table, scores = two(straight=-9.0)
    more = Annotations.of(
        [*table.positions.tolist(), (1, 0, 10, 40), (2, 0, 10, 40.5)], links=table.links, state=State.PROPOSED,
        link_properties=table.link_properties,
    )  # fmt: skip
    moved = replace(more, positions=more.positions + np.array([0, 0, 0.3, 0.0]))  # a little, as by a human's hand
    assert scores.rows_of(moved).tolist() == [0, 1, 2, 3, 4, 5, -1, -1]
    decision = decide_around(moved, scores.spacing, [3, 4, 7], (), scores)
    assert {(3, 5), (4, 6), (7, 8)} <= set(map(tuple, decision.added.tolist()))


def test_scores_are_written_and_read_back(tracking: Tracking, tmp_path: Path) -> None:
    path = tmp_path / "tracks.npz"
    write_track_scores(path, tracking)
    back, was = read_track_scores(path), TrackScores.of(tracking)
    assert back.settings == was.settings
    assert back.settings.temperature == tracking.settings.temperature
    assert back.spacing == was.spacing
    for name in ("frames", "pairs", "node", "edge", "appear", "end", "division", "must", "clamp"):
        np.testing.assert_array_equal(getattr(back.problem, name), getattr(was.problem, name))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(AnlageError, match=r"cannot be read .* track again"):
        read_track_scores(path)
    with pytest.raises(AnlageError, match="cannot be read"):
        read_track_scores(tmp_path / "none.npz")
    with pytest.raises(AnlageError, match="npz"):
        write_track_scores(tmp_path / "tracks.csv", tracking)
