"""Step 4, Predict: preview a model on what is in view, tune it, accept proposals, and predict the whole movie."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QCheckBox, QPushButton
from superqt import QCollapsible

from anlage import AnlageError, Box, TimeLapse
from anlage.project.predictions import PredictionRequest, Result
from anlage.project.preview_request import PaintedPreview, Preview, Request
from anlage.project.proposals import ProposedNuclei
from anlage.project.thresholds import thresholds_of
from anlage.wording import plural
from napari_anlage import preferences
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.models.image_check import CheckRequest, ImageCheck
from napari_anlage.models.panel import ModelPanel
from napari_anlage.objects.panel import ObjectsPanel
from napari_anlage.predict.acceptance import Acceptance
from napari_anlage.predict.acceptance_panel import AcceptancePanel
from napari_anlage.predict.annotate_next import NextPlacesPanel
from napari_anlage.predict.preview_worker import Previewer
from napari_anlage.predict.threshold_tuner import LabelTuner
from napari_anlage.predict.whole_movie import RunAll
from napari_anlage.predict.worst_objects import WorstObjectsPanel
from napari_anlage.session.channels import nuclei_channels
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.view_box import seen_box
from napari_anlage.widgets.basic import ActionButton, StatusLine, Tab, heading, note
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.tuner import Tuner

__all__ = ["PredictTab"]

_MOST_VOXELS = 12_000_000
"""Of a larger view only the planes around the one that is shown are predicted, so that it takes seconds."""
_FEWEST_PLANES = 8
_SMALLEST, _LARGEST = 0.4, 2.5
"""Ends of the size slider, as parts of the diameter that the model looked for."""
_HEATMAP, _PAINTED = "preview heat-map", "predicted labels"


class PredictTab(Tab):
    """Preview, sliders, review, where to annotate next, and the whole movie."""

    title = "Predict"
    train_again = Signal(object)
    """The user wants to train with what was corrected, starting from this model (a path; None: whatever is chosen)."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._began = 0.0
        self.acceptance = Acceptance.of(session)
        self.previewer = Previewer(session.jobs, self)
        self._check = ImageCheck(self)
        self.models = ModelPanel(session)
        self.warnings = StatusLine()
        self.preview = ActionButton(
            "Preview here", primary=True,
            tooltip="Finds or outlines the nuclei of this frame in the part of the image that is in view, within seconds.",
        )  # fmt: skip
        self.cancel = QPushButton("Cancel")
        self.notes = note("")
        self.threshold = Tuner(
            "Threshold",
            "",
            2,
            "Proposals from this probability on are shown. Acts at once; the network is not asked again.",
        )
        self.size = Tuner(
            "Diameter", " µm", 1,
            "How large a nucleus is: the rings, the radius of what you accept, and how near two can be (half of it). Acts at "
            "once; the next preview looks for nuclei of this size.",
        )  # fmt: skip
        self.heatmap = QCheckBox("Heat-map")
        self.heatmap.setToolTip("The map of probabilities behind the proposals, added to the image's light.")
        self.labels = LabelTuner(session)
        self.worst = WorstObjectsPanel(session)
        self.judging = AcceptancePanel(session, self.acceptance)
        self.next = NextPlacesPanel(session, self.acceptance, self._why_not)
        self.whole = RunAll(session, self._order)
        self.objects = ObjectsPanel(session)
        self._build()
        self._connect()
        self.refresh()
        self._on_acceptance()

    def _build(self) -> None:
        self.heatmap.setChecked(True)
        self.add(heading("Model"), self.models, self.preview, self.cancel, self.status, self.notes, self.warnings)
        self.add(self.labels, self.worst, self.threshold, self.size, self.heatmap, self.judging, self.next, self.whole)
        folded = QCollapsible("Objects: measure, show, save", expandedIcon="▾", collapsedIcon="▸")
        folded.setDuration(0)
        self.objects.column.setContentsMargins(0, 0, 0, 0)
        folded.addWidget(self.objects)
        self.folded = folded
        self.add(folded)
        self.warnings.setStyleSheet("font-size:11px")
        self.cancel.hide()
        self._say_notes(())

    def _connect(self) -> None:
        session, previewer = self._session, self.previewer
        self.models.changed.connect(self._on_model)
        self.models.failed.connect(self.report)
        self._check.answered.connect(self._on_answer)
        self.preview.clicked.connect(self.preview_here)
        self.cancel.clicked.connect(previewer.stop)
        self.threshold.tuned.connect(self.acceptance.set_threshold)
        self.size.tuned.connect(self.acceptance.set_size)
        self.heatmap.toggled.connect(self._on_heatmap)
        self.labels.drawn.connect(self.worst.take)
        previewer.said.connect(lambda text: self.status.say(text, "info"))
        previewer.done.connect(lambda preview: self.attempt(lambda: self._show(preview)))
        previewer.ended.connect(self._on_ended)
        previewer.failed.connect(self._on_failed)
        previewer.stopped.connect(self._on_stopped)
        self.acceptance.changed.connect(self._on_acceptance)
        self.judging.train_again.connect(self._on_train_again)
        self.next.wanted.connect(self.preview_frames)
        self.whole.loaded.connect(self._on_loaded)
        self.whole.painted.connect(lambda result, labels: self.attempt(lambda: self._on_painted(result, labels)))
        for signal in (session.image_changed, session.diameter_changed):
            connect(signal, self.refresh)
        connect(session.exchanged, self._on_exchanged)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(previewer.stop)
            application.aboutToQuit.connect(self.whole.retire)

    # ---- what is there ----

    def refresh(self) -> None:
        """The buttons, and why they are grey; what is unlike the images that the model saw."""
        busy = self.previewer.busy
        self.cancel.setVisible(busy)
        self.preview.allow(self._why_not(), show=not busy)
        self.whole.refresh_buttons()
        self.next.refresh()
        if self.isVisible() and not busy:
            self._check.ask(self._question())

    def _on_exchanged(self) -> None:
        """What was predicted, and what was said of it, is of the image before."""
        self.previewer.stop()
        self.acceptance.clear()
        self.labels.clear()
        self._say_notes(())
        self.warnings.say("")
        self.status.say("", "idle")

    def refresh_models(self) -> None:
        """Offer the models that there are now."""
        self.models.refresh()

    def showEvent(self, event: Any) -> None:
        """Newer weights may have come meanwhile, and the image is held against the card."""
        super().showEvent(event)
        self.models.refresh()

    def _why_not(self) -> str | None:
        """What keeps a prediction from beginning."""
        if self.previewer.busy:
            return "Predicting …"
        try:
            self._session.scaled_image()
        except AnlageError as error:
            return str(error)
        return self.models.choice.problem or None

    def _question(self) -> CheckRequest | None:
        try:
            image = self._session.scaled_image()
        except AnlageError:
            return None
        if image.n_channels == 1:  # its only name is that of the layer, which says nothing of a stain
            image = replace(image, channels=("channel 0",))
        return CheckRequest(image, self.models.choice, self._channels(), self._session.diameter_um)

    def _on_answer(self, said: tuple[str, ...]) -> None:
        self.warnings.say("\n".join(f"• {one}" for one in said) if len(said) > 1 else "".join(said), "warning")

    def _say_notes(self, notes: Sequence[str]) -> None:
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))

    # ---- preview ----

    def preview_here(self) -> None:
        """Predict what is in view."""
        self.attempt(lambda: self._begin([self._request(self._box(), heatmap=self.heatmap.isChecked())]))

    def preview_frames(self, frames: Sequence[int]) -> None:
        """Predict some whole frames."""

        def begin() -> None:
            _, *shape = self._session.image().shape_tzyx
            boxes = [Box.of((t, 0, 0, 0), (t + 1, *shape)) for t in frames]
            self._begin([self._request(box, heatmap=False) for box in boxes])

        self.attempt(begin)

    def stop(self) -> None:
        """Give up the preview that is under way."""
        self.previewer.stop()

    def _begin(self, requests: Sequence[Request]) -> None:
        self._began = time.monotonic()
        self._say_notes(())
        self.previewer.begin(requests)
        self.refresh()

    def _request(self, box: Box, *, heatmap: bool) -> Request:
        session = self._session
        return Request(
            session.scaled_image(), box, self.models.choice, self._channels(), self._diameter_um(), heatmap, session.file,
            preferences.read().device,
        )  # fmt: skip

    def _order(self, frames: tuple[int, int]) -> PredictionRequest:
        """What is to be predicted of the whole movie."""
        self._session.scaled_image()
        choice = self.models.choice
        if choice.problem:
            raise AnlageError(choice.problem)
        kept = thresholds_of(self._session.folder, choice.id)
        return PredictionRequest(choice, frames, self._channels(), self._diameter_um(), preferences.read().device, kept)

    def _box(self) -> Box:
        session = self._session
        shape, viewer, grid = session.image().shape_tzyx, session.viewer, session.grid()
        box = seen_box(viewer, grid, shape)
        _, z, y, x = box.shape
        if z * y * x <= _MOST_VOXELS:
            return box
        planes = max(_FEWEST_PLANES, _MOST_VOXELS // (y * x))
        return seen_box(viewer, grid, shape, depth=planes // 2)

    def _channels(self) -> tuple[int, ...] | None:
        """The ticked channels where they are as many as the model looks at; else those that it learnt from."""
        ticked, card = self._session.channels, self.models.choice.card
        if card is None:  # the classical detector sums what it is shown
            return nuclei_channels(self._session)
        if ticked is None:
            return ticked
        return ticked if len(ticked) == len(card.brightness.indices) else None

    def _diameter_um(self) -> float | None:
        """What the user says, by the slider or on the Data tab; None lets the predictor measure."""
        chosen = self.acceptance.chosen_um
        return self._session.diameter_um if chosen is None else chosen

    def _show(self, preview: Preview | PaintedPreview) -> None:
        session = self._session
        if session.image_layer is None:
            return
        seconds = time.monotonic() - self._began
        if isinstance(preview, PaintedPreview):
            self.labels.take(preview)
            self._say_notes(preview.notes)
            self.status.say(f"Frame {preview.frame}{self._depth(preview.maps.box)} ({seconds:.0f} s).", "good")
            return
        found = preview.candidates
        viewer, grid, n = session.viewer, session.grid(), session.n_layer_channels
        active = viewer.layers.selection.active
        layer_roles.remove(viewer, _HEATMAP)
        if preview.heatmap is not None:
            heat = overlay.show_heatmap(viewer, grid, preview.frame, preview.heatmap, n, found.model)
            heat.interpolation2d = "linear"  # the network's cells are much larger than voxels
        viewer.layers.selection.active = active
        self.acceptance.take(found)
        self._say_notes(preview.notes)
        n_here = len(self.acceptance.inside(found.boxes))
        advice = "" if n_here else " Lower the threshold, or train longer."
        depth = self._depth(found.boxes[0])
        self.status.say(
            f"{plural(n_here, 'proposal')} in frame {preview.frame}{depth} ({seconds:.0f} s).{advice}",
            "warning" if advice else "good",
        )

    def _depth(self, box: Box) -> str:
        """Which planes were predicted, where not all were."""
        _, (z0, z1), _, _ = box.ranges
        return "" if z1 - z0 == self._session.image().shape_tzyx[1] else f", planes {z0} to {z1 - 1}"

    def _on_ended(self) -> None:
        self.next.arrived()
        self.refresh()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)
        self._on_ended()

    def _on_stopped(self) -> None:
        self.status.say("Cancelled.", "idle")
        self._on_ended()

    # ---- what came back ----

    def _on_model(self) -> None:
        """A model that paints has other sliders, and no candidates to judge."""
        if not self.models.choice.paints:
            self.labels.clear()
        self._on_acceptance()
        self.refresh()

    def _on_acceptance(self) -> None:
        acceptance, found = self.acceptance, self.acceptance.candidates
        paints = bool(self.models.choice.paints)
        for widget in (self.threshold, self.size):
            widget.setVisible(found is not None and not paints)
        self.judging.setVisible(found is not None and not paints)
        for widget in (self.heatmap, self.next):
            widget.setVisible(not paints)
        if found is not None:
            self.threshold.show_value(acceptance.threshold, found.threshold, 0.02, 0.99)
            home = acceptance.home_um
            self.size.show_value(acceptance.size_um, home, _SMALLEST * home, _LARGEST * home)

    def _on_heatmap(self, on: bool) -> None:  # noqa: FBT001 - Qt's signature
        for layer in self._session.viewer.layers:
            if layer_roles.role_of(layer) == _HEATMAP:
                layer.visible = on

    def _on_loaded(self, candidates: ProposedNuclei) -> None:
        layer_roles.remove(self._session.viewer, _HEATMAP)
        self.attempt(lambda: self.acceptance.take(candidates))

    def _on_painted(self, result: Result, labels: TimeLapse) -> None:
        session = self._session
        self.labels.clear()
        what = "objects" if result.record.paints == "instances" else "classes"
        overlay.show_labels(
            session.viewer,
            session.grid(),
            labels,
            session.n_layer_channels,
            f"{what} ({result.record.model})",
            _PAINTED,
        )

    def _on_train_again(self) -> None:
        self.train_again.emit(self.models.choice.path)

    def retire(self) -> None:
        """The dock is closed: what is under way ends with it."""
        self.previewer.stop()
        self.next.stop()
        self.labels.retire()
        self.judging.retire()
        self.whole.retire()
        self.objects.retire()
