"""Scoring nuclei with a divisions model: in a movie, from Python and from the shell."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.errors import AnlageError
from anlage.inference.divisions import score_divisions, with_divisions
from anlage.io import open_annotations, write_annotations, write_image
from anlage.model import load_model
from anlage.synthetic import embryo
from anlage.timelapse import TimeLapse
from anlage.training.process import train
from anlage.training.run import Run

SETTINGS = ["steps=50", "batch_size=16", "cells=4", "width=8", "learning_rate=0.003", "device=cpu"]
SETTINGS += ["validate_every=25", "average_decay=0.9"]


def culture(seed):
    return embryo(seed, 8, (1, 128, 128), spacing=Spacing(1, 0.5, 0.5), n_nuclei=22, division_rate=0.15, vivid=True)


@pytest.fixture(scope="module")
def movie():
    return culture(7)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("divisions")
    stores = []
    for seed in range(2):
        made = culture(seed)
        path = folder / f"{seed}.zarr"
        stores.append(path)
        build_store(path, made.image, made.truth, cuboid=Box.whole(made.image.shape_tzyx))
    trained = train(Run.create(folder / "run", "divisions", stores, SETTINGS))
    return load_model(trained)


class Counting:
    """An array that knows how often each frame was read."""

    def __init__(self, data):
        self.data, self.read = data, []
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, index):
        self.read.append(index[0])
        return self.data[index]


def test_mothers_of_a_movie_never_seen_score_highest(model, movie):
    probability = score_divisions(model, movie.truth, movie.image, device="cpu")
    mothers = np.isin(movie.truth.ids, movie.truth.divisions[:, 0])
    known = np.isfinite(probability)
    assert np.array_equal(~known, movie.truth.frames == 7), "after the last frame nothing is seen"
    assert ((probability[known] >= 0) & (probability[known] <= 1)).all()
    others = known & ~mothers
    wins = (probability[mothers][:, None] > probability[others]).mean()
    assert wins > 0.85  # by chance 0.5


def test_the_same_twice_and_in_any_order(model, movie):
    first = score_divisions(model, movie.truth, movie.image, device="cpu")
    assert np.array_equal(first, score_divisions(model, movie.truth, movie.image, device="cpu"), equal_nan=True)
    order = np.random.default_rng(0).permutation(len(movie.truth))
    mixed = score_divisions(model, movie.truth.select(order), movie.image, device="cpu")
    assert np.allclose(mixed, first[order], atol=1e-5, equal_nan=True)


def test_each_frame_is_read_once(model, movie):
    array = Counting(np.asarray(movie.image.data))
    image = TimeLapse.of(array, "tczyx", spacing=movie.spacing)
    told = []
    start = len(array.read)
    score_divisions(model, movie.truth, image, device="cpu", diameter_um=8.0, progress=lambda *at: told.append(at))
    sampled = 8  # for the brightness, once
    assert len(array.read) - start == sampled + 8
    assert told == [(n, 8) for n in range(1, 9)]


def test_a_stop_leaves_the_rest_unscored(model, movie):
    asked = iter([False, False, True])
    found = score_divisions(model, movie.truth, movie.image, device="cpu", should_stop=lambda: next(asked))
    assert np.isfinite(found).any()
    assert np.array_equal(np.isfinite(found), movie.truth.frames < 2)


def test_nuclei_of_another_movie_are_refused_with_their_ids(model, movie):
    stray = Annotations.of([(0, 0, 5, 5), (30, 0, 5, 5)], ids=[4, 77])
    with pytest.raises(AnlageError, match=r"1 nuclei lie outside the image .*ids 77"):
        score_divisions(model, stray, movie.image, device="cpu")
    assert len(score_divisions(model, stray.select([]), movie.image, device="cpu")) == 0


def test_another_kind_of_model_is_refused(movie):
    from anlage.inference.starter import starter_path

    with pytest.raises(AnlageError, match="is for nuclei, not for divisions"):
        score_divisions(load_model(starter_path(flat=True)), movie.truth, movie.image)


def test_the_column_survives_table_and_graph(model, movie, tmp_path):
    probability = score_divisions(model, movie.truth, movie.image, device="cpu")
    scored = with_divisions(movie.truth, probability)
    for name in ("a.csv", "a.geff"):
        write_annotations(tmp_path / name, scored, spacing=movie.spacing)
        back = open_annotations(tmp_path / name)
        assert np.allclose(back.properties["division_probability"].astype(float), probability, equal_nan=True)


def predict(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "anlage", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_from_the_shell(model, movie, tmp_path):
    image, nuclei, out = tmp_path / "m.ome.zarr", tmp_path / "n.csv", tmp_path / "o.csv"
    write_image(image, (np.asarray(movie.image.data)[t] for t in range(8)), spacing=movie.spacing)
    write_annotations(nuclei, movie.truth.linked(np.zeros((0, 2), dtype=np.int64)))
    lacking = predict(model.path, image, "-o", out)
    assert lacking.returncode == 2
    assert "give them with --nuclei" in lacking.stderr
    assert "Traceback" not in lacking.stderr
    done = predict(model.path, image, "--nuclei", nuclei, "-o", out, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    before, after = pd.read_csv(nuclei), pd.read_csv(out)
    known = [name for name in before.columns if name != "anlage"]
    assert "division_probability" in after
    assert (after[known] == before[known]).all().all()
    assert after.division_probability.notna().sum() == (movie.truth.frames < 7).sum()
    foreign = predict(model.path, image, "--nuclei", nuclei, "-o", out, "--threshold", "0.4")
    assert "--threshold has no meaning for the divisions model" in foreign.stderr
    other = predict("starter", image, "--nuclei", nuclei, "-o", tmp_path / "x.csv")
    assert "--nuclei has no meaning for 'starter'" in other.stderr
