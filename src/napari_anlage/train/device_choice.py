"""Choose the device: CPU or GPU with free memory, and what to do when a GPU is not used."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from anlage import Device, device_advice, find_devices
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.widgets.basic import StatusLine
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label

__all__ = ["DeviceChoice", "device_line"]

AUTO = "auto"
_TOGETHER = " × "
"""Between a card and how many of them train together."""


class DeviceChoice(QWidget):
    """A combo of devices, and advice below it where an NVIDIA card cannot be used."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._thread = Thread(self)
        self._command = ""
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(10)
        self.combo.setToolTip(
            "Where to compute. Automatic takes the graphics card with the most memory, else the processor."
        )
        self.combo.addItem("automatic", AUTO)
        self.advice = StatusLine()
        self.command = Label()
        self.command.setWordWrap(True)
        self.command.setTextFormat(Qt.TextFormat.PlainText)
        self.command.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.command.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.command.setStyleSheet("font-family:monospace;font-size:10px")
        self.copy = QPushButton("Copy the command")
        self._build()
        self.combo.activated.connect(lambda _: self.changed.emit())
        self.copy.clicked.connect(self._on_copy)
        self._thread.done.connect(lambda found: self.show_devices(*found))
        self._thread.failed.connect(self._on_failed)

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.combo)
        layout.addWidget(self.advice)
        layout.addWidget(self.command)
        row = QHBoxLayout()
        row.addWidget(self.copy)
        row.addStretch()
        layout.addLayout(row)
        self._advise(None)

    @property
    def value(self) -> str:
        """Name of the device as the command line takes it."""
        return str(self.combo.currentData())

    @property
    def settings(self) -> list[str]:
        """What a training is told of it, each as ``name=value``."""
        if self.value == AUTO:
            return []
        name, together, n = self.value.partition(_TOGETHER)
        return [f"device={name}", *([f"processes={n}"] if together else [])]

    def choose(self, name: str) -> None:
        """Compute there, whether it is listed (yet) or not."""
        place = self.combo.findData(name)
        if place < 0:
            self.combo.addItem(name, name)
            place = self.combo.count() - 1
        self.combo.setCurrentIndex(place)

    def refresh(self, find: Callable[[], tuple[tuple[Device, ...], Any]] | None = None) -> None:
        """Ask the computer again, in a thread: drivers take their time."""
        if not self._thread.busy:
            self._thread.run(find or _find)

    def show_devices(self, devices: tuple[Device, ...], advice: Any) -> None:
        """Offer these; the choice stays."""
        chosen = self.value
        self.combo.clear()
        first = f" – {devices[0].name}, {devices[0].free_gb:.1f} GB free" if devices else ""
        self.combo.addItem(f"automatic{first}", AUTO)
        for device in devices:
            self.combo.addItem(device_line(device), device.name)
            self.combo.setItemData(self.combo.count() - 1, plain(device_line(device)), Qt.ItemDataRole.ToolTipRole)
        cards = sorted(device.name for device in devices if device.name.startswith("cuda:"))
        if len(cards) > 1:
            self.combo.addItem(
                f"{len(cards)} GPUs – together, as {len(cards)} processes", f"{cards[0]}{_TOGETHER}{len(cards)}"
            )
        self.choose(chosen)
        self._advise(advice)

    def _advise(self, finding: Any) -> None:
        """Say what would let torch use the card that is there; None: nothing to say."""
        self._command = "" if finding is None else finding.command
        self.advice.say("" if finding is None else finding.what, "warning")
        self.command.setText(self._command)
        for widget in (self.command, self.copy):
            widget.setVisible(bool(self._command))

    def _on_copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._command)

    def _on_failed(self, problem: ErrorReport) -> None:
        self.advice.say(problem.sentence, "warning", problem.details)


def device_line(device: Device) -> str:
    """A device in a line: name, free memory, and its maker's title last, where there may be no room for it."""
    return f"{device.name} – {device.free_gb:.1f} of {device.total_gb:.0f} GB free – {device.title}"


def _find() -> tuple[tuple[Device, ...], Any]:
    return find_devices(), device_advice()
