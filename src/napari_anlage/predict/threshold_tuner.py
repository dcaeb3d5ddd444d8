"""Tune the segmentation thresholds of a preview; labels change at once, without running the network again."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import math
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from anlage import AnlageError, LabelledPart, LabelMaps, labels_of
from anlage.project.models import Choice
from anlage.project.preview_request import PaintedPreview
from anlage.project.thresholds import Thresholds, keep_thresholds, thresholds_of
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.predict.adopt_labels import adopt_labels_edit
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.widgets.basic import ActionButton, Tab, heading
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.tuner import Tuner

__all__ = ["ROLE", "LabelTuner"]

ROLE = "label preview"
_REST_MS = 60
"""The handle must rest so long before labels are made anew; while they are made, it may move on."""
_LEAST, _MOST = 0.02, 0.98
_LARGEST = 0.5
"""End of the slider of the smallest object, as a part of a typical one."""
_CONTOUR = 1


class LabelTuner(Tab):
    """Three sliders, and the labels over the image."""

    drawn = Signal(object)
    """A `LabelledPart` is shown; None: nothing any more."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._maps: LabelMaps | None = None
        self._model: Choice | None = None
        self._again = False
        self.part: LabelledPart | None = None
        """What is shown."""
        self.threshold = Tuner(
            "Objects", "", 2,
            "What is at least so probable becomes an object: lower finds more. Acts at once; the network is not asked again.",
        )  # fmt: skip
        self.inside = Tuner(
            "Outline", "", 2,
            "A voxel belongs to an object from this probability on: lower makes objects larger. Acts at once.",
        )  # fmt: skip
        self.smallest = Tuner("Smallest", " µm³", 1, "Smaller objects are left out. Acts at once.")
        self.contour = QCheckBox("Outlines only")
        self.contour.setToolTip("Draws the outline of each object instead of filling it.")
        self.see = QCheckBox("Show")
        self.see.setToolTip("Shows the labels over the image, or the image alone.")
        self.accept = ActionButton(
            "Take over as painted",
            tooltip="The objects become painted labels of your annotation, to be corrected and learnt from. What you painted stays. "
            "Ctrl+Z takes it back.",
        )  # fmt: skip
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        display = QWidget()
        row = QHBoxLayout(display)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.see)
        row.addWidget(self.contour)
        row.addStretch(1)
        self.add(heading("Labels"), self.threshold, self.inside, self.smallest, display, self.status, self.accept)
        self.see.setChecked(True)
        self.hide()

    def _connect(self) -> None:
        for tuner in self._tuners:
            tuner.tuned.connect(lambda _: self._timer.start())
        self._timer.timeout.connect(self._make)
        self.contour.toggled.connect(lambda _: self._apply_display())
        self.see.toggled.connect(lambda _: self._apply_display())
        self.accept.clicked.connect(lambda: self.attempt(self.adopt))
        self._thread.done.connect(lambda part: self.attempt(lambda: self._on_made(part)))
        self._thread.failed.connect(self._on_failed)
        connect(self._session.image_changed, self._on_image)
        connect(self._session.exchanged, self.clear)

    @property
    def _tuners(self) -> tuple[Tuner, ...]:
        return self.threshold, self.inside, self.smallest

    @property
    def busy(self) -> bool:
        """Whether labels at the chosen thresholds are still to come."""
        return self._thread.busy or self._timer.isActive() or any(tuner.is_pending for tuner in self._tuners)

    @property
    def layer(self) -> Any:
        """The layer that is drawn; None: there is none."""
        return next((one for one in self._session.viewer.layers if layer_roles.role_of(one) == ROLE), None)

    # ---- what is tuned ----

    def take(self, preview: PaintedPreview) -> None:
        """Tune these, beginning with what this project chose for the model before."""
        self._maps, self._model = preview.maps, preview.model
        about = preview.maps.about
        chosen = thresholds_of(self._session.folder, preview.model.id)
        for tuner, value, home in (
            (self.threshold, chosen.threshold, about.threshold),
            (self.inside, chosen.inside, about.inside),
        ):
            tuner.show_value(home if value is None else value, home, min(_LEAST, home), max(_MOST, home))
        self._scale_smallest(chosen.smallest)
        of_objects: tuple[QWidget, ...] = (*self._tuners, self.accept)
        for widget in of_objects:
            widget.setVisible(not about.classes)
        self.show()
        self._make()

    def _scale_smallest(self, chosen: float | None) -> None:
        assert self._maps is not None  # noqa: S101  only `take` calls
        about = self._maps.about
        unit = " µm²" if about.flat else " µm³"
        typical = math.pi / 4 * about.diameter_um**2 if about.flat else math.pi / 6 * about.diameter_um**3
        self.smallest.spin.setSuffix(unit)
        self.smallest.set_decimals(0 if typical >= 100 else 1 if typical >= 10 else 3)
        value = about.smallest if chosen is None else chosen
        self.smallest.show_value(value, about.smallest, 0.0, max(_LARGEST * typical, value, about.smallest))

    @property
    def chosen(self) -> Thresholds:
        """What differs from the model's own."""
        values = [tuner.value() if tuner.is_moved else None for tuner in self._tuners]
        return Thresholds(threshold=values[0], inside=values[1], smallest=values[2])

    def _make(self) -> None:
        if self._maps is None:
            return
        if self._thread.busy:
            self._again = True
            return
        self._again = False
        self._thread.run(labels_of, self._maps, **self.chosen.model_dump())

    def _on_made(self, part: LabelledPart) -> None:
        maps, model = self._maps, self._model
        if maps is None or model is None or part.box != maps.box or self._session.image_layer is None:
            self._catch_up()
            return
        session = self._session
        what = "classes" if maps.about.classes else "objects"
        self.part = part
        overlay.show_painted(
            session.viewer, session.grid(), part, session.n_layer_channels, f"preview: {what} ({model.name})", ROLE
        )
        self._apply_display()
        self.accept.allow(None if len(part) else "There is no object at these thresholds.", show=False)
        self.status.say(self._summary(part), "good" if len(part) or what == "classes" else "warning")
        if what == "objects":
            self._keep(model)
        self.drawn.emit(part)
        self._catch_up()

    def adopt(self) -> None:
        """Make the objects that are shown painted labels of the project, as one step."""
        if self.part is None:
            raise AnlageError("No labels are shown; preview something.")
        document = self._session.need_document()
        edit, n = adopt_labels_edit(document, self.part)
        document.apply(edit)
        self.see.setChecked(False)  # or they would lie on top of what is to be corrected
        left = len(self.part) - n
        kept = f"; {left} {'was' if left == 1 else 'were'} painted already" if left else ""
        self.status.say(
            f"{plural(n, 'object')} painted in frame {self.part.box.start[0]}{kept}. Correct them on the Annotate tab, put a region "
            "around them, and train again.", "good",
        )  # fmt: skip

    def _catch_up(self) -> None:
        if self._again:
            self._make()

    def _keep(self, model: Choice) -> None:
        """Remember what was chosen; what nobody ever chose needs no file."""
        folder = self._session.folder
        if thresholds_of(folder, model.id) != self.chosen:
            keep_thresholds(folder, model.id, self.chosen)

    def _summary(self, part: LabelledPart) -> str:
        assert self._maps is not None  # noqa: S101  asked before
        about = self._maps.about
        frame = f"frame {about.frame}"
        if about.classes:
            share = np.bincount(part.labels.reshape(-1), minlength=max(about.classes) + 1) / max(part.labels.size, 1)
            shares = ", ".join(f"{value}: {100 * share[value]:.0f} %" for value in about.classes)
            return f"Classes in {frame}: {shares} of the voxels."
        if not len(part):
            return f"No object in {frame} at these thresholds; lower them, or train longer."
        z, y, x = about.spacing_um_zyx
        size = float(np.median(part.sizes)) * (y * x if about.flat else z * y * x)
        median = f"{size:.0f}" if size >= 100 else f"{size:.3g}"
        return f"{plural(len(part), 'object')} in {frame}, median {median} {'µm²' if about.flat else 'µm³'}."

    def _apply_display(self) -> None:
        layer = self.layer
        if layer is not None:
            layer.visible = self.see.isChecked()
            layer.contour = _CONTOUR if self.contour.isChecked() else 0

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)
        self._catch_up()

    # ---- coming and going ----

    def clear(self) -> None:
        """Tune nothing, and show nothing."""
        self._maps = self._model = self.part = None
        self._again = False
        self._thread.forget()
        self._timer.stop()
        layer_roles.remove(self._session.viewer, ROLE)
        self.hide()
        self.drawn.emit(None)

    def _on_image(self) -> None:
        """Labels of one image are none of another."""
        if self._maps is not None and (self._session.image_layer is None or not self._fits()):
            self.clear()

    def _fits(self) -> bool:
        if self._maps is None:
            return False
        try:
            box, shape = self._maps.box, self._session.image().shape_tzyx
        except AnlageError:
            return False  # no channel is ticked, say: the Data tab tells what is in the way
        return all(stop <= n for stop, n in zip(box.stop, shape, strict=True))

    def retire(self) -> None:
        """The dock is closed."""
        self._maps = None
        self._timer.stop()
        disconnect(self._session.image_changed, self._on_image)
        disconnect(self._session.exchanged, self.clear)
