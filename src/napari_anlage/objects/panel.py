"""The objects panel: measure the objects of a Labels layer, step through them, show surfaces, save."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QMenu, QProgressBar, QPushButton

from anlage import AnlageError, ObjectTable, Writer, write_objects
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.objects.table import ObjectView
from napari_anlage.session.label_layers import (
    Bodies,
    LabelLayer,
    bodies_of,
    label_layers,
    measure_layer,
    save_labels,
    save_surfaces,
    source_of,
)
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera, layer_roles
from napari_anlage.widgets.basic import ActionButton, LayerChoice, Tab, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.save_dialog import ask_where
from napari_anlage.widgets.writers import WINDOW

__all__ = ["ObjectsPanel"]

_SURFACES, _POINTS = "object surfaces", "object points"
_SAVES = {
    "table": ("Table …", "CSV (*.csv)", "objects.csv"),
    "labels": ("Labels …", "OME-Zarr (*.ome.zarr);;OME-TIFF (*.ome.tif)", "labels.ome.zarr"),
    "surfaces": ("Surfaces of this frame …", "PLY (*.ply);;OBJ (*.obj);;STL (*.stl)", "surfaces.ply"),
    "points": ("Point cloud of this frame …", "PLY (*.ply);;CSV (*.csv)", "points.ply"),
}
"""What can be saved: as the menu calls it, file types, and a first name."""


class ObjectsPanel(Tab):
    """Measure, find, show and save objects. Everything slow runs in a thread and can be cancelled."""

    title = "Objects"
    _went = Signal(int, int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._then: Callable[[Any], None] = lambda _: None
        self._cancelled = False
        self._source: LabelLayer | None = None
        self._followed: Any = None
        self.layers = LayerChoice("no labels in the viewer")
        self.layers.setToolTip("The layer whose objects are measured.")
        self.measure = ActionButton(
            "Measure objects", primary=True,
            tooltip="Volume, surface, axes, sphericity, place and brightness of every object, in µm.",
        )  # fmt: skip
        self.cancel = QPushButton("Cancel")
        self.bar = QProgressBar()
        self.view = ObjectView()
        self.alone = QCheckBox("Show it alone")
        self.surfaces = small_button("Surfaces", "Shows the surface of each object of this frame, for the 3D view.")
        self.points = small_button("Points", "Shows the outermost voxels of each object of this frame as points.")
        self.save = small_button("Save …", "Table, labels, surfaces or points as files.")
        self._build()
        self._connect()
        self.refresh_layers()

    def _build(self) -> None:
        row = QHBoxLayout()
        row.addWidget(Label("Labels"))
        row.addWidget(self.layers, 1)
        self.column.addLayout(row)
        self.add(self.measure, self.bar, self.cancel, self.status, self.view, self.alone)
        self.alone.setToolTip("Hides all other objects of the layer while one is looked at.")
        buttons = QHBoxLayout()
        buttons.addWidget(self.surfaces)
        buttons.addWidget(self.points)
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        self.column.addLayout(buttons)
        menu = QMenu(self)
        for kind, (title, _, _) in _SAVES.items():
            menu.addAction(title).triggered.connect(functools.partial(self._ask_where, kind))
        self.save.setMenu(menu)
        self.bar.setFormat("%v of %m objects")
        for widget in (self.bar, self.cancel, self.view, self.alone):
            widget.hide()

    def _connect(self) -> None:
        session = self._session
        self.layers.chosen.connect(self._choose)
        self.measure.clicked.connect(lambda: self.attempt(self.begin_measuring))
        self.cancel.clicked.connect(self._cancel)
        self.view.picked.connect(lambda row: self.attempt(lambda: self.go_to(row)))
        self.alone.toggled.connect(self._show_alone)
        self.surfaces.clicked.connect(lambda: self.attempt(lambda: self.begin_showing(points=False)))
        self.points.clicked.connect(lambda: self.attempt(lambda: self.begin_showing(points=True)))
        self._thread.done.connect(self._on_done)
        self._thread.failed.connect(self._on_failed)
        self._went.connect(self._on_went)
        connect(session.layers_changed, self.refresh_layers)
        connect(session.image_changed, self.refresh)
        connect(session.exchanged, self._on_exchanged)

    def retire(self) -> None:
        """The dock is closed: what is under way ends."""
        self._cancelled = True
        self._follow(None)

    def _on_exchanged(self) -> None:
        """What was measured lay on the image before."""
        self._cancelled = True
        self._thread.forget()
        self._source = None
        self._show_table(None)
        self.status.say("", "idle")

    # ---- which labels ----

    @property
    def layer(self) -> Any:
        """The Labels layer that is measured."""
        return self._followed

    def refresh_layers(self) -> None:
        """Offer the Labels layers that there are; the topmost is chosen by itself."""
        layers = label_layers(self._session)
        if not any(layer is self._followed for layer in layers):
            self._choose(layers[0] if layers else None)
        self.layers.offer(layers, self._followed)
        self.refresh()

    def refresh(self) -> None:
        """The buttons, and why they are grey."""
        why = self._why_not()
        self.measure.allow(why)
        for button in (self.surfaces, self.points, self.save):
            button.setEnabled(why is None)
        self.save.menu().actions()[0].setEnabled(self.view.table is not None)
        for widget in (self.bar, self.cancel):
            widget.setVisible(self._thread.busy)

    def _why_not(self) -> str | None:
        if self._thread.busy:
            return "Busy …"
        if self._followed is None:
            return "There is no Labels layer; paint objects, or predict labels."
        try:
            labels = source_of(self._session, self._followed).labels
        except AnlageError as error:
            return str(error)
        return None if labels.spacing is not None else "The voxel size is unknown; type it in µm on the Data tab."

    def _choose(self, layer: Any) -> None:
        if layer is not self._followed:
            self._follow(layer)
            self._show_table(None)
        self.refresh()

    def _follow(self, layer: Any) -> None:
        """Follow what is picked and painted in this layer, and in no other."""
        former, self._followed = self._followed, layer
        if former is not None:
            former.events.selected_label.disconnect(self._on_picked)
            former.show_selected_label = False
        if layer is not None:
            layer.events.selected_label.connect(self._on_picked)

    # ---- measuring ----

    def begin_measuring(self) -> None:
        """Measure in a thread."""
        source = self._read()
        self._run("Measuring …", measure_layer, source, then=self._on_measured)

    def _on_measured(self, table: ObjectTable) -> None:
        self._show_table(table)
        if not len(table):
            self.status.say(f"Nothing is painted in '{self._followed.name}'.", "warning")
            return
        size, unit = ("volume_um3", "µm³") if "volume_um3" in table.columns else ("area_um2", "µm²")
        cut = int(table.columns["cut_by_border"].sum())
        words = f"{plural(len(table), 'object')}, median {float(np.median(table.columns[size])):.4g} {unit}"
        words += f"; {cut} cut by the border of the image" if cut else ""
        words += (
            ""
            if self._source is None or self._source.image is not None
            else "; no image on the same voxels, so no brightness"
        )
        self.status.say(f"{words}.", "good")

    def _show_table(self, table: ObjectTable | None) -> None:
        self.view.show_table(table)
        for widget in (self.view, self.alone):
            widget.setVisible(table is not None and len(table) > 0)

    # ---- one object ----

    def go_to(self, row: int) -> None:
        """Show where the object of this row is, and make its label the selected one."""
        table, source = self.view.table, self._source
        if table is None or source is None or self._followed is None:
            return
        t, z, y, x = table.positions[row].tolist()
        camera.go_to(self._session.viewer, source.grid, (t, z, y, x))
        with self._followed.events.selected_label.blocker(self._on_picked):
            self._followed.selected_label = int(table.columns["label"][row])
        self._show_alone()

    def _on_picked(self, event: Any = None) -> None:
        """A label was picked in the viewer: its row, in the frame that is shown."""
        table, source = self.view.table, self._source
        if table is None or source is None:
            return
        label = int(self._followed.selected_label)
        t = camera.current_frame(self._session.viewer, source.grid, source.labels.n_frames)
        rows = np.flatnonzero((table.columns["label"] == label) & (table.columns["t"] == t))
        self.view.pick(int(rows[0]) if len(rows) else None)

    def _show_alone(self, *_: Any) -> None:
        if self._followed is not None:
            self._followed.show_selected_label = self.alone.isChecked()

    # ---- surfaces ----

    def begin_showing(self, *, points: bool) -> None:
        """Make the surfaces, or points, of the frame in view, in a thread."""
        source = self._read()
        t = self._frame(source)
        self._run("Looking for surfaces …", bodies_of, source, t, points=points, then=self._on_bodies)

    def _on_bodies(self, bodies: Bodies) -> None:
        source, viewer = self._source, self._session.viewer
        if source is None:
            return
        role = _SURFACES if len(bodies.faces) else _POINTS
        layer_roles.remove(viewer, role)
        columns = dict(zip("zyx", bodies.vertices.T, strict=True)) | {"t": np.full(len(bodies.vertices), bodies.t)}
        data = np.stack([columns.get(axis, np.zeros(len(bodies.vertices))) for axis in source.grid.axes], axis=1)
        values, index = np.unique(bodies.label, return_inverse=True)
        colours = np.array([source.layer.get_color(int(value)) for value in values])[index.reshape(-1)]
        about = {
            "name": f"{source.layer.name}: {role.removeprefix('object ')}", "metadata": {"anlage": {"role": role}},
            **source.grid.placed(source.grid.axes),
        }  # fmt: skip
        active = viewer.layers.selection.active
        if role == _SURFACES:
            viewer.add_surface((data, bodies.faces), vertex_colors=colours, shading="smooth", **about)
        else:
            viewer.add_points(data, size=1, face_color=colours, border_width=0, **about)
        viewer.layers.selection.active = active
        left = f"; {bodies.n_left_out} more were left out" if bodies.n_left_out else ""
        flat = "" if viewer.dims.ndisplay == 3 or role == _POINTS else " Switch to 3D to see them (Ctrl+Y)."
        self.status.say(f"{plural(len(values), 'object')} of frame {bodies.t} shown{left}.{flat}", "good")

    # ---- files ----

    def begin_saving(self, kind: str, path: Path, by: Writer = WINDOW) -> None:
        """Write the table, the labels, the surfaces or the points (`kind`), in a thread."""
        source = self._read()
        if kind == "table":
            if self.view.table is None:
                raise AnlageError("There is no table yet; measure the objects first.")
            write_objects(path, self.view.table, by)
            self._on_saved(path)
        elif kind == "labels":
            self._run("Writing the labels …", save_labels, source, path, by, then=self._on_saved)
        else:
            t = self._frame(source)
            self._run("Writing …", save_surfaces, source, path, by, t=t, points=kind == "points", then=self._on_saved)

    def _ask_where(self, kind: str, *_: Any) -> None:
        types, name = _SAVES[kind][1:]
        chosen = ask_where(self, "Save", self._session.folder.parent / name, types)
        if chosen is not None:
            self.attempt(lambda: self.begin_saving(kind, *chosen))

    def _on_saved(self, path: Path) -> None:
        self.status.say(f"Saved as {path}.", "good")

    # ---- the thread ----

    def _read(self) -> LabelLayer:
        why = self._why_not()
        if why is not None:
            raise AnlageError(why)
        self._source = source_of(self._session, self._followed)
        return self._source

    def _frame(self, source: LabelLayer) -> int:
        return camera.current_frame(self._session.viewer, source.grid, source.labels.n_frames)

    def _run(
        self, text: str, function: Callable[..., Any], *args: Any, then: Callable[[Any], None], **more: Any
    ) -> None:
        self._then, self._cancelled = then, False
        self.status.say(text, "info")
        self.bar.setRange(0, 0)
        self._thread.run(function, *args, progress=self._progress, **more)
        self.refresh()

    def _progress(self, done: int, total: int) -> None:
        if self._cancelled:
            raise AnlageError("Cancelled.")
        if done == total or done % max(1, total // 100) == 0:
            self._went.emit(done, total)

    def _on_went(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)

    def _cancel(self) -> None:
        self._cancelled = True

    def _on_done(self, result: Any) -> None:
        self.attempt(lambda: self._then(result))
        self.refresh()

    def _on_failed(self, problem: ErrorReport) -> None:
        if self._cancelled:
            self.status.say("Cancelled.", "idle")
        else:
            self.report(problem)
        self.refresh()
