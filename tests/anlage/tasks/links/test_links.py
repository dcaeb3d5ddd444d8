"""The links task: what is learnt from, what is not, and what the network makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.candidates import Candidates
from anlage.dataset.build import build_store
from anlage.dataset.points import build_points
from anlage.errors import AnlageError
from anlage.tasks.links.config import LinksConfig
from anlage.tasks.links.crops import cut, mirrored
from anlage.tasks.links.graph import Film, describe
from anlage.tasks.links.loss import flattened
from anlage.tasks.links.shown import Variation, _varied_points
from anlage.tasks.links.task import LinksTask
from anlage.tasks.links.truth import Lineage, judge
from anlage.tasks.task import Setting
from anlage.timelapse import TimeLapse
from anlage.training.export import evidence_of
from anlage.training.learner import AdamW

SPACING = Spacing(2.0, 0.5, 0.5)
TASK = LinksTask()


def family() -> Annotations:
    """A nucleus (rows 0, 1) that divides into two (2, 3), which go on (4, 5), beside one that nobody linked (6, 7, 8)."""
    rows = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, -4), (2, 0, 0, 4), (3, 0, 0, -4), (3, 0, 0, 4)]
    rows += [(t, 0, 9, 0) for t in (1, 2, 3)]
    return Annotations.of(rows, links=[(1, 2), (2, 3), (2, 4), (3, 5), (4, 6)])


def crowd(seed: int = 0, n: int = 40, n_frames: int = 10) -> Annotations:
    """Nuclei 8 µm apart that wander about 1 µm a frame; one divides in every frame."""
    rng = np.random.default_rng(seed)
    at = list(rng.uniform(0, 30, (n, 3)))
    rows, links, alive = [], [], []
    for t in range(n_frames):
        parting = int(rng.integers(len(at))) if t else -1
        born = [(i, part) for i in range(len(at)) for part in ((-2.0, 2.0) if i == parting else (0.0,))]
        at = [at[i] + [0, 0, part] + rng.normal(0, 0.7, 3) * (t > 0) for i, part in born]
        first = len(rows) + 1
        rows += [(t, *(place / SPACING.um + 5)) for place in at]
        links += [(alive[i], first + k) for k, (i, _) in enumerate(born)] if t else []
        alive = list(range(first, len(rows) + 1))
    return Annotations.of(rows, links=links)


def setting(tmp_path, **other):
    return Setting(cache=tmp_path, seed=0, device="cpu", batch_size=2, augment=True, **other)


def test_a_division_has_two_links_and_what_nobody_linked_is_no_proof():
    nuclei = family()
    pairs = np.array([(0, 1), (1, 2), (1, 3), (1, 7), (6, 2), (6, 7), (0, 6)])
    known = judge(Lineage.of(nuclei, SPACING), np.arange(9), Candidates(pairs, np.ones(7, dtype=np.int64)))
    assert known.is_link.tolist() == [True, True, True, False, False, False, False]
    # 1 → 7: 1 is linked elsewhere; 6 → 2: so is 2; 6 → 7: nobody said anything of either
    assert known.link_known.tolist() == [True, True, True, True, True, False, True]
    assert known.divides.tolist() == [False, True, *[False] * 7]
    assert known.divides_known.tolist() == [True, True, True, True, False, False, False, False, False]


def test_a_nucleus_that_was_missed_leaves_a_link_over_the_gap():
    nuclei = family()
    rows = np.array([0, 2, 3])  # row 1 was not found
    gap = Candidates(np.array([(0, 1), (0, 2)]), np.array([2, 2]))
    assert judge(Lineage.of(nuclei, SPACING), rows, gap).is_link.tolist() == [True, True]
    whole = Candidates(np.array([(0, 2), (0, 3)]), np.array([2, 2]))
    assert not judge(Lineage.of(nuclei, SPACING), np.arange(9), whole).is_link.any()


def proposed(nuclei: Annotations, *links: tuple[int, int]) -> Annotations:
    """With some of the links proposed by a network, as nobody accepted them yet; `family` with probabilities."""
    chance = [0.9 if tuple(link) in links else np.nan for link in nuclei.links.tolist()]
    return nuclei.linked(nuclei.links, {"probability": np.array(chance)})


def test_what_a_network_proposed_and_nobody_accepted_is_neither_a_link_nor_none():
    nuclei = proposed(family(), (2, 4), (3, 5))
    pairs = np.array([(1, 2), (1, 3), (1, 7), (6, 2), (2, 4), (2, 8), (3, 5), (7, 5)])
    candidates = Candidates(pairs, np.ones(len(pairs), dtype=np.int64))
    known = judge(Lineage.of(nuclei, SPACING), np.arange(9), candidates)
    assert known.is_link.tolist() == [True, False, False, False, False, False, True, False]
    # 1 → 3 and 2 → 4 were proposed; 1 → 7: nobody knows whom 1 divides into; 2 → 8: nor what 2 goes on as
    assert known.link_known.tolist() == [True, False, False, True, False, False, True, True]
    assert known.divides_known.tolist() == [True, False, False, True, False, False, False, False, False]
    assert not known.divides.any()


def test_a_division_that_was_accepted_counts_among_proposals():
    nuclei = proposed(family(), (1, 2), (4, 6))
    known = judge(
        Lineage.of(nuclei, SPACING), np.arange(9), Candidates(np.array([(1, 2), (1, 3)]), np.ones(2, np.int64))
    )
    assert known.is_link.all()
    assert known.divides[1]
    assert known.divides_known[1]
    twice = Lineage.of(nuclei, SPACING, stride=2)
    assert twice.once.tolist() == [-1, -1, -1, -1, 1, -1, -1, -1, -1]  # over a proposed link nothing is known
    assert twice.open_once.tolist() == [True, True, *[False] * 7]


def test_only_accepted_links_are_learnt_from(tmp_path):
    nuclei = crowd()
    every = build_points(tmp_path / "all.zarr", nuclei, SPACING)
    half = nuclei.frames[np.searchsorted(nuclei.ids, nuclei.links[:, 1])] >= 5
    unsure = nuclei.linked(nuclei.links, {"probability": np.where(half, 0.9, np.nan)})
    store = build_points(tmp_path / "half.zarr", unsure, SPACING)
    assert f"{half.sum()} of {len(nuclei.links)} links were proposed" in store.meta.notes[0]
    counted = []
    for one in (every, store):
        lineage = Lineage.of(one.nuclei, SPACING)
        counted.append(int((lineage.once >= 0).sum()))
    assert counted == [len(nuclei.links), len(nuclei.links) - half.sum()]
    examples = TASK.prepare([store], LinksConfig(strides=(1,)), setting(tmp_path))
    films = [film for (_, _), shown in examples._shown.items() for film in shown]
    learnt = [film.rows[film.candidates.pairs[film.known.is_link]] for film in films]
    real = np.where(np.concatenate(learnt) >= 0, np.concatenate(learnt), 0)
    assert (store.nuclei.frames[real] < 5).all()
    ready = TASK.readiness(unsure, [Box((0, 10), (-100, 100), (-100, 100), (-100, 100))])
    assert str(len(nuclei.links) - half.sum()) in ready.has
    none = nuclei.linked(nuclei.links, {"probability": np.full(len(nuclei.links), 0.9)})
    with pytest.raises(AnlageError, match=r"0 links, besides \d+ that a network proposed and nobody accepted"):
        build_points(tmp_path / "none.zarr", none, SPACING)


def test_every_second_frame_links_grandmothers():
    lineage = Lineage.of(family(), SPACING, stride=2)
    assert lineage.once[[2, 3]].tolist() == [0, 0]
    assert lineage.dividing.tolist() == [0, 1]  # of both, the descendants two frames later are two


def test_rejected_and_false_points_are_known_to_be_no_nuclei():
    nuclei = family()
    marked = Annotations.of(nuclei.positions, links=nuclei.links, state=[State.ACCEPTED] * 6 + [State.REJECTED] * 3)
    rows = np.array([0, 1, 7, -1])
    pairs = np.array([(0, 1), (1, 2), (0, 3), (1, 3)])
    known = judge(Lineage.of(marked, SPACING), rows, Candidates(pairs, np.ones(4, dtype=np.int64)))
    assert known.is_link.tolist() == [True, False, False, False]
    assert known.link_known.all()


def test_numbers_of_a_film_know_no_unit():
    nuclei = crowd()
    points = nuclei.positions[:, 1:] * SPACING.um
    one, three = (Film.of(nuclei.frames, points * factor) for factor in (1.0, 3.0))
    pairs = one.candidates(1.2, 0.2, most=8), three.candidates(1.2, 0.2, most=8)
    assert np.array_equal(pairs[0].pairs, pairs[1].pairs)
    here, there = describe(one, pairs[0]), describe(three, pairs[1])
    for name in ("nearby", "node", "edge", "prior", "prior_divides"):
        assert np.allclose(getattr(here, name), getattr(there, name), atol=1e-3), name


def test_fresh_weights_answer_as_if_untrained(tmp_path):
    store = build_points(tmp_path / "s.zarr", crowd(), SPACING)
    examples = TASK.prepare([store], LinksConfig(), setting(tmp_path))
    torch.manual_seed(0)
    network = TASK.network(examples.plan, LinksConfig())
    graph = flattened(examples.batch(0, 2))
    links, divides = network(graph)
    assert torch.allclose(links, graph["prior"])
    assert torch.allclose(divides, graph["prior_divides"])


def test_two_examples_are_learnt_by_heart(tmp_path):
    store = build_points(tmp_path / "s.zarr", crowd(), SPACING)
    config = LinksConfig(strides=(1, 2))
    examples = TASK.prepare([store], config, setting(tmp_path))
    torch.manual_seed(0)
    network = TASK.network(examples.plan, config)
    batch = examples.batch(5, 2)
    optimiser = AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(80):
        loss, _ = TASK.loss(network, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses) < 0.15 * losses[0]


def test_a_film_is_held_out_by_a_block_of_time_that_shares_no_nucleus(tmp_path):
    store = build_points(tmp_path / "s.zarr", crowd(n_frames=25), SPACING)
    examples = TASK.prepare([store], LinksConfig(), setting(tmp_path))
    learnt = store.nuclei.frames[examples.train[0].rows]
    assert "a block of time" in examples.held_out
    assert 0 < examples.n_held_out < 0.4 * len(store.nuclei.links)
    assert len(np.unique(learnt)) < 25
    assert examples.plan.radius >= 1.5
    assert examples.plan.neighbour_um == pytest.approx(5.0, abs=2.0)


def test_few_links_are_refused_with_a_sentence(tmp_path):
    store = build_points(tmp_path / "s.zarr", family(), SPACING)
    with pytest.raises(AnlageError, match=r"hold 5 links, and at least 10 are needed"):
        TASK.prepare([store], LinksConfig(), setting(tmp_path))


def test_readiness_counts_links_inside_the_regions():
    nuclei, whole = crowd(), Box((0, 10), (0, 40), (0, 100), (0, 100))
    ready = TASK.readiness(nuclei, [whole])
    assert ready.can_train
    assert ready.has.startswith(f"{len(nuclei.links)} links")
    assert "no link yet" in TASK.readiness(nuclei.linked(np.zeros((0, 2), dtype=np.int64)), [whole]).has
    assert "put a box around them" in TASK.readiness(nuclei, []).lack
    assert not TASK.readiness(nuclei, [Box((0, 1), (0, 40), (0, 100), (0, 100))]).can_train


def test_pixels_turn_as_points_do():
    """A bright spot beside the middle of a crop is, after mirror and turn, where the point beside the nucleus is."""
    lineage = Lineage.of(Annotations.of([(0, 0, 10, 10), (0, 0, 11, 13)], links=[]), Spacing(1, 1, 1))
    image = np.zeros((1, 1, 21, 21), dtype=np.float32)
    image[0, 0, 11, 13] = 1
    crop = cut(image, np.array([[0, 10.0, 10.0]]), (1, 9, 9))
    for mirror in ((False, False, False), (False, True, False)):
        for quarters in range(4):
            by = Variation(mirror=mirror, quarters=quarters)
            _, points = _varied_points(lineage, np.arange(2), by, np.random.default_rng(0))
            spot = np.argwhere(mirrored(crop, mirror, quarters)[0, 0, 0])[0] - 4
            assert np.allclose(points[1, 1:] - points[0, 1:], spot)


@pytest.fixture
def filmed(tmp_path):
    """The crowd with its image: dim blobs, each of a brightness of its own that its descendants keep."""
    nuclei = crowd(n=12, n_frames=6)
    shape = tuple(int(n) for n in np.ceil(nuclei.positions[:, 1:].max(axis=0)) + 6)
    image = np.zeros((6, *shape), dtype=np.uint16)
    for t, z, y, x in np.rint(nuclei.positions).astype(int):
        image[t, max(z - 1, 0) : z + 2, max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] += 100
    movie = TimeLapse.of(image, "tzyx", spacing=SPACING, source="crowd")
    truth = Annotations.of(nuclei.positions, links=nuclei.links, radius_um=2.0)
    return build_store(tmp_path / "image.zarr", movie, truth, cuboid=Box.whole(movie.shape_tzyx))


def test_the_image_is_looked_at_unless_the_user_says_no(filmed, tmp_path):
    sees = TASK.prepare([filmed], LinksConfig(), setting(tmp_path))
    assert sees.plan.look is not None
    batch = sees.batch(0, 2)
    assert batch["crops"].shape[2:] == (1, *sees.plan.look.crop_zyx)
    torch.manual_seed(0)
    loss, _ = TASK.loss(TASK.network(sees.plan, LinksConfig()), batch)
    assert torch.isfinite(loss)
    blind = TASK.prepare([filmed], LinksConfig(image=False), setting(tmp_path))
    assert blind.plan.look is None
    assert "crops" not in blind.batch(0, 2)


def test_stores_with_and_without_an_image_go_together_on_points_alone(filmed, tmp_path):
    points = build_points(tmp_path / "points.zarr", crowd(seed=2), SPACING)
    with pytest.raises(AnlageError, match=r"--set image=false"):
        TASK.prepare([filmed, points], LinksConfig(), setting(tmp_path))
    assert TASK.prepare([filmed, points], LinksConfig(image=False), setting(tmp_path)).plan.look is None


def test_held_out_films_are_followed_as_a_detector_would_find_them(tmp_path):
    stores = [build_points(tmp_path / f"{i}.zarr", crowd(i, n_frames=12), SPACING) for i in range(3)]
    config = LinksConfig(strides=(1,))
    examples = TASK.prepare(stores, config, setting(tmp_path))
    network = TASK.network(examples.plan, config)
    evidence = TASK.finish(network, examples)
    films = TASK.held_out_films(network, examples, evidence)
    assert len(films) > 1  # a short film is found several times, each time otherwise
    assert not np.array_equal(films[0].points_um[:5], films[1].points_um[:5])
    for film in films:
        assert 0.85 < film.share_real < 0.97
        assert len(film.links) == len(film.candidates) == len(film.right) == len(film.known)
        assert ((film.links > 0) & (film.links < 1)).all()
        assert (film.right & film.known).sum() > 100
    assert evidence_of(TASK, network, examples).tracking is not None
    one = TASK.prepare(stores[:1], config, replace(setting(tmp_path), augment=False))
    assert TASK.held_out_films(network, one, evidence) == []  # nothing is varied, so no link is wrong
