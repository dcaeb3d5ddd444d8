"""The open project of a viewer: opened or created when needed, its document shown by the editor. Knows no Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from anlage.project.adoption import adoption_edit
from anlage.wording import plural
from napari_anlage.editing.editor import Editor
from napari_anlage.editing.keys import Bound
from napari_anlage.session.member import SessionMember
from napari_anlage.viewer.placement import Place

if TYPE_CHECKING:
    from anlage import Annotations
    from napari_anlage.session.session import Session

__all__ = ["Workbench", "cuboid_of"]

_SAME_REGION = 0.3
"""A found cuboid that shares at least this part (intersection over union) with a region is that region, found anew."""


class Workbench(SessionMember):
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
        """The editor of the document; the image's project is opened or made if it is not open yet.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or a question about its project must be answered first.
        """
        if self.project is None:
            self.session.arrival.need()
        if self.editor is not None:
            return self.editor
        return self._edit()

    def show(self) -> None:
        """Show the document over the image, as soon as its voxel size is known."""
        if self.editor is None and self._fits() and self.session.image().spacing is not None:
            self._edit()

    def close(self) -> None:
        """Save the project and let it go; its layers leave the viewer."""
        project, self.project = self.project, None
        self._stop()
        self._stop = lambda: None
        self._leave()
        if project is None:
            return
        self._finish.detach()
        self._found.clear()
        try:
            project.close()
        finally:
            self.session.on_project(None)

    def take(self, project: Project) -> None:
        """Work in a project that was opened; another one is saved and closed."""
        self.close()
        self.project = project
        # a viewer that is thrown away must not leave the project locked; its journal has everything
        self._finish = weakref.finalize(self.session, project.abandon)
        self._stop = project.document.listen(self._on_change)
        self.session.on_project(project.folder)

    # ---- the editor ----

    def _fits(self) -> bool:
        """Whether the chosen image has the project's shape as its axes are read now."""
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
        radius = None if session.diameter_um is None else session.diameter_um / 2
        self.editor = Editor(session.viewer, project.document, self.place(image), radius)
        self.editor.said.connect(session.say)
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
        """The image's axes or its voxel size changed: show the document over it, or let the project go."""
        session = self.session
        if self.project is None or session.image_layer is None:
            return
        if not self._fits():
            self.close()
            return
        self.remember(axes=session.axes)
        try:
            place = self.place(session.scaled_image())
        except AnlageError:
            return
        if self.editor is None or self.editor.place != place:
            self._leave()
            self._edit()

    def remember(self, **settings: Any) -> None:
        """Write settings of the image into its project."""
        if self.project is not None and self.session.image_layer is not None and self._fits():
            self.project.change_settings(**settings)

    def adopt(self, layer: Any, found: Annotations) -> None:
        """Copy what a layer of the user's own holds into the document; the layer is hidden."""
        self.take_over(found, str(layer.name))
        layer.visible = False

    def take_over(self, found: Annotations, source: str) -> None:
        """Copy nuclei, links and painted labels into the document, and show them."""
        editor = self.need()
        editor.document.apply(adoption_edit(editor.document, found, source))
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
            document.apply(Several(edits, f"find {plural(len(cuboids), 'region')}"))
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
    counted = Cuboid(box=region.box, core=region.core, n_nuclei=int(inside.sum()), frames=frames)
    return counted if found is None else replace(counted, cut_walls=found.cut_walls, doubts=found.doubts)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    both = one.intersection(other)
    if both is None:
        return 0.0
    shared, sizes = float(np.prod(both.shape)), float(np.prod(one.shape)) + float(np.prod(other.shape))
    return shared / (sizes - shared)
