"""What a film tells of its links as a whole: common movement, ages, and when nuclei divide."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.candidates import Candidates, Motion, find_candidates, is_among
from anlage.tasks.links.ages import Ages
from anlage.tasks.links.config import LinksPlan
from anlage.tasks.links.flow import common_motion
from anlage.tasks.links.following import follow
from anlage.tasks.links.graph import Film, describe, n_edge, n_node
from anlage.tasks.links.motion import plausible_links

CYCLE = 7


def colony(seed: int = 0, n: int = 70, n_frames: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, places and links (rows) of nuclei about 1 apart that jump by a quarter of that, and divide every 7 frames."""
    rng = np.random.default_rng(seed)
    at, age = rng.uniform(0, n ** (1 / 3) * 1.2, (n, 3)), rng.integers(0, CYCLE, n)
    frames, places, links = [], [], []
    rows = np.arange(n)
    for t in range(n_frames):
        if t:
            parts = np.where(age >= CYCLE, 2, 1)
            axis = rng.normal(size=at.shape)
            axis *= 0.5 / np.linalg.norm(axis, axis=1, keepdims=True)
            side = np.concatenate([[1, -1][:part] for part in parts])[:, None] * (np.repeat(parts, parts) == 2)[:, None]
            mothers = np.repeat(np.arange(len(at)), parts)
            at = at[mothers] + side * axis[mothers] + rng.normal(0, 0.2, (len(mothers), 3))
            age = np.where(parts[mothers] == 2, 0, age[mothers])
            new = sum(map(len, frames)) + np.arange(len(at))
            links.append(np.column_stack([rows[mothers], new]))
            rows = new
        frames.append(np.full(len(at), t))
        places.append(at)
        age = age + 1
    return np.concatenate(frames), np.concatenate(places), np.concatenate(links)


def followed(t, p):
    return follow(t, p, lambda ahead, over: find_candidates(t, p, motion=ahead, over=over))


@pytest.fixture(scope="module")
def film():
    t, p, links = colony()
    return t, p, links, followed(t, p)


def test_divisions_are_told_by_age_where_places_leave_them_open(film):
    t, p, links, found = film
    mothers = np.bincount(links[:, 0], minlength=len(t)) > 1
    late = (t >= CYCLE + 1) & (t < t.max())  # by then births were seen
    first = plausible_links(t, p, find_candidates(t, p))
    by_place, by_age = (2 * ((one.divides > 0.5) & mothers & late).sum() for one in (first, found.plausible))
    said = [((one.divides > 0.5) & late).sum() for one in (first, found.plausible)]
    f1 = by_place / (said[0] + (mothers & late).sum()), by_age / (said[1] + (mothers & late).sum())
    assert f1[1] > f1[0] + 0.1
    young = (found.history.known > 0.9) & (found.history.age < CYCLE - 3) & late
    assert young.sum() > 100
    assert np.median(found.history.odds[young]) < 0.1 * np.median(found.history.odds[mothers & late])
    assert found.history.usual == pytest.approx(CYCLE - 1, abs=2)


def test_links_and_their_probabilities_are_better_than_at_first_sight(film):
    t, p, links, found = film
    first = find_candidates(t, p)
    wrong = []
    for candidates, chance in ((first, plausible_links(t, p, first).links), (found.candidates, found.plausible.links)):
        true = is_among(candidates.pairs, links)
        wrong.append(int(((chance > 0.5) != true).sum()))
    assert wrong[1] < 0.85 * wrong[0]


def test_what_a_film_tells_does_not_change_with_the_unit_of_length(film):
    t, p, _, found = film
    again = followed(t, p * 7.0)
    assert np.array_equal(again.candidates.pairs, found.candidates.pairs)
    assert np.allclose(again.plausible.links, found.plausible.links, atol=1e-6)


def test_few_frames_and_no_births_leave_all_ages_alike():
    t, p, _ = colony(n_frames=2)
    found = followed(t, p)
    now = t == 0
    assert np.ptp(np.log(found.history.odds[now])) < 1e-3
    none = followed(np.zeros(5, dtype=int), np.arange(15.0).reshape(5, 3))
    assert len(none.candidates) == 0
    assert (none.history.known == 0).all()


def test_a_turn_of_the_whole_is_expected_also_of_a_nucleus_that_goes_elsewhere():
    rng = np.random.default_rng(0)
    p = rng.uniform(-5, 5, (60, 3))
    sine, cosine = np.sin(0.5), np.cos(0.5)
    q = p @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    truth = q - p
    q[7] += 2.0
    points, frames = np.concatenate([p, q]), np.repeat([0, 1], 60)
    pairs = np.column_stack([np.arange(60), 60 + np.arange(60)])
    candidates, still = Candidates(pairs, np.ones(60, dtype=np.int64)), Motion(np.zeros((120, 3)), np.full(120, np.nan))
    found = common_motion(frames, points, candidates, np.ones(60), np.ones(120), still)
    assert np.linalg.norm(found.expected_um[:60] - truth, axis=1).max() < 0.4
    assert np.linalg.norm(found.expected_um[7] - truth[7]) < 0.4
    assert (found.expected_um[60:] == 0).all()  # nothing follows the last frame


def test_an_age_goes_on_over_a_frame_in_which_the_nucleus_was_missed():
    """A mother (row 0) and her daughters; one of them (row 1) is missed in frame 2 and there again in frame 3 (row 3)."""
    frames = np.array([0, 1, 1, 3])
    candidates = Candidates(np.array([[0, 1], [0, 2], [1, 3]]), np.array([1, 1, 2]))
    history = Ages(frames, 0.02).turn(
        candidates, np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0]), np.array([0.99, 0.01, 0.01, 0.01])
    )
    assert history.age[[1, 3]] == pytest.approx([0, 2], abs=0.05)
    assert history.known[[1, 3]] == pytest.approx([1, 1], abs=0.05)
    assert history.known[0] == pytest.approx(0, abs=0.05)


def test_a_model_of_before_is_told_what_it_was_told_then(film):
    t, p, _, found = film
    plan = LinksPlan.model_validate({"radius": 2.0, "spread": 0.2, "neighbour_um": 1.0, "look": None})
    assert not plan.history
    shown = Film.of(t, p)
    candidates = shown.candidates(plan.radius, plan.spread, most=8)
    graph = describe(shown, candidates)
    assert graph.node.shape[1] == n_node(history=False) == 14
    assert graph.edge.shape[1] == n_edge(history=False) == 18
    first = plausible_links(t, p, candidates, shown.ahead, shown.over)
    assert np.allclose(graph.prior, np.log(first.links / (1 - first.links)), atol=1e-5)
    more = describe(*Film.of(t, p).followed(lambda one: one.candidates(2.0, 0.2, most=8))[:1], found.candidates, found)
    assert more.node.shape[1] == n_node(history=True)
    assert more.edge.shape[1] == n_edge(history=True)
