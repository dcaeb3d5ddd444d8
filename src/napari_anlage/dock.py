"""The dock: the tabs in order, the footer, and the way from one tab to the next."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QScrollArea, QTabWidget

from napari_anlage.shell.host import Host, scrolling
from napari_anlage.shell.step_bar import StepBar
from napari_anlage.widgets.basic import Tab
from napari_anlage.widgets.help import open_page
from napari_anlage.widgets.naming import name_controls

if TYPE_CHECKING:
    from anlage import Run
    from anlage.project.models import Choice
    from anlage.project.predictions import Result
    from napari_anlage.annotate.tab import AnnotateTab
    from napari_anlage.data.tab import DataTab
    from napari_anlage.predict.tab import PredictTab
    from napari_anlage.review.tab import ReviewTab
    from napari_anlage.signals.tab import SignalsTab
    from napari_anlage.track.tab import TrackTab
    from napari_anlage.train.tab import TrainTab

__all__ = ["Dock"]

_ABOUT = {
    "data": "The image, how it is read, and its project.",
    "annotate": "Mark or paint nuclei, and say where that is complete.",
    "train": "Teach a network what you marked, and watch it learn.",
    "predict": "Let a network find the nuclei, and judge what it found.",
    "track": "Follow the nuclei over time, with their divisions.",
    "review": "Go through what is probably wrong, the worst first.",
    "signals": "Measure along tracks, and find when something happens.",
}
_STEPS = tuple(_ABOUT)
AnyTab = TypeVar("AnyTab", bound=Tab)


class Dock(Host):
    """Data · Annotate · Train · Predict · Track · Review · Signals, in one dock widget.

    A step is made when it is first wanted, and at the latest after the dock was painted: it opens at once.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().hide()
        self.steps = StepBar({name.capitalize(): about for name, about in _ABOUT.items()})
        self.steps.help.clicked.connect(self._help)
        self._areas: dict[str, QScrollArea] = {}
        self._made: list[Tab] = []
        for name in _STEPS:
            self._areas[name] = scrolling()
            self.tabs.addTab(self._areas[name], name.capitalize())
        self.column.addWidget(self.steps)
        self.hold(self.tabs)
        self.steps.chosen.connect(self.tabs.setCurrentIndex)
        self.tabs.currentChanged.connect(self._on_tab)
        self._on_tab(0)

    @cached_property
    def data(self) -> DataTab:
        from napari_anlage.data.tab import DataTab

        tab = self._placed("data", DataTab(self.session))
        tab.proceed.connect(lambda: self.go_to("annotate"))
        return tab

    @cached_property
    def annotate(self) -> AnnotateTab:
        # like every step, loaded when it is first wanted
        from napari_anlage.annotate.tab import AnnotateTab

        return self._placed("annotate", AnnotateTab(self.session))

    @cached_property
    def train(self) -> TrainTab:
        from napari_anlage.train.tab import TrainTab

        tab = self._placed("train", TrainTab(self.session))
        tab.view.leads_on = True
        tab.view.use_wanted.connect(self.use)
        tab.view.refresh()
        return tab

    @cached_property
    def predict(self) -> PredictTab:
        from napari_anlage.predict.tab import PredictTab

        tab = self._placed("predict", PredictTab(self.session))
        tab.train_again.connect(self.train_from)
        tab.models.train_from.connect(self.train_from)
        tab.whole.leads_on = True
        tab.whole.track_wanted.connect(self.track_prediction)
        tab.whole.refresh_buttons()
        tab.models.elsewhere.connect(self.use_elsewhere)
        return tab

    @cached_property
    def track(self) -> TrackTab:
        from napari_anlage.track.tab import TrackTab

        tab = self._placed("track", TrackTab(self.session))
        tab.proceed.connect(lambda: self.go_to("review"))
        return tab

    @cached_property
    def review(self) -> ReviewTab:
        from napari_anlage.review.tab import ReviewTab

        return self._placed("review", ReviewTab(self.session))

    @cached_property
    def signals(self) -> SignalsTab:
        from napari_anlage.signals.tab import SignalsTab

        tab = self._placed("signals", SignalsTab(self.session))
        tab.train_wanted.connect(self.learn_from)
        return tab

    def _help(self) -> None:
        step = _STEPS[self.tabs.currentIndex()]
        open_page("tutorial" if step == "data" else step)

    def go_to(self, step: str) -> None:
        """Show a step: data, annotate, train, predict, track, review or signals."""
        self.tabs.setCurrentIndex(_STEPS.index(step))

    def learn_from(self, signals: Path, event: str) -> None:
        """Go to the Train tab, to learn an event from a file of scored signals."""
        self.train.learn_from(signals, event)
        self.go_to("train")

    def show_run(self, run: Run) -> None:
        """Watch a run, wherever it lies."""
        self.train.watch(run)
        self.train.refresh_runs()

    def use(self, run: Run) -> None:
        """Go where a trained network is used, and choose it there; one that finds nuclei shows what it finds in view."""
        if run.config.task == "events":
            self.go_to("signals")
        elif run.config.task != "nuclei" or run.model_path is None:
            self.track.refresh()
            if run.model_path is not None:
                (self.track.links if run.config.task == "links" else self.track.divisions).choose(run.model_path)
            self.go_to("track")
        else:
            self.predict.models.choose(run.model_path)
            self.go_to("predict")
            self.predict.preview_here()

    def track_prediction(self, result: Result) -> None:
        """Go to the Track tab, to link the nuclei of a prediction."""
        self.track.source.choose_prediction(result)
        self.go_to("track")

    def use_elsewhere(self, choice: Choice) -> None:
        """Choose a network of divisions, links or events on the tab that uses it, and go there."""
        task = "" if choice.card is None else choice.card.task
        if choice.path is None or task not in ("divisions", "links", "events"):
            return
        if task == "events":
            self.signals.finder.model.add(choice.path)
            self.signals.traces.model.add(choice.path)
        else:
            (self.track.divisions if task == "divisions" else self.track.links).add(choice.path)
        self.go_to("signals" if task == "events" else "track")

    def train_from(self, model: Path | None) -> None:
        """Go to the Train tab, to start from this model's weights; None leaves the choice as it is."""
        if model is not None:
            self.train.start_from(model)
        self.go_to("train")

    def wake(self) -> None:
        """Make the other steps, one at a time."""
        super().wake()
        QTimer.singleShot(0, self._make_next)

    def closeEvent(self, event: Any) -> None:
        """End what belongs to the window; a training goes on."""
        for tab in self._made:
            tab.retire()
        super().closeEvent(event)

    def _placed(self, step: str, tab: AnyTab) -> AnyTab:
        place = _STEPS.index(step)
        self._areas[step].setWidget(tab)
        name_controls(tab)
        self._made.append(tab)
        tab.status.changed.connect(lambda kind: self.steps.show_kind(place, kind))
        self.steps.show_kind(place, tab.status.kind)
        return tab

    def _on_tab(self, place: int) -> None:
        self.steps.show_current(place)
        getattr(self, _STEPS[place])

    def _make_next(self) -> None:
        missing = [step for step in _STEPS if step not in self.__dict__]
        if missing and self.isVisible():
            getattr(self, missing[0])
            QTimer.singleShot(0, self._make_next)
