"""The training data of a run: the annotation, its regions, and the stores made of them. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anlage import (
    KINDS,
    TASKS,
    AnlageError,
    Annotations,
    Box,
    Project,
    Readiness,
    Region,
    Run,
    State,
    TimeLapse,
    Use,
    class_sites,
    class_values,
    show_classes,
)
from anlage.project.training_data import AnnotatedMovie, OtherProject, movie_of, write_stores
from anlage.wording import plural
from napari_anlage.session.session import Session
from napari_anlage.viewer.read import layer_kind, painted_on

__all__ = ["OWN", "ReadyMovies", "TrainingRequest", "carry_out", "chosen_movie", "look"]

CENTRES, OUTLINES, CLASSES = "centres", "outlines", "classes"
OWN = Path()
"""Stands for the movie that is chosen, among folders of projects."""
_FEW = 3
_LIKE_NUCLEI = "they look like nuclei, each with a number of its own"


@dataclass(frozen=True, slots=True)
class ReadyMovies:
    """What there is to learn from.

    Parameters
    ----------
    movies
        What each movie has for each of `KINDS`, by the folder of its project, `OWN` for the chosen one; what is in the way of all
        kinds is what each lacks.
    suggested
        The kind that the annotation is for.
    counts
        Nuclei, those of them that are painted, and regions of the chosen movie.
    """

    movies: Mapping[Path, Mapping[str, Readiness]]
    suggested: str = CENTRES
    counts: tuple[int, int, int] = (0, 0, 0)

    def taken(self, kind: str) -> tuple[Path, ...]:
        """The movies that a training of this kind learns from: those that lack nothing."""
        return tuple(folder for folder, ready in self.movies.items() if ready[kind].can_train)

    @property
    def ready(self) -> dict[str, Readiness]:
        """What all movies have together, by the name of the kind."""
        return {kind: self._together(kind) for kind in KINDS}

    def _together(self, kind: str) -> Readiness:
        taken = self.taken(kind)
        of = {folder: ready[kind] for folder, ready in self.movies.items()}
        if len(of) == 1 or not taken:
            return next(
                iter(of.values()), Readiness("no movie is ticked", lack="Tick at least one movie to learn from.")
            )
        in_all = sum(of[folder].n for folder in taken)
        if in_all:
            has = f"{plural(in_all, *of[taken[0]].noun)} in {plural(len(taken), 'movie')}"
        else:  # what is in them cannot be added up
            each = list(dict.fromkeys(of[folder].has for folder in taken))
            has = f"{plural(len(taken), 'movie')}: {' | '.join(each[:_FEW])}{' | …' if len(each) > _FEW else ''}"
        n = len(of) - len(taken)
        alike = _LIKE_NUCLEI if all(of[folder].wish == _LIKE_NUCLEI for folder in taken) else ""
        return Readiness(has, f"{plural(n, 'movie')} left out: orange in the list" if n else alike)


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training that the user asked for.

    Parameters
    ----------
    kind
        Name of one of `KINDS`.
    settings
        What was set, each as ``name=value``.
    movie
        The chosen movie with its regions, at that moment; None: it is not learnt from.
    others
        Folders of other projects to learn from.
    start_from
        Model whose weights to begin with, or ``"usual"``; None for fresh ones. See `Run.create`.
    context
        Frames to keep before and after the annotated ones, for networks that look at neighbouring frames.
    """

    kind: str
    settings: tuple[str, ...]
    movie: AnnotatedMovie | None
    others: tuple[Path, ...] = ()
    start_from: str | Path | None = None
    context: int = 0


def chosen_movie(session: Session, kind: str) -> AnnotatedMovie:
    """The chosen movie as the session holds it now, to learn this kind from; called on the GUI thread."""
    reading = _painting(session) if kind == CLASSES else session.reading()
    return AnnotatedMovie(
        _name(session), session.scaled_image(), reading, session.regions, session.channels, session.combine,
        session.diameter_um,
    )  # fmt: skip


def look(session: Session, others: Sequence[OtherProject] = (), *, own: bool = True) -> ReadyMovies:
    """What each kind of network has to learn from, in the chosen movie where `own` says so, and in other projects."""
    movies = {one.folder: _of_other(one) for one in others}
    if not own and movies:
        return ReadyMovies(movies)
    try:
        image = session.scaled_image()
        classes = _class_layer(session, image)
        nuclei = session.annotations() if classes is None else Annotations.of([])
    except AnlageError as error:
        return ReadyMovies({OWN: _nothing(str(error)), **movies})
    regions = session.regions
    ready = _of_movie(nuclei, classes, regions)
    painted = _true(nuclei).label > 0
    suggested = CLASSES if classes is not None else OUTLINES if 2 * painted.sum() > len(painted) else CENTRES
    return ReadyMovies({OWN: ready, **movies}, suggested, (len(painted), int(painted.sum()), len(regions)))


def carry_out(order: TrainingRequest, paths: tuple[Path, Path], report: Callable[[float, str], None]) -> Run:
    """Write the stores and make the run; takes a while, so it is called in a thread.

    Parameters
    ----------
    order
        What to train.
    paths
        Where the store (with several, their names are made from it) and the run go.
    report
        Told how much of the stores is written, 0 to 1.
    """
    store, run = paths
    parts = (order.movie is not None) + len(order.others)
    kind = KINDS[order.kind]
    stores: list[Path] = []

    def write(path: Path, movie: AnnotatedMovie, part: int) -> None:
        progress = _Rarely(report, part, parts)
        stores.extend(
            write_stores(path, movie, context=order.context, classes=order.kind == CLASSES, progress=progress)
        )

    if order.movie is not None:
        write(store, order.movie, 0)
    for i, folder in enumerate(order.others, 1):
        with Project.open(folder) as project:
            name = f"{store.stem}-{i}-{project.name}{store.suffix}"
            write(store.with_name(name), movie_of(project), parts - len(order.others) + i - 1)
    return Run.create(run, kind.task, stores, order.settings, start_from=order.start_from)


def _of_other(other: OtherProject) -> dict[str, Readiness]:
    if other.problem:
        return _nothing(other.problem)
    return _of_movie(other.nuclei, None, other.regions)


def _of_movie(nuclei: Annotations, classes: Annotations | None, regions: Sequence[Region]) -> dict[str, Readiness]:
    """What each kind has, of these nuclei; None for classes: what is painted has the numbers of nuclei."""
    learnt = [region.core for region in regions if region.use != Use.VALIDATION]
    if regions and not learnt:
        lack = "Every region is for validation, so there is nothing to learn from; mark one for training on the Annotate tab."
        return dict.fromkeys(KINDS, Readiness(plural(len(regions), "region"), lack=lack))
    held = [region.core for region in regions if region.use == Use.VALIDATION]
    ready = {}
    for name, kind in KINDS.items():
        known = classes if name == CLASSES and classes is not None else nuclei
        ready[name] = _with_held_out(TASKS[kind.task].readiness_of(name, known, learnt), nuclei, held)
    if classes is None and ready[CLASSES].can_train:
        ready[CLASSES] = replace(ready[CLASSES], wish=_LIKE_NUCLEI)
    return ready


def _nothing(lack: str) -> dict[str, Readiness]:
    return dict.fromkeys(KINDS, Readiness("nothing to learn from yet", lack=lack))


def _true(nuclei: Annotations) -> Annotations:
    return nuclei.select(nuclei.state != State.REJECTED) if len(nuclei) else nuclei


def _class_layer(session: Session, image: TimeLapse) -> Annotations | None:
    """Sites of the classes that are painted in the chosen layer; None where it holds nuclei."""
    layer = session.nuclei_layer
    if session.uses_document or layer is None or layer_kind(layer) != "labels":
        return None
    labels = painted_on(layer, session.grid(), image)
    return class_sites(labels, class_values(labels)) if show_classes(labels) else None


def _painting(session: Session) -> Callable[[], Annotations]:
    """What gives the painted voxels as they are chosen now, whatever values they have."""
    layer = session.nuclei_layer
    if session.uses_document or layer is None or layer_kind(layer) != "labels":
        return session.reading()
    grid, image = session.grid(), session.image()
    return lambda: Annotations.of([], labels=painted_on(layer, grid, image))


def _name(session: Session) -> str:
    """Where the annotation comes from, for the record."""
    project = session.project
    if session.uses_document and project is not None:
        return str(project.folder)
    return str(session.nuclei_layer.name)


def _with_held_out(ready: Readiness, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """Add what is kept for validation."""
    if not boxes:
        return ready
    inside = np.zeros(len(nuclei), dtype=bool)
    for box in boxes:
        inside |= box.contains(nuclei.positions)
    n = int((inside & (nuclei.state != State.REJECTED)).sum())
    return replace(ready, has=f"{ready.has}; {n} held out in {plural(len(boxes), 'region')}")


class _Rarely:
    """Passes progress on when a percent more is done."""

    def __init__(self, report: Callable[[float, str], None], part: int, parts: int) -> None:
        self._report, self._last = report, -1
        self._part, self._parts = part, parts

    def __call__(self, done: int, total: int) -> None:
        percent = round(100 * (self._part + done / max(total, 1)) / self._parts)
        if percent != self._last:
            self._last = percent
            self._report(percent / 100, "")
