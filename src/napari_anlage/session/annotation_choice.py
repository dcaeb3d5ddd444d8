"""Which annotation is used: the project's document, or a layer of the user. Knows no Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from anlage import AnlageError, Annotations
from napari_anlage.session.image_choice import ImageChoice
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.read import annotations_of, layer_kind

if TYPE_CHECKING:
    from anlage import Document

__all__ = ["AnnotationChoice"]


class AnnotationChoice(ImageChoice):
    """The annotation of the chosen image. Every panel asks here, so that all of them say the same."""

    nuclei_changed = Signal()
    """Another annotation, or other nuclei in it."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._nuclei_layer: Any = None
        self._counted: Annotations | None = None
        self._over: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
        """Layers of the user's own, and the image that was chosen when they came or were chosen."""

    @property
    def document(self) -> Document | None:
        """The document of the open project."""
        raise NotImplementedError

    @property
    def lack(self) -> str:
        """Why the image's project is not open, as a sentence; empty where it is, or there is none."""
        raise NotImplementedError

    def nuclei_layers(self) -> list[Any]:
        """Layers that nuclei can be read from, in the viewer's order; the project's own comes first."""
        kinds = {"points", "labels", "tracks"}
        foreign = [
            layer for layer in self.viewer.layers if layer_kind(layer) in kinds and layer_roles.role_of(layer) is None
        ]
        return [layer for layer in self.viewer.layers if layer_roles.role_of(layer) == layer_roles.NUCLEI] + foreign

    @property
    def nuclei_layer(self) -> Any:
        return self._nuclei_layer

    def choose_nuclei(self, layer: Any) -> None:
        """Take the annotated nuclei from this layer; the project's own stands for its document."""
        layer, former = getattr(layer, "__wrapped__", layer), self._nuclei_layer
        if layer is former:
            return
        if former is not None and not layer_roles.is_managed(former):
            former.events.data.disconnect(self._on_nuclei)
        self._nuclei_layer = layer
        if layer is not None and not layer_roles.is_managed(layer):
            self._place_over(layer)
            layer.events.data.connect(self._on_nuclei)
            if layer_kind(layer) == "points":
                overlay.show_depth(self.viewer, layer)
        self._counted = None
        self.nuclei_changed.emit()

    def choose_any_nuclei(self) -> None:
        """Where no annotation is chosen, take the first there is; not one that was marked on another image."""
        if self._nuclei_layer is None and not self.lack:
            layers = [layer for layer in self.nuclei_layers() if layer_roles.is_managed(layer) or self._is_over(layer)]
            if layers:
                self.choose_nuclei(layers[0])

    def _is_over(self, layer: Any) -> bool:
        """Whether a layer of the user's own may be about the chosen image: it came with no other image."""
        image = self._over.get(layer)
        return image is None or image() is self._image_layer

    @property
    def uses_document(self) -> bool:
        """Whether the annotation is the project's document, and no layer of the user's own."""
        layer = self._nuclei_layer
        return self.document is not None and (layer is None or layer_roles.is_managed(layer))

    def annotations(self) -> Annotations:
        """The annotation that counts, for every panel: the document's, or that of the user's own layer that was chosen.

        Raises
        ------
        AnlageError
            With what is in the way.
        """
        document = self.document
        if document is not None and self.uses_document:
            return document.nuclei
        if self._nuclei_layer is None:
            raise AnlageError(
                self.lack or "No annotation yet: mark nuclei on the Annotate tab, or choose a layer there."
            )
        return self.read(self._nuclei_layer)

    def reading(self) -> Callable[[], Annotations]:
        """What gives `annotations` as they are chosen now, whatever is chosen later; may take long: call it in a thread."""
        layer = self._nuclei_layer
        if self.uses_document or layer is None:
            nuclei = self.annotations()
            return lambda: nuclei
        grid, image = self.grid(), self.image()
        return lambda: annotations_of(layer, grid, image)

    def read(self, layer: Any) -> Annotations:
        """The nuclei of a layer, in voxels of the image."""
        return annotations_of(layer, self.grid(), self.image())

    def count_in(self, nuclei: Annotations) -> None:
        """Count these in `cuboids`: what was read of a layer that takes long to read."""
        self._counted = nuclei

    def counted(self) -> Annotations:
        """The nuclei that `cuboids` counts; of a layer that takes long to read, what was read last."""
        if self.uses_document or self._counted is None:
            self._counted = self.annotations()
        return self._counted

    def _place_over(self, layer: Any) -> None:
        """A layer of the user's own came, or was chosen, while this image was."""
        if self._image_layer is not None and layer is not self._image_layer and layer_roles.role_of(layer) is None:
            self._over[layer] = weakref.ref(self._image_layer)

    def _on_nuclei(self, event: Any = None) -> None:
        if str(getattr(event, "action", "")) not in ("adding", "removing", "changing"):
            self._counted = None
            self.nuclei_changed.emit()
