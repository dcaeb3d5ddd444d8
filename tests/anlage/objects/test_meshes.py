"""Surfaces in µm: of bodies whose volume is known, read back from the files as another program would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trimesh

from anlage.axes import Spacing
from anlage.cli import main
from anlage.errors import AnlageError
from anlage.io import write_image, write_mesh, write_points
from anlage.objects.meshes import MeshSettings, mesh_objects, object_points
from anlage.timelapse import TimeLapse

SPACING = Spacing(1.75, 0.8, 0.8)
AXES_UM = (10.0, 6.0, 8.0)
"""Half-axes of the ellipsoid along z, y, x."""
CENTRE_UM = (26.25, 16.0, 24.0)


@pytest.fixture(scope="module")
def labels() -> TimeLapse:
    """An ellipsoid (7), and a small box (70,000) at the rim."""
    grid = np.meshgrid(*[np.arange(n) * s for n, s in zip((30, 50, 60), SPACING.zyx, strict=True)], indexing="ij")
    inside = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, CENTRE_UM, AXES_UM, strict=True)) <= 1
    array = np.where(inside, 7, 0).astype(np.uint32)
    array[0:3, 0:6, 0:6] = 70_000
    return TimeLapse.of(array, spacing=SPACING, source="labels")


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_an_ellipsoid_has_its_volume_is_closed_and_in_micrometres(
    tmp_path: Path, labels: TimeLapse, suffix: str
) -> None:
    path = tmp_path / "new" / f"ellipsoid{suffix}"
    assert write_mesh(path, mesh_objects(labels, only=[7])) == 1
    body = trimesh.load(path, process=suffix == ".stl", force="mesh")  # an STL repeats its corners
    assert body.is_watertight
    assert body.is_winding_consistent
    assert body.volume == pytest.approx(4 / 3 * np.pi * np.prod(AXES_UM), rel=0.02), "positive: the outside is outside"
    np.testing.assert_allclose(body.center_mass, CENTRE_UM[::-1], atol=0.1)
    np.testing.assert_allclose(body.extents, 2 * np.array(AXES_UM[::-1]), rtol=0.04)


def test_simplifying_and_smoothing_act(labels: TimeLapse) -> None:
    def body(**settings: float) -> trimesh.Trimesh:
        (mesh,) = mesh_objects(labels, only=[7], settings=MeshSettings(**settings))
        return trimesh.Trimesh(mesh.vertices_um[:, ::-1], mesh.faces, process=False)

    full, light = body(simplify=0), body(simplify=0.9)
    assert len(light.faces) == pytest.approx(0.1 * len(full.faces), rel=0.05)
    assert light.is_watertight
    assert light.volume == pytest.approx(full.volume, rel=1e-5)
    rough = labels.frame(0)[0] == 7
    rough &= np.random.default_rng(0).random(rough.shape) > 0.1  # holes and dents
    noisy = TimeLapse.of(rough.astype(np.uint8), spacing=SPACING)
    (before,) = mesh_objects(noisy, settings=MeshSettings(simplify=0, smoothing=0))
    (after,) = mesh_objects(noisy, settings=MeshSettings(simplify=0, smoothing=1))
    areas = [trimesh.Trimesh(m.vertices_um, m.faces, process=False).area for m in (before, after)]
    assert areas[1] < 0.8 * areas[0]
    assert after.volume_um3 == pytest.approx(before.volume_um3, rel=1e-5)


def test_every_object_has_a_mesh_of_the_volume_of_its_voxels(labels: TimeLapse) -> None:
    told: list[tuple[int, int]] = []
    meshes = list(mesh_objects(labels, on_progress=lambda done, of: told.append((done, of))))
    assert [(mesh.t, mesh.label) for mesh in meshes] == [(0, 7), (0, 70_000)]
    array = labels.frame(0)[0]
    for mesh in meshes:
        voxels = (array == mesh.label).sum() * np.prod(SPACING.zyx)
        assert mesh.volume_um3 == pytest.approx(voxels, rel=1e-4)
    assert told[-1] == (2, 2)
    assert [mesh.label for mesh in mesh_objects(labels, settings=MeshSettings(smallest_voxels=109))] == [7]


def test_a_colour_for_each_object(tmp_path: Path, labels: TimeLapse) -> None:
    write_mesh(tmp_path / "all.ply", mesh_objects(labels))
    body = trimesh.load(tmp_path / "all.ply", process=False)
    assert len(np.unique(body.visual.vertex_colors, axis=0)) == 2
    assert len(body.split()) == 2
    write_mesh(tmp_path / "all.obj", mesh_objects(labels))
    assert [line for line in (tmp_path / "all.obj").read_text().splitlines() if line.startswith("o ")] == [
        "o t0_label7",
        "o t0_label70000",
    ]


def test_point_clouds_lie_on_the_surface(tmp_path: Path, labels: TimeLapse) -> None:
    n = write_points(tmp_path / "cloud.ply", object_points(labels, only=[7]))
    cloud = trimesh.load(tmp_path / "cloud.ply")
    assert len(cloud.vertices) == n
    reached = np.sqrt((((np.asarray(cloud.vertices) - CENTRE_UM[::-1]) / AXES_UM[::-1]) ** 2).sum(axis=1))
    assert 0.75 < reached.min() < reached.max() <= 1.0001
    write_points(tmp_path / "cloud.csv", object_points(labels))
    table = pd.read_csv(tmp_path / "cloud.csv")
    assert table.columns.tolist() == ["t", "label", "x_um", "y_um", "z_um", "anlage"]
    assert (table["label"] == 7).sum() == n
    assert set(table["label"]) == {7, 70_000}


def test_of_a_flat_image_there_are_points_and_no_surface() -> None:
    flat = TimeLapse.of(np.pad(np.ones((5, 5), np.uint8), 3), spacing=SPACING, source="flat")
    ((_, _, points),) = object_points(flat)
    assert len(points) == 16
    with pytest.raises(AnlageError, match="'flat' has a single plane"):
        list(mesh_objects(flat))


def test_the_command_writes_one_file_or_one_each(tmp_path: Path, labels: TimeLapse, capsys) -> None:
    two = np.stack([labels.frame(0)[0]] * 2)
    write_image(tmp_path / "labels.zarr", two, spacing=SPACING, axes="tzyx")
    source = str(tmp_path / "labels.zarr")
    assert main(["mesh", source, "-o", str(tmp_path / "each"), "--format", "stl", "--label", "7"]) == 0
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == ["t0000_label000007.stl", "t0001_label000007.stl"]
    assert main(["mesh", source, "-o", str(tmp_path / "one.ply"), "--frames", "1"]) == 0
    assert "2 objects written" in capsys.readouterr().out
    assert main(["mesh", source, "-o", str(tmp_path / "cloud.csv"), "--points", "--frames", "0"]) == 0
    for arguments, sentence in (
        (["-o", "all.ply"], "choose one with --frames"),
        (["-o", "all.txt", "--frames", "0"], "end the name in .ply, .obj, .stl"),
        (["-o", "a.ply", "--frames", "9"], "has the frames 0 to 1"),
        (["-o", "a.ply", "--frames", "0", "--label", "3"], "has no object 3"),
        (["-o", "a.ply", "--frames", "0", "--simplify", "1.5"], "--simplify is 1.5"),
    ):
        assert main(["mesh", source, *arguments]) == 2
        assert sentence in capsys.readouterr().err


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch, labels: TimeLapse) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "trimesh" else real(name, *more)
    )
    with pytest.raises(AnlageError, match=r'Meshes need trimesh, not installed here; run: .*-m pip install "trimesh'):
        list(mesh_objects(labels))
