"""The list of channels: thumbnails, ticks for those to use, names and roles."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from anlage import AnlageError
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.channels import Role, rename, roles, set_role
from napari_anlage.session.session import Session
from napari_anlage.viewer.read import axes_of
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent
from napari_anlage.widgets.thumbnails import SIDE, coarse_image, thumbnail

__all__ = ["ChannelList"]


class ChannelRow(QWidget):
    """One channel."""

    ticked = Signal()
    renamed = Signal(str)
    role_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.tick = QCheckBox()
        self.tick.setToolTip("Networks are trained on the ticked channels.")
        self.picture = Label()
        self.picture.setFixedSize(SIDE, SIDE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setStyleSheet("background:rgba(128,128,128,40);border-radius:3px")
        self.picture.setToolTip("Brightest of three planes of the middle frame.")
        self.name = QLineEdit()
        self.name.setMinimumWidth(60)
        self.role = QComboBox()
        self.role.addItems(list(Role))
        self.role.setToolTip(
            "Nuclei: the classical detector and the search for forgotten nuclei look at this channel. Other: one more input."
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.tick)
        row.addWidget(self.picture)
        row.addWidget(self.name, 1)
        row.addWidget(self.role)
        self.tick.toggled.connect(lambda _: self.ticked.emit())
        self.name.editingFinished.connect(self._on_name)
        self.role.activated.connect(lambda _: self.role_chosen.emit(self.role.currentText()))
        self._name = ""

    def show_channel(self, name: str, role: Role, *, ticked: bool) -> None:
        """Show what is so; emits nothing."""
        with silent(self.tick):
            self.tick.setChecked(ticked)
        if name != self._name:
            self._name = name
            self.name.setText(name)
            self.name.setCursorPosition(0)
        self.name.setToolTip(plain(f"Name of this channel: {name}. Click to change it."))
        self.role.setCurrentText(str(role))

    def show_picture(self, grey: npt.NDArray[np.uint8] | None) -> None:
        """Show a thumbnail (y, x)."""
        if grey is None:
            self.picture.clear()
            return
        pixels = np.ascontiguousarray(grey)
        height, width = pixels.shape
        image = QImage(pixels.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        picture = QPixmap.fromImage(image)
        self.picture.setPixmap(
            picture.scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
        )

    def _on_name(self) -> None:
        if self.name.text() != self._name:
            self.renamed.emit(self.name.text())


class ChannelList(QWidget):
    """The rows, and below them how several channels become the network's input."""

    failed = Signal(object)
    """A thumbnail could not be read: an `ErrorReport`."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._shown: Any = None
        self.rows: list[ChannelRow] = []
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4)
        self.separate = QRadioButton("each its own input")
        self.separate.setToolTip("A network sees every ticked channel by itself and learns what each one tells.")
        self.summed = QRadioButton("summed to one")
        self.summed.setToolTip("Each channel is brought to the same brightness first; your layers are not touched.")
        self.combine = QWidget()
        row = QHBoxLayout(self.combine)
        row.setContentsMargins(0, 0, 0, 0)
        group = QButtonGroup(self)
        for button in (self.separate, self.summed):
            group.addButton(button)
            row.addWidget(button)
        row.addStretch(1)
        self.separate.setChecked(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        column.addWidget(self.combine)
        self.separate.toggled.connect(lambda _: self._on_choice())
        self._thread.done.connect(self._on_pictures)
        self._thread.failed.connect(self._on_failed)

    def refresh(self) -> None:
        """Show the session's channels."""
        names, picked = self._session.channel_names(), self._session.picked
        while len(self.rows) > len(names):
            row = self.rows.pop()
            self._rows.removeWidget(row)
            row.hide()
            row.deleteLater()
        while len(self.rows) < len(names):
            self._add_row(len(self.rows))
        for i, (row, name, role) in enumerate(zip(self.rows, names, roles(self._session), strict=True)):
            row.show_channel(name, role, ticked=i in picked)
        self.combine.setVisible(len(picked) > 1)
        for button, way in ((self.separate, "separate"), (self.summed, "sum")):
            with silent(button):
                button.setChecked(self._session.combine == way)
        self._refresh_pictures()

    def showEvent(self, event: Any) -> None:
        """Thumbnails are read when they are first shown."""
        super().showEvent(event)
        self._refresh_pictures()

    def _add_row(self, i: int) -> None:
        row = ChannelRow()
        row.ticked.connect(self._on_choice)
        row.renamed.connect(lambda name: rename(self._session, i, name))
        row.role_chosen.connect(lambda role: set_role(self._session, i, Role(role)))
        self.rows.append(row)
        self._rows.addWidget(row)

    def _on_choice(self) -> None:
        picked = [i for i, row in enumerate(self.rows) if row.tick.isChecked()]
        self._session.choose_channels(picked, "separate" if self.separate.isChecked() else "sum")

    # ---- pictures ----

    def _refresh_pictures(self) -> None:
        """Read the thumbnails in a thread, once for each image."""
        wanted = self._wanted()
        if not self.isVisible() or self._thread.busy or _same(wanted, self._shown):
            return
        self._shown = wanted
        for row in self.rows:
            row.show_picture(None)
        if wanted:
            self._thread.run(_pictures, wanted)

    def _wanted(self) -> list[tuple[Any, str, int]]:
        """Layer, its axes, and channel in it, of each row."""
        session, layer = self._session, self._session.image_layer
        try:
            axes = session.grid().axes
        except AnlageError:
            return []
        if session.has_channel_axis:
            return [(layer, axes, i) for i in range(len(self.rows))]
        return [(other, axes if other is layer else axes_of(other), 0) for other in session.joinable()]

    def _on_pictures(self, pictures: list[npt.NDArray[np.uint8]]) -> None:
        if _same(self._wanted(), self._shown):
            for row, picture in zip(self.rows, pictures, strict=True):
                row.show_picture(picture)
        else:
            self._refresh_pictures()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.failed.emit(problem)


def _pictures(wanted: list[tuple[Any, str, int]]) -> list[npt.NDArray[np.uint8]]:
    return [thumbnail(coarse_image(layer, axes), channel) for layer, axes, channel in wanted]


def _same(one: list[tuple[Any, str, int]] | None, other: list[tuple[Any, str, int]] | None) -> bool:
    """The same layers, by identity: some kinds compare their pixels."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    return all(a[0] is b[0] and a[1:] == b[1:] for a, b in zip(one, other, strict=True))
