"""Thresholds after the network: labels made of kept maps are those that a prediction with the same thresholds makes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError, labels_of, open_label_image, open_maps, write_image
from anlage.cli import main
from anlage.inference import label_image, loading
from anlage.overlaps import Overlaps

_spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
tell = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tell)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``oracle.anlage``, and ``image.ome.zarr`` with what it answers."""
    folder = tmp_path_factory.mktemp("maps")
    labels = tell.packed((8, 64, 72), diameter=9, n_frames=2)
    image = tell.oracle_image(labels)
    write_image(folder / "image.ome.zarr", image.read(), spacing=image.spacing, channels=["bright", "z", "y", "x"])
    tell.oracle_model(folder / "oracle.anlage")
    return folder


@pytest.fixture(autouse=True)
def oracle(monkeypatch):
    """The oracle answers in the place of the card's network, in small tiles."""

    def network_of(model, device):
        from anlage.tasks.nuclei.config import NucleiPlan

        return tell.OracleNetwork().eval(), NucleiPlan.model_validate(model.card.plan)

    monkeypatch.setattr(loading, "network_of", network_of)
    monkeypatch.setattr(label_image, "_CORES", (24,))


def predicted(folder, out, *more):
    """Run the command line."""
    words = [folder / "oracle.anlage", folder / "image.ome.zarr", "-o", out, "--frames", "1:2", "--device", "cpu"]
    return main(["predict", *map(str, (*words, "--diameter-um", 9, *more))])


@pytest.fixture(scope="module")
def kept(folder):
    """Maps of a part of frame 1, in several tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "network_of", None)
        oracle.__wrapped__(patch)
        assert predicted(folder, folder / "maps.zarr", "--maps", "--region", "1:7,4:60,0:64") == 0
    return open_maps(folder / "maps.zarr")


@pytest.mark.parametrize(
    "chosen",
    [{}, {"threshold": 0.9}, {"threshold": 0.05, "inside": 0.9}, {"smallest": 150.0}],
    ids=lambda chosen: ",".join(chosen) or "the model's own",
)
def test_thresholds_on_kept_maps_give_what_a_prediction_gives(folder, kept, tmp_path, chosen):
    assert len(kept.tiles) > 3
    options = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    assert predicted(folder, tmp_path / "labels.zarr", "--region", "1:7,4:60,0:64", *options) == 0
    truth = open_label_image(tmp_path / "labels.zarr").frame(1)[0][1:7, 4:60, 0:64]
    found = labels_of(kept, **chosen)
    assert found.box.ranges == ((1, 2), (1, 7), (4, 60), (0, 64))
    assert len(found) == truth.max() > 10
    assert np.array_equal(found.labels, truth)


def test_thresholds_act_each_in_its_own_way(kept):
    usual = labels_of(kept)
    assert len(labels_of(kept, threshold=0.97)) < len(usual)
    least = float(np.median(usual.sizes))  # voxels of 1 µm³
    larger = labels_of(kept, smallest=least)
    assert 0 < len(larger) < len(usual)
    assert larger.sizes.min() >= least
    # a network that is unsure towards the rim
    unsure = [
        replace(tile, fine=np.concatenate([tile.fine[:1] / 9 + 1 - np.abs(tile.fine[1:2]), tile.fine[1:]]))
        for tile in kept.tiles
    ]
    maps = replace(kept, tiles=tuple(unsure))
    volumes = [int(labels_of(maps, inside=inside, smallest=0).sizes.sum()) for inside in (0.2, 0.5, 0.7)]
    assert volumes[0] > volumes[1] > volumes[2] > 0


def test_an_object_keeps_its_number_while_thresholds_are_tuned(kept):
    usual, fewer = labels_of(kept), labels_of(kept, threshold=0.93)
    assert 0.5 * len(usual) < len(fewer) < len(usual)
    # but where two tiles do not agree on an object: then the other one's may be left
    assert len(set(fewer.ids) - set(usual.ids)) <= 1
    assert len(set(usual.ids)) == len(usual)
    before, after = usual.steady(), fewer.steady()
    assert set(np.unique(after[after > 0])) == set(fewer.ids)
    same = [number for number in fewer.ids if np.array_equal(before == number, after == number)]
    assert len(same) > 0.8 * len(fewer)  # the others grew, as a neighbour is gone


def test_objects_of_kept_maps_are_those_that_were_drawn(folder, kept):
    """Across tiles, too, and where the part ends."""
    found = labels_of(kept)
    truth = tell.packed((8, 64, 72), diameter=9, n_frames=2)[1][1:7, 4:60, 0:64]
    assert np.median(Overlaps.of(truth, found.labels).best_iou()) == 1.0


@pytest.mark.parametrize(
    ("out", "more", "sentence"),
    [
        ("maps.tif", (), "Maps are written to .zarr, not to 'maps.tif'"),
        ("maps.csv", (), "Maps are written to .zarr, not to 'maps.csv'"),
        ("maps.zarr", ("--frames", "0:2"), "Maps are of one frame, and 2 were asked for"),
        ("image.ome.zarr", (), "only read"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(folder, capsys, out, more, sentence):
    assert predicted(folder, folder / out, "--maps", *more) == 2
    assert sentence in capsys.readouterr().err


def test_maps_are_replaced_and_nothing_else_is(folder, kept, tmp_path, capsys):
    assert predicted(folder, tmp_path / "m.zarr", "--maps") == 0
    assert predicted(folder, tmp_path / "m.zarr", "--maps", "--region", "0:8,0:30,0:30") == 0
    assert open_maps(tmp_path / "m.zarr").box.shape == (1, 8, 30, 30)
    assert predicted(folder, tmp_path / "labels.zarr") == 0
    assert predicted(folder, tmp_path / "labels.zarr", "--maps") == 2
    with pytest.raises(AnlageError, match="holds no maps of a network"):
        open_maps(tmp_path / "labels.zarr")
    with pytest.raises(AnlageError, match=r"The probability inside = 1.5 is not between 0 and 1"):
        labels_of(kept, inside=1.5)


def test_tuning_loads_no_torch(folder, kept):
    code = f"import sys, anlage; anlage.labels_of(anlage.open_maps({str(folder / 'maps.zarr')!r})); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
