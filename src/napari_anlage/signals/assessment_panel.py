"""The panel that shows how good an events network is: plots, numbers, and the worst examples."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QListWidget, QListWidgetItem, QSizePolicy, QWidget

from anlage import Card, Events, Score
from anlage.wording import plural
from napari_anlage.signals import drawings as event_drawings
from napari_anlage.signals.assessment import Judgement, assess
from napari_anlage.signals.drawings import Matrix
from napari_anlage.signals.scoring import Scoring
from napari_anlage.widgets.basic import Tab, heading, note
from napari_anlage.widgets.picture import Draw, Picture

__all__ = ["JudgingPanel"]

_MATRIX, _TIMES, _ROC, _TRADE, _CALIBRATION = (
    "Confusion matrix", "Times of events", "ROC", "Precision and recall", "Calibration",
)  # fmt: skip
_FEWEST = 6
"""Tracks scored after the training from which they are judged alone."""
_LIST_HEIGHT = 110
_EVENTS = ("event", "events")
_HELD_OUT = Qt.ItemDataRole.UserRole + 1
"""Marks the choice whose tracks the network was judged on before it learnt from them."""
Ids = npt.NDArray[np.int64]


class JudgingPanel(Tab):
    """What the network says of scored tracks against what the user said of them."""

    wanted = Signal(int, float)
    """The user wants to see this track at this frame."""

    def __init__(self) -> None:
        super().__init__()
        self._scoring: Scoring | None = None
        self._predicted: Events | None = None
        self._learnt: Ids | None = None
        self._held_out: Events | None = None
        self.judgement: Judgement | None = None
        self.tracks, self.kind, self.matrix = QComboBox(), QComboBox(), QComboBox()
        self.picture = Picture()
        self.numbers, self.honest = note(""), note("")
        self.worst_title = heading("Worst examples")
        self.worst = QListWidget()
        self._card: Card | None = None
        self._build()
        self.hide()

    def show_events(
        self, predicted: Events, scoring: Scoring, card: Card | None, learnt: Ids | None, held_out: Events | None = None
    ) -> None:
        """Assess a network's predictions.

        Parameters
        ----------
        predicted
            By the network, of every track.
        scoring
            The user's answers.
        card
            Of the network.
        learnt
            Tracks of these signals that the network was trained with, held-out ones among them; None: unknown.
        held_out
            What was said of those that were held out, of each by a network that never saw it; None: unknown.
        """
        self._predicted, self._scoring, self._card, self._learnt = predicted, scoring, card, learnt
        self._held_out = held_out
        self._offer_tracks()
        self.refresh()

    def refresh(self) -> None:
        """Compare anew, with the answers of now."""
        self.judgement = None
        scoring, predicted = self._scoring, self._predicted
        if scoring is not None and predicted is not None and scoring.scored.is_scored.any():
            of = self._held_out if self._shows_held_out and self._held_out is not None else predicted
            self.judgement = self.attempt(lambda: assess(of, scoring.scored, self.tracks.currentData()))
        self.setVisible(self.judgement is not None)
        if self.judgement is not None:
            self.numbers.setText(_numbers(self.judgement))
            self.honest.setText(self._provenance())
            self._fill_worst(self.judgement)
            self._show_picture()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        for name in (_MATRIX, _TIMES, _ROC, _TRADE, _CALIBRATION):
            self.kind.addItem(name)
        for matrix in Matrix:
            self.matrix.addItem(matrix.value, matrix)
        row = QWidget()
        row.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        for combo in (self.kind, self.matrix):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(8)
            layout.addWidget(combo, 3 if combo is self.kind else 2)
        self.tracks.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.tracks.setMinimumContentsLength(8)
        self.tracks.setToolTip("Which of the scored tracks are compared.")
        self.matrix.setToolTip("What the numbers are.")
        self.worst.setFixedHeight(_LIST_HEIGHT)
        self.worst.setWordWrap(True)
        self.worst.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.worst.setToolTip("Click to go to the track and frame.")
        self.add(
            heading("How good it is"), self.tracks, row, self.picture, self.numbers, self.honest, self.worst_title, self.worst,
            self.status,
        )  # fmt: skip
        self.column.addStretch(1)  # what is left over goes below, not between the parts
        self.status.hide()
        self.kind.currentIndexChanged.connect(lambda _: self._show_picture())
        self.matrix.currentIndexChanged.connect(lambda _: self._show_picture())
        self.tracks.activated.connect(lambda _: self.refresh())
        self.worst.itemClicked.connect(lambda item: self.wanted.emit(*item.data(Qt.ItemDataRole.UserRole)))

    def _offer_tracks(self) -> None:
        """All scored tracks, or those alone that the network cannot know."""
        self.tracks.clear()
        if self._scoring is None:
            return
        signals = self._scoring.scored
        ids = signals.ids[signals.is_scored]
        self.tracks.addItem(f"all {plural(len(ids), 'scored track')}", None)
        held_out = ids[:0] if self._held_out is None else np.intersect1d(ids, self._held_out.tracks)
        if len(held_out):
            self.tracks.addItem(
                f"{plural(len(held_out), 'track')}, each judged by a network that never saw it", held_out
            )
            self.tracks.setItemData(1, True, _HELD_OUT)
            self.tracks.setCurrentIndex(1)
        new = np.zeros(0, dtype=np.int64) if self._learnt is None else np.setdiff1d(ids, self._learnt)
        if len(new) >= _FEWEST:
            self.tracks.addItem(f"{plural(len(new), 'track')} scored after the training", new)
            self.tracks.setCurrentIndex(self.tracks.count() - 1)
        self.tracks.setVisible(self.tracks.count() > 1)

    @property
    def _shows_held_out(self) -> bool:
        return bool(self.tracks.currentData(_HELD_OUT))

    def _provenance(self) -> str:
        """Whether the network knew these tracks."""
        if self._shows_held_out:
            return (
                "Each of these tracks was judged by a network that never learnt from it; by them the weights were chosen and the "
                "probabilities calibrated, so tracks of another movie may be told a little worse."
            )
        if self.tracks.currentData() is not None:
            return "The network has not seen these tracks: expect the same of others of this movie."
        held_out = "" if self._card is None else _held_out(self._card)
        if self._learnt is None:
            return f"It is not known which tracks this network learnt from; some of these may be among them. {held_out}"
        return f"The network was trained with these tracks, so these pictures flatter it. {held_out} Score {_FEWEST} more tracks to judge it on tracks that are new to it."

    def _show_picture(self) -> None:
        judgement, kind = self.judgement, self.kind.currentText()
        self.matrix.setVisible(kind == _MATRIX)
        if judgement is None:
            return
        ranked = len(judgement.chance) > 0 and bool(judgement.is_event.any()) and not bool(judgement.is_event.all())
        drawings: dict[str, Callable[[], Draw]] = {
            _MATRIX: lambda: event_drawings.confusion(judgement, self.matrix.currentData()),
            _TIMES: lambda: event_drawings.times(judgement),
            _ROC: lambda: event_drawings.ranking(judgement),
            _TRADE: lambda: event_drawings.trade(judgement),
            _CALIBRATION: lambda: event_drawings.calibration(judgement),
        }
        missing = kind in (_ROC, _TRADE, _CALIBRATION) and not ranked
        self.status.say(
            "This picture needs tracks with and without the event, and probabilities." if missing else "", "warning"
        )
        self.picture.show_drawing(None if missing else drawings[kind]())

    def _fill_worst(self, judgement: Judgement) -> None:
        self.worst.clear()
        for one in judgement.worst:
            item = QListWidgetItem(f"track {one.track} · {one.sentence}")
            item.setData(Qt.ItemDataRole.UserRole, (one.track, one.frame))
            self.worst.addItem(item)
        n = len(judgement.worst)
        self.worst.setVisible(n > 0)
        self.worst_title.setText("Worst examples" if n else "Every class is right, and every time within a frame.")


def _numbers(judgement: Judgement) -> str:
    report = judgement.report
    right = Score.of_share("", (report.accuracy or 0) * report.n, report.n)
    f1 = Score.of_counts("F1", report.tp, report.fp, report.fn, _EVENTS)
    parts = [
        f"{plural(report.n, 'track')}: {100 * right.value:.0f} % of the classes right ({100 * right.low:.0f} to {100 * right.high:.0f} %), {f1}"
    ]
    if report.median_error_frames is not None:
        minutes: Any = (report.median_error_min, report.mean_error_min)
        words = [
            f"{name} {frames:.2g} frames" + ("" if inside is None else f" ({inside:.2g} min)")
            for name, frames, inside in zip(
                ("median", "mean"), (report.median_error_frames, report.mean_error_frames), minutes, strict=True
            )
        ]
        parts.append(f"error in time {', '.join(words)}")
    if report.auc is not None:
        rarer_n = min(int(judgement.is_event.sum()), int((~judgement.is_event).sum()))
        auc = Score.of_share(
            "AUC", report.auc * rarer_n, rarer_n, ("track of the rarer class", "tracks of the rarer class")
        )
        parts.append(f"{auc}, best threshold {min(report.best_threshold or 1.0, 1.0):.3f}")
    if report.ece is not None:
        parts.append(f"probabilities off by {100 * report.ece:.0f} percentage points")
    return " · ".join(parts) + "."


def _held_out(card: Card) -> str:
    """What the card has seen on held-out tracks alone."""
    evidence, metrics = card.evidence, card.evidence.metrics
    said = [card.verdict.score] if card.verdict.score else []
    if "median_error_frames" in metrics:
        said.append(f"median error {metrics['median_error_frames']:.2g} frames")
    return f"On held-out tracks alone ({evidence.held_out}): {', '.join(said)}." if said else ""
