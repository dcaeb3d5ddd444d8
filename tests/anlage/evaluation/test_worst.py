"""The objects that were outlined worst come first, each with its place."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from anlage.axes import Spacing
from anlage.cli import main
from anlage.evaluation import worst_objects, worst_picture
from anlage.evaluation.worst_pictures import FOUND_COLOUR, TRUE_COLOUR
from anlage.io import write_image
from anlage.timelapse import TimeLapse


def test_the_missed_and_the_badly_outlined_come_first() -> None:
    truth = np.zeros((2, 1, 20, 60), np.uint16)
    truth[0, 0, 2:12, 2:12] = 5
    truth[0, 0, 2:12, 22:32] = 6
    truth[1, 0, 2:12, 42:52] = 7
    truth[1, 0, 18, 2:4] = 8  # a crumb
    result = np.zeros_like(truth)
    result[0, 0, 2:12, 2:12] = 1
    result[0, 0, 2:12, 22:27] = 2
    worst = worst_objects(TimeLapse.of(result), TimeLapse.of(truth), smallest=3)
    assert [(one.frame, one.label) for one in worst] == [(1, 7), (0, 6), (0, 5)]
    assert [one.iou for one in worst] == pytest.approx([0, 0.5, 1])
    assert (worst[0].z, worst[0].y, worst[0].x) == (0, 7, 47)
    assert len(worst_objects(TimeLapse.of(result), TimeLapse.of(truth), 2)) == 2


def test_a_picture_shows_image_truth_and_what_was_found_in_their_colours(scene_with_a_shift):
    truth, found, image, one = scene_with_a_shift
    picture = worst_picture(one, truth, found, image, pixels=120)
    assert picture.shape == (120, 120, 3)
    cyan, magenta, white = (
        (picture == np.array(colour)).all(axis=-1) for colour in (TRUE_COLOUR, FOUND_COLOUR, (255, 255, 255))
    )
    assert cyan.sum() > 50
    assert magenta.sum() > 50
    # a pixel of the picture is the same length along y and x, though voxels are twice as high as wide
    high, wide = (int(np.ptp(places)) for places in np.nonzero(cyan | white))
    assert high == pytest.approx(wide, rel=0.15)
    # what was found lies to the right of what is true
    assert np.nonzero(magenta)[1].mean() > np.nonzero(cyan)[1].mean() + 3
    grey = picture[..., 0] == picture[..., 1]
    assert picture[grey].max() > 100  # the image is seen
    missed = worst_picture(one, truth, TimeLapse.of(np.zeros_like(found.data)), None, pixels=120)
    assert not (missed == np.array(FOUND_COLOUR)).all(axis=-1).any()
    assert set(np.unique(missed[..., 2])) >= {0, 255}


@pytest.fixture
def scene_with_a_shift():
    """A round object at the image's rim, found 2 voxels beside itself; voxels of 1 × 1 × 0.5 µm."""
    z, y, x = np.ogrid[:5, :24, :48]
    at = {"spacing": Spacing(1, 1, 0.5)}
    truth, found = (((z - 2) ** 2 + (y - 18) ** 2 + ((x - c) / 2) ** 2 < 30).astype(np.uint16)[None] for c in (12, 16))
    image = np.where(truth, 1000, 100).astype(np.uint16)
    (one,) = worst_objects(TimeLapse.of(found), TimeLapse.of(truth))
    return TimeLapse.of(truth, **at), TimeLapse.of(found, **at), TimeLapse.of(image, **at), one


def test_the_command_line_draws_the_worst(scene_with_a_shift, tmp_path, capsys):
    truth, found, image, _ = scene_with_a_shift
    for name, one in (("truth", truth), ("found", found), ("image", image)):
        write_image(tmp_path / f"{name}.ome.zarr", one.read(), spacing=one.spacing)
    paths = [str(tmp_path / f"{name}.ome.zarr") for name in ("found", "truth")]
    told = ["--pictures", str(tmp_path / "new" / "worst.png"), "--image", str(tmp_path / "image.ome.zarr")]
    assert main(["evaluate", *paths, *told]) == 0
    assert min(imread(tmp_path / "new" / "worst.png").shape[:2]) > 200
    write_image(tmp_path / "other.ome.zarr", image.read()[:, :, :, :9], spacing=image.spacing)
    assert main(["evaluate", *paths, *told[:2], "--image", str(tmp_path / "other.ome.zarr")]) == 2
    assert "give the image that was labelled" in capsys.readouterr().err
