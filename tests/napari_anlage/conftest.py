"""Shared by the dock's tests: a movie in an odd place of the world."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from anlage import Annotations, Box, Document, Run, Spacing, TimeLapse, build_store
from napari_anlage.editing.actions import Actions
from napari_anlage.editing.editor import Editor
from napari_anlage.editing.keys import KEYS, Bound
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.placement import Place

ODD = {
    "scale": (60.0, 2.0, 0.53, 0.47),
    "translate": (120.0, -11.0, 33.3, 1000.0),
    "units": ("s", "µm", "µm", "µm"),
    "axis_labels": ("t", "z", "y", "x"),
}


@pytest.fixture
def qtbot(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[QtBot]:
    """pytest-qt's, which holds on to the widgets of a test until it has closed them.

    By itself it keeps weak references. A window that is still shown when the test's last name for it goes would be collected
    by whatever allocates next: Qt painting that very window, which ends the whole process.
    """
    held: list[QWidget] = []
    add = qtbot.addWidget

    def hold(widget: QWidget, **options: Any) -> None:
        held.append(widget)
        add(widget, **options)

    monkeypatch.setattr(qtbot, "addWidget", hold)
    yield qtbot
    held.clear()  # fixtures end after pytest-qt has closed what is shown


@pytest.fixture
def odd() -> dict[str, Any]:
    """Scale, translation, units and names of a layer that lies nowhere near the origin."""
    return dict(ODD)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """A movie (t, z, y, x) of bright balls and their centres (N, 4)."""
    rng = np.random.default_rng(1)
    shape = (3, 12, 48, 52)
    centres, grid = [], np.indices(shape[1:])
    movie = rng.normal(100, 3, shape)
    for t in range(3):
        for z in (3, 8):
            for y in (10, 24, 38):
                for x in (11, 26, 41):
                    centre = np.array([z, y, x]) + rng.uniform(-1, 1, 3) * (0.4, 1.5, 1.5)
                    distance = (
                        (grid - centre[:, None, None, None]) * np.array([2, 0.5, 0.5])[:, None, None, None]
                    ) ** 2
                    movie[t] += 400 * np.exp(-distance.sum(0) / (2 * 1.3**2))
                    centres.append((t, *centre))
    return movie.astype(np.uint16), np.array(centres)


@pytest.fixture
def fake_anlage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Children started as ``python -m anlage`` are the fake trainer."""
    script = tmp_path / "python"
    fake = Path(__file__).with_name("fake_trainer.py")
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.fixture
def run(blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Run:
    """A run on a small store, not started."""
    image = TimeLapse.of(blobs[0], spacing=Spacing(2, 0.5, 0.5))
    store = build_store(
        tmp_path / "s.zarr", image, Annotations.of(blobs[1]), cuboid=Box.whole(image.shape_tzyx), diameter_um=5.0
    )
    return Run.create(tmp_path / "runs" / "first", "nuclei", [store.path])


DESK_SHAPE = {"t": 5, "c": 2, "z": 8, "y": 40, "x": 44}
DESK_SCALE = {"t": 60.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.4}
DESK_OFFSET = {"t": 120.0, "c": 0.0, "z": -11.0, "y": 33.0, "x": 100.0}
DESK_UNITS = {"t": "s", "c": "pixel", "z": "µm", "y": "µm", "x": "µm"}


def key_map(target: Any) -> dict[str, Any]:
    """What is bound on a viewer or layer, by the names that the table of keys uses."""
    return {str(key).lower().replace("ctrl", "control").replace("+", "-"): done for key, done in target.keymap.items()}


@dataclass
class Desk:
    """What a user has before them."""

    viewer: Any
    image: Any
    document: Document
    editor: Editor
    keys: Bound
    said: list[tuple[str, str]]

    @property
    def actions(self) -> Actions:
        return self.keys.gestures.actions

    @property
    def layer(self) -> Any:
        return self.editor.show_nuclei()

    def show(self, t: int, z: int = 0) -> None:
        """Go to a frame and a plane."""
        self.editor.place.show_frame(self.viewer, t)
        if "z" in self.editor.place.grid.axes:
            axis = self.editor.place.grid.axes.index("z")
            self.viewer.dims.set_point(axis, DESK_OFFSET["z"] + DESK_SCALE["z"] * z)

    def point_at(self, t: int, z: float, y: float, x: float) -> None:
        """Put the mouse over a voxel, in its frame and plane."""
        self.show(t, round(z))
        self.viewer.cursor.position = tuple(self.editor.place.grid.world((t, z, y, x)))

    def click(self, t: int, z: float, y: float, x: float) -> None:
        """Add a point as napari does when somebody clicks in its add mode."""
        self.show(t, round(z))
        self.layer.add(self.editor.place.to_points(np.array([t, z, y, x], dtype=float)))

    def press(self, name: str) -> Any:
        """Press a key; the result of a key that is held is let go with `next`."""
        key = next(key for key in KEYS if name in key.keys)
        held = key_map(self.layer)[name.lower()](self.layer)
        if key.release is None:
            return None
        next(held)
        return held

    def keys_of(self, target: Any) -> set[str]:
        """The keys that are bound on a viewer or layer."""
        return set(key_map(target))

    def let_go(self, held: Any) -> None:
        """Release a held key."""
        for _ in held:
            pass

    @property
    def positions(self) -> list[list[float]]:
        return self.document.nuclei.positions.round(6).tolist()

    @property
    def links(self) -> list[list[int]]:
        return self.document.nuclei.links.tolist()

    @property
    def last(self) -> str:
        """The last sentence for the user."""
        return self.said[-1][0]


def lay_out(axes: str = "tzyx", document: Document | None = None) -> Desk:
    """Lay everything out over an image with these axes."""
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros([DESK_SHAPE[a] for a in axes], np.uint8), axis_labels=tuple(axes), scale=[DESK_SCALE[a] for a in axes],
        translate=[DESK_OFFSET[a] for a in axes], units=[DESK_UNITS[a] for a in axes], name="movie",
    )  # fmt: skip
    shape = tuple(DESK_SHAPE[a] if a in axes else 1 for a in "tzyx")
    place = Place(LayerGrid.of(image, axes), shape, 1.0, DESK_SHAPE["c"] if "c" in axes else 1)
    document = Document(shape_tzyx=shape) if document is None else document
    editor = Editor(viewer, document, place)
    said: list[tuple[str, str]] = []
    editor.said.connect(lambda text, kind: said.append((text, kind)))
    return Desk(viewer, image, document, editor, Bound(viewer, editor), said)


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """A viewer without a window, an image in it, and the editor of a new document."""
    return lay_out
