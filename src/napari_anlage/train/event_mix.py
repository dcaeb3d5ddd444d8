"""The mix of a training of events: how many examples of each kind there are, and how often each is shown."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from anlage.project.event_sets import KINDS, EventSet, counts_of, mix_in_words, usable
from napari_anlage.widgets.basic import note
from napari_anlage.widgets.count_bar import CountBar
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import NumberField
from napari_anlage.widgets.plain_text import Label

__all__ = ["MixChoice"]

_COLOURS = {
    "repeated": ("#3fc58a", "#9fd9bf", "#ffb000", "#8a8f98"), "once": ("#3fc58a", "#8a8f98", "#ffb000"),
}  # fmt: skip
_MOST_PARTS = 1000.0


class MixChoice(QWidget):
    """Counts, parts, and a sentence that says whether the network will be restrictive or liberal."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._sets: Sequence[EventSet] = ()
        self._kind = ""
        self.own = QCheckBox("in these parts, not as they are")
        self.own.setToolTip(
            "Without it every example is shown alike, those of the rarer score a little more often.\n"
            "With it the parts below count: more events make a network that finds more and reports more that is none."
        )
        self.even = QCheckBox("every recording alike")
        self.even.setToolTip(
            "Each recording is shown as often as the others, however many examples it has, so that a large one does not outweigh the others."
        )
        self.parts: list[NumberField] = []
        self._counts: list[Label] = []
        self.bar, self.said = CountBar(), note("")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._grid)
        column.addWidget(self.bar)
        column.addWidget(self.said)
        column.addWidget(self.own)
        column.addWidget(self.even)
        self.own.toggled.connect(self._on_changed)
        self.even.toggled.connect(self._on_changed)

    def offer(self, sets: Sequence[EventSet]) -> None:
        """Show what these files hold."""
        self._sets = usable(sets)
        kind = self._sets[0].kind if self._sets else ""
        if kind != self._kind:
            self._kind = kind
            self._rebuild()
        counts = counts_of(self._sets) or (0,) * len(self.parts)
        for label, n in zip(self._counts, counts, strict=True):
            label.setText(str(n))
        self._show()

    @property
    def mix(self) -> tuple[float, ...] | None:
        """The parts; None where each is shown as it is."""
        return tuple(float(part.value()) for part in self.parts) if self.own.isChecked() and self.parts else None

    def assignments(self) -> list[str]:
        """What is not as usual, each as ``name=value``."""
        mix = self.mix
        found = [] if mix is None else [f"mix={','.join(f'{part:g}' for part in mix)}"]
        return [*found, "even_recordings=true"] if self.even.isChecked() else found

    def _rebuild(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.parts, self._counts = [], []
        self.even.setText(f"every {'recording' if self._kind == 'repeated' else 'movie'} alike")
        for column, text in ((2, "examples"), (3, "parts")):
            head = note(text)
            head.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
            head.setWordWrap(False)
            self._grid.addWidget(head, 0, column, Qt.AlignmentFlag.AlignRight)
        for i, name in enumerate(KINDS.get(self._kind, ())):
            swatch, label, count, part = Label("■"), Label(name), Label("0"), NumberField()
            swatch.setStyleSheet(f"color:{_COLOURS[self._kind][i]}")
            count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            part.setRange(0, _MOST_PARTS)
            part.setValue(1)
            part.setFixedWidth(76)
            part.setAccessibleName(f"Parts of {name}")
            part.setToolTip(plain(f"How often {name} is shown beside the others; 0 leaves it out."))
            swatch.setFixedWidth(14)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            part.valueChanged.connect(self._on_changed)
            for column, widget in enumerate((swatch, label, count, part)):
                self._grid.addWidget(widget, i + 1, column)
            self.parts.append(part)
            self._counts.append(count)

    def _on_changed(self, *_: object) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        self.setVisible(bool(self._sets))
        if not self._sets:
            return
        mix, counts = self.mix, counts_of(self._sets)
        for part in self.parts:
            part.setEnabled(self.own.isChecked())
        shown = counts if mix is None else [round(1000 * p) if n else 0 for p, n in zip(mix, counts, strict=True)]
        self.bar.show_counts(list(zip(shown, _COLOURS[self._kind], strict=True)))
        self.said.setText(mix_in_words(self._sets, mix))
