"""The session: the state that all tabs of one viewer share, with signals for its changes. Knows no Qt."""

from __future__ import annotations

import datetime
import secrets
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from psygnal import Signal

from anlage import AnlageError
from napari_anlage.jobs.registry import Jobs
from napari_anlage.session.annotation_choice import AnnotationChoice
from napari_anlage.session.channels import restore_channels, saved_channels
from napari_anlage.session.image_choice import default_folder
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.colouring import Colouring
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.read import layer_kind
from napari_anlage.viewer.rescaling import scale_difference
from napari_anlage.widgets.escaping import plain

if TYPE_CHECKING:
    from anlage import Box, Change, Cuboid, Document, Project, Region, Run
    from napari_anlage.editing.editor import Editor
    from napari_anlage.session.project_choice import Arrival
    from napari_anlage.session.question import Question
    from napari_anlage.session.workbench import Workbench

__all__ = ["Session"]

_SESSIONS: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()


class Session(AnnotationChoice):
    """Image, project, annotation, regions and run that one viewer works on.

    Use `Session.of`; there is one for each viewer, and it ends with it.
    """

    layers_changed = Signal()
    """Layers came, went or were renamed."""
    document_changed = Signal(object)
    """The project's document changed: a `Change`. `nuclei_changed` and `cuboids_changed` follow where they apply."""
    cuboids_changed = Signal()
    """Regions were found, changed or selected."""
    project_changed = Signal()
    """Another project folder, or a project was opened or closed."""
    question_changed = Signal()
    """Another `question`, or none any more."""
    said = Signal(str, str)
    """A sentence for the user, and its kind: info, good or warning."""
    colouring_changed = Signal()
    """The colours of nuclei and links say something else."""
    import_wanted = Signal(object)
    """A file or folder of another program was dropped: its path."""
    imported = Signal(object)
    """Something was imported: an `Imported` of the import panel, for every tab that shows one."""
    run_changed = Signal()
    """Another run, or its state changed."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._folder: Path | None = None
        self._bench: Workbench | None = None
        self._arrival: Arrival | None = None
        self.selected: int | None = None
        """Id of the selected region."""
        self._draft: tuple[int, Box] | None = None
        self.run: Run | None = None
        self.colouring = Colouring.TRACK
        self.later: Callable[[Callable[[], None]], None] = lambda do: do()
        """Calls a function once the viewer has done what it is about: removing layers while it removes layers confuses it."""
        self.jobs = Jobs()
        for name in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, name).connect(self._on_layers)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    @classmethod
    def of(cls, viewer: Any) -> Session:
        """The session of a viewer, made on first use."""
        bare = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy
        if bare not in _SESSIONS:
            _SESSIONS[bare] = cls(bare)
        return _SESSIONS[bare]

    # ---- project and document ----

    @property
    def bench(self) -> Workbench:
        """Where the project is opened and its document shown; loaded when it is first wanted."""
        if self._bench is None:
            from napari_anlage.session.workbench import Workbench

            self._bench = Workbench(self)
            self._bench.changed.connect(self._on_document)
        return self._bench

    @property
    def arrival(self) -> Arrival:
        """What finds the project of the chosen image; loaded with the first image."""
        if self._arrival is None:
            from napari_anlage.session.project_choice import Arrival

            self._arrival = Arrival(self)
            self._arrival.question_changed.connect(self.question_changed)
        return self._arrival

    @property
    def question(self) -> Question | None:
        """What the user must answer before the image's project is opened."""
        return None if self._arrival is None else self._arrival.question

    @property
    def project(self) -> Project | None:
        """The open project; None until something is annotated, or a project is opened."""
        return None if self._bench is None else self._bench.project

    @property
    def document(self) -> Document | None:
        """The document of the open project."""
        return None if self._bench is None else self._bench.document

    @property
    def editor(self) -> Editor | None:
        """The editor, which turns clicks and strokes into edits of the document; None where no document is shown."""
        return None if self._bench is None else self._bench.editor

    @property
    def lack(self) -> str:
        """Why the image's project is not open, as a sentence; empty where it is, or there is none."""
        return "" if self._arrival is None else self._arrival.lack

    def need_document(self) -> Document:
        """The document, to annotate in; its project is opened or made in `folder` if there is none yet.

        Nuclei that were marked in a Points or Tracks layer of the user's own are taken over first.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or the folder holds the project of another image.
        """
        editor, layer = self.bench.need(), self._nuclei_layer
        if layer is not None and not layer_roles.is_managed(layer) and not len(editor.document.nuclei):
            found = self.read(layer)
            if len(found) and found.labels is None:  # what was marked and what comes now are one annotation
                self.bench.adopt(layer, found)
        return editor.document

    def need_editor(self) -> Editor:
        """The editor of `need_document`."""
        self.need_document()
        return self.bench.need()

    def open_project(self, folder: str | Path) -> None:
        """Open a project, with its image; another one is saved and closed.

        Raises
        ------
        AnlageError
            If it is no project, is open elsewhere, or is damaged.
        """
        self.arrival.open(Path(folder).expanduser().resolve())

    def new_project(self) -> None:
        """Make another project for the chosen image, beside those that it has.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or the project cannot be made.
        """
        self.arrival.begin_anew()

    def close_project(self) -> None:
        """Save the project and close it; the image stays, and the project is not opened again by itself."""
        self.close()
        self.arrival.closed()
        self.project_changed.emit()
        self.nuclei_changed.emit()

    def close(self) -> None:
        """Save the project and close it."""
        if self._bench is not None:
            self._bench.close()

    # ---- the image ----

    def choose_image(self, layer: Any) -> None:
        """Work on this image layer; what belongs to the one before goes, and this one's project comes."""
        layer = getattr(layer, "__wrapped__", layer)  # napari hands plugins a proxy
        if layer is self._image_layer:
            return
        self._leave_image()
        super().choose_image(layer)

    def _leave_image(self) -> None:
        """Let go of everything that belongs to the chosen image."""
        chosen = self._folder if self._image_layer is None and self.project is None else None
        if self._arrival is not None:
            self._arrival.forget()
        try:
            self.close()
        except AnlageError as error:  # the journal has everything
            self.say(str(error), "warning")
        self._folder, self._draft, self._counted = chosen, None, None
        self.choose_nuclei(None)
        if self._image_layer is not None:
            layer_roles.remove_all(self.viewer)
        self.colour_by(Colouring.TRACK)
        if self.run is not None and self.run.state != "running":
            self.set_run(None)

    def read_axes(self, axes: str) -> None:
        """Read the image's axes as its project says, without notifying anybody."""
        LayerGrid.of(self._image_layer, axes)
        self._axes, self._channels = axes, None

    def channel_settings(self) -> dict[str, Any]:
        """What a project keeps of the channels: which are ticked, their names and their roles."""
        return saved_channels(self)

    # ---- regions ----

    @property
    def regions(self) -> tuple[Region, ...]:
        """The project's regions."""
        document = self.document
        return () if document is None else document.regions

    @property
    def cuboids(self) -> tuple[Cuboid, ...]:
        """The regions with what they hold, counted."""
        if not self.regions:
            return ()
        return self.bench.counted(self.counted())

    def draft_region(self, number: int | None, box: Box | None) -> None:
        """Draw this region with another box while it is dragged; None: as the document has it."""
        self._draft = None if number is None or box is None else (number, box)
        self.draw_cuboids()

    def select_region(self, number: int | None) -> None:
        """Draw the region of this id bright and show it on the Annotate tab."""
        self.selected = number
        self._on_regions()

    def draw_cuboids(self) -> None:
        """Bring the wireframes in the viewer up to date."""
        if self._image_layer is not None:
            place = next((i for i, region in enumerate(self.regions) if region.id == self.selected), -1)
            drafts = dict([self._draft] if self._draft is not None else [])
            boxes = [drafts.get(region.id, region.box) for region in self.regions]
            overlay.show_boxes(self.viewer, self.grid(), boxes, place, self.n_layer_channels)

    def _on_regions(self) -> None:
        numbers = [region.id for region in self.regions]
        if self.selected not in numbers:
            self.selected = numbers[-1] if numbers else None
        self.draw_cuboids()
        self.cuboids_changed.emit()

    # ---- project and run ----

    @property
    def folder(self) -> Path:
        """The project folder: found or chosen, else beside the image, else in the home directory."""
        return self._folder or default_folder(self._image_layer)

    def keep_in(self, folder: Path) -> None:
        """The project of the chosen image is, or is made, in this folder."""
        if folder != self._folder:
            self._folder = folder
            self.project_changed.emit()

    def set_folder(self, folder: Path | None) -> None:
        """Keep the image's project here; one that is open elsewhere is saved and closed, one that is there is opened."""
        if folder is not None and (Path(folder) / "project.json").is_file():
            self.open_project(folder)
            return
        self.close()
        self._folder = None
        self.arrival.keep(default_folder(self._image_layer) if folder is None else folder)

    def new_paths(self, kind: str = "centres") -> tuple[Path, Path]:
        """Where the next store and the next run go."""
        stamp = f"{datetime.date.today():%Y-%m-%d}-{kind}-{secrets.token_hex(2)}"
        return self.folder / "stores" / f"{stamp}.zarr", self.folder / "runs" / stamp

    def set_run(self, run: Run | None) -> None:
        """Watch this run."""
        self.run = run
        self.run_changed.emit()

    def colour_by(self, colouring: Colouring) -> None:
        """Let the colours of nuclei and links say their track, their lineage, or how probably the link is wrong."""
        self.colouring = Colouring(colouring)
        if self.editor is not None:
            self.editor.colour_by(self.colouring)
        self.colouring_changed.emit()

    # ---- what the workbench reports ----

    def say(self, text: str, kind: str = "info") -> None:
        """Tell the user something, wherever they look: info, good or warning."""
        self.viewer.status = plain(text)
        if kind == "warning":
            show_warning(plain(text))
        self.said.emit(text, kind)

    def on_editor(self) -> None:
        """The document is shown over the image."""
        if self.editor is not None and self.editor.colouring != self.colouring:
            self.editor.colour_by(self.colouring)
        if self.editor is not None and self.editor.nuclei is not None:
            self.choose_nuclei(self.editor.nuclei.layer)
        self._on_regions()

    def on_project(self, folder: Path | None) -> None:
        """A project was opened in this folder, or closed (None)."""
        self._counted = None
        if folder is not None:
            self._folder = folder
        if self._image_layer is not None:
            self._on_regions()
        self.project_changed.emit()
        self.nuclei_changed.emit()

    def take_settings(self, project: Project) -> None:
        """Read the image as its project says."""
        settings, image = project.settings, self.image()
        spacing, interval_s = settings.spacing or image.spacing, settings.interval_s or image.interval_s
        unknown = (image.spacing is None, image.interval_s is None) != (spacing is None, interval_s is None)
        if unknown or scale_difference(settings, image, self.grid().axes):
            self.place_image(spacing, interval_s)
        picked = restore_channels(self, settings.channel_names, settings.channel_roles, settings.channels)
        if picked is not None:
            self.choose_channels(picked, settings.combine)
        if settings.diameter_um is not None:
            self.set_diameter(settings.diameter_um)
        self.image_changed.emit()

    def remember(self, **settings: Any) -> None:
        """Keep settings of the image in the project, if one is open."""
        if self._bench is not None:
            self._bench.remember(**settings)

    def _on_document(self, change: Change) -> None:
        editor = self.editor
        if self.uses_document and editor is not None and editor.nuclei is not None:
            self.choose_nuclei(editor.nuclei.layer)
        self.document_changed.emit(change)
        if change.kinds - {"regions"} and self.uses_document:
            self.nuclei_changed.emit()
        if "regions" in change.kinds:
            self._on_regions()

    def _on_image(self) -> None:
        self._counted = None
        if self._bench is not None:
            self._bench.follow_image()
        if self._image_layer is not None:
            self.arrival.follow()
        super()._on_image()
        self.nuclei_changed.emit()

    # ---- events of the viewer ----

    def _on_layers(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        present = list(viewer.layers)
        if getattr(event, "type", "") == "removed":
            self.later(self._miss_image)
        else:
            self._miss_image()
        if self._nuclei_layer is not None and not any(self._nuclei_layer is layer for layer in present):
            self.choose_nuclei(None)
        kept = tuple(layer for layer in self._joined if any(layer is other for other in present))
        if kept != self._joined:
            self._joined = kept
            self.image_changed.emit()
        if getattr(event, "type", "") == "inserted":
            self._place_over(event.value)
        self._keep_sharp(getattr(event, "value", None))
        self.layers_changed.emit()

    def _miss_image(self) -> None:
        """Let go of an image whose layer is there no more, and of the layers that were made for it."""
        viewer, layer = self._viewer(), self._image_layer
        if viewer is None or layer is None or any(layer is other for other in viewer.layers):
            return
        self.choose_image(None)
        self.layers_changed.emit()

    def _keep_sharp(self, layer: Any) -> None:
        """A layer that came while points are shown as balls is not blurred by the depth that they need."""
        viewer = self.viewer
        if layer is not None and layer_kind(layer) != "points" and any(viewer.dims.margin_left):
            modes = [str(other.projection_mode) for other in viewer.layers if layer_kind(other) == "points"]
            if any(mode.startswith("rescale") for mode in modes):
                overlay.keep_sharp(layer)

    def _on_ndisplay(self, event: Any = None) -> None:
        if self._viewer() is not None and self.regions:
            self.draw_cuboids()
