"""Signals measured along tracks: known brightness, known movement, known sizes."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.signals.track_signals import measure_signals, tracks_of
from anlage.timelapse import TimeLapse

SPACING = Spacing(2.0, 0.5, 0.5)


@pytest.fixture
def movie():
    """A bright ball of 3 µm that moves 1 µm along x each frame of 60 s, and a dim one that rests and divides."""
    image = np.zeros((4, 2, 9, 40, 60), np.uint16)
    labels = np.zeros((4, 1, 9, 40, 60), np.uint16)
    z, y, x = np.ogrid[:9, :40, :60]
    rows, links = [], []
    for t in range(4):
        for k, (cy, cx, grey) in enumerate(((12, 12 + 2 * t, 200), (28, 30, 100))):
            ball = (2 * (z - 4)) ** 2 + (0.5 * (y - cy)) ** 2 + (0.5 * (x - cx)) ** 2 <= 9
            image[t, 0][ball], image[t, 1][ball] = grey, t
            labels[t, 0][ball] = k + 1
            rows.append((t, 4, cy, cx))
            links += [(len(rows) - 2, len(rows))] if t else []
    made = TimeLapse.of(image, "tczyx", spacing=SPACING, interval_s=60.0, channels=("red", "blue"))
    return made, Annotations.of(rows, links=links, radius_um=2.0), TimeLapse.of(labels, "tczyx", spacing=SPACING)


def of(signals, name):
    return signals.values[:, signals.names.index(name)]


def test_brightness_and_movement_are_in_physical_units(movie):
    image, nuclei, _ = movie
    signals = measure_signals(nuclei, image, movie="m1")
    assert signals.ids.tolist() == [1, 2]
    np.testing.assert_array_equal(of(signals, "red_mean"), [[200] * 4, [100] * 4])
    np.testing.assert_array_equal(of(signals, "blue_median"), [[0, 1, 2, 3]] * 2)
    np.testing.assert_allclose(of(signals, "speed_um_per_min"), [[np.nan, 1, 1, 1], [np.nan, 0, 0, 0]])
    np.testing.assert_array_equal(of(signals, "depth_um"), np.full((2, 4), 8.0))
    assert of(signals, "neighbour_distance_um")[0, 0] == pytest.approx(np.hypot(8, 9))
    assert (of(signals, "neighbours") == 1).all()
    assert (signals.interval_s, signals.group.tolist()) == (60.0, ["m1", "m1"])
    np.testing.assert_array_equal(signals.places[0, :, 2], [4, 12, 16])
    assert signals.nuclei[0].tolist() == [1, 3, 5, 7]


def test_labels_give_shapes_and_their_own_voxels(movie):
    image, _, labels = movie
    nuclei = Annotations.from_labels(labels)
    signals = measure_signals(nuclei, image)
    volume = of(signals, "volume_um3")
    assert volume[0, 0] == pytest.approx(4 / 3 * np.pi * 27, rel=0.15)
    np.testing.assert_array_equal(of(signals, "red_p5"), [[200] * 4, [100] * 4])
    assert of(signals, "red_sum")[0, 0] == pytest.approx(200 * volume[0, 0] / 0.5)
    assert {"equivalent_diameter_um", "sphericity", "axis_major_um"} <= set(signals.names)


def test_a_frame_without_the_nucleus_is_missing(movie):
    image, nuclei, _ = movie
    hole = np.flatnonzero(nuclei.frames != 1)
    links = np.array([[1, 5], [5, 7], [2, 6], [6, 8]])
    signals = measure_signals(nuclei.select(hole).linked(links), image)
    assert np.isnan(of(signals, "red_mean")[:, 1]).all()
    np.testing.assert_allclose(
        of(signals, "speed_um_per_min")[0], [np.nan, np.nan, 1, 1]
    )  # over two frames, per minute


def test_daughters_begin_tracks_of_their_own():
    nuclei = Annotations.of(
        [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0), (2, 0, 5, 0), (3, 0, 5, 0)], links=[(1, 2), (2, 3), (2, 4), (4, 5)]
    )
    assert tracks_of(nuclei).tolist() == [1, 1, 3, 4, 4]


def test_what_is_unknown_is_asked_for(movie):
    image, nuclei, _ = movie
    bare = Annotations.of(nuclei.positions)
    with pytest.raises(AnlageError, match=r"The radius of the nuclei is unknown.*--radius-um R"):
        measure_signals(bare, image)
    with pytest.raises(AnlageError, match="The voxel size is unknown"):
        measure_signals(bare, None)
    with pytest.raises(AnlageError, match=r"There are nuclei in frame 9, but .* has the frames 0 to 3"):
        measure_signals(Annotations.of([(9, 4, 12, 12)], radius_um=2), image)
    some = Annotations.of(nuclei.positions, radius_um=[2.0] * 7 + [np.nan])
    assert "1 nuclei have no radius; 2.00 µm" in measure_signals(some, image).notes[0]
