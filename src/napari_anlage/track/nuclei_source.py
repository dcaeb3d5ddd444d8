"""Choose the nuclei to link: those of the project, of a prediction, or of a model that finds them first."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from anlage import AnlageError, Annotations, State
from anlage.project.models import Choice, classical, project_models, starter
from anlage.project.predictions import Result, load, results
from anlage.wording import plural
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import note
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.silent import silent

__all__ = ["NucleiChoice", "NucleiSource"]


@dataclass(frozen=True, slots=True)
class NucleiChoice:
    """One source of nuclei.

    Parameters
    ----------
    title
        In a line of a list.
    about
        A sentence on what is taken.
    read
        Gives the nuclei; None where a model finds them. May take long: call it in a thread.
    finder
        The model that finds them.
    from_document
        Whether they are the project's own.
    """

    title: str
    about: str
    read: Callable[[], Annotations] | None = None
    finder: Choice | None = None
    from_document: bool = False


class NucleiSource(QWidget):
    """A list of sources, and a sentence on the chosen one."""

    def __init__(self, session: Session, changed: Callable[[], Any]) -> None:
        super().__init__()
        self._session, self._changed = session, changed
        self._sources: list[NucleiChoice] = []
        self._picked = ""
        self.combo = QComboBox()
        self.combo.setToolTip("The nuclei that are linked over time.")
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(10)
        self.about = note("")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.combo)
        column.addWidget(self.about)
        self.combo.currentIndexChanged.connect(lambda _: self._on_chosen())
        self.combo.activated.connect(self._on_picked)
        connect(session.exchanged, self._on_exchanged)
        self.refresh()

    @property
    def chosen(self) -> NucleiChoice | None:
        """The chosen source; None: there is none."""
        place = self.combo.currentIndex()
        return self._sources[place] if 0 <= place < len(self._sources) else None

    def refresh(self) -> None:
        """Offer what there is: what holds nuclei already comes first."""
        self._sources = [*self._annotation(), *self._predictions(), *self._models()]
        with silent(self.combo):
            self.combo.clear()
            self.combo.addItems([source.title for source in self._sources])
            titles = [source.title for source in self._sources]
            self.combo.setCurrentIndex(titles.index(self._picked) if self._picked in titles else 0)
        self._on_chosen()

    def choose_prediction(self, result: Result) -> None:
        """Link the nuclei of this prediction."""
        self._picked = _title(result)
        self.refresh()

    def _on_exchanged(self) -> None:
        """What was picked was of the image before."""
        self._picked = ""

    def _on_picked(self, place: int) -> None:
        """What the user chose themselves stays chosen."""
        self._picked = self._sources[place].title

    def _on_chosen(self) -> None:
        self.about.setText("" if self.chosen is None else self.chosen.about)
        self._changed()

    def _annotation(self) -> list[NucleiChoice]:
        document = self._session.document
        if document is None:
            return []
        nuclei = document.nuclei.select(document.nuclei.state != State.REJECTED)
        if len(nuclei.annotated_frames) < 2:
            return []
        about = f"{plural(len(nuclei), 'nucleus', 'nuclei')} in {len(nuclei.annotated_frames)} frames. Links that you made or accepted stay."
        # a network's links are found anew, a human's are certain
        chance = nuclei.link_properties.get("probability", np.full(len(nuclei.links), np.nan))
        known = nuclei.linked(nuclei.links[np.isnan(chance)])
        return [NucleiChoice("The project's nuclei", about, lambda: known, from_document=True)]

    def _predictions(self) -> list[NucleiChoice]:
        found = [
            result
            for result in results(self._session.folder)
            if result.state == "finished" and not result.record.paints
        ]
        return [
            NucleiChoice(
                _title(result), f"Its nuclei from a probability of {result.record.threshold:.2f} on.",
                _reader(result, self._session),
            )
            for result in found
        ]  # fmt: skip

    def _models(self) -> list[NucleiChoice]:
        session = self._session
        try:
            flat = session.image().is_flat
        except AnlageError:
            return []
        choices = [Choice.of(path) for path in project_models(session.folder)]
        choices = [one for one in choices if not one.problem and not one.training and one.paints != "classes"]
        return [
            NucleiChoice(
                f"Found by {one.name}",
                "Finds the nuclei of every frame first, which takes as long as predicting.",
                finder=one,
            )
            for one in (*choices, *starter(flat=flat), classical())
        ]


def _title(result: Result) -> str:
    return f"Prediction {result.title}"


def _reader(result: Result, session: Session) -> Callable[[], Annotations]:
    def read() -> Annotations:
        nuclei = load(result, session.scaled_image()).nuclei
        return nuclei.select(nuclei.probability >= result.record.threshold)

    return read
