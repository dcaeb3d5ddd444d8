"""The starter on the command line: used, started from, and trained anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tifffile

from anlage.axes import Box
from anlage.dataset.build import build_store
from anlage.inference import starter_path
from anlage.model import load_model
from anlage.synthetic import embryo
from anlage.training.run import Run

TINY = ("--set", "width=8", "levels=1", "steps=3", "patch_um=20", "batch_size=1", "threads=1", "device=cpu")


def test_starter_is_a_model_like_any_other(folder, command):
    code, out, err = command(
        "predict", "starter", "image.ome.zarr", "-o", "f.csv", "--frames", "0", "--diameter-um", "8"
    )
    assert code == 0, err
    assert "Model starter: finds the centre of every nucleus" in out
    assert len(pd.read_csv("f.csv")) > 8


def test_a_training_starts_from_it(store, folder, command):
    words = (
        "train",
        "nuclei",
        store,
        "-o",
        "run",
        "--from",
        "starter",
        "--set",
        "steps=2",
        "batch_size=1",
        "patch_um=20",
    )
    code, _, err = command(*words, "threads=1", "device=cpu")
    assert code == 0, err
    assert Run.open("run").config.start_from == str(starter_path())


def test_it_is_trained_by_one_command(tmp_path, command):
    out = tmp_path / "models" / "mine.anlage"
    code, said, err = command("starter", "-o", out, "--embryos", 2, *TINY, "--flat")
    assert code == 0, err
    assert f"The starter is {out}" in said
    card = load_model(out).card
    assert card.name == "mine"
    assert "trained on synthetic embryos only" in card.limits
    assert card.plan["grid"]["flat"] is True
    assert [path.name for path in out.parent.iterdir()] == ["mine.anlage"], "nothing else is left"


def test_one_that_outlines_is_trained_the_same_way(tmp_path, command):
    out = tmp_path / "mine.anlage"
    code, _, err = command("starter", "--outlines", "-o", out, "--embryos", 2, *TINY, "--flat")
    assert code == 0, err
    assert load_model(out).card.head == "instances"


def test_the_outliner_paints_masks_before_anything_was_annotated(folder, command):
    code, _, err = command(
        "predict", "starter-outlines", "image.ome.zarr", "-o", "f.tif", "--frames", "0", "--diameter-um", "8"
    )
    assert code == 0, err
    found = tifffile.imread("f.tif")
    assert len(np.unique(found)) > 8


def test_what_cannot_be_is_a_sentence(tmp_path, command):
    code, _, err = command("starter", "-o", tmp_path / "x.pt")
    assert code == 2
    assert "choose a name that ends in .anlage" in err
    code, _, err = command("starter", "-o", tmp_path / "x.anlage", "--embryos", 1)
    assert code == 2
    assert "1 embryos are too few" in err


def test_real_images_can_be_learnt_from_and_the_card_says_whose_they_are(tmp_path, command):
    """Stores of real images are drawn from beside the synthetic ones, and a starter can go on from another."""
    movie = embryo(4, 1, (1, 64, 64), n_nuclei=6)
    box = Box.whole(movie.image.shape_tzyx)
    real = build_store(tmp_path / "real.zarr", movie.image, movie.truth, cuboid=box).path
    out = tmp_path / "models" / "mine.anlage"
    words = ("starter", "-o", out, "--embryos", 2, *TINY, "--flat", "--real", real)
    code, _, err = command(*words)
    assert code == 2
    assert "Real images were given without --credit" in err
    assert not out.parent.exists()
    whose = ", ".join(["films of A. Nyone, CC BY 4.0", *(f"film {n}" for n in range(40))])
    code, _, err = command(*words, "--credit", whose)
    assert code == 0, err
    card = load_model(out).card
    assert f"synthetic embryos and some real images: {whose}." in card.limits
    assert "never seen a real image" not in card.limits
    assert "real" in [store.name for store in card.trained_on]
    assert real.exists()
    further = tmp_path / "models" / "further.anlage"
    code, _, err = command("starter", "-o", further, "--embryos", 2, *TINY, "--flat", "--from", out)
    assert code == 0, err
    assert load_model(further).card.steps_done == 3
