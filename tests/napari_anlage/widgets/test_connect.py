"""A widget that Qt has deleted hears nothing any more, although Python still holds it."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget

from anlage import Change
from napari_anlage.dock import Dock
from napari_anlage.session.session import Session
from napari_anlage.widgets.connect import connect


def test_a_deleted_dock_is_deaf(qtbot, blobs) -> None:
    viewer = ViewerModel()
    dock = Dock(viewer)
    session = Session.of(viewer)
    assert dock.session is session
    dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    viewer.add_image(blobs[0])  # each of these would call a widget that is no more
    for signal in (session.layers_changed, session.image_changed, session.nuclei_changed, session.cuboids_changed):
        signal.emit()
    for signal in (session.project_changed, session.run_changed, session.diameter_changed, session.jobs.changed):
        signal.emit()
    session.document_changed.emit(Change(kinds=frozenset({"nuclei"}), ids=()))
    session.said.emit("something", "info")


def test_a_widget_that_lives_hears(qtbot, blobs) -> None:
    class Ear(QWidget):
        heard = 0

        def listen(self) -> None:
            self.heard += 1

    session, ear = Session.of(ViewerModel()), Ear()
    qtbot.addWidget(ear)
    connect(session.image_changed, ear.listen)
    session.image_changed.emit()
    assert ear.heard == 1
