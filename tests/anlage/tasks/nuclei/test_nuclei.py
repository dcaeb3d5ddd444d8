"""The nuclei task: plans, batches and validation on a small real store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.dataset.photons import Exposure
from anlage.errors import AnlageError
from anlage.tasks import TASKS, task_named
from anlage.tasks.nuclei.config import NucleiConfig
from anlage.tasks.nucleus_size import apparent_diameter_of_stores
from anlage.tasks.task import Setting
from anlage.timelapse import TimeLapse
from anlage.training.learner import AdamW

SPACING = Spacing(2.0, 0.5, 0.5)
DIAMETER_UM = 8.0
TASK = TASKS["nuclei"]


def movie(seed=0, n_frames=3, shape=(12, 96, 96), spacing=SPACING, diameter_um=DIAMETER_UM):
    """Bright balls on a grid with jitter: easy, so that little work shows what is right."""
    rng = np.random.default_rng(seed)
    step = 1.5 * diameter_um / spacing.um
    axes = [np.arange(s / 2 - 0.5, n - 0.5, s) for s, n in zip(np.minimum(step, shape), shape, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    frames, rows = [], []
    for t in range(n_frames):
        centres = grid + rng.uniform(-0.15, 0.15, grid.shape) * step * (np.array(shape) > 1)
        image = rng.normal(100, 5, shape)
        where = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
        for centre in centres:
            image += 200 * np.exp(-((((where - centre) * spacing.um) ** 2).sum(-1)) / (2 * (diameter_um / 3.5) ** 2))
        frames.append(image)
        rows += [(t, *c) for c in centres]
    image = TimeLapse.of(np.stack(frames).astype(np.uint16), "tzyx", spacing=spacing, source=f"balls {seed}")
    return image, Annotations.of(rows, radius_um=diameter_um / 2)


def store(folder, **about):
    image, truth = movie(**about)
    return build_store(folder, image, truth, cuboid=Box.whole(image.shape_tzyx))


def setting(folder, **about):
    return Setting(**{"cache": folder / "cache", "seed": 0, "device": "cpu", "batch_size": 2, "augment": True, **about})


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nuclei")
    stores = [store(folder / f"{seed}.zarr", seed=seed) for seed in (0, 1)]
    return TASK.prepare(stores, NucleiConfig(), setting(folder))


def test_the_plan_follows_the_data(examples):
    plan = examples.plan
    assert plan.diameter_um == DIAMETER_UM
    assert plan.grid.cell_diameters[1] == pytest.approx(1 / 4.5)
    assert plan.sigma == 0.16
    multiple = np.array(plan.grid.stem) * np.prod(plan.grid.strides, axis=0)
    assert (np.array(plan.patch_zyx) % multiple == 0).all()


def test_what_the_image_seems_to_show_is_not_believed_where_the_annotation_contradicts_it(tmp_path):
    image, truth = movie()
    points = Annotations.of(truth.positions)
    agrees = build_store(tmp_path / "agrees.zarr", image, points, cuboid=Box.whole(image.shape_tzyx), diameter_um=8.0)
    contradicts = build_store(
        tmp_path / "other.zarr", image, points, cuboid=Box.whole(image.shape_tzyx), diameter_um=2.0
    )
    assert apparent_diameter_of_stores([agrees]) == pytest.approx(8, rel=0.2)
    assert apparent_diameter_of_stores([contradicts]) is None


def test_no_match_reaches_the_next_nucleus_whatever_the_diameter(tmp_path):
    image, truth = movie()
    points = Annotations.of(truth.positions)
    huge = build_store(tmp_path / "huge.zarr", image, points, cuboid=Box.whole(image.shape_tzyx), diameter_um=60.0)
    assert any("60 µm across cannot lie" in note for note in huge.meta.notes)
    plan = TASK.prepare([huge], NucleiConfig(), setting(tmp_path)).plan
    assert plan.match_radius_um < 0.5 * 1.5 * DIAMETER_UM


def test_movies_are_never_shared_by_training_and_validation(examples):
    train = {frames.store.meta.source.movie for frames in examples.train}
    validation = {frames.store.meta.source.movie for frames in examples.validation}
    assert len(train) == len(validation) == 1
    assert train != validation


def test_a_batch_is_a_pure_function_of_seed_and_step(examples):
    first, again, later = examples.batch(7, 2), examples.batch(7, 2), examples.batch(8, 2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], later["image"])


def test_the_target_sits_on_the_bright_balls_whatever_the_augmentation(examples):
    """Image and target must be warped together: over many patches, warm cells are bright and cold ones dark."""
    contrast = []
    for step in range(20):
        batch = examples.batch(step, 2)
        bright = torch.nn.functional.avg_pool3d(batch["image"], examples.plan.grid.stem)
        warm, cold = batch["heat"] > 0.7, (batch["heat"] < 0.01) & (batch["known"] > 0)
        if warm.any() and cold.any():
            contrast.append(float(bright[warm].mean() - bright[cold].mean()))
    assert len(contrast) > 10
    assert min(contrast) > 0.2


def test_without_augmentation_a_patch_is_a_piece_of_the_image(tmp_path):
    examples = TASK.prepare([store(tmp_path / "a.zarr")], NucleiConfig(), setting(tmp_path, augment=False))
    patch = examples.batch(0, 1)["image"][0, 0].numpy()
    frames = examples.train[0]
    whole = np.stack([np.pad(frames.image[t, 0], ((0, 8), (0, 0), (0, 0)), mode="edge") for t in frames.frames])
    corner = patch[: frames.shape_zyx[0], :4, :4]
    found = [
        (t, j, i)
        for t in range(len(whole))
        for j in range(whole.shape[2] - 3)
        for i in range(whole.shape[3] - 3)
        if np.allclose(whole[t, : frames.shape_zyx[0], j : j + 4, i : i + 4], corner, atol=2e-3)
    ]
    assert len(found) == 1


def test_a_resumed_run_uses_its_own_plan(examples, tmp_path):
    stores = [frames.store for frames in (*examples.train, *examples.validation)]
    plan = examples.plan.model_copy(update={"patch_zyx": (4, 16, 16)})
    again = TASK.prepare(stores, NucleiConfig(), setting(tmp_path, plan=plan))
    assert again.plan == plan
    assert again.batch(0, 1)["image"].shape[2:] == (4, 16, 16)


def two_channels(folder, *, swapped=False):
    """A store whose nuclei shine in the second channel, or the first; the other is noise."""
    image, truth = movie(n_frames=1)
    pixels = image.read(Box.whole(image.shape_tzyx))
    noise = np.random.default_rng(9).integers(0, 255, pixels.shape).astype(np.uint16)
    both = np.concatenate([pixels, noise] if swapped else [noise, pixels], axis=1)
    wide = TimeLapse.of(both, "tczyx", spacing=SPACING, source=f"two {swapped}")
    return build_store(folder, wide, truth, cuboid=Box.whole(image.shape_tzyx))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_model_of_one_channel_begins_with_the_channel_that_shows_the_nuclei(tmp_path, swapped):
    plan = TASK.prepare([two_channels(tmp_path / "two.zarr", swapped=swapped)], NucleiConfig(), setting(tmp_path)).plan
    leading = 0 if swapped else 1
    assert (plan.n_channels, plan.leading_channel) == (2, leading)
    torch.manual_seed(0)
    one = TASK.network(plan.model_copy(update={"n_channels": 1, "leading_channel": 0}), NucleiConfig()).eval()
    both = TASK.network(plan, NucleiConfig()).eval()
    both.load_state_dict(TASK.adopt(one.state_dict(), both.state_dict(), plan))
    image = torch.rand(1, 2, *plan.patch_zyx)
    with torch.no_grad():
        assert torch.allclose(both(image), one(image[:, leading : leading + 1]), atol=1e-5)


def test_a_model_of_one_frame_begins_with_the_frame_that_is_answered_for(examples):
    plan = examples.plan.model_copy(update={"frames": (-1, 0, 1)})
    torch.manual_seed(0)
    one, three = TASK.network(examples.plan, NucleiConfig()).eval(), TASK.network(plan, NucleiConfig()).eval()
    three.load_state_dict(TASK.adopt(one.state_dict(), three.state_dict(), plan))
    image = torch.rand(1, 3, *plan.patch_zyx)
    with torch.no_grad():
        assert torch.allclose(three(image), one(image[:, 1:2]), atol=1e-5)


def test_a_bleached_frame_is_noisier_the_fewer_photons_it_has_and_always_the_same(examples):
    frames = examples.validation[0]
    t = frames.frames[0]

    def shown(photons):
        exposure = Exposure(photons, ground=0.15, read_noise=0.5)
        return examples.bleached(exposure).validation[0].stack(t, (0,)).astype(np.float32)

    plain, few, many = frames.stack(t, (0,)).astype(np.float32), shown(2.0), shown(50.0)
    assert np.std(few - plain) > 3 * np.std(many - plain) > 0
    assert np.median(few) > np.median(many) + 0.05  # noise moves what counts as black
    assert np.array_equal(few, shown(2.0))
    network = TASK.network(examples.plan, NucleiConfig()).eval()
    plain, bleached = (TASK.validate(network, view).loss for view in TASK.views(examples))
    assert 0 < plain != bleached


def test_after_a_start_from_a_model_half_of_the_examples_are_shown_as_if_bleached(examples, tmp_path):
    stores = [frames.store for frames in (*examples.train, *examples.validation)]
    assert examples.plan.few_photons == 0
    started = TASK.prepare(stores, NucleiConfig(), setting(tmp_path, base=examples.plan))
    assert started.plan.few_photons == 0.5
    plain = replace(started, plan=started.plan.model_copy(update={"few_photons": 0.0}))
    changed, same = [], []
    for step in range(20):
        with_noise, without = (one.batch(step, 2)["image"] for one in (started, plain))
        changed += (with_noise != without).flatten(1).any(1).tolist()
        same.append(torch.equal(with_noise, started.batch(step, 2)["image"]))
    assert all(same)  # so that a resumed training sees what an undisturbed one sees
    assert 10 <= sum(changed) <= 30

    def share(config, **about):
        return TASK.prepare(stores, config, setting(tmp_path, base=examples.plan, **about)).plan.few_photons

    assert share(NucleiConfig(few_photons=0.2)) == 0.2
    assert share(NucleiConfig(variation=0)) == share(NucleiConfig(), augment=False) == 0
    # a resumed training knows no model to start from, and goes on as its plan says
    assert TASK.prepare(stores, NucleiConfig(), setting(tmp_path, plan=started.plan)).plan.few_photons == 0.5


def test_every_store_can_count_as_much_as_another_however_many_nuclei_it_has(tmp_path):
    stores = []
    for name, n_frames, use in (("long", 5, "train"), ("short", 1, "train"), ("held", 1, "validation")):
        image, truth = movie(len(stores), n_frames, (8, 48, 48))
        whole = Box.whole(image.shape_tzyx)
        stores.append(build_store(tmp_path / f"{name}.zarr", image, truth, cuboid=whole, use=use))
    n_short = {}
    for balance in ("nuclei", "stores"):
        made = TASK.prepare(stores, NucleiConfig(balance=balance), setting(tmp_path))
        parts = [made._nuclei[made._row(np.random.default_rng(i))][0] for i in range(300)]
        n_short[balance] = sum(made.train[part].store.name == "short" for part in parts)
    assert n_short["nuclei"] < 80
    assert abs(n_short["stores"] - 150) < 40


def test_what_was_rejected_is_shown_more_often_than_other_background(tmp_path):
    image, truth = movie(n_frames=1)
    whole = Box.whole(image.shape_tzyx)
    corner = np.array([[0, 6, 4, 4]])
    states = [State.ACCEPTED] * len(truth) + [State.REJECTED]
    marked = Annotations.of(np.concatenate([truth.positions, corner]), state=states, radius_um=DIAMETER_UM / 2)
    kept = {}
    for name, nuclei in (("plain", truth), ("rejected", marked)):
        stored = build_store(tmp_path / f"{name}.zarr", image, nuclei, cuboid=whole, use="train")
        config = NucleiConfig(patch_voxels=(12, 24, 24))
        examples = TASK.prepare([stored], config, setting(tmp_path / name, augment=False))
        rng = np.random.default_rng(0)
        drawn = [examples._patch(rng, examples.plan.patch_zyx) for _ in range(200)]
        first = examples.train[0]
        pixels = first.image[0, 0][:, :2, :2]
        kept[name] = sum(np.array_equal(patch.image[0][: len(pixels), :2, :2], pixels) for patch in drawn)
    assert kept["rejected"] > kept["plain"] + 15


def test_of_scores_that_differ_by_luck_the_later_weights_are_kept(examples):
    validation = TASK.validate(TASK.network(examples.plan, NucleiConfig()).eval(), examples)
    assert validation.tie == pytest.approx(0.5 / np.sqrt(validation.n))


def test_frames_around_become_channels(tmp_path):
    config = NucleiConfig(frames=(-1, 0, 1))
    examples = TASK.prepare([store(tmp_path / "a.zarr", n_frames=8)], config, setting(tmp_path))
    batch = examples.batch(0, 1)
    assert batch["image"].shape[1] == 3
    assert TASK.network(examples.plan, config)(batch["image"]).shape[2:] == batch["heat"].shape[2:]
    frames = examples.train[0]
    stack = frames.stack(0, config.frames)
    assert np.array_equal(stack[0], stack[1])  # before the first frame, the first again
    assert np.array_equal(stack[2], frames.image[1, 0])


def test_one_plane_trains_like_a_volume(tmp_path):
    flat = Spacing(1.0, 0.5, 0.5)
    examples = TASK.prepare(
        [store(tmp_path / "a.zarr", shape=(1, 96, 96), spacing=flat)], NucleiConfig(), setting(tmp_path)
    )
    network = TASK.network(examples.plan, NucleiConfig())
    loss, parts = TASK.loss(network, examples.batch(0, 2))
    assert torch.isfinite(loss)
    assert set(parts) == {"heat", "offset"}
    assert np.isfinite(TASK.validate(network.eval(), examples).loss)


@pytest.mark.long
def test_a_short_training_finds_the_balls(examples):
    torch.manual_seed(0)
    network = TASK.network(examples.plan, NucleiConfig(width=16))
    before = TASK.validate(network.eval(), examples)
    optimiser = AdamW(network.parameters(), lr=4e-3)
    for step in range(80):
        optimiser.zero_grad()
        loss, _ = TASK.loss(network, examples.batch(step, 2))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    after = TASK.validate(network.eval(), examples)
    assert after.loss < before.loss
    assert after.metrics["best_f1"] > 0.95
    evidence = TASK.finish(network, examples)
    assert evidence.metrics["f1"] > 0.95
    assert evidence.metrics["median_error_um"] < 1.0
    assert 0 < evidence.threshold < 1
    # what is found and right is called likely, although the network's spots are soft
    assert evidence.calibration.apply(np.array([0.0])) > 0.8
    assert evidence.ece < 0.1
    assert evidence.n_positive == sum(frames.n_nuclei for frames in examples.validation)


def test_an_untrained_network_still_gets_its_evidence(examples):
    network = TASK.network(examples.plan, NucleiConfig()).eval()
    evidence = TASK.finish(network, examples)
    assert evidence.metrics["f1"] < 0.6  # some of its many random candidates lie on nuclei
    assert 0 < evidence.threshold < 1


def test_stores_that_do_not_fit_together_are_refused_by_name(tmp_path):
    one = store(tmp_path / "one.zarr")
    flat = store(tmp_path / "flat.zarr", shape=(1, 96, 96), spacing=Spacing(1, 0.5, 0.5))
    with pytest.raises(AnlageError, match=r"flat\.zarr.*cannot train one network: one is a single plane"):
        TASK.prepare([one, flat], NucleiConfig(), setting(tmp_path))
    with pytest.raises(AnlageError, match="nothing to train from: give at least one store"):
        TASK.prepare([], NucleiConfig(), setting(tmp_path))


def test_a_foreign_microscope_is_scaled_to_the_same_cells(tmp_path):
    """Twice the voxels and twice the nuclei: the same numbers of cells."""
    stores = [
        store(tmp_path / "one.zarr"),
        store(tmp_path / "two.zarr", seed=1, spacing=Spacing(4.0, 1.0, 1.0), diameter_um=16.0),
    ]
    examples = TASK.prepare(stores, NucleiConfig(), setting(tmp_path))
    shapes = {frames.shape_zyx for frames in (*examples.train, *examples.validation)}
    assert len(shapes) == 1
    assert any("scaled to match" in note for note in examples.notes)


def test_an_unknown_task_is_named_with_the_known():
    with pytest.raises(AnlageError, match="There is no task 'nucleus'; there is nuclei"):
        task_named("nucleus")
