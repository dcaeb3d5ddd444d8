"""Step 4, Predict: what a model, or the classical detector, says about the frame that is shown."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from anlage import AnlageError, Prediction, load_model
from napari_anlage import overlay
from napari_anlage.job import Child, Problem, Thread
from napari_anlage.parts import ActionButton, Tab, counted, note
from napari_anlage.preview import CLASSICAL, Request, prepare, receive
from napari_anlage.session import Session

__all__ = ["PredictTab"]


class PredictTab(Tab):
    """Preview of the current frame, as overlay layers."""

    title = "Predict"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._child = Child(self)
        self._folder: Path | None = None
        self._request: Request | None = None
        self._began = 0.0
        self._opened: list[Path] = []
        self.model = QComboBox()
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.setMinimumContentsLength(12)
        self.open = QPushButton("Open …")
        self.about = note("")
        self.diameter = _Optional(" µm", 0.1, 1000.0, 8.0, 1, "measured", "Nucleus diameter in this image, in µm.")
        self.threshold = _Optional("", 0.0, 1.0, 0.5, 2, "the model's own", "Lowest probability that is reported.")
        self.heatmap = QCheckBox("show the heat-map too")
        self.preview = ActionButton(
            "Preview this frame", primary=True, tooltip="Finds the nuclei of the frame that the viewer shows."
        )
        self.cancel = QPushButton("Cancel")
        self.notes = note("")
        self._build()
        self._connect()
        self.refresh_models()

    def _build(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.model, 1)
        row.addWidget(self.open)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Model", row)
        form.addRow("", self.about)
        form.addRow("Diameter", self.diameter)
        form.addRow("Threshold", self.threshold)
        self.column.addLayout(form)
        self.heatmap.setChecked(True)
        self.add(self.heatmap, self.preview, self.cancel, self.status, self.notes)
        self.cancel.hide()

    def _connect(self) -> None:
        session = self._session
        self.open.clicked.connect(self._on_open)
        self.model.currentIndexChanged.connect(lambda _: self.refresh())
        self.preview.clicked.connect(self.preview_frame)
        self.cancel.clicked.connect(self.stop)
        self._thread.done.connect(self._on_thread)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(self._on_predicted)
        self._child.failed.connect(self._on_failed)
        self._child.said.connect(self._on_said)
        session.image_changed.connect(self.refresh)
        session.run_changed.connect(self.refresh_models)
        session.project_changed.connect(self.refresh_models)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.stop)

    def retire(self) -> None:
        """Nobody waits for the preview any more."""
        self.stop()

    # ---- the model ----

    def refresh_models(self) -> None:
        """Offer the classical detector, the run that is watched, and the project's other models, newest first."""
        session = self._session
        chosen = self.model.currentData()
        watched = session.run.model_path if session.run is not None else None
        project = [*session.folder.glob("runs/*/*.anlage"), *session.folder.glob("models/*.anlage")]
        project.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        paths = [*([watched] if watched else []), *project, *self._opened]
        unique = list(dict.fromkeys(path.resolve() for path in paths))
        known = {self.model.itemData(i) for i in range(self.model.count())}
        self.model.blockSignals(True)
        self.model.clear()
        for path in unique:
            self.model.addItem(_short(path.name), str(path))
            self.model.setItemData(self.model.count() - 1, str(path), Qt.ItemDataRole.ToolTipRole)
        self.model.addItem("classical detector", CLASSICAL)
        fresh = watched is not None and str(watched.resolve()) not in known
        wanted = str(watched.resolve()) if fresh and watched else chosen
        self.model.setCurrentIndex(max(0, self.model.findData(wanted)))
        self.model.blockSignals(False)
        self.refresh()

    def refresh(self) -> None:
        """The model's line and the button."""
        busy = self._thread.busy or self._child.busy
        self.about.setText(self._about())
        self.cancel.setVisible(busy)
        self.preview.allow("Predicting …" if busy else self._missing(), show=not busy)

    def _about(self) -> str:
        model = self.model.currentData()
        if model in (None, CLASSICAL):
            run = self._session.run
            training = run is not None and run.model_path is None and run.state == "running"
            hint = " The training under way has no model yet; Stop keeps its best." if training else ""
            return f"Finds bright blobs of one size: a first proposal at once, no training needed.{hint}"
        try:
            card = load_model(Path(model)).card
        except AnlageError as error:
            return str(error)
        f1 = card.evidence.metrics.get("f1")
        score = "" if f1 is None else f" F1 {f1:.2f} on {card.evidence.held_out}."
        size = "" if card.diameter_um is None else f" Nuclei of {card.diameter_um:.1f} µm."
        return f"Channels: {', '.join(card.channels)}.{size}{score}"

    def _missing(self) -> str | None:
        try:
            self._session.scaled_image()
        except AnlageError as error:
            return str(error)
        return None

    def _on_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a model", str(self._session.folder), "Models (*.anlage)")
        if name:
            self.add_model(Path(name))

    def add_model(self, path: Path) -> None:
        """Offer a model file and choose it."""
        self.attempt(lambda: load_model(path))
        self._opened.append(path)
        self.refresh_models()
        self.model.setCurrentIndex(max(0, self.model.findData(str(path.resolve()))))

    # ---- the preview ----

    def preview_frame(self) -> None:
        """Predict the frame that the viewer shows: hand it over in a thread, then start the child."""
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
        session = self._session
        return Request(
            image=session.scaled_image(),
            frame=overlay.current_frame(session.viewer, session.grid(), session.image().n_frames),
            model=self.model.currentData(),
            channels=session.channels,
            diameter_um=self.diameter.value(),
            threshold=self.threshold.value(),
            heatmap=self.heatmap.isChecked(),
            file=session.file,
        )

    def _on_thread(self, result: object) -> None:
        if self._folder is None:  # cancelled meanwhile
            return
        if isinstance(result, Prediction):
            self.attempt(lambda: self._show(result))
            self._clean()
        else:
            self.status.say("Predicting …", "info")
            self.attempt(lambda: self._child.start(result, self._folder / "log.txt"))  # type: ignore[arg-type,operator]
        self.refresh()

    def _on_said(self, text: str) -> None:
        self.status.say(re.sub(r"\s*\|.*", "", text) or "Predicting …", "info")

    def _on_predicted(self) -> None:
        if self._request is not None and self._folder is not None:
            self.notes.setText(_assumptions(self._child.words()))
            self._thread.run(receive, self._request, self._folder)
        self.refresh()

    def _show(self, prediction: Prediction) -> None:
        session, request = self._session, self._request
        if request is None or session.image_layer is None:
            return
        grid, name = session.grid(), _short(prediction.model)
        n = session.n_layer_channels
        overlay.remove(session.viewer, "preview")
        if prediction.heatmap is not None:
            overlay.show_heatmap(session.viewer, grid, prediction.frame, prediction.heatmap, n, name)
        diameter = self._diameter_um(prediction, request)
        overlay.show_centres(session.viewer, grid, prediction.nuclei, diameter * _world_per_um(session), n, name)
        session.viewer.layers.selection.active = session.image_layer
        seconds = time.monotonic() - self._began
        found = f"{counted(len(prediction.nuclei))} in frame {prediction.frame} ({seconds:.0f} s)."
        advice = "" if len(prediction.nuclei) else " Lower the threshold, or train longer."
        self.status.say(found + advice, "warning" if advice else "good")

    def _diameter_um(self, prediction: Prediction, request: Request) -> float:
        """What size to draw: as found, else as asked for, else the model's, else a guess of five voxels."""
        radii = prediction.nuclei.radius_um[np.isfinite(prediction.nuclei.radius_um)]
        if len(radii):
            return 2 * float(np.median(radii))
        if request.diameter_um is not None:
            return request.diameter_um
        known = None if request.model == CLASSICAL else load_model(Path(request.model)).card.diameter_um
        spacing = request.image.spacing
        return known or (8.0 if spacing is None else 10 * spacing.x)

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

    def _clean(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


class _Optional(QWidget):
    """A number that is chosen by the program unless its box is ticked."""

    def __init__(
        self, unit: str, low: float, high: float, value: float, decimals: int, otherwise: str, tooltip: str
    ) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.tick = QCheckBox(otherwise)
        self.spin = QDoubleSpinBox()
        self.spin.setDecimals(decimals)
        self.spin.setRange(low, high)
        self.spin.setSingleStep(10.0**-decimals * (5 if decimals > 1 else 10))
        self.spin.setValue(value)
        self.spin.setSuffix(unit)
        self.tick.setChecked(True)
        self.spin.setEnabled(False)
        self.tick.toggled.connect(lambda on: self.spin.setEnabled(not on))
        row.addWidget(self.tick, 1)
        row.addWidget(self.spin, 1)
        self.setToolTip(tooltip)

    def value(self) -> float | None:
        return None if self.tick.isChecked() else float(self.spin.value())


def _assumptions(words: str) -> str:
    """What the predictor said beside its progress: the sentences between how it read the image and what it wrote."""
    lines = [line.split("\r")[-1].strip() for line in words.splitlines()]
    sentences = [line for line in lines if line.endswith(".") and "%|" not in line]
    known = ("Model ", "Classical detector: ")
    news = [line for line in sentences if not line.startswith(known)]
    return "\n".join(line for line in news if " is read as " not in line and " written to " not in line)


def _short(model: str) -> str:
    """A model's name for a layer: without the date that runs begin with."""
    return re.sub(r"^\d{4}-\d\d-\d\d-", "", Path(model).stem)


def _world_per_um(session: Session) -> float:
    """World units of the image's layer in a µm, along x."""
    spacing, grid = session.image().spacing, session.grid()
    if spacing is None:
        return 1.0
    return float(abs(grid.scale[grid.axes.index("x")]) / spacing.x)
