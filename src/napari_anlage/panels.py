"""The tabs as separate dock widgets, which share the viewer's session."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_anlage.shell.host import Host, scrolling
from napari_anlage.widgets.basic import Tab

__all__ = [
    "AnnotateNuclei",
    "ChooseChannels",
    "FindCuboid",
    "MeasureObjects",
    "Panel",
    "PredictNuclei",
    "ReviewTracks",
    "SignalsAndEvents",
    "TrackNuclei",
    "TrainNetworks",
]


class Panel(Host):
    """One step of the dock."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.tab = self.make()
        self.tab.column.setContentsMargins(8, 8, 8, 8)  # parts of a step have none of their own
        self.hold(scrolling(self.tab))

    def make(self) -> Tab:
        """The step."""
        raise NotImplementedError

    def closeEvent(self, event: Any) -> None:
        """End what belongs to the step."""
        self.tab.retire()
        super().closeEvent(event)


class AnnotateNuclei(Panel):
    """Mark nuclei, links and divisions."""

    def make(self) -> Tab:
        # a panel loads no step but its own
        from napari_anlage.annotate.tab import AnnotateTab

        return AnnotateTab(self.session)


class FindCuboid(Panel):
    """Find the cuboid in which the annotation is complete, see it and change it."""

    def make(self) -> Tab:
        # a panel loads no step but its own
        from napari_anlage.annotate.region_panel import RegionPanel

        return RegionPanel(self.session)


class ChooseChannels(Panel):
    """Say how the image is read and which of its channels are used."""

    def make(self) -> Tab:
        from napari_anlage.data.tab import DataTab

        tab = DataTab(self.session)
        tab.next.hide()
        return tab


class TrainNetworks(Panel):
    """Start, watch, stop and resume trainings."""

    def make(self) -> Tab:
        from napari_anlage.train.tab import TrainTab

        return TrainTab(self.session)


class PredictNuclei(Panel):
    """Let a network, or the blob detector, find the nuclei, and judge what it found."""

    def make(self) -> Tab:
        # a panel loads no step but its own
        from napari_anlage.predict.tab import PredictTab

        tab = PredictTab(self.session)
        tab.train_again.connect(self._train)
        tab.models.train_from.connect(self._train)
        return tab

    def _train(self, model: Path | None) -> None:
        """Start from this model in the widget for trainings, which is opened where it is not yet."""
        _, panel = self._viewer.window.add_plugin_dock_widget("anlage", "Train networks")
        if model is not None:
            panel.tab.start_from(model)


class MeasureObjects(Panel):
    """Measure the objects of a Labels layer, go to each, show their surfaces and save them."""

    def make(self) -> Tab:
        # a panel loads no step but its own
        from napari_anlage.objects.panel import ObjectsPanel

        return ObjectsPanel(self.session)


class TrackNuclei(Panel):
    """Link nuclei over time, with divisions."""

    def make(self) -> Tab:
        from napari_anlage.track.tab import TrackTab

        return TrackTab(self.session)


class ReviewTracks(Panel):
    """Go through what in the tracks is probably wrong, the worst first."""

    def make(self) -> Tab:
        from napari_anlage.review.tab import ReviewTab

        return ReviewTab(self.session)


class SignalsAndEvents(Panel):
    """Measure signals along tracks, score what happens on them, train a network that finds it."""

    def make(self) -> Tab:
        from napari_anlage.signals.tab import SignalsTab

        tab = SignalsTab(self.session)
        tab.train_wanted.connect(self._train)
        return tab

    def _train(self, signals: Path, event: str) -> None:
        """Learn from what was scored in the widget for trainings, which is opened where it is not yet."""
        _, panel = self._viewer.window.add_plugin_dock_widget("anlage", "Train networks")
        panel.tab.learn_from(signals, event)
