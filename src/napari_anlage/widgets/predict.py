"""Step 4, Predict: what a model says about what is in view, tuned, judged, and for the whole movie."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QCheckBox, QPushButton

from anlage import AnlageError, Box
from napari_anlage import overlay, preferences
from napari_anlage.handover import Handover
from napari_anlage.job import Child, Problem, Thread
from napari_anlage.model_panel import ModelPanel
from napari_anlage.parts import ActionButton, Tab, heading, note
from napari_anlage.preview import Preview, Request, prepare, receive
from napari_anlage.proposals import Candidates
from napari_anlage.results import Order
from napari_anlage.review import Review
from napari_anlage.review_panel import ReviewPanel
from napari_anlage.runall import RunAll
from napari_anlage.session import Session
from napari_anlage.sight import seen_box
from napari_anlage.sliders import Tuner
from napari_anlage.wording import plural

__all__ = ["PredictTab"]

_MOST_VOXELS = 12_000_000
"""Of a larger view only the planes around the one that is shown are predicted, so that it takes seconds."""
_FEWEST_PLANES = 8
_SMALLEST, _LARGEST = 0.4, 2.5
"""Ends of the size slider, as parts of the diameter that the model looked for."""


class PredictTab(Tab):
    """Preview, sliders, review, the whole movie, and where to annotate next."""

    title = "Predict"
    train_again = Signal(object)
    """The user wants to train with what was corrected, starting from this model (a path; None: from scratch)."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread, self._child = Thread(self), Child(self)
        self._folder: Path | None = None
        self._request: Request | None = None
        self._given: Handover | None = None
        self._began = 0.0
        self.review = Review.of(session)
        self.models = ModelPanel(session)
        self.preview = ActionButton(
            "Preview here", primary=True,
            tooltip="Finds the nuclei of this frame in the part of the image that is in view, within seconds.",
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
        self.judging = ReviewPanel(session, self.review)
        self.whole = RunAll(session, self._order)
        self._build()
        self._connect()
        self.refresh()
        self._on_review()

    def _build(self) -> None:
        self.heatmap.setChecked(True)
        self.add(heading("Model"), self.models, self.preview, self.cancel, self.status, self.notes)
        self.add(self.threshold, self.size, self.heatmap, self.judging, self.whole)
        self.cancel.hide()

    def _connect(self) -> None:
        session = self._session
        self.models.changed.connect(self.refresh)
        self.models.failed.connect(self.report)
        self.preview.clicked.connect(self.preview_here)
        self.cancel.clicked.connect(self.stop)
        self.threshold.tuned.connect(self.review.set_threshold)
        self.size.tuned.connect(self.review.set_size)
        self.heatmap.toggled.connect(self._on_heatmap)
        self._thread.done.connect(self._on_thread)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(self._on_predicted)
        self._child.failed.connect(self._on_failed)
        self._child.said.connect(self._on_said)
        self.review.changed.connect(self._on_review)
        self.judging.train_again.connect(self._on_train_again)
        self.whole.loaded.connect(self._on_loaded)
        session.image_changed.connect(self.refresh)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.stop)

    def refresh(self) -> None:
        """The button, and why it is grey."""
        busy = self._thread.busy or self._child.busy
        self.cancel.setVisible(busy)
        self.preview.allow("Predicting …" if busy else self._missing(), show=not busy)
        self.whole.refresh_buttons()

    def refresh_models(self) -> None:
        """Offer the models that there are now."""
        self.models.refresh()

    def _missing(self) -> str | None:
        try:
            self._session.scaled_image()
        except AnlageError as error:
            return str(error)
        return self.models.choice.problem or None

    # ---- preview ----

    def preview_here(self) -> None:
        """Predict what is in view: hand it over in a thread, then start the child."""
        request = self.attempt(self._make_request)
        if request is None:
            return
        self._request, self._began = request, time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="anlage-preview-"))
        self.status.say("Handing over the frame …", "info")
        self.notes.setText("")
        self._thread.run(prepare, request, self._folder)
        self.refresh()

    def _make_request(self) -> Request:
        session, choice = self._session, self.models.choice
        return Request(
            image=session.scaled_image(),
            box=self._box(),
            model=choice,
            channels=self._channels(),
            diameter_um=self._diameter_um(),
            heatmap=self.heatmap.isChecked(),
            file=session.file,
            device=preferences.read().device,
        )

    def _order(self, frames: tuple[int, int]) -> Order:
        """What is to be predicted of the whole movie."""
        self._session.scaled_image()
        choice = self.models.choice
        if choice.problem:
            raise AnlageError(choice.problem)
        return Order(choice, frames, self._channels(), self._diameter_um(), preferences.read().device)

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
        if card is None or ticked is None:
            return ticked
        return ticked if len(ticked) == len(card.intensity.indices) else None

    def _diameter_um(self) -> float | None:
        """What the user says, by the slider or on the Data tab; None lets the predictor measure."""
        found = self.review.candidates
        if found is not None and abs(self.review.size_um - found.diameter_um) > 0.05:
            return self.review.size_um
        return self._session.diameter_um

    def _on_thread(self, result: object) -> None:
        if self._folder is None:  # cancelled meanwhile
            return
        if isinstance(result, Preview):
            self.attempt(lambda: self._show(result))
            self._clean()
        elif isinstance(result, tuple):
            arguments, self._given = result
            self.status.say("Predicting …", "info")
            self.attempt(lambda: self._start(arguments))
        self.refresh()

    def _start(self, arguments: Sequence[str]) -> None:
        if self._folder is not None:
            self._child.start(arguments, self._folder / "log.txt", niceness=0)

    def _on_said(self, text: str) -> None:
        if self._child.busy:
            self.status.say("Predicting …", "info", text)

    def _on_predicted(self) -> None:
        if self._request is not None and self._folder is not None and self._given is not None:
            self._thread.run(receive, self._request, self._given, self._folder)
        self.refresh()

    def _show(self, preview: Preview) -> None:
        session, found = self._session, preview.candidates
        if session.image_layer is None:
            return
        viewer, grid, n = session.viewer, session.grid(), session.n_layer_channels
        active = viewer.layers.selection.active
        overlay.remove(viewer, "preview heat-map")
        if preview.heatmap is not None:
            overlay.show_heatmap(viewer, grid, preview.frame, preview.heatmap, n, found.model)
        viewer.layers.selection.active = active
        self.review.take(found)
        self.notes.setText("\n".join(preview.notes))
        seconds = time.monotonic() - self._began
        n_here = len(self.review.inside(found.boxes))
        advice = "" if n_here else " Lower the threshold, or train longer."
        self.status.say(
            f"{plural(n_here, 'proposal')} in frame {preview.frame} ({seconds:.0f} s).{advice}",
            "warning" if advice else "good",
        )

    def _on_heatmap(self, on: bool) -> None:  # noqa: FBT001 - Qt's signature
        for layer in self._session.viewer.layers:
            if overlay.role_of(layer) == "preview heat-map":
                layer.visible = on

    def _on_review(self) -> None:
        review, found = self.review, self.review.candidates
        for widget in (self.threshold, self.size):
            widget.setVisible(found is not None)
        if found is not None:
            self.threshold.show_value(review.threshold, found.threshold, 0.02, 0.99)
            home = found.diameter_um
            self.size.show_value(review.size_um, home, _SMALLEST * home, _LARGEST * home)

    def _on_loaded(self, candidates: Candidates) -> None:
        overlay.remove(self._session.viewer, "preview heat-map")
        self.attempt(lambda: self.review.take(candidates))

    def _on_train_again(self) -> None:
        choice = self.models.choice
        self.train_again.emit(None if choice.card is None else Path(choice.argument))

    def _on_failed(self, problem: Problem) -> None:
        self._clean()
        self.report(problem)
        self.refresh()

    def stop(self) -> None:
        """Give up the preview that is under way."""
        if self._child.busy or self._thread.busy:
            self._child.stop()
            self.status.say("Cancelled.", "idle")
        self._clean()
        self.refresh()

    def retire(self) -> None:
        """The dock is closed: what is under way ends with it."""
        self.stop()
        self.judging.retire()
        self.whole.retire()

    def _clean(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
