"""An image held against a card: what is unlike training is said, what is alike is not."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.axes import Spacing
from anlage.calibration import Calibration
from anlage.card import Card, TrainedOn
from anlage.dataset.intensity import measure_intensity
from anlage.dataset.noise import noise_level
from anlage.inference.image_check import check_image
from anlage.synthetic import Optics, embryo
from anlage.tasks.task import Evidence
from anlage.timelapse import TimeLapse


@pytest.fixture(scope="module")
def movie():
    return embryo(3, 2, (12, 96, 96), n_nuclei=12).image


@pytest.fixture(scope="module")
def card(movie):
    intensity = measure_intensity(movie)
    store = TrainedOn(
        name="a",
        spacing_um_zyx=movie.spacing.zyx,
        diameter_um=8.0,
        noise=noise_level(intensity.frame(movie, 0)),
        n_nuclei=24,
    )
    return Card(
        name="some", task="nuclei", head="centres", created="2026-11-21T10:00:00Z", version="0.1.0", channels=("nuclei",),
        spacing_um_zyx=movie.spacing.zyx, interval_s=300.0, diameter_um=8.0, intensity=intensity, config={}, trained_on=(store,),
        plan={"grid": {"flat": False}, "frames": [0]},
        evidence=Evidence(held_out="nothing", n_positive=0, metrics={}, threshold=0.5, calibration=Calibration(), ece=None),
    )  # fmt: skip


def pixels(movie):
    return movie.read()[:, 0]


def like(movie, data, axes="tzyx", **about):
    return TimeLapse.of(data, axes, **{"spacing": movie.spacing, "interval_s": 300.0, "source": "other", **about})


def only(card, image, **more):
    """The one sentence that there is."""
    said = check_image(card, image, **more)
    assert len(said) == 1, said
    return said[0]


def test_the_training_image_itself_gives_nothing_to_say(card, movie):
    assert check_image(card, movie) == ()
    assert check_image(card, movie, frames=[1], diameter_um=8.0) == ()


def test_brightness_is_no_matter(card, movie):
    assert check_image(card, like(movie, (pixels(movie) // 3 + 500).astype(np.uint16))) == ()


def test_channels(card, movie):
    two = TimeLapse.of(
        np.stack([pixels(movie)] * 2, axis=1),
        "tczyx",
        spacing=movie.spacing,
        channels=("brightfield", "H2B"),
        source="x",
    )
    assert only(card, two).startswith("Channel 0 is called 'brightfield' here, and 'nuclei' in training: choose")
    assert check_image(card, two, channels=[1])[0].startswith("Channel 1 is called 'H2B' here")
    assert "looks at channel 5, but the image has 2 (0 to 1)" in only(card, two, channels=[5])
    assert "looks at 1 channels (nuclei), but 2 are chosen" in check_image(card, two, channels=[0, 1])[0]
    unnamed = like(movie, pixels(movie))
    assert check_image(card, unnamed) == (), "a channel without a name contradicts nobody"


def test_an_unknown_voxel_size(card, movie):
    assert "voxel size of the image is unknown; the model's would be assumed, 2 × 0.5 × 0.5 µm" in only(
        card, like(movie, pixels(movie), spacing=None)
    )


def test_nuclei_of_another_size(card, movie):
    large = like(movie, pixels(movie), spacing=Spacing(6.0, 1.5, 1.5))
    said = only(card, large)
    assert "The nuclei measure about 2" in said
    assert "in training 8.0 µm: the image is rescaled to match" in said


def test_coarser_voxels_and_planes(card, movie):
    coarse = like(movie, pixels(movie)[:, :, ::3, ::3], spacing=Spacing(2.0, 1.5, 1.5))
    said = check_image(card, coarse, diameter_um=8.0)
    assert any("Nuclei are 5.3 pixels wide here and were at least 16.0 in training" in s for s in said), said
    planes = like(movie, pixels(movie)[:, ::3], spacing=Spacing(6.0, 0.5, 0.5))
    assert "Nuclei are 1.3 planes deep here and were at least 4.0 in training" in only(card, planes, diameter_um=8.0)


def test_noise(card):
    noisy = embryo(3, 1, (12, 96, 96), n_nuclei=12, optics=Optics(photons=6, background=0.5)).image
    said = only(card, noisy, diameter_um=8.0)
    assert "times noisier, at the size of a nucleus, than anything in training" in said


def test_dark_nuclei_on_a_bright_ground(card, movie):
    data = pixels(movie)
    assert "the model knows bright nuclei on a dark ground" in only(
        card, like(movie, data.max() - data), diameter_um=8.0
    )


def test_saturated_pixels(card, movie):
    data = np.clip(pixels(movie).astype(float) / 2, 0, 255).astype(np.uint8)
    assert "have the highest value there is (255)" in " ".join(check_image(card, like(movie, data), diameter_um=8.0))


def test_depth_and_time(card, movie):
    plane = TimeLapse.of(pixels(movie)[:, 6], "tyx", spacing=movie.spacing, source="plane")
    assert "The model knows volumes, and the image is a single plane" in only(card, plane, diameter_um=8.0)
    flat = card.model_copy(update={"plan": {"grid": {"flat": True}}})
    assert check_image(flat, plane, diameter_um=8.0) == ()
    assert "The model knows single planes, and the image has 12" in only(flat, movie, diameter_um=8.0)
    neighbours = card.model_copy(update={"plan": {"grid": {"flat": False}, "frames": [-1, 0, 1]}})
    slow = like(movie, pixels(movie), interval_s=1800.0)
    assert "Frames are 1800 s apart here and were 300 s in training" in only(neighbours, slow)
    assert "the image has a single one" in only(neighbours, like(movie, pixels(movie)[:1]))


def test_nothing_to_measure_and_pixels_that_are_no_numbers(card, movie):
    empty = like(movie, np.full((1, 12, 72, 72), 100, np.uint16))
    assert any(
        "No nuclei could be measured in frame 0; the model's own diameter of 8.0 µm" in s
        for s in check_image(card, empty)
    )
    broken = pixels(movie).astype(np.float32)
    broken[0, 0, 0, 0] = np.nan
    assert "NaN or infinite" in only(card, like(movie, broken))


def test_an_old_card_says_less_and_never_breaks(card, movie):
    old = card.model_copy(update={"trained_on": (TrainedOn(name="a"),)})
    assert check_image(old, movie) == ()
    bare = old.model_copy(update={"diameter_um": None, "plan": {}})
    assert check_image(bare, movie) == ()
