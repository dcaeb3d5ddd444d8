"""Images handed to a child, and predictions of movies as they lie in the project folder."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anlage import (
    AnlageError,
    Annotations,
    Prediction,
    PredictionParts,
    Spacing,
    State,
    TimeLapse,
    open_image,
    starter_path,
    write_annotations,
    write_image,
)
from anlage.project.image_copy import ChildImage, frames_for_child, movie_for_child
from anlage.project.models import Choice, classical
from anlage.project.predictions import PredictionRequest, command_line, load, place, results

SHAPE = (6, 4, 16, 18)


@pytest.fixture
def image() -> TimeLapse:
    pixels = np.random.default_rng(0).integers(0, 999, SHAPE).astype(np.uint16)
    return TimeLapse(pixels, "tzyx", spacing=Spacing(2, 0.5, 0.5), interval_s=30.0, channels=("stain",), source="movie")


def found(t: int, n: int = 2) -> Annotations:
    positions = np.column_stack([np.full(n, t), np.full(n, 1), np.arange(n) + 2, np.arange(n) + 3])
    return Annotations.of(positions, probability=0.7, radius_um=3.0, state=State.PROPOSED, origin="m-1")


def test_the_file_behind_a_layer_is_used_only_where_it_holds_the_same(image: TimeLapse, tmp_path: Path) -> None:
    file, copy = tmp_path / "movie.ome.zarr", tmp_path / "copy.ome.zarr"
    write_image(file, image.read())
    given = frames_for_child(image, 2, (), file, copy)
    assert (given.path, given.frames[2]) == (file, 2)
    assert given.options == ("--spacing", "2,0.5,0.5", "--interval", "30.0")
    assert not copy.exists()
    image.data[2, 0, 0, 0] += 1  # the layer was worked on since
    given = frames_for_child(image, 2, (), file, copy)
    assert given.path == copy
    written = open_image(copy)
    assert np.array_equal(written.frame(given.frames[2]), image.frame(2))
    assert written.channels == ("stain",)
    assert written.n_frames < 6


@pytest.mark.parametrize(("frame", "offsets"), [(0, (-1, 1)), (3, (-1, 1)), (5, (-2, 0, 2)), (2, ())])
def test_neighbours_lie_around_a_frame_as_they_do_in_the_movie(
    image: TimeLapse, tmp_path: Path, frame, offsets
) -> None:
    given = frames_for_child(image, frame, offsets, None, tmp_path / "copy.ome.zarr")
    written, here = open_image(given.path), given.frames[frame]
    for offset in (0, *offsets):
        there = min(max(here + offset, 0), written.n_frames - 1)
        assert np.array_equal(written.frame(there), image.frame(min(max(frame + offset, 0), 5)))


def test_the_whole_movie_is_copied_once(image: TimeLapse, tmp_path: Path) -> None:
    copy, said = tmp_path / "predictions" / "image.ome.zarr", []
    given = movie_for_child(image, None, tmp_path, lambda done, total: said.append((done, total)))
    assert said[-1] == (6, 6)
    assert dict(given.frames) == {t: t for t in range(6)}
    before = (copy / "zarr.json").stat().st_mtime_ns
    movie_for_child(image, tmp_path / "gone.tif", tmp_path)
    assert (copy / "zarr.json").stat().st_mtime_ns == before


def ordered(folder: Path, **more) -> tuple:
    order = PredictionRequest(classical(), (1, 4), **more)
    return order, place(
        folder, order, ChildImage(Path("/data/my movie.tif"), {t: t for t in range(6)}, ("--spacing", "2,1,1"))
    )


def test_an_order_is_written_down_as_the_command_that_carries_it_out(tmp_path: Path) -> None:
    _, result = ordered(tmp_path, channels=(0, 2), diameter_um=7.5, device="cpu")
    words = shlex.split(command_line(result.record.arguments))
    assert words[-len(result.record.arguments) :] == list(result.record.arguments)
    assert words[words.index("predict") + 1 :] == [
        "classical", "/data/my movie.tif", "-o", str(result.path), "--frames", "1:4", "--all-candidates", "--spacing", "2,1,1",
        "--channels", "0,2", "--diameter-um", "7.5", "--device", "cpu",
    ]  # fmt: skip
    assert results(tmp_path) == []  # nothing began


def test_results_are_listed_as_far_as_they_are_and_can_be_read_at_any_time(tmp_path: Path, image: TimeLapse) -> None:
    _, result = ordered(tmp_path)
    (tmp_path / "predictions" / "broken.json").write_text("{")
    parts = PredictionParts.beside(result.path)
    with parts.alone():
        assert results(tmp_path)[0].state == "running"
        for t in (1, 3):
            parts.keep(Prediction(t, found(t), "m-1", None, (), 6.0))
    (listed,) = results(tmp_path)
    assert (listed.state, listed.n_frames) == ("stopped", 3)
    assert "classical detector · frames 1–3" in listed.title
    assert "stopped, 2 done" in listed.title
    some = load(listed, image)
    assert some.frames == (1, 3)
    assert len(some.boxes) == 2
    assert (len(some), some.diameter_um, some.threshold) == (4, 6.0, 0.5)
    write_annotations(
        result.path, Annotations.of(np.concatenate([found(t).positions for t in (1, 2, 3)]), probability=0.7)
    )
    whole = load(results(tmp_path)[0], image)
    assert whole.frames == (1, 2, 3)
    assert len(whole.boxes) == 1
    with pytest.raises(AnlageError, match="reaches outside the image 'movie'"):
        load(listed, replace(image, data=image.data[:3]))
    with pytest.raises(AnlageError, match=r"voxel size of 'movie' is unknown"):
        load(listed, replace(image, spacing=None))


def test_weights_that_are_still_changing_are_kept_as_they_were(tmp_path: Path) -> None:
    model = Path(shutil.copy(starter_path(), tmp_path / "model.anlage"))
    order = PredictionRequest(Choice.of(model, name="first (still training)", training=True), (0, 2))
    result = place(tmp_path, order, ChildImage(Path("movie.tif"), {0: 0, 1: 1}, ()))
    kept = Path(result.record.arguments[1])
    assert kept != model
    assert kept.read_bytes() == model.read_bytes()
    assert result.record.model_id == order.model.id
