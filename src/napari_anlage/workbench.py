"""The open project of one viewer: made or opened when it is wanted, its document shown by an editor. Knows no Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from anlage import (
    AddRegion,
    AnlageError,
    Box,
    Change,
    ChangeRegion,
    Cuboid,
    Document,
    Project,
    Region,
    RemoveRegion,
    Several,
    State,
    TimeLapse,
)
from napari_anlage.belonging import Belonging
from napari_anlage.bindings import Bound
from napari_anlage.channels import told
from napari_anlage.editor import Editor
from napari_anlage.image_choice import path_of
from napari_anlage.opening import add_image
from napari_anlage.place import Place
from napari_anlage.takeover import taken_over

if TYPE_CHECKING:
    from anlage import Annotations
    from napari_anlage.session import Session

__all__ = ["Workbench", "cuboid_of"]

_SAME_REGION = 0.3
"""A found cuboid that shares at least this part (intersection over union) with a region is that region, found anew."""


class Workbench(Belonging):
    """Project, document and editor of a session."""

    changed = Signal(object)
    """The document changed: a `Change`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.project: Project | None = None
        self.editor: Editor | None = None
        self.keys: Bound | None = None
        self._stop: Callable[[], None] = lambda: None
        self._finish: Any = None
        self._found: dict[int, Cuboid] = {}

    @property
    def document(self) -> Document | None:
        return None if self.project is None else self.project.document

    # ---- opening and closing ----

    def need(self) -> Editor:
        """The editor of the document; the project is opened or made in the session's folder if there is none yet.

        Raises
        ------
        AnlageError
            If there is no image, or the folder holds another image's project.
        """
        if self.project is None:
            session = self.session
            image, folder = session.scaled_image(), session.folder
            if Project.is_project(folder):
                self._take(Project.open(folder))
                session.say(f"Opened the project '{folder}', which was there already.")
            else:
                self._take(Project.create(folder, **self._settings(image)))
        if self.editor is not None:
            return self.editor
        try:
            return self._edit()
        except AnlageError:
            self.close()
            raise

    def open(self, folder: Path) -> None:
        """Open a project in the viewer, its image too if it is not there yet."""
        if self.project is not None and self.project.folder == folder:
            return
        project = Project.open(folder)
        self.close()
        self._take(project)
        for note in project.notes:
            self.session.say(note, "warning")
        try:
            self._find_image(project)
        except BaseException:
            self.close()
            raise

    def _find_image(self, project: Project) -> None:
        """Choose the project's image among the layers, or open it from the disk; else say what to do."""
        session, path = self.session, project.image_path
        fitting = [layer for layer in session.image_layers() if path_of(layer) == path and path is not None]
        if not fitting and path is not None and path.exists():
            fitting = [add_image(session.viewer, project.open_image(), path)]
        if fitting:
            session.choose_image(fitting[0])
        elif session.image_layer is None or not self._fits():
            where = "was never on disk" if path is None else f"'{path}' is gone"
            session.say(
                f"The project is open, but its image {where}; open the image in napari to see the annotation.",
                "warning",
            )
        session.take_settings(project)
        if self._fits() and self.editor is None:
            self._edit()

    def close(self) -> None:
        """Save the project and let it go; its layers leave the viewer."""
        project, self.project = self.project, None
        self._stop()
        self._stop = lambda: None
        self._leave()
        if project is not None:
            self._finish.detach()
            self._found.clear()
            project.close()
            self.session.on_project(None)

    def _take(self, project: Project) -> None:
        self.project = project
        # a viewer that is thrown away must not leave the project locked; its journal has everything
        self._finish = weakref.finalize(self.session, project.abandon)
        self._stop = project.document.listen(self._on_change)
        self.session.on_project(project.folder)

    def _settings(self, image: TimeLapse) -> dict[str, Any]:
        session = self.session
        return {
            "image": path_of(session.image_layer), "spacing": image.spacing, "interval_s": image.interval_s,
            "shape_tzyx": image.shape_tzyx, "channels": session.picked, "combine": session.combine,
            "diameter_um": session.diameter_um, **told(session),
        }  # fmt: skip

    # ---- the editor ----

    def _fits(self) -> bool:
        """Whether the chosen image can be the project's: it has the same shape."""
        session = self.session
        if self.project is None or session.image_layer is None:
            return False
        shape = self.project.settings.shape_tzyx
        try:
            return shape is None or session.image().shape_tzyx == tuple(shape)
        except AnlageError:
            return False

    def _edit(self) -> Editor:
        session, project = self.session, self.project
        assert project is not None  # noqa: S101  only called with one
        image = session.scaled_image()
        if not self._fits():
            raise AnlageError(
                f"The project '{project.folder}' belongs to an image of shape {project.settings.shape_tzyx} (t, z, y, x), but "
                f"'{image.source}' has {image.shape_tzyx}; choose that image, or another project folder."
            )
        if project.settings.spacing != image.spacing or project.settings.shape_tzyx != image.shape_tzyx:
            project.change_settings(shape_tzyx=image.shape_tzyx, spacing=image.spacing, interval_s=image.interval_s)
        radius = None if session.diameter_um is None else session.diameter_um / 2
        self.editor = Editor(session.viewer, project.document, self.place(image), radius)
        self.editor.told.connect(session.say)
        session.diameter_changed.connect(self._on_diameter)
        self.keys = Bound(session.viewer, self.editor)
        session.on_editor()
        return self.editor

    def place(self, image: TimeLapse) -> Place:
        """Where the chosen image lies in the viewer."""
        session = self.session
        grid, spacing = session.grid(), image.spacing
        um = 1.0 if spacing is None else abs(grid.scale[grid.axes.index("x")]) / spacing.x
        return Place(grid, image.shape_tzyx, float(um), session.n_layer_channels)

    def _on_diameter(self) -> None:
        diameter = self.session.diameter_um
        if self.editor is not None and diameter is not None:
            self.editor.take_radius(diameter / 2)

    def _leave(self) -> None:
        """Take the document's layers away."""
        if self.editor is not None:
            self.session.diameter_changed.disconnect(self._on_diameter)
        if self.editor is not None:
            if self.keys is not None:
                self.keys.release()
                self.keys = None
            self.editor.close()
            self.editor = None

    def follow_image(self) -> None:
        """The chosen image, its axes or its voxel size changed: show the document over it, or let the project go."""
        if self.project is None:
            return
        session = self.session
        if session.image_layer is None:
            self._leave()
            return
        if not self._fits():
            self.close()
            return
        try:
            place = self.place(session.scaled_image())
        except AnlageError:
            return
        if self.editor is None or self.editor.place != place:
            self._leave()
            self._edit()

    def remember(self, **settings: Any) -> None:
        """Write settings of the image into the project."""
        if self.project is not None and self.editor is not None:
            self.project.change_settings(**settings)

    def take_over(self, layer: Any, found: Annotations) -> None:
        """Copy what a layer of the user's own holds into the document; the layer is hidden."""
        editor = self.need()
        editor.document.apply(taken_over(editor.document, found, str(layer.name)))
        layer.visible = False
        self.session.choose_nuclei(editor.show_nuclei())

    def _on_change(self, change: Change) -> None:
        self.changed.emit(change)

    # ---- regions ----

    def counted(self, nuclei: Annotations) -> tuple[Cuboid, ...]:
        """The regions with what they hold."""
        regions = () if self.document is None else self.document.regions
        return tuple(cuboid_of(region, nuclei, self.found(region)) for region in regions)

    def holding(self, region: Region, nuclei: Annotations) -> Cuboid:
        """What a region, one with walls that are only tried out too, holds."""
        return cuboid_of(region, nuclei, self.found(region))

    def take_examined(self, number: int, cuboid: Cuboid) -> None:
        """Keep what was found about a region."""
        self._found[number] = cuboid

    def found(self, region: Region) -> Cuboid | None:
        """What was found about a region; None if it was changed since, or the project was reopened."""
        cuboid = self._found.get(region.id)
        return cuboid if cuboid is not None and cuboid.box == region.box and cuboid.core == region.core else None

    def take_found(self, cuboids: Sequence[Cuboid]) -> list[int]:
        """Make regions of found cuboids, as one step; one that is known already gets its new walls. Returns their ids."""
        document = self.need().document
        edits: list[Any] = []
        ids: list[int] = []
        free = list(document.regions)
        for cuboid in cuboids:
            known = max(free, key=lambda region: _overlap(region.box, cuboid.box), default=None)
            if known is not None and _overlap(known.box, cuboid.box) >= _SAME_REGION:
                free.remove(known)
                region = known.model_copy(update={"box": cuboid.box, "core": cuboid.core})
                if region != known:
                    edits.append(ChangeRegion(region))
            else:
                number = document.new_region_id()
                region = Region(id=number, name=f"region {number}", box=cuboid.box, core=cuboid.core)
                edits.append(AddRegion(region))
            self._found[region.id] = cuboid
            ids.append(region.id)
        if edits:
            document.apply(Several(edits, f"find {len(cuboids)} region{'s' * (len(cuboids) != 1)}"))
        return ids

    def add_region(self, box: Box) -> int:
        """A region with this box, complete."""
        document = self.need().document
        number = document.new_region_id()
        document.apply(AddRegion(Region.around(number, f"region {number}", box)))
        return int(number)

    def change_region(self, number: int, **fields: Any) -> None:
        """Give a region another box, core, name or use, or make it complete or sparse."""
        region = self.region(number)
        changed = Region.model_validate({**dict(region), **fields})
        if changed != region:
            self.need().document.apply(ChangeRegion(changed))

    def remove_region(self, number: int) -> None:
        """Remove a region; the nuclei in it stay."""
        self.need().document.apply(RemoveRegion(number))

    def region(self, number: int) -> Region:
        """A region by its id."""
        for region in self.session.regions:
            if region.id == number:
                return region
        raise AnlageError(f"There is no region {number}; it may have been removed.")


def cuboid_of(region: Region, nuclei: Annotations, found: Cuboid | None = None) -> Cuboid:
    """What a region holds, counted."""
    inside = region.box.contains(nuclei.positions) & (nuclei.state != State.REJECTED)
    frames = tuple(int(t) for t in np.unique(nuclei.frames[inside]))
    more = {} if found is None else {"cut_walls": found.cut_walls, "doubts": found.doubts}
    return Cuboid(box=region.box, core=region.core, n_nuclei=int(inside.sum()), frames=frames, **more)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    both = one.intersection(other)
    if both is None:
        return 0.0
    shared, sizes = float(np.prod(both.shape)), float(np.prod(one.shape)) + float(np.prod(other.shape))
    return shared / (sizes - shared)
