"""What a training learns from: the regions of this project and of others, and the stores that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.dataset.build import build_store
from anlage.dataset.classes import VOXELS, class_sites, class_values
from anlage.dataset.intensity import Combine
from anlage.document.label_volume import PaintedLabels
from anlage.document.regions import Region
from anlage.document.training_regions import region_inputs
from anlage.errors import AnlageError
from anlage.project.folder import LABELS
from anlage.project.project import Project
from anlage.project.reading import peek
from anlage.timelapse import TimeLapse

__all__ = ["AnnotatedMovie", "OtherProject", "movie_of", "write_stores"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class AnnotatedMovie:
    """A movie with its regions, to learn from.

    Parameters
    ----------
    name
        What it is called.
    image
        The movie.
    annotations
        Gives the annotation; where it is read from a layer that may take long, and is done in a thread.
    regions
        Where to learn and to validate.
    channels, combine, diameter_um
        Which of its channels are used and how, and the nucleus diameter in µm; see `build_store`.
    """

    name: str
    image: TimeLapse
    annotations: Callable[[], Annotations]
    regions: tuple[Region, ...]
    channels: tuple[int, ...] | None = None
    combine: Combine = "separate"
    diameter_um: float | None = None


@dataclass(frozen=True, slots=True)
class OtherProject:
    """What another project has to learn from, as it was when somebody looked; it may be open elsewhere.

    Parameters
    ----------
    folder
        The project.
    nuclei, regions
        What is annotated in it, and where; to be counted, not to be learnt from: its masks are as they were last saved.
    problem
        Why it cannot be learnt from, as a sentence; empty if it can.
    """

    folder: Path
    nuclei: Annotations
    regions: tuple[Region, ...] = ()
    problem: str = ""

    @classmethod
    def of(cls, folder: Path) -> OtherProject:
        """Look at a project; whatever is wrong with it is its `problem`."""
        nothing = Annotations.of([])
        try:
            document, found = peek(folder)
            nuclei = document.nuclei
            if (folder / LABELS).is_dir():
                painted = TimeLapse.of(PaintedLabels.open(folder / LABELS), "tzyx", source="painted labels")
                nuclei = replace(nuclei, labels=painted)
        except AnlageError as error:
            return cls(folder, nothing, problem=str(error))
        if found.file.settings.image is None:
            problem = f"The project '{folder.name}' has no image on disk, so nothing can be learnt from it."
            return cls(folder, nuclei, document.regions, problem)
        return cls(folder, nuclei, document.regions)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Nuclei that were not rejected, those of them that are painted, and regions."""
        true = self.nuclei.state != State.REJECTED
        return int(true.sum()), int((true & (self.nuclei.label > 0)).sum()), len(self.regions)


def movie_of(project: Project) -> AnnotatedMovie:
    """All of another project that was opened, read as its own settings say."""
    settings = project.settings
    nuclei = project.document.nuclei
    return AnnotatedMovie(
        project.name, project.open_image(), lambda: nuclei, project.document.regions, settings.channels, settings.combine,
        settings.diameter_um,
    )  # fmt: skip


def write_stores(
    path: Path, movie: AnnotatedMovie, *, context: int = 0, classes: bool = False, progress: Progress | None = None
) -> list[Path]:
    """Write the regions of a movie as stores: one for each use that regions have, and one more where some are sparse.

    Parameters
    ----------
    path
        Where the store goes; with several, their names are made from it.
    movie
        The movie.
    context
        Frames to keep before and after the annotated ones, for networks that look at neighbouring frames.
    classes
        The labels are classes of voxels, not nuclei.
    progress
        Told how many of so many parts are written.

    Raises
    ------
    AnlageError
        If the regions hold nothing to learn from, or the stores cannot be written.
    """
    annotations, diameter_um = movie.annotations(), movie.diameter_um
    values: tuple[int, ...] = ()
    if classes:
        annotations, values = _classes_of(annotations)
        diameter_um = diameter_um or VOXELS * _spacing(movie.image).x
    groups = region_inputs(annotations, movie.regions)
    if not groups:
        lack = (
            "hold no nucleus; move their walls" if movie.regions else "are missing; put a box around what is annotated"
        )
        raise AnlageError(f"The regions of '{movie.name}' {lack} on the Annotate tab.")
    path.parent.mkdir(parents=True, exist_ok=True)
    built = []
    for i, group in enumerate(groups):
        place = path if len(groups) == 1 else path.with_name(f"{path.stem}-{group.name}{path.suffix}")
        one = build_store(
            place, movie.image, group.annotations, channels=movie.channels, combine=movie.combine, cuboid=group.cuboids,
            sparse=group.sparse, use=group.use.value, context_frames=context, diameter_um=diameter_um, classes=values,
            annotations_source=movie.name, progress=None if progress is None else _Part(progress, i, len(groups)),
        )  # fmt: skip
        built.append(one.path)
    return built


@dataclass(frozen=True, slots=True)
class _Part:
    """Progress of one of several stores."""

    report: Progress
    part: int
    parts: int

    def __call__(self, done: int, total: int) -> None:
        self.report(self.part * max(total, 1) + done, self.parts * max(total, 1))


def _classes_of(annotations: Annotations) -> tuple[Annotations, tuple[int, ...]]:
    """Sites of the classes that are painted, and their values."""
    if annotations.labels is None:
        raise AnlageError("No class is painted; paint some voxels of each with a number of its own in a Labels layer.")
    values = class_values(annotations.labels)
    return class_sites(annotations.labels, values), values


def _spacing(image: TimeLapse) -> Spacing:
    if image.spacing is None:
        raise AnlageError(f"The voxel size of '{image.source}' is unknown; type it in µm on the Data tab.")
    return image.spacing
