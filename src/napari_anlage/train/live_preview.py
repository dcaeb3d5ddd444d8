"""Live preview: during a training, predict the view with the newest weights."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from anlage import AnlageError, Box, LabelledPart, Run, labels_of
from anlage.project.image_copy import ChildImage
from anlage.project.models import Choice
from anlage.project.preview_request import PaintedPreview, Preview, Request, prepare, receive
from anlage.wording import plural, short
from napari_anlage.jobs.child import Child
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.view_box import seen_box

__all__ = ["ROLE", "LearningPreview"]

ROLE = "learning"
"""Role of the layers, and what their names begin with: not to be taken for the preview of a finished model."""
_COLOUR, _COLORMAP = "#9dff7a", "green"
_POLL_MS = 1000
_MOST_VOXELS = 6_000_000
"""Of a larger view only the planes around the one that is shown are predicted."""
_FEWEST_PLANES = 8
_RESTS = 2.0
"""After each prediction it rests so many times as long as that took, so that the training keeps its cores."""
_NICENESS = 15


class LearningPreview(QObject):
    """Predicts with the newest weights of a run that trains, at most one prediction at a time, far behind everything else.

    It computes on one core of the processor, never on a graphics card, whose memory belongs to the training.
    """

    said = Signal(str, str)
    """What it does or why it does not, and of which kind that is."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thread, self._child = Thread(self), Child(self)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._run: Run | None = None
        self._on = self._last = False
        self._folder: Path | None = None
        self._request: Request | None = None
        self._given: ChildImage | None = None
        self._shown: tuple[int, Box] | None = None
        self._seen: Box | None = None
        self._began = self._rest_until = 0.0
        self._timer.timeout.connect(self.poll)
        self._thread.done.connect(self._on_thread)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(self._on_predicted)
        self._child.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        return self._thread.busy or self._child.busy

    def follow(self, run: Run | None, *, on: bool) -> None:
        """Show this run's newest weights from now on, or (`on` false) what there is and no more."""
        if run is not self._run:
            self.stop()
            self._shown = None
        self._run, self._on, self._last = run, on, False
        if on and run is not None:
            self._timer.start()
            self.poll()
        else:
            self.stop()

    def finish(self) -> None:
        """The training has ended: show what came of it, and then no more."""
        self._last = True

    def stop(self) -> None:
        """End a prediction under way and begin none; the layers stay."""
        self._timer.stop()
        self._child.stop()
        self._clean()

    def clear(self) -> None:
        """Take the layers away."""
        with contextlib.suppress(AnlageError):  # the viewer is gone, and its layers with it
            layer_roles.remove(self._session.viewer, ROLE)
        self._shown = None

    def start_over(self) -> None:
        """Another image is looked at: what was predicted of the one before goes."""
        self._thread.forget()
        self._child.stop()
        self._clean()
        self._seen = None
        self.clear()

    def poll(self) -> None:
        """Begin a prediction if there are new weights, or another part of the image is in view."""
        if not self._on or self._run is None or self.busy or time.monotonic() < self._rest_until:
            return
        newest = self._run.newest_model_path
        if newest is None:
            if self._last:
                self.stop()
                return
            self.said.emit("The preview begins after the first validation.", "idle")
            return
        try:
            box = self._box()
            key = (newest.stat().st_mtime_ns, box)
            moving = self._seen is not None and box != self._seen
            self._seen = box
            if self._last and self._shown is not None and self._shown[0] == key[0]:
                self.stop()
            if key == self._shown or moving or not self._timer.isActive():  # while the view moves, wait until it rests
                return
            self._begin(newest, box)
            self._shown = key
        except (AnlageError, OSError) as error:
            self.said.emit(f"No preview: {ErrorReport.of(error).sentence}", "warning")

    def _box(self) -> Box:
        session = self._session
        image = session.scaled_image()
        viewer, grid = session.viewer, session.grid()
        box = seen_box(viewer, grid, image.shape_tzyx)
        _, z, y, x = box.shape
        if z * y * x <= _MOST_VOXELS:
            return box
        planes = max(_FEWEST_PLANES, _MOST_VOXELS // (y * x))
        return seen_box(viewer, grid, image.shape_tzyx, depth=planes // 2)

    def _begin(self, newest: Path, box: Box) -> None:
        self._clean()
        self._folder = Path(tempfile.mkdtemp(prefix="anlage-learning-"))
        name = "" if self._run is None else short(self._run.name)
        session = self._session
        self._request = Request(
            session.scaled_image(), box, Choice.of(newest, name=name, training=True),
            diameter_um=session.diameter_um, file=session.file,
        )  # fmt: skip
        self._began = time.monotonic()
        self._thread.run(prepare, self._request, self._folder)

    def _on_thread(self, result: Any) -> None:
        if self._folder is None:  # given up meanwhile
            return
        if isinstance(result, Preview | LabelledPart):
            if isinstance(result, Preview):
                self._show(result)
            else:
                self._show_labels(result)
            self._clean()
            return
        arguments, self._given = result
        self._child.start([*arguments, "--device", "cpu"], self._folder / "log.txt", niceness=_NICENESS, threads=1)

    def _on_predicted(self) -> None:
        if self._folder is not None and self._request is not None and self._given is not None:
            self._thread.run(_received, self._request, self._given, self._folder)

    def _on_failed(self, problem: ErrorReport) -> None:
        self._clean()
        self._rest()
        self.said.emit(f"No preview: {problem.sentence}", "warning")

    def _show(self, preview: Preview) -> None:
        self._rest()
        session, request = self._session, self._request
        if request is None or session.image_layer is None:
            return
        found, card = preview.candidates, request.model.card
        nuclei = found.nuclei.select(found.nuclei.probability >= found.threshold)
        name = f"{found.model}, step {0 if card is None else card.steps}"
        viewer, grid, n = session.viewer, session.grid(), session.n_layer_channels
        before = {layer_roles.role_of(layer): (layer.visible, layer.opacity) for layer in viewer.layers}
        active = viewer.layers.selection.active
        made = []
        if preview.heatmap is not None:
            heat = overlay.show_heatmap(viewer, grid, preview.frame, preview.heatmap, n, name, ROLE)
            heat.colormap = _COLORMAP
            made.append(heat)
        world = abs(grid.scale[grid.axes.index("x")]) / found.spacing.x
        centres = overlay.show_centres(viewer, grid, nuclei, 0.5 * found.diameter_um * world, n, name, ROLE)
        centres.border_color, centres.symbol = _COLOUR, "diamond"
        for layer in (*made, centres):
            layer.visible, layer.opacity = before.get(layer_roles.role_of(layer), (layer.visible, layer.opacity))
        if active is None or active in viewer.layers:
            viewer.layers.selection.active = active
        self.said.emit(
            f"{plural(len(nuclei), 'nucleus', 'nuclei')} in view with the weights of step {name.split()[-1]}.",
            "good" if len(nuclei) else "idle",
        )

    def _show_labels(self, part: LabelledPart) -> None:
        self._rest()
        session, request = self._session, self._request
        if request is None or session.image_layer is None:
            return
        model = request.model
        step = 0 if model.card is None else model.card.steps
        what = "objects" if model.paints == "instances" else "classes"
        name = f"{ROLE}: {what} ({model.name}, step {step})"
        overlay.show_painted(session.viewer, session.grid(), part, session.n_layer_channels, name, f"{ROLE} labels")
        found = plural(len(part), "object") if what == "objects" else "Classes"
        self.said.emit(f"{found} in view with the weights of step {step}.", "good" if part.labels.any() else "idle")

    def _rest(self) -> None:
        self._rest_until = time.monotonic() + _RESTS * (time.monotonic() - self._began)

    def _clean(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _received(request: Request, given: ChildImage, folder: Path) -> Preview | LabelledPart:
    """What the child found; what it says of every voxel as labels at once."""
    found = receive(request, given, folder)
    return labels_of(found.maps) if isinstance(found, PaintedPreview) else found
