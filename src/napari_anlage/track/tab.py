"""Step 5, Track: link nuclei into tracks with divisions and an error probability on every link."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
)
from superqt import QCollapsible

from anlage import AnlageError, Annotations, TrackingSettings
from anlage.project.image_copy import movie_for_child
from anlage.project.trackings import (
    SHOWN,
    TrackOrder,
    TrackResult,
    load_tracks,
    note_adopted,
    place_tracks,
    track_results,
)
from anlage.wording import plural, remaining
from napari_anlage import preferences
from napari_anlage.jobs.child import Child, parse_event
from napari_anlage.jobs.registry import Slot
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.lineage.colour_legend import ColourChoice
from napari_anlage.models.combo import ModelCombo
from napari_anlage.session.session import Session
from napari_anlage.track.adopt_tracks import adopt_tracks_edit
from napari_anlage.track.nuclei_source import NucleiChoice, NucleiSource
from napari_anlage.track.preview import TracksPreview
from napari_anlage.widgets.basic import ActionButton, Tab, heading, small_button
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.form import form_for
from napari_anlage.widgets.result_list import ResultList

__all__ = ["TrackTab"]

_PATIENCE_MS = 2500
_LIST_HEIGHT = 64
_SAME = 0.5
"""A nucleus of the tracks nearer than this part of a diameter to one of the project is that one."""


class TrackTab(Tab):
    """What is linked by whom, the job, and what becomes of its result."""

    title = "Track"
    proceed = Signal()
    """The user wants to review."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread, self._child, self._loading = Thread(self), Child(self), Thread(self)
        self._job = Slot(session.jobs)
        self._result: TrackResult | None = None
        self._shown: TrackResult | None = None
        self._stopping = False
        self.preview = TracksPreview(session)
        self.links = ModelCombo(
            session, "links", "Distance and motion",
            "Who says how probably two nuclei are the same. Without a network: by distance and the neighbours' motion.",
        )  # fmt: skip
        self.divisions = ModelCombo(session, "divisions", "None", "Who says how probably a nucleus is about to divide.")
        self.settings = form_for(TrackingSettings(), skip=set(TrackingSettings.model_fields) - set(SHOWN))
        self.run = ActionButton(
            "Track",
            primary=True,
            tooltip="Links the nuclei of the whole movie. Nothing in your annotation changes until you accept.",
        )
        self.source = NucleiSource(session, self.refresh_buttons)
        self.stop = QPushButton("Stop")
        self.progress = QProgressBar()
        self.list = ResultList(_LIST_HEIGHT)
        self.show_button = ActionButton("Show", tooltip="Draws the chosen tracks over the image.")
        self.accept = ActionButton(
            "Accept into the project",
            tooltip="Takes the tracks that are shown into the project as one step: nuclei as proposals, links with their probability. "
            "What you marked, linked or rejected stays. Ctrl+Z takes it back.",
        )  # fmt: skip
        self.colours = ColourChoice(session)
        self.next = small_button("Review →", "Goes through what is probably wrong, the worst first.")
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        models = QFormLayout()
        models.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        models.addRow("Links", self.links)
        models.addRow("Divisions", self.divisions)
        more = QCollapsible("Settings", expandedIcon="▾", collapsedIcon="▸")
        more.setDuration(0)
        more.layout().setContentsMargins(0, 0, 0, 0)
        more.addWidget(self.settings)
        self.add(heading("Nuclei"), self.source, heading("Models"))
        self.column.addLayout(models)
        self.add(more, self.run, self.progress, self.stop, self.status, heading("Tracks"), self.list)
        row = QHBoxLayout()
        row.addWidget(self.show_button, 1)
        row.addWidget(self.accept, 2)
        self.column.addLayout(row)
        self.add(heading("Colours"), self.colours, self.next)
        self.progress.hide()
        self.stop.hide()

    def _connect(self) -> None:
        session = self._session
        self.links.changed.connect(self.refresh_buttons)
        self.divisions.changed.connect(self.refresh_buttons)
        self.run.clicked.connect(lambda: self.attempt(self.begin))
        self.stop.clicked.connect(self.request_stop)
        self.show_button.clicked.connect(lambda: self.attempt(lambda: self.load(self.chosen)))
        self.list.itemDoubleClicked.connect(lambda _: self.attempt(lambda: self.load(self.chosen)))
        self.list.currentRowChanged.connect(lambda _: self.refresh_buttons())
        self.accept.clicked.connect(lambda: self.attempt(self.take))
        self.next.clicked.connect(self.proceed)
        self._thread.done.connect(lambda result: self.attempt(lambda: self._start(result)))
        self._thread.failed.connect(self._on_failed)
        self._thread.progressed.connect(self._on_copying)
        self._loading.done.connect(lambda tracks: self.attempt(lambda: self._on_loaded(tracks)))
        self._loading.failed.connect(self._on_failed)
        self._child.said.connect(self._on_said)
        self._child.finished.connect(self._on_finished)
        self._child.failed.connect(self._on_ended)
        for signal in (session.image_changed, session.project_changed, session.nuclei_changed):
            connect(signal, self._on_other)
        connect(session.exchanged, self._on_exchanged)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._child.stop)

    # ---- what is there ----

    def showEvent(self, event: Any) -> None:
        """Models, predictions and tracks may have come meanwhile."""
        super().showEvent(event)
        self.refresh()

    @property
    def chosen(self) -> TrackResult | None:
        """The chosen tracks."""
        chosen: TrackResult | None = self.list.chosen
        return chosen

    @property
    def busy(self) -> bool:
        return self._thread.busy or self._child.busy

    def refresh(self) -> None:
        """Offer sources, models and the project's tracks."""
        self.source.refresh()
        self.links.refresh()
        self.divisions.refresh()
        kept, found = self.chosen, track_results(self._session.folder)
        self.list.offer(found, kept)
        self.refresh_buttons()

    def _on_exchanged(self) -> None:
        """The tracks that are shown, and what was about to begin, are of the image before; what is being tracked goes on."""
        self._loading.forget()
        self._thread.forget()
        self._shown = None
        self.preview.clear()
        if not self._child.busy:
            self.status.say("", "idle")
        self.refresh_buttons()

    def _on_other(self) -> None:
        if self.isVisible():
            self.refresh()

    def refresh_buttons(self) -> None:
        """Buttons, and why they are grey."""
        if not hasattr(self, "next"):
            return
        busy = self.busy
        self.run.allow("Tracking …" if busy else self._why_not(), show=not busy)
        self.stop.setVisible(busy)
        self.stop.setEnabled(not self._stopping)
        self.progress.setVisible(busy)
        none = "There are no tracks yet." if not self.list.count() else "No tracks are chosen."
        self.show_button.allow(None if self.chosen is not None else none, show=False)
        self.accept.allow(None if self.preview.tracks is not None else "No tracks are shown: press Show.", show=False)

    def _why_not(self) -> str | None:
        """What keeps a tracking from beginning."""
        try:
            image = self._session.scaled_image()
            self.settings.read()
        except AnlageError as error:
            return str(error)
        if image.n_frames < 2:
            return f"The image '{image.source}' has a single frame; tracking needs at least two."
        if self.source.chosen is None:
            return "There are no nuclei to link: mark them in two frames, or predict them."
        return None

    # ---- beginning ----

    def begin(self) -> None:
        """Hand nuclei and image over in a thread, then start the child."""
        why = self._why_not()
        if why is not None:
            raise AnlageError(why)
        session, source = self._session, self.source.chosen
        assert source is not None  # noqa: S101  asked above
        order = TrackOrder(
            source.title, None, source.finder, self.links.choice, self.divisions.choice, TrackingSettings.model_validate(dict(self.settings.read())),
            source.from_document, preferences.read().device,
        )  # fmt: skip
        self.progress.setRange(0, 0)
        self.status.say("Handing over nuclei and image …", "info")
        self._stopping = False
        self._thread.run(self._image_for_child, order, source, session.scaled_image(), session.file, session.folder)
        self.refresh_buttons()

    def _image_for_child(
        self, order: TrackOrder, source: NucleiChoice, image: Any, file: Any, folder: Any
    ) -> TrackResult:
        if source.read is not None:
            order = replace(order, nuclei=source.read())
        given = movie_for_child(image, file, folder, lambda done, total: self._thread.report(done / total))
        return place_tracks(folder, order, given)

    def _on_copying(self, fraction: float, _: str) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(100 * fraction))
        self.progress.setFormat("writing the image: %p %")

    def _start(self, result: TrackResult) -> None:
        if self._stopping:
            self._on_ended(ErrorReport(""))
            return
        self._result = result
        self.progress.setRange(0, 0)
        self.status.say("Tracking …", "info")
        self._child.start([*result.record.arguments, "--progress", "json"], result.path.with_suffix(".log"))
        self._job.begin("Tracking", self.request_stop)
        self.refresh_buttons()

    # ---- going on and ending ----

    def _on_said(self, line: str) -> None:
        event = parse_event(line)
        total, done, what = int(event.get("total", 0)), int(event.get("done", 0)), str(event.get("text", ""))
        if not total or not self._child.busy or self._stopping:
            return
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setFormat("%p %")
        left = event.get("seconds_left")
        text = f"{what or 'Tracking'}{'' if left is None else f', {remaining(left)}'}"
        self.status.say(f"{text} …", "info")
        self._job.update(done / total, text)

    def request_stop(self) -> None:
        """Ask for an end; after 2.5 s it is made."""
        if not self.busy or self._stopping:
            return
        self._stopping = True
        self.status.say("Stopping …", "info")
        self._child.ask_to_stop()
        QTimer.singleShot(_PATIENCE_MS, self._insist)
        self.refresh_buttons()

    def _insist(self) -> None:
        if self._stopping and self._child.busy:
            self._child.stop()
            self._on_ended(ErrorReport(""))

    def _on_ended(self, problem: ErrorReport) -> None:
        stopped, self._stopping = self._stopping, False
        self._job.end()
        if stopped:
            self.status.say("Stopped; nothing was changed.", "warning")
        else:
            self.report(problem)
        self.refresh()

    def _on_finished(self) -> None:
        self._job.end()
        self._stopping = False
        result, self._result = self._result, None
        self.refresh()
        if result is not None and self._session.folder in result.path.parents:
            self.attempt(lambda: self.load(result))
        elif result is not None:
            self.status.say(
                f"The tracks of {result.path.parent.parent.name} are finished; they are listed there.", "good"
            )

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)
        self.refresh_buttons()

    # ---- what came out ----

    def load(self, result: TrackResult | None) -> None:
        """Read tracks in a thread and draw them."""
        if result is not None and not self._loading.busy:
            self.status.say("Reading the tracks …", "info")
            self._shown = result
            self._loading.run(load_tracks, result, self._session.image().shape_tzyx)

    def _on_loaded(self, tracks: Annotations) -> None:
        if self._shown is None:
            return
        self.preview.show(tracks, self._shown.record.links)
        self.status.say(_summary(tracks), "good")
        self.refresh_buttons()

    def take(self) -> None:
        """Take the shown tracks into the project."""
        tracks, shown = self.preview.tracks, self._shown
        if tracks is None or shown is None:
            raise AnlageError("No tracks are shown: press Show.")
        session = self._session
        document = session.need_document()
        spacing = session.scaled_image().spacing
        assert spacing is not None  # noqa: S101  `need_document` refuses an image without one
        radii = tracks.radius_um[np.isfinite(tracks.radius_um)]
        diameter_um = session.diameter_um or (2 * float(np.median(radii)) if len(radii) else 10.0 * spacing.x)
        document.apply(
            adopt_tracks_edit(document, tracks, spacing, _SAME * diameter_um, same_ids=shown.record.from_document)
        )
        note_adopted(session.folder, shown)
        self.preview.clear()
        self.status.say(f"Done: {document.undo_text}. Go on with Review.", "good")
        self.refresh_buttons()

    def retire(self) -> None:
        """The window closes: what is under way ends with it."""
        self._child.stop()
        self._job.end()
        self.preview.retire()
        self.colours.retire()
        for signal in (self._session.image_changed, self._session.project_changed, self._session.nuclei_changed):
            disconnect(signal, self._on_other)


def _summary(tracks: Annotations) -> str:
    """What a tracking holds, in a sentence."""
    n_lineages = len(tracks) - len(tracks.links)
    said = f"{plural(len(tracks.links), 'link')}, {plural(n_lineages, 'lineage')}, {plural(len(tracks.divisions), 'division')}"
    probability = tracks.link_properties.get("probability")
    if probability is None or not np.isfinite(probability).any():
        return f"{said}."
    wrong = float(np.nansum(1.0 - probability))
    return f"{said}; {wrong:.1f} links are expected to be wrong."
