"""Outlines from the command line: every option acts, and a prediction that was killed goes on with the next tile."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from anlage.inference import label_image, loading
from anlage.inference.label_image import Labeller, Settings, prepare_labeller
from anlage.io import open_image, write_image
from anlage.model import load_model
from anlage.overlaps import Overlaps

SLOW = Path(__file__).with_name("slow_labels.py")
_spec = importlib.util.spec_from_file_location("slow_labels", SLOW)
slow = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(slow)
tell = slow.tell
WORDS = ("predict", "oracle.anlage", "image.zarr", "--diameter-um", "9")


class GradedNetwork(tell.OracleNetwork):
    """Less sure of a voxel the farther it is from its object's centre, and of nothing in small objects."""

    slope = 0.0
    """Change of the logit per voxel of the tile along x, as of a network that has a side that it likes."""

    def forward(self, image):
        said = super().forward(image)
        step = (image[:, 1:4] * 100 - tell.SCALE).norm(dim=1, keepdim=True)
        logit = torch.where(image[:, :1] > 0.5, 4.0 - step, -9.0)
        x = torch.arange(logit.shape[-1]) - (logit.shape[-1] - 1) / 2
        b, _, z, y, n = image.shape
        folded = (logit + self.slope * x).reshape(b, z, 1, y // 2, 2, n // 2, 2).permute(0, 2, 4, 6, 1, 3, 5)
        said[:, 4:8] = folded.reshape(b, 4, z, y // 2, n // 2)
        return said


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outlines")
    labels = tell.packed((8, 48, 72), diameter=9, seed=2)
    write_image(folder / "image.zarr", np.asarray(tell.oracle_image(labels).data), spacing=tell.Spacing(1, 1, 1))
    tell.oracle_model(folder / "oracle.anlage")
    return folder, labels[0]


@pytest.fixture
def network():
    return tell.OracleNetwork()


@pytest.fixture
def outlined(scene, command, monkeypatch, network, tmp_path):
    """Run ``predict`` with these options; gives the labels and what was said."""
    monkeypatch.chdir(scene[0])

    def network_of(model, device):
        return network.eval(), slow.network_of(model, device)[1]

    monkeypatch.setattr(loading, "network_of", network_of)

    def run(*options, name="found.tif"):
        code, out, err = command(*WORDS, "-o", tmp_path / name, *options)
        assert code == 0, err
        return tifffile.imread(tmp_path / name), out

    return run


def counted(labels):
    return len(np.unique(labels)) - 1


def test_the_threshold_decides_which_objects_are_reported(outlined, scene):
    n = [counted(outlined("--threshold", p, name=f"{p}.tif")[0]) for p in ("0.5", "0.95", "0.97")]
    assert n[0] == scene[1].max()
    assert n[0] > n[1] > n[2] > 0


@pytest.mark.parametrize("network", [GradedNetwork()], ids=["graded"])
def test_inside_decides_how_large_they_are(outlined):
    found = [outlined("--inside", p, name=f"{p}.tif")[0] for p in ("0.3", "0.6", "0.9")]
    painted = [(labels > 0).sum() for labels in found]
    assert painted[0] > painted[1] > painted[2] > 0
    assert not found[1][found[0] == 0].any()


def test_objects_smaller_than_smallest_are_left_out_in_cubic_micrometres(outlined):
    everything, _ = outlined(name="all.tif")
    sizes = np.bincount(everything.ravel())[1:]
    least = float(np.median(sizes))
    same, _ = outlined("--smallest", least, name="large.tif")
    assert counted(same) == (sizes >= least).sum()
    # the same number of µm³ is an eighth of the voxels where these are twice as long
    coarse, _ = outlined("--smallest", least, "--spacing", "2,2,2", "--diameter-um", "18", name="coarse.tif")
    assert counted(coarse) == (sizes >= least / 8).sum() > counted(same)


@pytest.mark.parametrize("network", [GradedNetwork()], ids=["graded"])
@pytest.mark.parametrize("turns", ["4", "8", "16"])
def test_turns_average_a_side_away_that_the_network_likes(outlined, network, turns, monkeypatch):
    monkeypatch.setattr(network, "slope", 0.0)
    level, _ = outlined(name="level.tif")
    monkeypatch.setattr(network, "slope", 0.15)
    once, _ = outlined(name="once.tif")
    averaged, said = outlined("--turns", turns, name="turned.tif")
    assert f"each seen {turns} times" in said
    assert (once != level).mean() > 0.02
    assert ((averaged > 0) != (level > 0)).mean() < 0.002


@pytest.mark.parametrize(
    ("orientation", "turns", "strange"),
    [
        ("any", "16", False),
        ("upright", "8", False),
        ("upright", "16", True),
        ("fixed", "4", True),
        ("fixed", "1", False),
    ],
)
def test_turns_that_the_network_never_saw_are_said(outlined, monkeypatch, orientation, turns, strange):
    known = loading.network_of

    def network_of(model, device):
        network, plan = known(model, device)
        return network, plan.model_copy(update={"orientation": orientation})

    monkeypatch.setattr(loading, "network_of", network_of)
    _, said = outlined("--turns", turns)
    assert (f"learnt from images that lie one way (orientation={orientation})" in said) == strange


def test_less_memory_makes_smaller_tiles_and_the_same_objects(outlined, scene, monkeypatch):
    monkeypatch.setattr(label_image, "_CORES", (256, 24))
    whole, said = outlined("--memory-gb", "8", name="whole.tif")
    assert "1 tile a frame" in said
    monkeypatch.setattr(label_image, "_CORES", (24,))
    tiled, said = outlined(name="tiled.tif")
    assert "6 tiles a frame" in said
    overlap = Overlaps.of(whole, tiled)
    assert len(overlap.truth) == len(overlap.predicted) == scene[1].max()
    assert overlap.best_iou().min() == 1.0


def test_without_a_halo_objects_at_borders_would_be_cut(scene, monkeypatch):
    """What the surroundings of a tile are for: with them its objects are those of the whole image."""
    monkeypatch.setattr(loading, "network_of", slow.network_of)
    monkeypatch.setattr(label_image, "_CORES", (24,))
    model, image = load_model(scene[0] / "oracle.anlage"), open_image(scene[0] / "image.zarr")

    truth = scene[1] > 0
    truth[0, 0, :2] = False  # there the oracle's image holds its scale

    def lost():
        made = prepare_labeller(model, image, device="cpu", settings=Settings(diameter_um=9.0, memory_gb=8))
        found = np.zeros(scene[1].shape, bool)
        for tile in made.tiles:
            piece = made.piece(0, tile)
            found[piece.box.slices[1:]] = piece.labels > 0
        return int((truth & ~found).sum())

    assert lost() == 0
    monkeypatch.setattr(label_image, "HALO_DIAMETERS", 0.0)
    assert lost() > 100  # voxels near borders, of objects whose centres lie beyond them


def test_a_killed_prediction_goes_on_with_the_next_tile(outlined, scene, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(label_image, "_CORES", (24,))
    undisturbed, _ = outlined(name="undisturbed.tif")
    words = [str(word) for word in (*WORDS, "-o", tmp_path / "found.tif", "--progress", "json")]
    with subprocess.Popen(
        [sys.executable, str(SLOW), *words], cwd=scene[0], stdout=subprocess.PIPE, text=True
    ) as child:
        done = 0
        for line in child.stdout:
            done = json.loads(line).get("done", 0)
            if done >= 2:
                break
        child.kill()
    parts = tmp_path / "found.tif.parts"
    kept = {path.name: path.read_bytes() for path in parts.glob("frame-*.npz")}
    assert 2 <= len(kept) < 6
    assert not (tmp_path / "found.tif").exists()

    computed = []
    real = Labeller.piece
    monkeypatch.setattr(Labeller, "piece", lambda self, t, tile: (computed.append(tile), real(self, t, tile))[1])
    found, said = outlined("--progress", "json")
    assert len(computed) == 6 - len(kept)
    events = [json.loads(line) for line in said.splitlines()]
    (start,) = [event for event in events if event["kind"] == "started"]
    assert (start["done"], start["total"]) == (len(kept), 6)
    assert np.array_equal(found, undisturbed)
    assert not parts.exists()


def test_two_processes_share_the_tiles(scene, command, tmp_path, outlined, monkeypatch):
    """Objects that reach from a tile of one to a tile of the other are one object."""
    monkeypatch.setattr(label_image, "_CORES", (24,))
    alone, _ = outlined(name="alone.tif")
    words = [*WORDS, "-o", str(tmp_path / "found.tif"), "--progress", "json"]
    both = [
        subprocess.Popen([sys.executable, str(SLOW), *words], cwd=scene[0], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        said = [process.communicate(timeout=100)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0]
    tiles = [sum(json.loads(line)["kind"] == "frame" for line in out.splitlines()) for out in said]
    assert min(tiles) >= 1
    assert sum(tiles) == json.loads(said[0].splitlines()[-1])["total"]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "found.tif"), alone)
