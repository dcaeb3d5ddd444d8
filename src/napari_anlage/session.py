"""What the parts of the dock share about one viewer. Knows no Qt: widgets change it and listen to it."""

from __future__ import annotations

import datetime
import secrets
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from psygnal import Signal

from anlage import AnlageError, Annotations
from napari_anlage import overlay
from napari_anlage.channels import tell
from napari_anlage.colouring import Colouring
from napari_anlage.image_choice import ImageChoice, default_folder
from napari_anlage.jobs import Jobs
from napari_anlage.layers import annotations_of, kind_of
from napari_anlage.plain_text import plain

if TYPE_CHECKING:
    from anlage import Box, Change, Cuboid, Document, Project, Region, Run
    from napari_anlage.editor import Editor
    from napari_anlage.workbench import Workbench

__all__ = ["Session"]

_SESSIONS: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()


class Session(ImageChoice):
    """Image, project, annotation, regions and run that one viewer works on.

    Use `Session.of`; there is one for each viewer, and it ends with it.
    """

    layers_changed = Signal()
    """Layers came, went or were renamed."""
    nuclei_changed = Signal()
    """Another annotation, or other nuclei in it."""
    document_changed = Signal(object)
    """The project's document changed: a `Change`. `nuclei_changed` and `cuboids_changed` follow where they apply."""
    cuboids_changed = Signal()
    """Regions were found, changed or selected."""
    project_changed = Signal()
    """Another project folder, or a project was opened or closed."""
    said = Signal(str, str)
    """A sentence for the user, and its kind: info, good or warning."""
    colouring_changed = Signal()
    """The colours of nuclei and links say something else."""
    run_changed = Signal()
    """Another run, or its state changed."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._nuclei_layer: Any = None
        self._folder: Path | None = None
        self._bench: Workbench | None = None
        self._counted: Annotations | None = None
        self.selected: int | None = None
        """Id of the selected region."""
        self._draft: tuple[int, Box] | None = None
        self.run: Run | None = None
        self.colouring = Colouring.TRACK
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
            from napari_anlage.workbench import Workbench

            self._bench = Workbench(self)
            self._bench.changed.connect(self._on_document)
        return self._bench

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
        """What turns the user's hands into edits of the document; None where no document is shown."""
        return None if self._bench is None else self._bench.editor

    def need_document(self) -> Document:
        """The document, to annotate in; its project is opened or made in `folder` if there is none yet.

        Nuclei that were marked in a Points or Tracks layer of the user's own are taken over first.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or the folder holds the project of another image.
        """
        editor, layer = self.bench.need(), self._nuclei_layer
        if layer is not None and not overlay.is_managed(layer) and not len(editor.document.nuclei):
            found = self.read(layer)
            if len(found) and found.labels is None:  # what was marked and what comes now are one annotation
                self.bench.take_over(layer, found)
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
        self.bench.open(Path(folder).expanduser().resolve())

    def close(self) -> None:
        """Save the project and close it."""
        if self._bench is not None:
            self._bench.close()

    # ---- annotation ----

    def nuclei_layers(self) -> list[Any]:
        """Layers that nuclei can be read from, in the viewer's order; the project's own comes first."""
        kinds = {"points", "labels", "tracks"}
        foreign = [layer for layer in self.viewer.layers if kind_of(layer) in kinds and overlay.role_of(layer) is None]
        return [layer for layer in self.viewer.layers if overlay.role_of(layer) == overlay.NUCLEI] + foreign

    @property
    def nuclei_layer(self) -> Any:
        return self._nuclei_layer

    def choose_nuclei(self, layer: Any) -> None:
        """Take the annotated nuclei from this layer; the project's own stands for its document."""
        former = self._nuclei_layer
        if layer is former:
            return
        if former is not None and not overlay.is_managed(former):
            former.events.data.disconnect(self._on_nuclei)
        self._nuclei_layer = layer
        if layer is not None and not overlay.is_managed(layer):
            layer.events.data.connect(self._on_nuclei)
            if kind_of(layer) == "points":
                overlay.show_depth(self.viewer, layer)
        self._counted = None
        self.nuclei_changed.emit()

    def choose_any_nuclei(self) -> None:
        """Where no annotation is chosen, take the first there is."""
        layers = self.nuclei_layers()
        if self._nuclei_layer is None and layers:
            self.choose_nuclei(layers[0])

    @property
    def uses_document(self) -> bool:
        """Whether the annotation is the project's document, and no layer of the user's own."""
        layer = self._nuclei_layer
        return self.document is not None and (layer is None or overlay.is_managed(layer))

    def annotations(self) -> Annotations:
        """The annotated nuclei in voxels of the image. Raises AnlageError with what is in the way."""
        document = self.document
        if document is not None and self.uses_document:
            return document.nuclei
        if self._nuclei_layer is None:
            raise AnlageError("No annotation yet: mark nuclei on the Annotate tab, or choose a layer there.")
        return self.read(self._nuclei_layer)

    def read(self, layer: Any) -> Annotations:
        """The nuclei of a layer, in voxels of the image."""
        return annotations_of(layer, self.grid(), self.image())

    def count_in(self, nuclei: Annotations) -> None:
        """Count these in `cuboids`: what was read of a layer that takes long to read."""
        self._counted = nuclei

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

    def counted(self) -> Annotations:
        """The nuclei that `cuboids` counts; of a layer that takes long to read, what was read last."""
        if self.uses_document or self._counted is None:
            self._counted = self.annotations()
        return self._counted

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
        """The project folder: chosen, else beside the image, else in the home directory."""
        return self._folder or default_folder(self._image_layer)

    def set_folder(self, folder: Path | None) -> None:
        """Keep the project here; one that is open elsewhere is saved and closed, one that is there is opened."""
        if folder is not None and (Path(folder) / "project.json").is_file():
            self.open_project(folder)
            return
        self.close()
        self._folder = folder
        self.project_changed.emit()

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

    # ---- what the workbench tells ----

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
        """Read the image as the project says."""
        settings = project.settings
        if self._image_layer is None:
            return
        if self.grid().spacing is None and settings.spacing is not None:
            self.set_scale(settings.spacing, settings.interval_s)
        if settings.channels is not None and max(settings.channels, default=-1) < len(self.channel_names()):
            self.choose_channels(settings.channels, settings.combine)
        tell(self, settings.channel_names, settings.channel_roles)
        if settings.diameter_um is not None:
            self.set_diameter(settings.diameter_um)

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
        super()._on_image()
        self.nuclei_changed.emit()

    # ---- events of the viewer ----

    def _on_layers(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        present = list(viewer.layers)
        if self._image_layer is not None and not any(self._image_layer is layer for layer in present):
            self.choose_image(None)
        if self._nuclei_layer is not None and not any(self._nuclei_layer is layer for layer in present):
            self.choose_nuclei(None)
        kept = tuple(layer for layer in self._joined if any(layer is other for other in present))
        if kept != self._joined:
            self._joined = kept
            self.image_changed.emit()
        self._keep_sharp(getattr(event, "value", None))
        self.layers_changed.emit()

    def _keep_sharp(self, layer: Any) -> None:
        """A layer that came while points are shown as balls is not blurred by the depth that they need."""
        viewer = self.viewer
        if layer is not None and kind_of(layer) != "points" and any(viewer.dims.margin_left):
            modes = [str(other.projection_mode) for other in viewer.layers if kind_of(other) == "points"]
            if any(mode.startswith("rescale") for mode in modes):
                overlay.keep_sharp(layer)

    def _on_nuclei(self, event: Any = None) -> None:
        if str(getattr(event, "action", "")) not in ("adding", "removing", "changing"):
            self._counted = None
            self.nuclei_changed.emit()

    def _on_ndisplay(self, event: Any = None) -> None:
        if self._viewer() is not None and self.regions:
            self.draw_cuboids()
