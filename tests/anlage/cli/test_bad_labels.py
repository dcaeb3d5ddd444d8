"""Painted labels that are wrong: for instances and for classes, on the command line and in Python, one sentence each."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from anlage import (
    AnlageError,
    Annotations,
    Box,
    Spacing,
    TimeLapse,
    build_store,
    find_faults,
    measure_objects,
    mesh_objects,
)
from anlage.dataset.classes import class_sites, class_values
from anlage.dataset.store import Store
from anlage.tasks import TASKS
from anlage.tasks.nuclei.config import NucleiConfig
from anlage.tasks.task import Setting

SPACING = Spacing(2, 0.5, 0.5)
SHAPE = (8, 48, 48)


def _objects() -> np.ndarray:
    """Nine balls, numbered 1 to 9."""
    labels = np.zeros(SHAPE, np.int64)
    z, y, x = np.indices(SHAPE)
    for value, (cy, cx) in enumerate(np.ndindex(3, 3), start=1):
        labels[4 * (z - 4) ** 2 + (y - 8 - 16 * cy) ** 2 + (x - 8 - 16 * cx) ** 2 < 36] = value
    return labels


OBJECTS = _objects()
CLASSES = np.where(OBJECTS > 0, 1, 0)
CLASSES[:, :, :2] = 2
IMAGE = (100 + 200 * (OBJECTS > 0) + np.random.default_rng(0).normal(0, 8, SHAPE)).astype(np.uint16)


@pytest.fixture
def built(tmp_path, command, monkeypatch):
    """Build from these pixels and labels; gives exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(labels, *options, image=IMAGE):
        for name, data in (("image.tif", image), ("labels.tif", labels)):
            tifffile.imwrite(tmp_path / name, data, photometric="rgb" if data.shape[-1] == 3 else "minisblack")
        return command("build", "image.tif", "labels.tif", "-o", "s.zarr", "--spacing", "2,0.5,0.5", *options)

    return run


def changed(labels, value, dtype):
    result = labels.astype(dtype)
    result[3, 3, 3] = value
    return result


@pytest.mark.parametrize("painted", [OBJECTS, CLASSES], ids=["objects", "classes"])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda labels: labels * 0.5, "the value 0.5; labels must be whole numbers"),
        (lambda labels: changed(labels, np.nan, np.float32), "the value nan; labels must be whole numbers"),
        (lambda labels: changed(labels, np.inf, np.float32), "the value inf; labels must be below 2⁶³"),
        (lambda labels: labels * 1e30, "e+30; labels must be below 2⁶³"),
        (
            lambda labels: changed(labels, 2**24 + 2, np.float32),
            "labels must be at most 16,777,216 where they are saved as float32",
        ),
        (lambda labels: changed(labels, -1, np.int16), "the value -1; labels must be 0 (background) or larger"),
        (
            lambda labels: changed(labels, 2**64 - 1, np.uint64),
            "the value 18446744073709551615; labels must be below 2⁶³",
        ),
        (lambda labels: labels.astype(np.uint16)[:, :40], "(1, 8, 40, 48) (t, z, y, x), but the image"),
        (lambda labels: labels.astype(np.uint16)[4], "(1, 1, 48, 48) (t, z, y, x), but the image"),
        (lambda labels: np.repeat(labels[4, ..., None], 3, -1).astype(np.uint8), "have 3 channels"),
        (lambda labels: (labels * 0).astype(np.uint16), "mark some first"),
    ],
    ids=["halves", "nan", "inf", "huge", "inexact", "negative", "beyond int64", "cropped", "2D on 3D", "rgb", "empty"],
)
def test_wrong_labels_are_one_sentence(built, tmp_path, painted, spoil, sentence):
    code, _, err = built(spoil(painted))
    assert code == 2
    assert err.startswith("anlage: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert "labels.tif" in err
    assert not (tmp_path / "s.zarr").exists()


def test_3d_labels_on_a_2d_image_are_one_sentence(built):
    code, _, err = built(OBJECTS.astype(np.uint16), image=IMAGE[4])
    assert code == 2
    assert "(1, 8, 48, 48) (t, z, y, x), but the image 'image.tif' has (1, 1, 48, 48)" in err


def test_pixels_that_are_no_numbers_are_one_sentence(built):
    for painted in (OBJECTS, CLASSES):
        code, _, err = built(painted.astype(np.uint16), image=changed(IMAGE, np.nan, np.float32))
        assert code == 2
        assert "has 1 voxels that are NaN or infinite: replace them" in err


@pytest.mark.parametrize(
    "labels",
    [OBJECTS.astype(np.float32), OBJECTS.astype(">u8"), OBJECTS + 2**40 * (OBJECTS > 0), OBJECTS.astype(np.int8)],
    ids=["whole floats", "big-endian", "ids above 2³²", "signed bytes"],
)
def test_whole_numbers_of_any_type_are_the_same_objects(built, tmp_path, labels):
    code, _, err = built(labels, "--cuboid", "0:1,0:8,0:48,0:48")
    assert code == 0, err
    store = Store.open(tmp_path / "s.zarr")
    kept = np.asarray(store.labels)[0]
    assert np.array_equal(kept, labels)  # also ids above 2³², which 32 bits would mix up
    assert sorted(store.positives.label.tolist()) == np.unique(labels)[1:].tolist()


def test_more_objects_than_16_bits_can_name_are_all_kept(built, tmp_path):
    numbers = np.arange(1, 260 * 260 + 1, dtype=np.uint32).reshape(260, 260)
    labels = np.kron(numbers, np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], np.uint32))
    image = np.where(labels > 0, 200, 50).astype(np.uint8)
    code, out, err = built(labels, "--cuboid", "0:1,0:1,0:780,0:780", image=image)
    assert code == 0, err
    assert "67600 nuclei" in out
    store = Store.open(tmp_path / "s.zarr")
    assert int(np.asarray(store.labels).max()) == len(np.unique(store.positives.label)) == 67_600
    report = find_faults(TimeLapse.of(labels, source="labels"))
    assert report.n_objects == 67_600


@pytest.mark.parametrize("mask", [OBJECTS > 0, (OBJECTS > 0).astype(np.uint8) * 255], ids=["bool", "0 and 255"])
def test_a_mask_is_taken_for_a_class_and_refused_as_outlines(built, tmp_path, mask):
    code, out, err = built(mask)
    assert code == 0, err
    assert "The labels are taken for classes" in out
    with pytest.raises(
        AnlageError, match="are classes of voxels, not nuclei: train head=classes, or give each nucleus"
    ):
        prepared(tmp_path, head="instances")
    assert prepared(tmp_path, head="classes").plan.classes == (0, int(mask.max()))


def test_few_classes_of_which_one_is_in_many_pieces_are_classes(built):
    _, out, _ = built(CLASSES.astype(np.uint8))
    assert "The labels are taken for classes (1, 2)" in out


def test_a_mask_in_one_piece_may_be_either_and_it_is_said_how_to_say_so(built):
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 10:40, 10:40] = 1
    _, out, _ = built(mask)
    assert "Each value of the labels is taken for one object; if they are classes of voxels, say --classes." in out
    _, out, _ = built(mask, "--classes", "--overwrite")
    assert "taken for classes (1)" in out


def test_one_value_everywhere_teaches_nothing(built, tmp_path):
    built(np.ones(SHAPE, np.uint8))
    with pytest.raises(AnlageError, match=r"Only class 1 is known in 's', .* paint another one\.$"):
        prepared(tmp_path, head="classes")


def test_a_class_that_was_never_painted_is_named_before_training(built, command, tmp_path):
    built(CLASSES.astype(np.uint8))
    code, _, err = command(
        "train", "nuclei", "s.zarr", "-o", "run", "--set", "head=classes", "classes=0,1,2,5", "steps=1"
    )
    assert code != 0
    assert "Class 5 was never painted in 's', which show 0, 1, 2: paint some of it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("shape", [(1, 15, 15), (3, 15, 15)], ids=["plane", "volume"])
@pytest.mark.parametrize("head", ["instances", "classes"])
def test_an_image_smaller_than_a_patch_still_trains(built, tmp_path, shape, head):
    part = tuple(slice(8 - n // 2, 8 - n // 2 + n) for n in shape[1:])
    planes = slice(4 - shape[0] // 2, 4 - shape[0] // 2 + shape[0])
    labels, image = (data[planes][:, part[0], part[1]].squeeze() for data in (OBJECTS, IMAGE))
    words = ["--classes"] if head == "classes" else []
    code, _, err = built(labels.astype(np.uint16), *words, image=image)
    assert code == 0, err
    examples = prepared(tmp_path, head=head)
    task = TASKS["nuclei"]
    network = task.network(examples.plan, NucleiConfig(head=head))
    loss, _ = task.loss(network, examples.batch(0, 1))
    assert np.isfinite(loss.item())
    assert "training data themselves" in task.finish(network.eval(), examples).held_out


def test_labels_that_claim_another_voxel_size_are_told(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("image.tif", IMAGE, photometric="minisblack")
    about = {"axes": "ZYX", "spacing": 7.0, "unit": "um"}
    tifffile.imwrite("labels.tif", OBJECTS.astype(np.uint16), imagej=True, resolution=(1 / 3, 1 / 3), metadata=about)
    code, out, _ = command("build", "image.tif", "labels.tif", "-o", "s.zarr", "--spacing", "2,0.5,0.5")
    assert code == 0
    assert "says a voxel size of 7 × 3 × 3 µm (z, y, x), but 2 × 0.5 × 0.5 µm (z, y, x)" in out
    assert Store.open(tmp_path / "s.zarr").spacing == SPACING


def test_info_checks_labels_against_their_image(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("image.tif", IMAGE[4], photometric="minisblack")
    tifffile.imwrite("labels.tif", OBJECTS.astype(np.float32), photometric="minisblack")
    tifffile.imwrite("nothing.tif", OBJECTS[4].astype(np.uint8) * 0, photometric="minisblack")
    _, out, _ = command("info", "labels.tif", "--of", "image.tif")
    assert "These are 3D labels on a 2D image" in out
    assert "9 objects" in out  # whole numbers, though as floats
    _, out, _ = command("info", "nothing.tif", "--of", "image.tif")
    assert "Nothing is painted" in out
    _, out, _ = command("info", "labels.tif")
    assert "9 objects" in out


def _float(labels):
    return labels.astype(np.float32)


def _negative(labels):
    return changed(labels, -1, np.int32)


def _huge(labels):
    return changed(labels, 2**64 - 1, np.uint64)


def _cropped(labels):
    return labels[:, :40]


def _channels(labels):
    return np.stack([labels, labels])[None]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_float, "float32"), (_negative, "-1"), (_huge, "18446744073709551615"), (_cropped, "40, 48"),
        (_channels, "2 channels"), (lambda labels: labels.astype("U3"), "<U3"),
    ],
    ids=["float", "negative", "beyond int64", "cropped", "channels", "text"],
)  # fmt: skip
def test_public_calls_refuse_wrong_labels_in_a_sentence(tmp_path, spoil, words):
    image = TimeLapse.of(IMAGE, spacing=SPACING, source="image")
    labels = TimeLapse.of(spoil(OBJECTS), spacing=SPACING, source="labels")
    whole = Box.whole(image.shape_tzyx)

    def instances():
        build_store(tmp_path / "i.zarr", image, Annotations.from_labels(labels), cuboid=whole)

    def classes():
        values = class_values(labels)
        build_store(
            tmp_path / "c.zarr", image, class_sites(labels, values), cuboid=whole, classes=values, diameter_um=4
        )

    calls = [instances, lambda: measure_objects(labels, image)]
    calls += [] if spoil is _huge else [classes]
    calls += [] if spoil is _cropped else [lambda: mesh_objects(labels)]
    for call in calls:
        with pytest.raises(AnlageError) as refused:
            list(call() or [])
        assert words in str(refused.value)
        assert "labels" in str(refused.value)
    assert not list(tmp_path.glob("*.zarr"))
    if spoil is not _huge:
        assert any(words in fault.text for fault in find_faults(labels, image).faults)


def test_3d_labels_on_a_plane_are_named_before_what_follows_from_it(tmp_path):
    labels = TimeLapse.of(OBJECTS, spacing=SPACING, source="labels")
    plane = TimeLapse.of(IMAGE[4], spacing=SPACING, source="plane")
    with pytest.raises(
        AnlageError, match=r"The labels 'labels' have the shape \(1, 8, 48, 48\) .* the image has \(1, 1, 48, 48\)"
    ):
        build_store(tmp_path / "s.zarr", plane, Annotations.from_labels(labels))


def prepared(folder, **config):
    setting = Setting(cache=folder / "cache", seed=0, device="cpu", batch_size=1, augment=True)
    return TASKS["nuclei"].prepare([Store.open(folder / "s.zarr")], NucleiConfig(**config), setting)
