"""A scripted user imports an OrganoidTracker list by the menu, trains on it and exports it again; pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/screenshots/imports.py

The list, its images and its tracks are written first, as OrganoidTracker writes them, with three links that cannot be. The same is done with a
folder as Celldetective writes it. Everything lies in a temporary folder; only the picture is kept, and what happened is printed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from tutorial import IMG, SIZE, save, settle, wait

from anlage import Annotations, SyntheticMovie, embryo, open_annotations
from anlage.cli import main as anlage

STEPS = 20


def main() -> None:
    """Both programs, one after the other."""
    import napari

    movie = embryo(3, n_frames=4, shape_zyx=(16, 96, 96), n_nuclei=12)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        written = [write_organoidtracker(place / "organoids", movie), write_celldetective(place / "experiment", movie)]
        for source in written:
            viewer = napari.Viewer(show=True)
            viewer.window.resize(*SIZE)
            _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
            settle()
            project = take(dock, source)
            if source.suffix == ".autlist":
                viewer.reset_view()
                settle()
                save(viewer.screenshot(canvas_only=False, flash=False), IMG / "import.png")
            n = len(dock.session.document.nuclei)
            dock.session.close()
            viewer.close()
            train_and_export(project, n)


def take(dock: object, source: Path) -> Path:
    """Click *Import …* and choose the file or folder; gives the project."""
    panel = dock.data.imports  # type: ignore[attr-defined]
    action = panel.menu.actions()[1 if source.is_dir() else 0]
    name, answer = ("getExistingDirectory", str(source)) if source.is_dir() else ("getOpenFileName", (str(source), ""))
    with patch.object(QFileDialog, name, lambda *_: answer):
        panel.menu.popup(panel.button.mapToGlobal(panel.button.rect().bottomLeft()))
        settle()
        QTest.mouseClick(panel.menu, Qt.MouseButton.LeftButton, pos=panel.menu.actionGeometry(action).center())
        wait(lambda: panel.line.kind in ("good", "warning", "error") and panel.button.isEnabled())
    settle()
    print(panel.line.plain)
    print(panel.more.text())
    return dock.session.folder  # type: ignore[attr-defined, no-any-return]


def train_and_export(project: Path, n: int) -> None:
    """A short training on what was imported, and the tracks as the other programs read them."""
    settings = json.loads((project / "project.json").read_text())["settings"]
    about = ["--spacing", ",".join(map(str, settings["spacing_um_zyx"]))]
    axes = ["--axes", settings["axes"]] if settings["axes"] else []
    store, run, graph = project.with_suffix(".zarr"), project.with_suffix(".run"), project / "annotations.geff"
    assert anlage(["build", settings["image"], str(graph), "-o", str(store), *about, *axes]) == 0
    assert (
        anlage(["train", "nuclei", str(store), "-o", str(run), "--set", f"steps={STEPS}", "--set", "batch_size=2"]) == 0
    )
    for name in ("back.aut", "back.csv"):
        back = project.with_name(name)
        assert anlage(["convert", str(graph), str(back), *about]) == 0
        again = open_annotations(back)
        print(f"{project.name}: {n} nuclei imported, trained for {STEPS} steps, {len(again)} nuclei in {name} again")
        assert len(again) == n


def write_organoidtracker(folder: Path, movie: SyntheticMovie) -> Path:
    """Images by pattern, tracks with three bad links, and the list."""
    (folder / "images").mkdir(parents=True)
    for t, frame in enumerate(movie.image.read()[:, 0], start=1):
        tifffile.imwrite(folder / "images" / f"nuclei_t{t:03}.tif", frame, photometric="minisblack")
    truth = movie.truth
    at = {
        int(i): (int(t) + 1, [float(x), float(y), float(z)])
        for i, (t, z, y, x) in zip(truth.ids, truth.positions, strict=True)
    }
    positions = [{"time_point": t, "coords_xyz_px": [xyz for s, xyz in at.values() if s == t]} for t in range(1, 5)]
    tracks = [
        {"time_point_start": at[int(a)][0], "coords_xyz_px": [at[int(a)][1], at[int(b)][1]]} for a, b in truth.links
    ]
    last = [xyz for s, xyz in at.values() if s == 3][:3]
    tracks += [{"time_point_start": 3, "coords_xyz_px": [xyz, [xyz[0] + 30, xyz[1], xyz[2]]]} for xyz in last]
    z, y, x = movie.spacing.zyx
    about = {"x_um": x, "y_um": y, "z_um": z, "t_m": 5}
    (folder / "embryo.aut").write_text(
        json.dumps({"version": "v2", "positions": positions, "tracks": tracks, "image_resolution": about})
    )
    entry = {
        "experiment_file": "embryo.aut", "images_container": "images", "images_pattern": "nuclei_t{time:03}.tif",
        "images_channel_appending": "other.tif",
    }  # fmt: skip
    (folder / "experiments.autlist").write_text(json.dumps([entry]))
    return folder / "experiments.autlist"


def write_celldetective(folder: Path, movie: SyntheticMovie) -> Path:
    """One position of one well: the brightest plane of each frame, and a table of trajectories."""
    place = folder / "W1" / "100"
    for name in ("movie", "output/tables"):
        (place / name).mkdir(parents=True)
    flat = np.asarray(movie.image.read()[:, 0]).max(axis=1)
    tifffile.imwrite(place / "movie" / "stack.tif", flat, imagej=True, metadata={"axes": "TYX"})
    (folder / "config.ini").write_text(
        f"[MovieSettings]\npxtoum = {movie.spacing.x}\nframetomin = 5\nlen_movie = {len(flat)}\nmovie_prefix = \n[Channels]\nnuclei_channel = 0\n"
    )
    (place / "output" / "tables" / "trajectories_nuclei.csv").write_text(_trajectories(movie.truth))
    return folder


def _trajectories(truth: Annotations) -> str:
    track: dict[int, int] = {}
    daughters = {int(a): sum(truth.links[:, 0] == a) for a in truth.links[:, 0]}
    before = {int(b): int(a) for a, b in truth.links if daughters[int(a)] == 1}
    rows = []
    for number, (t, _, y, x) in sorted(
        zip(truth.ids.tolist(), truth.positions, strict=True), key=lambda row: row[1][0]
    ):
        track[number] = track.get(before.get(number, -1), len(set(track.values())) + 1)
        rows.append(f"{track[number]}.0,{t},{y},{x},1.0,-1.0\n")
    return "TRACK_ID,FRAME,POSITION_Y,POSITION_X,class_division,t_division\n" + "".join(rows)


if __name__ == "__main__":
    main()
