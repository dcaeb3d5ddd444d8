"""The lineage tree panel; selections in the tree and in the viewer follow each other."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from anlage import AnlageError, Annotations
from anlage.wording import plural
from napari_anlage.lineage.layout import LineageLayout
from napari_anlage.lineage.plot import LineagePlot
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera
from napari_anlage.viewer.colouring import any_wrong, errors, lineages, nucleus_colours
from napari_anlage.viewer.tracks import TrackTable
from napari_anlage.widgets.basic import note, small_button
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.plain_text import Label

__all__ = ["DOUBTFUL", "LineagePanel", "open_lineage"]

TITLE = "Lineage tree"
DOUBTFUL = 0.2
"""From this error probability on a link is drawn thick and red."""
_WAIT_MS = 120
_ALL, _ONE = "All lineages", "Picked lineage"
_HINT = f"Click: go there. Thick red: error probability of the link {DOUBTFUL:.0%} or more.".replace("%", " %")


class LineagePanel(QWidget):
    """All lineages, or that of the nucleus picked last; a click goes there."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.session = Session.of(napari_viewer)
        self._tracks: tuple[Annotations, TrackTable] | None = None
        self._picked: int | None = None
        self._lineage: int | None = None
        self._watched: Any = None
        self.choice = QComboBox()
        self.choice.addItems([_ALL, _ONE])
        self.choice.setToolTip(
            "What is shown. A nucleus is picked by selecting it in the viewer, or by a click in the tree."
        )
        self.whole = small_button(
            "Show all of it",
            "Brings the whole tree into view; so does a double click. The wheel zooms, dragging moves.",
        )
        self.counts = Label()
        self.hint = note(_HINT)
        self.plot = LineagePlot()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._build()
        self._connect()
        self.refresh(fit=True)

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(3)
        row = QHBoxLayout()
        row.addWidget(self.choice)
        row.addWidget(self.whole)
        row.addWidget(self.counts, 1)
        column.addLayout(row)
        column.addWidget(self.plot, 1)
        column.addWidget(self.hint)

    def _connect(self) -> None:
        session = self.session
        self.choice.currentIndexChanged.connect(lambda _: self.refresh(fit=True))
        self.whole.clicked.connect(self.plot.fit)
        self.plot.picked.connect(self._on_picked)
        self._timer.timeout.connect(self.refresh)
        connect(session.document_changed, self._wait)
        connect(session.project_changed, self._wait)
        connect(session.nuclei_changed, self._wait)
        connect(session.colouring_changed, self._wait)
        connect(session.image_changed, self._wait)
        connect(session.viewer.dims.events.point, self._on_point)

    def sizeHint(self) -> QSize:
        """Low and wide."""
        return QSize(480, 260)

    # ---- showing ----

    def _wait(self, *_: Any) -> None:
        self._timer.start()

    def refresh(self, *, fit: bool = False) -> None:
        """Draw the lineages as they are."""
        editor = self.session.editor
        self._watch()  # the layer may have come with the very change that is shown
        if editor is None:
            nuclei = Annotations.of([])
            tracks = TrackTable.of(nuclei)
        else:
            nuclei, tracks = editor.document.nuclei, editor.tracks
        first = self._tracks is None or not len(self._tracks[0])
        self._tracks = nuclei, tracks
        row = None if self._picked is None else tracks.row(self._picked)
        lineage = None
        if self.choice.currentText() == _ONE:
            lineage = -1 if row is None else int(lineages(tracks)[row])
        changed, self._lineage = lineage != self._lineage, lineage
        layout = LineageLayout.of(nuclei, tracks, lineage)
        error = errors(nuclei, tracks)
        wrong = np.nan_to_num(error) >= DOUBTFUL
        self.plot.show_interval(self._interval())
        self.plot.show_layout(
            layout, nucleus_colours(nuclei, tracks, self.session.colouring), wrong, fit=fit or changed or first
        )
        self.plot.show_picked(row)
        self._on_point()
        self._say(layout, tracks, wrong)
        self.hint.setText(_HINT if row is None else f"{_HINT} {_of_picked(tracks, row, error)}")

    def _say(self, layout: LineageLayout, tracks: TrackTable, wrong: Any) -> None:
        rows = layout.rows
        if not len(rows):
            said = "No nucleus is picked." if self.choice.currentText() == _ONE else "There are no links yet."
        else:
            n_lineages = int((tracks.mother[rows] < 0).sum())
            n_divisions = int((tracks.n_daughters[rows] == 2).sum())
            doubtful = int(wrong[rows].sum())
            said = f"{plural(n_lineages, 'lineage')} · {plural(n_divisions, 'division')} · {plural(doubtful, 'doubtful link')}"
        self.counts.setText(said)

    def _interval(self) -> float | None:
        try:
            interval: float | None = self.session.image().interval_s
        except AnlageError:
            return None
        return interval

    # ---- the viewer ----

    def _on_point(self, event: Any = None) -> None:
        editor = self.session.editor
        if editor is not None:
            self.plot.show_frame(editor.place.frame(self.session.viewer))

    def _watch(self) -> None:
        """Follow the selection in the layer of nuclei."""
        editor = self.session.editor
        layer = None if editor is None or editor.nuclei is None else editor.nuclei.layer
        if layer is self._watched:
            return
        self._unwatch()
        self._watched = layer
        if layer is not None:
            layer.selected_data.events.items_changed.connect(self._on_selected)
            self._on_selected()  # what was picked before the panel was opened

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._watched.selected_data.events.items_changed.disconnect(self._on_selected)
            self._watched = None

    def _on_selected(self, event: Any = None) -> None:
        editor = self.session.editor
        chosen = np.zeros(0) if editor is None else editor.selected()
        if len(chosen) and int(chosen[0]) != self._picked:
            self._picked = int(chosen[0])
            self._wait()

    def _on_picked(self, row: int) -> None:
        editor = self.session.editor
        if editor is None or self._tracks is None:
            return
        nuclei = self._tracks[0]
        self._picked = int(nuclei.ids[row])
        t, z, y, x = (float(v) for v in nuclei.positions[row])
        camera.go_to(self.session.viewer, editor.place.grid, (t, z, y, x))
        if editor.nuclei is not None:
            editor.nuclei.select([self._picked])
        self._wait()

    def closeEvent(self, event: Any) -> None:
        """Let go of the viewer."""
        session = self.session
        self._timer.stop()
        self._unwatch()
        disconnect(session.viewer.dims.events.point, self._on_point)
        for signal in (
            session.document_changed,
            session.project_changed,
            session.nuclei_changed,
            session.colouring_changed,
            session.image_changed,
        ):
            disconnect(signal, self._wait)
        super().closeEvent(event)


def _of_picked(tracks: TrackTable, row: int, error: npt.NDArray[np.float64]) -> str:
    """How far the links of a nucleus' track and lineage can be trusted, in words."""
    said = []
    for numbers in (tracks.track, lineages(tracks)):
        links = (tracks.mother >= 0) & (numbers == numbers[row])
        said += [f"{100 * any_wrong(error[links]):.0f} %", plural(int(links.sum()), "link")]
    return "Picked: {} that a link of its track is wrong ({}), {} of its lineage ({}).".format(*said)


def open_lineage(viewer: Any) -> LineagePanel:
    """Show the lineage tree below the image; it is brought to the front if it is there."""
    for name, widget in viewer.window.dock_widgets.items():
        if name.startswith(TITLE) and isinstance(widget, LineagePanel):
            widget.parentWidget().show()
            widget.parentWidget().raise_()
            return widget
    panel = LineagePanel(viewer)
    viewer.window.add_dock_widget(panel, name=TITLE, area="bottom")
    return panel
