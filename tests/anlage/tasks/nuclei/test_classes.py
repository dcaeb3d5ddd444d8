"""Classes of voxels: which there are, what is known of them, and what cannot be learnt."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from anlage.cli import main
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.tasks import TASKS
from anlage.tasks.nuclei.class_loss import class_loss
from anlage.tasks.nuclei.config import NucleiConfig
from anlage.tasks.task import Setting

TASK = TASKS["nuclei"]
CONFIG = NucleiConfig(head="classes")


def painting(shape=(6, 48, 48), seed=0):
    """Discs of class 1 with rims of class 2 in bars of class 3: brightness tells them apart."""
    rng = np.random.default_rng(seed)
    _, y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint8)
    labels[:, :, 40:44] = 3
    labels[:, :, 4:8] = 3
    for cy, cx in ((12, 14), (12, 32), (34, 14), (34, 32)):
        gap = np.hypot(y - cy, x - cx)
        labels[gap < 7] = 2
        labels[gap < 5] = 1
    image = np.array([100, 300, 200, 400])[labels] + rng.normal(0, 8, shape)
    return image.astype(np.uint16), labels


def built(folder, *options, labels=None, shape=(6, 48, 48), name="s"):
    image, painted = painting(shape)
    tifffile.imwrite(folder / "image.tif", image.squeeze())
    tifffile.imwrite(folder / "labels.tif", (painted if labels is None else labels(painted)).squeeze())
    words = [
        "build",
        folder / "image.tif",
        folder / "labels.tif",
        "-o",
        folder / f"{name}.zarr",
        "--spacing",
        "2,0.5,0.5",
    ]
    assert main([str(word) for word in (*words, *options)]) == 0
    return Store.open(folder / f"{name}.zarr")


def prepared(folder, *stores, config=CONFIG):
    setting = Setting(cache=folder / "cache", seed=0, device="cpu", batch_size=2, augment=True)
    return TASK.prepare(stores, config, setting)


@pytest.mark.parametrize("shape", [(6, 48, 48), (1, 48, 48)], ids=["volume", "plane"])
def test_classes_are_recognised_and_0_is_one_of_them(tmp_path, capsys, shape):
    store = built(tmp_path, shape=shape)
    assert "The labels are taken for classes (1, 2, 3); 0 is a class too" in capsys.readouterr().out
    examples = prepared(tmp_path, store)
    assert examples.plan.classes == (0, 1, 2, 3)
    for step in range(3):
        batch = examples.batch(step, 2)
        known = batch["painted"] > 0
        bright = [
            batch["image"][known & (batch["class"] == k)].mean()
            for k in (0, 2, 1)
            if (known & (batch["class"] == k)).any()
        ]
        assert bright == sorted(bright)  # image and classes were turned together
    assert TASK.network(examples.plan, CONFIG)(batch["image"]).shape[1] == 4 * np.prod(examples.plan.grid.stem)


def test_where_only_some_is_painted_the_rest_is_unknown(tmp_path):
    def strokes(labels):
        kept = np.zeros_like(labels)
        kept[:, 10:36, 10:36] = labels[:, 10:36, 10:36]
        return kept

    examples = prepared(tmp_path, built(tmp_path, "--sparse", "--classes", labels=strokes))
    assert examples.plan.classes == (1, 2)  # nothing of 3 was painted, and 0 is no class
    frames = examples.train[0]
    assert not (frames.known[0][:, :8, :8] & frames.paint.known[0][:, :8, :8]).any()


def test_a_mask_of_one_class_is_learnt_against_its_background(tmp_path):
    store = built(tmp_path, labels=lambda labels: np.where(labels == 1, 255, 0).astype(np.uint8))
    assert prepared(tmp_path, store).plan.classes == (0, 255)


def test_a_class_that_was_never_painted_is_one_sentence(tmp_path):
    config = NucleiConfig(head="classes", classes=(0, 1, 7))
    with pytest.raises(AnlageError, match=r"Class 7 was never painted in 's', which show 0, 1, 2, 3: paint some"):
        prepared(tmp_path, built(tmp_path), config=config)


def test_classes_teach_no_nuclei(tmp_path):
    for head in ("centres", "instances"):
        with pytest.raises(
            AnlageError, match="The labels of 's' are classes of voxels, not nuclei: train head=classes"
        ):
            prepared(tmp_path, built(tmp_path, "--overwrite"), config=NucleiConfig(head=head))


def test_a_single_class_cannot_be_told_from_anything(tmp_path):
    store = built(tmp_path, "--sparse", "--classes", labels=lambda labels: np.where(labels == 1, 1, 0).astype(np.uint8))
    with pytest.raises(AnlageError, match="Only class 1 is known in 's', and classes are told from one another"):
        prepared(tmp_path, store)


def test_the_loss_is_blind_where_nothing_is_known_and_gentle_where_it_is_right():
    number = torch.randint(0, 3, (1, 1, 2, 4, 4), generator=torch.Generator().manual_seed(0))
    known = torch.ones(1, 1, 2, 4, 4)
    right = torch.nn.functional.one_hot(number[:, 0], 3).movedim(-1, 1).float() * 20
    batch = {"class": number, "painted": known}
    assert sum(class_loss(right, batch).values()) < 0.05
    assert sum(class_loss(-right, batch).values()) > 5
    wrong = (-right).requires_grad_()
    sum(class_loss(wrong, {**batch, "painted": known * 0}).values()).backward()
    assert not wrong.grad.any()
