"""The divisions task: what counts as an example, what it learns, and what its card says of little data."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.errors import AnlageError
from anlage.model import load_model
from anlage.synthetic import embryo
from anlage.tasks import TASKS
from anlage.tasks.divisions.config import DivisionsConfig
from anlage.tasks.divisions.matching import find_divisions, match_events
from anlage.tasks.divisions.truth import Fate, around_divisions, beside_divisions, fates
from anlage.tasks.task import Setting
from anlage.timelapse import TimeLapse
from anlage.training.learner import AdamW
from anlage.training.process import train
from anlage.training.run import Run

TASK = TASKS["divisions"]
SMALL = DivisionsConfig(cells=4, width=8)


def family():
    """Two frames of one nucleus, its division in frame 1, three frames of the daughters; and a nucleus that goes on."""
    rows = [(0, 0, 10, 10), (1, 0, 10, 10), (2, 0, 7, 10), (2, 0, 13, 10), (3, 0, 6, 10), (3, 0, 14, 10), (4, 0, 6, 10)]
    rows += [(t, 0, 40, 40) for t in range(4)]
    links = [(1, 2), (2, 3), (2, 4), (3, 5), (4, 6), (5, 7), (8, 9), (9, 10), (10, 11)]
    return Annotations.of(rows, links=links, radius_um=4)


def movie(seed=0, *, flat=False, n_frames=8, vivid=True):
    shape, spacing, n = (
        ((1, 128, 128), Spacing(1, 0.5, 0.5), 22) if flat else ((10, 80, 80), Spacing(1.5, 0.6, 0.6), 22)
    )
    return embryo(seed, n_frames, shape, spacing=spacing, n_nuclei=n, division_rate=0.15, vivid=vivid)


def store(folder, made, truth=None, **about):
    truth = made.truth if truth is None else truth
    return build_store(folder, made.image, truth, cuboid=Box.whole(made.image.shape_tzyx), **about)


def prepare(stores, folder, config=SMALL, **about):
    return TASK.prepare(stores, config, Setting(folder, **{**SETTING, **about}))


SETTING = {"seed": 0, "device": "cpu", "batch_size": 16, "augment": True}


def trained(examples, config=SMALL, steps=60, seed=0):
    torch.manual_seed(seed)
    network = TASK.network(examples.plan, config)
    optimiser = AdamW(network.parameters(), lr=1e-3)
    for step in range(steps):
        torch.manual_seed(step)
        optimiser.zero_grad()
        loss, _ = TASK.loss(network.train(), examples.batch(step, 16))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval()


# --- what is an example -----------------------------------------------------------------------------------------------


def test_a_mother_is_positive_in_her_last_frame_and_who_goes_on_is_not():
    assert fates(family()).tolist() == [0, 1, 0, 0, 0, -1, -1, 0, 0, 0, -1]


def test_an_unknown_future_is_no_negative():
    nuclei = family()
    nobody_knows = nuclei.linked(nuclei.links[nuclei.links[:, 0] != 8])
    assert fates(nobody_knows)[7] == Fate.UNKNOWN
    rejected = replace(nuclei, state=np.where(nuclei.ids == 9, State.REJECTED, nuclei.state).astype(np.int8))
    assert fates(rejected)[8] == Fate.UNKNOWN


def test_a_division_that_a_network_proposed_and_nobody_accepted_is_unknown():
    nuclei = family()
    for unsure, expected in (
        ([(2, 4)], Fate.UNKNOWN),  # one daughter is known; whether there is another is not
        ([(2, 3), (2, 4)], Fate.UNKNOWN),
        ([(1, 2), (3, 5)], Fate.DIVIDES),
    ):
        chance = np.array([0.8 if tuple(link) in unsure else np.nan for link in nuclei.links.tolist()])
        found = fates(nuclei.linked(nuclei.links, {"probability": chance}))
        assert found[1] == expected
        assert all(found[a - 1] == Fate.UNKNOWN for a, _ in unsure)
        assert found[8] == Fate.GOES_ON


def test_daughters_seen_only_after_a_gap_leave_open_which_frame_was_the_last():
    rows = [(0, 0, 10, 10), (2, 0, 7, 10), (2, 0, 13, 10)]
    assert fates(Annotations.of(rows, links=[(1, 2), (1, 3)]))[0] == Fate.UNKNOWN
    rows[1] = (1, 0, 7, 10)
    assert fates(Annotations.of(rows, links=[(1, 2), (1, 3)]))[0] == Fate.DIVIDES


def test_hard_frames_are_those_around_a_division_and_beside_one():
    nuclei = family()
    assert nuclei.ids[around_divisions(nuclei)].tolist() == [1, 3, 4, 5, 6]
    assert nuclei.ids[around_divisions(nuclei, reach=1)].tolist() == [1, 3, 4]
    um = np.ones(3)
    assert nuclei.ids[beside_divisions(nuclei, um, 50)].tolist() == [9]
    assert not beside_divisions(nuclei, um, 20).any()


def test_nothing_annotated_has_no_outcomes():
    nothing = Annotations.of(np.zeros((0, 4)))
    assert len(fates(nothing)) == len(around_divisions(nothing)) == 0


def test_only_nuclei_with_a_known_future_become_examples(tmp_path):
    made = movie()
    drawn = np.random.default_rng(0).random(len(made.truth)) < 0.6  # of the others nobody marked what became of them
    sparse = made.truth.linked(made.truth.links[drawn[made.truth.links[:, 0] - 1]])
    examples = prepare([store(tmp_path / "s.zarr", made, sparse)], tmp_path, batch_size=4)
    known = [frames.known for frames in (*examples.train, *examples.validation)]
    assert sum(int(k.divides.sum()) for k in known) <= len(sparse.divisions)
    n_known = int((fates(sparse) != Fate.UNKNOWN).sum())
    assert 0 < sum(map(len, known)) <= n_known < len(sparse)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_batches_favour_divisions_and_hard_frames(tmp_path):
    examples = prepare([store(tmp_path / "s.zarr", movie())], tmp_path)
    batch = examples.batch(0, 400)
    assert 0.28 < batch["divides"].mean() < 0.42
    known = np.concatenate([frames.known.divides for frames in examples.train])
    assert known.mean() < 0.15
    assert set(batch["weight"].tolist()) == {0.5, 1.0}
    assert (batch["weight"][batch["divides"] > 0] == 1).all()


@pytest.mark.parametrize("flat", [True, False])
def test_a_crop_shows_the_nucleus_in_its_middle_in_three_frames(tmp_path, flat):
    made = movie(flat=flat)
    examples = prepare([store(tmp_path / "s.zarr", made)], tmp_path, augment=False)
    batch = examples.batch(0, 64)
    assert batch["image"].shape[1] == 3
    assert tuple(batch["image"].shape[2:]) == examples.plan.crop_zyx
    assert (batch["image"].shape[2] == 1) == flat
    image = batch["image"][batch["divides"] > 0][:, 1]
    y, x = image.shape[-2:]
    middle = image[..., y // 2 - 1 : y // 2 + 1, x // 2 - 1 : x // 2 + 1].mean()
    assert middle > 1.5 * image.mean()


def test_where_there_is_no_frame_before_the_frame_itself_stands_in(tmp_path):
    examples = prepare([store(tmp_path / "s.zarr", movie())], tmp_path, augment=False)
    first = next(frames for frames in examples.train if (frames.known.frames == 0).any())
    rows = np.flatnonzero(first.known.frames == 0)[:2]
    crops = first.crops(rows, examples.plan, examples.plan.crop_zyx)
    assert np.array_equal(crops[:, 0], crops[:, 1])
    assert not np.array_equal(crops[:, 1], crops[:, 2])


def test_channels_come_through(tmp_path):
    made = movie()
    pixels = np.asarray(made.image.data)
    two = TimeLapse.of(np.concatenate([pixels, pixels // 2], axis=1), "tczyx", spacing=made.spacing)
    examples = prepare([build_store(tmp_path / "s.zarr", two, made.truth, channels=[0, 1])], tmp_path)
    assert examples.batch(0, 2)["image"].shape[1] == 6
    assert TASK.network(examples.plan, SMALL)(examples.batch(0, 2)["image"]).shape == (2,)


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [True, False], ids=["2D", "3D"])
def test_it_finds_the_divisions_of_a_movie_that_it_never_saw(tmp_path, flat):
    stores = [store(tmp_path / f"{i}.zarr", movie(i, flat=flat, n_frames=10)) for i in range(2)]
    examples = prepare(stores, tmp_path)
    assert "of 2 movies" in examples.held_out
    network = trained(examples)
    seen = TASK.validate(network, examples)
    assert seen.metrics["average_precision"] > 0.4  # by chance about 0.1
    evidence = TASK.finish(network, examples)
    assert evidence.n_positive == sum(int(frames.known.divides.sum()) for frames in examples.validation)
    assert evidence.metrics["f1"] > 0.3


def test_the_same_seed_gives_the_same_network(tmp_path):
    stores = [store(tmp_path / "s.zarr", movie(n_frames=6))]
    first, again = (trained(prepare(stores, tmp_path), steps=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_little_data_is_said_to_be_little(tmp_path):
    made = movie(n_frames=6)
    truth = made.truth
    mothers = truth.divisions[:, 0]
    one = truth.linked(truth.links[~np.isin(truth.links[:, 0], mothers[1:])])
    examples = prepare([store(tmp_path / "s.zarr", made, one)], tmp_path)
    assert examples.held_out == "nothing: the training data themselves"
    assert any("learns from 1 division only" in note for note in examples.notes)
    evidence = TASK.finish(trained(examples, steps=2), examples)
    assert (evidence.n_positive, evidence.ece) == (1, None)


def test_stores_without_a_division_are_refused_with_what_to_do(tmp_path):
    made = movie(n_frames=3)
    nobody = made.truth.linked(np.zeros((0, 2), dtype=np.int64))
    with pytest.raises(AnlageError, match="no division among 0 links: link each mother to both daughters"):
        prepare([store(tmp_path / "s.zarr", made, nobody)], tmp_path)


def test_it_is_ready_with_a_division_inside_a_region():
    nuclei = family()
    everything = [Box.whole((5, 1, 64, 64))]
    assert TASK.readiness(nuclei, everything).has == "1 division and 7 nuclei that go on in 1 region"
    assert TASK.readiness(nuclei, everything).can_train
    assert "none in a region" in TASK.readiness(nuclei, [Box((0, 5), (0, 1), (30, 64), (30, 64))]).lack
    only = nuclei.select(nuclei.ids > 7)
    assert "link a mother to her two daughters" in TASK.readiness(only, everything).lack


# --- events -----------------------------------------------------------------------------------------------------------


def test_neighbouring_frames_are_one_event_and_a_frame_early_is_right():
    frames = np.array([3, 4, 5, 5, 4])
    points = np.array([[0, 10, 10], [0, 10, 10], [0, 7, 10], [0, 13, 10], [0, 60, 60]], dtype=float)
    events = find_divisions(frames, points, np.array([0.6, 0.9, 0.5, 0.4, 0.3]), 8.0, 0.2)
    assert events.rows.tolist() == [1, 4]
    truth = (np.array([5]), np.array([[0, 10, 10]], dtype=float))
    found = (frames[events.rows], points[events.rows])
    assert match_events(found, truth, 8.0).tolist() == [True, False]
    assert not match_events(found, (np.array([6]), truth[1]), 8.0).any()


def test_scores_that_are_missing_make_no_event():
    events = find_divisions(np.array([0, 1]), np.zeros((2, 3)), np.array([np.nan, 0.1]), 8.0)
    assert events.rows.tolist() == [1]
    nobody = (np.zeros(0, dtype=int), np.zeros((0, 3)))
    assert match_events(nobody, nobody, 8.0).tolist() == []


# --- as a whole training ----------------------------------------------------------------------------------------------


def test_a_training_that_was_stopped_and_resumed_gives_the_same_weights_and_a_card_in_divisions(tmp_path):
    made = movie(flat=True)
    path = tmp_path / "s.zarr"
    store(path, made)
    settings = ["steps=6", "validate_every=3", "batch_size=4", "cells=3", "width=8", "device=cpu", "threads=1"]
    whole = load_model(train(Run.create(tmp_path / "a", "divisions", [path], settings))).card
    run = Run.create(tmp_path / "b", "divisions", [path], settings)

    def stop(event) -> None:
        if event.event == "validated" and event.step == 3:
            run.request_stop()
            time.sleep(0.2)  # it looks ten times a second, and a step takes less

    train(run, on_event=stop)
    assert run.state == "stopped"
    resumed = load_model(train(Run.open(run.path))).card
    assert resumed.weights_sha256 == whole.weights_sha256
    n = len(made.truth.divisions)
    assert f"{n} divisions and" in whole.to_markdown()
    assert f"of {n} divisions" in whole.evidence.held_out
    assert whole.finds == "the last frame of a nucleus before it divides"
