"""A scripted user trains a network of events from two folders of scored windows and another network; pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x1100x24" python docs/screenshots/event_training.py

The windows are synthetic: falling bumps over noise, clear, less clear and none at all, of two days. Clicks are real; only the
dialogs of the system, which no script can see, are answered for it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QScrollArea, QWidget
from tutorial import IMG, save, settle, wait

from anlage import Signals, write_signals

SIZE = (1180, 1000)
LENGTH, RATE_S = 300, 2e-4
KINDS = {"nice": (8.0, 20), "not_so_nice": (3.0, 14), "false_positives": (0.0, 24), "noise": (0.0, 16)}
"""Size of an event in units of the noise, and windows of each recording."""


def main() -> None:
    """Train one network, then another one from it."""
    import napari

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for day, seed in (("day1", 1), ("day2", 2), ("before", 3)):
            write_day(folder / day, seed)
        words = [
            sys.executable,
            "-m",
            "anlage",
            "train",
            "events",
            str(folder / "before"),
            "-o",
            str(folder / "minis-2025"),
        ]
        subprocess.run([*words, "--set", "steps=120", "members=5"], check=True, stdout=subprocess.DEVNULL)
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)
        user = Trainer(viewer, folder)
        user.choose()
        user.train()
        user.look()
        user.panel.session.close()
        viewer.close()


def write_day(folder: Path, seed: int) -> None:
    """Three recordings, the windows of each kind in a file of their own."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    t = np.arange(LENGTH)
    event = np.where(t >= 90, (1 - np.exp(-(t - 90) / 6)) * np.exp(-(t - 90) / 40), 0)
    blip = np.exp(-(((t - 110) / 7.0) ** 2))
    for cell in range(3):
        for kind, (size, n) in KINDS.items():
            values = rng.normal(0, 1, (n, LENGTH)) - size * rng.uniform(0.7, 1.3, (n, 1)) * event
            values -= (5 * rng.uniform(0.7, 1.3, (n, 1)) * blip) * (kind == "false_positives")
            score = int(size > 0)
            signals = Signals.of(values, ("current",), kind="repeated", scores=score, interval_s=RATE_S)
            write_signals(folder / f"{seed}{cell}_cell_{kind}.h5", signals)


class Trainer:
    """Somebody before the widget *Train networks*."""

    def __init__(self, viewer: Any, folder: Path) -> None:
        self.viewer, self.folder, self.began = viewer, folder, time.monotonic()
        _, self.panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
        self.panel.session.set_folder(folder / "minis.anlage")
        self.tab = self.panel.tab
        settle()

    def choose(self) -> None:
        """Two folders, a name, a network to start from, and a mix."""
        tab, events = self.tab, self.tab.events
        self.click(tab.cards.cards["events"])
        for day in ("day1", "day2"):
            QFileDialog.getExistingDirectory = lambda *_, day=day: str(self.folder / day)
            self.click(events.sets.folder)
            wait(lambda: not events.sets.busy)
        self.click(events.name)
        QTest.keyClicks(events.name, "minis-2026")
        self.click(events.event.lineEdit())
        QTest.keyClicks(events.event.lineEdit(), "epsc\r")
        wait(lambda: not events.sets.busy)
        self.picture("event-training", events)
        self.click(events.mix.own, left=True)
        for place, parts in ((0, 2), (1, 2)):
            line = events.mix.parts[place].lineEdit()
            self.click(line)
            line.selectAll()
            QTest.keyClicks(line, f"{parts}\r")
        model = self.folder / "minis-2025" / "minis-2025.anlage"
        tab.begin_with.opened.emit(model)
        events.take.what.setCurrentIndex(0)
        wait(lambda: tab.start.button.isEnabled())
        self.picture("event-training-mix", events.mix)
        print(tab.settings())

    def train(self) -> None:
        """Press the button, and wait for the end."""
        self.click(self.tab.start.button)
        wait(lambda: self.tab.view.state == "finished" or self.tab.status.kind == "error")
        settle()
        print(self.tab.status.plain)
        self.picture("event-training-done", self.tab.view)

    def look(self) -> None:
        """Open the report."""
        self.click(self.tab.view.report)
        dialog = self.tab.view.report_window
        for title in ("Confusion matrix", "Precision and recall"):
            dialog.kind.setCurrentText(title)
            settle()
        shown = dialog.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        rows = np.frombuffer(shown.constBits().asarray(shown.sizeInBytes()), np.uint8).reshape(shown.height(), -1)
        save(rows[:, : 3 * shown.width()].reshape(shown.height(), shown.width(), 3), IMG / "event-report.png")

    def click(self, widget: QWidget, *, left: bool = False) -> None:
        """Scroll it into sight and click it."""
        area = self._area(widget)
        if area is not None:
            area.ensureWidgetVisible(widget)
        settle(0.1)
        where = QPoint(12, widget.height() // 2) if left else widget.rect().center()
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=where)
        settle(0.1)

    def picture(self, name: str, part: QWidget) -> None:
        """Keep the widget as it is on screen, with this part of the tab on top."""
        area = self._area(part)
        settle(0.3)
        if area is not None:
            area.verticalScrollBar().setValue(part.mapTo(area.widget(), part.rect().topLeft()).y() - 6)
        settle()
        window = self.viewer.screenshot(canvas_only=False, flash=False)
        left = self.panel.mapTo(self.viewer.window._qt_window, QPoint(0, 0)).x()  # noqa: SLF001 - there is no public way
        save(window[24:-24, left:], IMG / f"{name}.png")  # what lies beside the widget is empty
        print(f"{time.monotonic() - self.began:5.0f} s  {name}", flush=True)

    def _area(self, part: QWidget) -> QScrollArea | None:
        parent = part.parentWidget()
        while parent is not None and not isinstance(parent, QScrollArea):
            parent = parent.parentWidget()
        return parent


if __name__ == "__main__":
    main()
