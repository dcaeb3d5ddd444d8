"""Prediction: places, regions, frames, scales, and what a model may not be used on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.axes import Box, Spacing
from anlage.calibration import Calibration
from anlage.card import Card
from anlage.dataset.intensity import measure_intensity
from anlage.errors import AnlageError
from anlage.evaluation.detection import score_detection
from anlage.inference import predict, predict_classical
from anlage.model import save_model
from anlage.networks.device import precision, running_on
from anlage.tasks import TASKS
from anlage.tasks.grid import plan_grid
from anlage.tasks.nuclei.centre_loss import centre_target
from anlage.tasks.nuclei.centres import CentresHead
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.task import Evidence
from anlage.tasks.tiled import network_output
from anlage.timelapse import TimeLapse
from anlage.training.learner import AdamW

SPACING = Spacing(2.0, 0.5, 0.5)
DIAMETER_UM = 8.0
SHAPE = (8, 72, 96)
TASK = TASKS["nuclei"]


def balls(centres, shape=SHAPE, spacing=SPACING, diameter_um=DIAMETER_UM):
    where = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    image = np.random.default_rng(0).normal(100, 4, shape)
    for centre in centres:
        image += 200 * np.exp(-((((where - centre) * spacing.um) ** 2).sum(-1)) / (2 * (diameter_um / 3.5) ** 2))
    return image.astype(np.uint16)


CENTRES = np.array([[3.2, 16, 16], [5, 18.5, 50], [4, 48.3, 20], [4.5, 54, 68.7], [3, 24, 82]])


def moved(t):
    """Where the balls are at frame t."""
    return CENTRES + np.array([0, t, -t])


@pytest.fixture(scope="module")
def image():
    frames = np.stack([balls(moved(t)) for t in range(3)])
    return TimeLapse.of(frames, "tzyx", spacing=SPACING, interval_s=60.0, source="balls")


@pytest.fixture(scope="module")
def model(tmp_path_factory, image):
    """A network trained for a few seconds on the balls themselves: what is tested here is the way through, not skill."""
    config = NucleiConfig(width=16, levels=2)
    grid = plan_grid(SPACING, DIAMETER_UM, flat=False, cells=CentresHead.cells, n_levels=config.levels)
    plan = NucleiPlan(
        grid=grid, diameter_um=DIAMETER_UM, apparent_um=None, n_channels=1, frames=(0,), patch_zyx=(8, 32, 32),
        sigma=config.sigma, match_radius_um=2.8,
    )  # fmt: skip
    intensity = measure_intensity(image, (0,))
    network = _trained(TASK.network(plan, config), plan, image, intensity)
    card = Card(
        name="balls", task="nuclei", head="centres", created="2026-01-01T00:00:00+00:00", version="0", channels=("a",),
        spacing_um_zyx=SPACING.zyx, intensity=intensity, diameter_um=DIAMETER_UM, plan=plan.model_dump(mode="json"),
        config=config.model_dump(mode="json"), trained_on=(),
        evidence=Evidence(held_out="nothing", n_positive=0, metrics={}, threshold=0.2, calibration=Calibration(), ece=None),
    )  # fmt: skip
    return save_model(tmp_path_factory.mktemp("model") / "balls.anlage", card, network.state_dict())


def _trained(network, plan, image, intensity):
    torch.manual_seed(0)
    network.to(memory_format=torch.channels_last_3d)
    optimiser = AdamW(network.parameters(), lr=5e-3)
    placement = plan.grid.place(SPACING, DIAMETER_UM, SHAPE)
    stem = np.array(plan.grid.stem)
    for step in range(100):
        t, mirror = step % 3, step % 2 == 1
        pixels = placement.resample(torch.from_numpy(intensity.frame(image, t)))[None]
        pixels = pixels.flip(-1) if mirror else pixels
        working = placement.to_working(moved(t))
        working[:, 2] = pixels.shape[-1] - 1 - working[:, 2] if mirror else working[:, 2]
        cells = torch.from_numpy((working + 0.5) / stem - 0.5).float()
        shape = [-(-n // s) for n, s in zip(placement.shape_zyx, stem, strict=True)]
        heat, offset = centre_target([cells], shape, plan.grid.cell_diameters.tolist(), plan.sigma)
        batch = {"image": pixels, "heat": heat, "offset": offset, "known": torch.ones_like(heat)}
        with running_on("cpu", precision("cpu")):
            loss, _ = TASK.loss(network, batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval()


def assert_found(nuclei, centres, within_um=1.0):
    assert len(nuclei) == len(centres)
    gaps = np.linalg.norm((nuclei.positions[:, None, 1:] - centres[None]) * SPACING.um, axis=2)
    assert gaps.min(axis=0).max() < within_um


def test_each_frame_is_found_in_order_in_voxels_of_the_image(model, image):
    done = []
    predictions = list(predict(model, image, progress=lambda i, n: done.append((i, n))))
    assert [p.frame for p in predictions] == [0, 1, 2]
    assert done == [(1, 3), (2, 3), (3, 3)]
    for p in predictions:
        assert_found(p.nuclei, moved(p.frame))
        assert (p.nuclei.positions[:, 0] == p.frame).all()
        assert set(p.nuclei.origin) == {model.id}
        assert (p.nuclei.probability >= 0.2).all()


def test_a_region_gives_its_nuclei_and_no_others(model, image):
    region = Box((0, 1), (0, 8), (0, 40), (40, 96))
    (p,) = predict(model, image, frames=[0], region=region, heatmap=True)
    inside = moved(0)[region.contains(np.insert(moved(0), 0, 0, axis=1))]
    assert len(inside) == 2
    assert_found(p.nuclei, inside)
    hottest = np.unravel_index(p.heatmap.data.argmax(), p.heatmap.data.shape)
    place = p.heatmap.to_image(hottest)
    assert np.linalg.norm((moved(0) - place) * SPACING.um, axis=1).min() < 2.0


def test_the_heatmap_lies_over_the_nuclei(model, image):
    (p,) = predict(model, image, frames=[1], heatmap=True)
    dense = p.heatmap
    cells = (moved(1) - dense.origin_zyx) / np.array(dense.step_zyx)
    at_centres = dense.data[tuple(np.rint(cells).astype(int).T)]
    assert at_centres.min() > 0.15 > np.median(dense.data)


def test_the_threshold_can_be_moved(model, image):
    (few,) = predict(model, image, frames=[0], threshold=0.999)
    (many,) = predict(model, image, frames=[0], threshold=0.02)
    assert len(few.nuclei) <= len(CENTRES) <= len(many.nuclei)
    assert (few.nuclei.probability >= 0.999).all()


def test_another_voxel_size_and_another_brightness_change_nothing(model):
    fine = Spacing(1.0, 0.25, 0.25)
    shape = (16, 144, 192)
    centres = (moved(0) + 0.5) * 2 - 0.5
    pixels = (balls(centres, shape, fine).astype(float) * 17 + 3000).astype(np.uint16)
    image = TimeLapse.of(pixels, "zyx", spacing=fine, source="finer")
    (p,) = predict(model, image, diameter_um=DIAMETER_UM)
    gaps = np.linalg.norm((p.nuclei.positions[:, None, 1:] - centres[None]) * fine.um, axis=2)
    assert len(p.nuclei) == len(centres)
    assert gaps.min(axis=0).max() < 1.0


def test_nuclei_of_another_size_are_brought_to_the_models(model):
    """Nuclei and voxels three times as large: the same picture, so the same answer."""
    large = Spacing(6.0, 1.5, 1.5)
    pixels = balls(moved(0), SHAPE, large, 3 * DIAMETER_UM)
    (p,) = predict(model, TimeLapse.of(pixels, "zyx", spacing=large), diameter_um=3 * DIAMETER_UM)
    assert_found(p.nuclei, moved(0))


def test_an_unknown_voxel_size_is_assumed_and_said(model, image):
    (p,) = predict(model, TimeLapse.of(image.data, "tzyx"), frames=[0], diameter_um=DIAMETER_UM)
    assert any("voxel size of the image is unknown; the model's was assumed" in note for note in p.notes)
    assert_found(p.nuclei, moved(0))


def test_tiles_find_what_the_whole_finds(model, image):
    from anlage.inference.loading import network_of

    network, plan = network_of(model, "cpu")
    placement = plan.grid.place(SPACING, DIAMETER_UM, SHAPE)
    pixels = placement.resample(torch.from_numpy(measure_intensity(image, (0,)).frame(image, 0)))
    whole = network_output(network, pixels, plan.grid, "cpu")
    tiled = network_output(network, pixels, plan.grid, "cpu", core=24)
    assert whole.shape == tiled.shape
    probability = 1 / (1 + np.exp(-np.stack([whole[0], tiled[0]])))
    assert np.abs(np.subtract(*probability)).max() < 0.05


def test_a_missing_channel_is_a_sentence(model):
    card = model.card.model_copy(update={"intensity": model.card.intensity.model_copy(
        update={"channels": (model.card.intensity.channels[0].model_copy(update={"index": 2}),)})})  # fmt: skip
    with pytest.raises(AnlageError, match=r"looks at channel 2, but 'grey' has 1"):
        next(
            predict(type(model)(card, model.path), TimeLapse.of(balls(CENTRES), "zyx", spacing=SPACING, source="grey"))
        )


def test_frames_that_are_not_there_are_a_sentence(model, image):
    with pytest.raises(AnlageError, match=r"Frames \[7\] were asked for, but 'balls' has 3"):
        next(predict(model, image, frames=[7]))


def test_the_classical_detector_needs_nothing_but_the_image(image):
    predictions = list(predict_classical(image, diameter_um=DIAMETER_UM, heatmap=True))
    for p in predictions:
        assert_found(p.nuclei, moved(p.frame), within_um=1.5)
        assert p.heatmap is not None
    with pytest.raises(AnlageError, match="voxel size of 'bare' is unknown"):
        next(predict_classical(TimeLapse.of(image.data, "tzyx", source="bare")))


def test_the_classical_detector_respects_region_and_threshold(image):
    region = Box((0, 1), (0, 8), (0, 40), (0, 40))
    (p,) = predict_classical(image, frames=[0], region=region, diameter_um=DIAMETER_UM)
    assert_found(p.nuclei, moved(0)[:1], within_um=1.5)
    (none,) = predict_classical(image, frames=[0], diameter_um=DIAMETER_UM, threshold=0.99)
    assert len(none.nuclei) == 0


def test_scores_agree_with_the_evaluation(model, image):
    from anlage.annotations import Annotations

    (p,) = predict(model, image, frames=[0])
    truth = Annotations.of(np.insert(moved(0), 0, 0, axis=1))
    assert score_detection(p.nuclei, truth, SPACING, radius_um=3.0).f1 == 1.0
