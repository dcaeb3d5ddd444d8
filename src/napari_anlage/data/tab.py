"""Step 1, Data: the image, its scale, its channels, its nucleus diameter and its project."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from anlage import AnlageError, TimeLapse, doubt_reading
from anlage.wording import plural
from napari_anlage.data.axis_chips import AxisChips, ScaleChips
from napari_anlage.data.beginning import Beginning
from napari_anlage.data.channel_list import ChannelList
from napari_anlage.data.diameter import DiameterField
from napari_anlage.data.project_row import ProjectRow
from napari_anlage.imports.panel import ImportPanel
from napari_anlage.session.channels import Role, roles
from napari_anlage.session.image_choice import path_of
from napari_anlage.session.session import Session
from napari_anlage.viewer.read import may_be_time
from napari_anlage.widgets.basic import ActionButton, LayerChoice, Tab, heading, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.plain_text import Label

__all__ = ["DataTab"]


class DataTab(Tab):
    """Pick the image layer, check how it is read, tick its channels, measure a nucleus."""

    title = "Data"
    proceed = Signal()
    """The user is done here."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._doubted: tuple[object, tuple[str, ...]] | None = None
        self.image = LayerChoice("open an image in napari first")
        self.image.setToolTip("The image layer that nuclei are found in.")
        self.beginning = Beginning(session)
        self.axes = AxisChips()
        self.is_time = _TimeQuestion()
        self.scale = ScaleChips()
        self.channels = ChannelList(session)
        self.diameter = DiameterField(session)
        self.project = ProjectRow(session)
        self.imports = ImportPanel(session, takes_drops=True)
        self.next = ActionButton("Next: annotate nuclei", primary=True, tooltip="Goes to the next step.")
        self._of_image = (heading("Channels"), self.channels, heading("Nucleus diameter"), self.diameter)
        self.add(heading("Image"), self.image, self.beginning, self.axes, self.is_time, self.scale, *self._of_image)
        self.add(heading("Project"), self.project, self.imports, self.status, self.next)
        self.image.chosen.connect(session.choose_image)
        self.axes.chosen.connect(self._on_axes)
        self.is_time.answered.connect(self._on_axes)
        self.beginning.failed.connect(self.report)
        self.scale.edited.connect(lambda spacing, seconds: self.attempt(lambda: session.set_scale(spacing, seconds)))
        self.channels.failed.connect(self.report)
        self.project.failed.connect(self.report)
        self.imports.failed.connect(self.report)
        self.next.clicked.connect(self.proceed)
        connect(session.layers_changed, self.refresh_layers)
        connect(session.exchanged, self.scale.forget)
        for signal in (session.image_changed, session.project_changed, session.question_changed):
            connect(signal, self.refresh)
        self.refresh_layers()

    def retire(self) -> None:
        """Listen to the session no more."""
        self.imports.retire()

    def refresh_layers(self) -> None:
        """Offer the image layers that there are; a first one is chosen by itself."""
        layers = self._session.image_layers()
        if self._session.image_layer is None and layers:
            self._session.choose_image(layers[0])
        self.refresh()

    def refresh(self) -> None:
        """Show how the chosen image is read."""
        session, layer = self._session, self._session.image_layer
        self.image.offer(session.image_layers(), layer)
        for widget in self._of_image:
            widget.setVisible(layer is not None)
        self.beginning.setVisible(layer is None)
        self.is_time.setVisible(layer is not None and session.axes is None and may_be_time(layer))
        self.channels.refresh()
        try:
            grid = session.grid()
            self.axes.show_axes(grid.axes, tuple(int(n) for n in _shape(layer)))
            image = session.image()
        except AnlageError as error:
            self.axes.setVisible(layer is not None and bool(self.axes.chips))
            self.scale.show_nothing()
            self.status.say(str(error), "idle" if layer is None else "warning")
            self.next.allow(str(error), show=False)
            return
        self.scale.show_scale(image, session.opened_grid)
        self._say_reading(image)

    def _say_reading(self, image: TimeLapse) -> None:
        if image.spacing is None:
            self.status.say("The layer does not say how large a voxel is; type it above.", "warning")
            self.next.allow("The voxel size is unknown; type it above.", show=False)
            return
        n = len(self._session.picked)
        how = "" if n == 1 else f", {'summed' if self._session.combine == 'sum' else 'separate inputs'}"
        text = f"Ready: {plural(n, 'channel')}{how}."
        nuclear = [
            i for i, role in enumerate(roles(self._session)) if role is Role.NUCLEI and i in self._session.picked
        ]
        doubts = self._doubts(image)
        if self._session.lack:
            self.status.say(self._session.lack, "warning")
        elif doubts:
            self.status.say(" ".join(doubts), "warning")
        elif nuclear:
            self.status.say(text, "good")
        else:
            self.status.say(f"{text} None of them is said to show nuclei, so all are taken to.", "info")
        self.next.allow(None)

    def _doubts(self, image: TimeLapse) -> tuple[str, ...]:
        """What is doubtful about the image; its file is examined once."""
        file = path_of(self._session.image_layer)
        subject = (file, image.spacing)
        if self._doubted is None or self._doubted[0] != subject:
            self._doubted = subject, doubt_reading(image, file)
        return self._doubted[1]

    def _on_axes(self, axes: str | None) -> None:
        self.attempt(lambda: self._session.set_axes(axes))


class _TimeQuestion(QWidget):
    """Asks whether the planes of a stack that names no axes are frames of a 2D movie."""

    answered = Signal(str)
    """The axes, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.time, self.planes = small_button("Time"), small_button("Planes (z)")
        self.time.setToolTip("The first axis is time: a movie of single planes.")
        self.planes.setToolTip("The first axis is depth: one stack, without time.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(Label("The first axis is"))
        row.addWidget(self.time)
        row.addWidget(self.planes)
        row.addStretch(1)
        self.time.clicked.connect(lambda: self.answered.emit("tyx"))
        self.planes.clicked.connect(lambda: self.answered.emit("zyx"))


def _shape(layer: object) -> tuple[int, ...]:
    """Lengths of a layer's own axes at full resolution, colours left out."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data  # type: ignore[attr-defined]
    return tuple(data.shape[: layer.ndim])  # type: ignore[attr-defined]
