"""Compare runs: a table, their curves in one plot, and the settings that differ."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QBrush, QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from anlage import Run
from anlage.project.models import KINDS
from anlage.project.trainings import Summary, differences, summary
from anlage.wording import duration, for_the_dock, short
from napari_anlage.train.plots import ComparisonPlot
from napari_anlage.widgets.basic import COLOURS, heading, note
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = ["CompareDialog"]

_COLUMNS = ("Run", "State", "Chosen by", "Held out", "Steps", "Time", "Learns from", "Made")
_CHOSEN_BY, _HELD_OUT = 2, 3
_AT_FIRST = 4
"""So many of the newest runs are compared when the dialog opens."""
_REFRESH_MS = 2000
_SWATCH = 12


class CompareDialog(QDialog):
    """Choose runs by their tick; double-click one to show it on the Train tab."""

    chosen = Signal(object)
    """The user wants to see this run (its folder)."""

    def __init__(self, runs: Sequence[Run], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare runs")
        self.resize(900, 680)
        self.summaries: list[Summary] = [summary(run) for run in runs]
        self.table = QTableWidget(len(runs), len(_COLUMNS))
        self.plot = ComparisonPlot()
        self.log = QCheckBox("log")
        self.log.setToolTip("Losses on a logarithmic axis.")
        self.log.setChecked(True)
        self.settings = QTableWidget(0, 0)
        self.same = note("")
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._build()
        self._fill()
        self._show()
        self.table.itemChanged.connect(self._on_item)
        self.table.itemDoubleClicked.connect(lambda item: self.chosen.emit(self.summaries[item.row()].run.path))
        self.log.toggled.connect(lambda on: self.plot.set_log(on=on))
        self.plot.recoloured.connect(self._paint_swatches)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        for table in (self.table, self.settings):
            table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
            table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
            table.verticalHeader().hide()
            table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            table.horizontalHeader().setStretchLastSection(True)
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.horizontalHeaderItem(_CHOSEN_BY).setToolTip(
            "By this number the best weights of a run are chosen. How good they are is in the next column."
        )
        row = QHBoxLayout()
        row.addWidget(Label("thick: held-out loss · thin: training loss · ★ best so far"), 1)
        row.addWidget(self.log)
        layout.addWidget(note("Tick the runs to compare. Double-click one to show it on the Train tab."))
        layout.addWidget(self.table, 2)
        layout.addLayout(row)
        layout.addWidget(self.plot, 3)
        layout.addWidget(heading("Settings that differ"))
        layout.addWidget(self.same)
        layout.addWidget(self.settings, 2)

    @property
    def ticked(self) -> list[int]:
        """Rows of the runs that are compared."""
        rows = range(self.table.rowCount())
        return [i for i in rows if self.table.item(i, 0).checkState() == Qt.CheckState.Checked]

    def tick(self, rows: Sequence[int]) -> None:
        """Compare these."""
        with silent(self.table):
            for i in range(self.table.rowCount()):
                state = Qt.CheckState.Checked if i in rows else Qt.CheckState.Unchecked
                self.table.item(i, 0).setCheckState(state)
        self._show()

    def refresh(self) -> None:
        """Read again the runs that are under way."""
        moving = [i for i, one in enumerate(self.summaries) if "running" in (one.run_summary.state, one.run.state)]
        for i in moving:
            self.summaries[i] = summary(self.summaries[i].run)
        if moving:
            self._fill_rows(moving)
            self._show()

    def _fill(self) -> None:
        with_curve = [i for i, one in enumerate(self.summaries) if one.curve.train][:_AT_FIRST]
        for i in range(len(self.summaries)):
            first = QTableWidgetItem()
            first.setFlags(first.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            first.setCheckState(Qt.CheckState.Checked if i in with_curve else Qt.CheckState.Unchecked)
            self.table.setItem(i, 0, first)
        self._fill_rows(range(len(self.summaries)))
        self._paint_swatches()

    def _fill_rows(self, rows: Sequence[int]) -> None:
        with silent(self.table):
            for i in rows:
                one = self.summaries[i]
                self.table.item(i, 0).setText(short(one.run.name))
                self.table.item(i, 0).setToolTip(plain(str(one.run.path)))
                for column, text in enumerate(_cells(one), start=1):
                    self.table.setItem(i, column, QTableWidgetItem(text))
                if one.run_summary.verdict is not None:
                    verdict = one.run_summary.verdict
                    self.table.item(i, _HELD_OUT).setToolTip(plain(f"{verdict.score}\n{for_the_dock(verdict.text)}"))
                    self.table.item(i, _HELD_OUT).setForeground(QBrush(QColor(COLOURS[KINDS[verdict.level]])))

    def _paint_swatches(self) -> None:
        with silent(self.table):
            for i in range(self.table.rowCount()):
                swatch = QPixmap(_SWATCH, _SWATCH)
                swatch.fill(QColor(self.plot.colour_of(i)))
                self.table.item(i, 0).setIcon(QIcon(swatch))

    def _on_item(self, item: Any) -> None:
        if item.column() == 0:
            self._show()

    def _show(self) -> None:
        rows = self.ticked
        self.plot.show_curves([(i, self.summaries[i].curve) for i in rows])
        compared = [self.summaries[i] for i in rows]
        found = differences(compared)
        self.settings.setVisible(bool(found))
        self.settings.setColumnCount(1 + len(compared))
        self.settings.setRowCount(len(found))
        self.settings.setHorizontalHeaderLabels(["Setting", *(short(one.run.name) for one in compared)])
        for row, (name, values) in enumerate(found):
            for column, text in enumerate([name, *values]):
                self.settings.setItem(row, column, QTableWidgetItem(text))
        self.same.setText(_none_differ(len(compared)) if not found else "")
        self.same.setVisible(not found)


def _cells(one: Summary) -> list[str]:
    run_summary = one.run_summary
    return [
        run_summary.state,
        "–" if run_summary.best_score is None else f"{run_summary.best_score:.3f}",
        "–" if run_summary.verdict is None else run_summary.verdict.score.split(";")[0] or "–",
        str(run_summary.step),
        duration(run_summary.seconds),
        one.data,
        run_summary.created.replace("T", " ")[:16] + " UTC",
    ]


def _none_differ(n: int) -> str:
    return "Tick at least two runs." if n < 2 else "None: these runs have the same settings."
