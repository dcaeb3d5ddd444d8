"""Readers: project folders and what was annotated elsewhere, which the session opens or imports; images that napari does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anlage import AnlageError

__all__ = ["image_reader", "import_reader", "project_reader"]

Layer = tuple[Any, ...]


def project_reader(path: str | Sequence[str]) -> Callable[[Any], list[Layer]] | None:
    """Reader of a project folder, or of a model file, which is no layer and says so; None for anything else."""
    place = _single(path)
    if place is None:
        return None
    if place.is_dir():
        return _read_project if place.suffix == ".anlage" or (place / "project.json").is_file() else None
    return _refuse_model if place.is_file() else None


def import_reader(path: str | Sequence[str]) -> Callable[[Any], list[Layer]] | None:
    """Reader of what was annotated elsewhere: the dock imports it over the chosen image; None for anything else."""
    place = _single(path)
    if place is None or not place.exists():
        return None
    from anlage.project.importing import is_importable  # not loaded when napari starts

    takes = is_importable(place)
    return _import if takes else None


def image_reader(path: str | Sequence[str]) -> Callable[[Any], list[Layer]] | None:
    """Reader of movies that napari does not read by itself, each channel a layer; None for anything else."""
    place = _single(path)
    if place is None or not place.is_file():
        return None
    if place.suffix.lower() == ".xml":
        with place.open("rb") as file:
            if b"<SpimData" not in file.read(1 << 14):
                return None  # tracks of TrackMate, say
    return _read_images


def _read_images(path: str | Sequence[str]) -> list[Layer]:
    from anlage import image_paths, open_image
    from napari_anlage.viewer.open_movie import layers_of

    file = _single(path)
    images = () if file is None else image_paths(file)
    return [(*layer, "image") for image in images for layer in layers_of(open_image(image), image)]


def _import(path: str | Sequence[str]) -> list[Layer]:
    import napari

    place, viewer = _single(path), napari.current_viewer()
    if place is None:
        return []
    if viewer is None:  # a script reads layers without a window
        from anlage import open_annotations

        nuclei = open_annotations(place, lenient=True)
        return [
            (
                nuclei.positions,
                {"name": place.stem, "axis_labels": tuple("tzyx"), "features": {"id": nuclei.ids}},
                "points",
            )
        ]
    from napari_anlage.commands import open_dock
    from napari_anlage.session.session import Session

    open_dock(viewer)
    Session.of(viewer).import_wanted.emit(place)
    return [(None,)]


def _read_project(path: str | Sequence[str]) -> list[Layer]:
    import napari

    folder, viewer = _single(path), napari.current_viewer()
    if folder is None:
        return []
    if viewer is None:  # a script reads layers without a window
        return _layers(folder)
    from napari_anlage.commands import open_dock
    from napari_anlage.session.session import Session

    Session.of(viewer).open_project(folder)
    open_dock(viewer)
    return [(None,)]  # napari's word for: read, and nothing to add


def _refuse_model(path: str | Sequence[str]) -> list[Layer]:
    place = _single(path)
    name = "" if place is None else place.name
    raise AnlageError(f"'{name}' is a trained network and no image; open it on the Predict tab of the anlage dock.")


def _layers(folder: Path) -> list[Layer]:
    """Image and annotated nuclei of a project, as layers that nobody manages."""
    from anlage import Project
    from napari_anlage.viewer.open_movie import layers_of

    project = Project.open(folder)
    try:
        nuclei, movie, path = project.document.nuclei, project.open_image(), project.image_path
    finally:
        project.abandon()
    images = layers_of(movie, path or folder)
    place = {name: images[0][1][name] for name in ("scale", "units", "axis_labels")}
    columns = ["tzyx".index(axis) for axis in place["axis_labels"]]
    points = {**place, "name": "nuclei", "face_color": "transparent", "features": {"id": nuclei.ids}}
    return [*((pixels, about, "image") for pixels, about in images), (nuclei.positions[:, columns], points, "points")]


def _single(path: str | Sequence[str]) -> Path | None:
    """The one path that is asked for."""
    if isinstance(path, str | Path):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None
