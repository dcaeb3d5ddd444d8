"""The list of faults in painted labels; a click goes to the place."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal

from anlage import AnlageError, Issue, LabelReport, find_faults
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.label_layers import LabelLayer, label_layers, source_of
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera, layer_roles
from napari_anlage.viewer.read import layer_kind
from napari_anlage.widgets.basic import ActionButton, Tab
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.issue_list import IssueList

__all__ = ["LabelCheck"]

_TITLES = {
    "shape": "shape", "type": "values that are no labels", "background": "no background", "pieces": "one number on several objects",
    "cut": "one object with two numbers", "class": "classes", "fragment": "fragments", "empty": "empty planes or frames",
}  # fmt: skip


class LabelCheck(Tab):
    """Looks through the labels that a training would learn from; shown where there are any."""

    _went = Signal(int, int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._source: LabelLayer | None = None
        self._over = False
        self.found: LabelReport | None = None
        self.check = ActionButton(
            "Check the labels",
            tooltip="Looks for objects with a number in common, objects cut in two, crumbs, empty planes and missing classes.",
        )
        self.list = IssueList(120)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.add(self.check, self.status, self.list)
        self.list.hide()
        self.check.clicked.connect(lambda: self.attempt(self.begin))
        self.list.picked.connect(lambda row: self.attempt(lambda: self.go_to(row)))
        self._thread.done.connect(lambda report: self.attempt(lambda: self._show(report)))
        self._thread.failed.connect(self._on_failed)
        self._went.connect(lambda done, total: self.status.say(f"Frame {done} of {total} looked through …", "info"))
        connect(session.layers_changed, self.refresh)
        connect(session.nuclei_changed, self.refresh)
        connect(session.exchanged, self._forget)
        self.refresh()

    @property
    def faults(self) -> tuple[Issue, ...]:
        """What is listed."""
        return () if self.found is None else self.found.faults

    def retire(self) -> None:
        """The dock is closed: what is under way ends."""
        self._over = True

    def refresh(self) -> None:
        """There is something to check only where something is painted."""
        layer = self._layer()
        self.setVisible(layer is not None)
        self.check.allow("Looking through the labels …" if self._thread.busy else None, show=False)
        if self._source is not None and layer is not self._source.layer:
            self._forget()

    def _forget(self) -> None:
        """What was found was in other labels."""
        self._thread.forget()
        self._source, self.found = None, None
        self.list.show_lines(())
        self.status.say("", "idle")

    def begin(self) -> None:
        """Look through the labels, in a thread."""
        layer = self._layer()
        if layer is None:
            raise AnlageError("There is no Labels layer to check; paint nuclei, or open labels.")
        self._source = source = source_of(self._session, layer)
        image = self._session.image() if self._session.image_layer is not None else None
        self.status.say(f"Looking through '{layer.name}' …", "info")
        self._thread.run(find_faults, source.labels, image, on_progress=self._progress)
        self.refresh()

    def go_to(self, place: int) -> None:
        """Show where a fault is, and pick its label."""
        fault, source = self.faults[place], self._source
        self.list.setCurrentRow(place)
        if source is None:
            return
        if fault.position is not None:
            t, z, y, x = fault.position
            camera.go_to(self._session.viewer, source.grid, (float(t), float(z), float(y), float(x)))
        if fault.labels:
            source.layer.selected_label = fault.labels[0]
        self._session.say(fault.text)

    def _layer(self) -> Any:
        """The labels that nuclei are read from; else the project's own; else the topmost."""
        layers = label_layers(self._session)
        chosen = self._session.nuclei_layer
        if chosen is not None and layer_kind(chosen) == "labels":
            return chosen
        own = [layer for layer in layers if layer_roles.role_of(layer) == layer_roles.PAINTED]
        return next(iter([*own, *layers]), None)

    def _show(self, report: LabelReport) -> None:
        self.found = report
        self.list.show_lines([fault.text for fault in report.faults])
        kinds = ", ".join(f"{n} × {_TITLES[kind]}" for kind, n in report.counts.items())
        found = f"Worth a look: {kinds}." if kinds else "Nothing looks wrong."
        self.status.say(f"{report}. {found}", "warning" if kinds else "good")
        self.refresh()

    def _on_failed(self, problem: ErrorReport) -> None:
        if not self._over:
            self.report(problem)
            self.refresh()

    def _progress(self, done: int, total: int) -> None:
        if self._over:
            raise AnlageError("The dock was closed.")
        self._went.emit(done, total)
