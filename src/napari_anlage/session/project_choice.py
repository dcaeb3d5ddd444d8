"""The project of the chosen image: found, opened, created, and closed with the image. Knows no Qt."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from anlage import (
    AnlageError,
    FoundBy,
    Project,
    ProjectMatch,
    ProjectSettings,
    TimeLapse,
    fingerprint_of,
    free_project_folder,
    match_project,
    note_recent,
    project_of_image,
    project_settings,
)
from napari_anlage.session.image_choice import default_folder, path_of
from napari_anlage.session.member import SessionMember
from napari_anlage.session.question import Answer, Question
from napari_anlage.viewer.open_movie import add_image
from napari_anlage.viewer.read import image_of
from napari_anlage.viewer.rescaling import scale_difference

if TYPE_CHECKING:
    from napari_anlage.session.session import Session

__all__ = ["Arrival"]

_MOST_LINES = 8


class Arrival(SessionMember):
    """The way from an image to its project."""

    question_changed = Signal()
    """Another question is asked, or none any more."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.question: Question | None = None
        self.lack = ""
        """Why the project of the chosen image is not open, as a sentence for every panel; empty where there is nothing to say."""
        self._known: weakref.WeakKeyDictionary[Any, Path] = weakref.WeakKeyDictionary()
        self._chosen: weakref.WeakKeyDictionary[Any, Path] = weakref.WeakKeyDictionary()
        self._opening = self._closed = False

    # ---- an image comes and goes ----

    def arrive(self) -> None:
        """An image was chosen: open its project, where it has one; or ask."""
        session = self.session
        if self._opening or session.image_layer is None or session.project is not None:
            return
        self.forget()
        try:
            match = self._match()
            if match is not None:
                self.attach(match)
            else:
                session.say(f"{self.title} → {session.folder.name}, a new project.")
        except (AnlageError, OSError) as error:
            self._cannot(str(error))

    def follow(self) -> None:
        """The chosen image is read otherwise than before: with these axes it may be that of its project."""
        if not self._closed and self.question is None:
            self.arrive()

    def forget(self) -> None:
        """Nothing is asked and nothing is in the way any more."""
        self._closed, self.lack = False, ""
        self._ask(None)

    def closed(self) -> None:
        """The user closed the project of the chosen image: it is not opened again by itself."""
        self._closed = True
        self.lack = f"The project {self.session.folder.name} is closed; open it again with Recent on the Data tab."

    def keep(self, folder: Path) -> None:
        """The chosen image's project is to be made here, as the user said."""
        self.forget()
        if self.session.image_layer is not None:
            self._chosen[self.session.image_layer] = folder
        self.session.keep_in(folder)

    @property
    def title(self) -> str:
        """The chosen image's name: that of its file, else of its layer."""
        layer = self.session.image_layer
        path = path_of(layer)
        return str(layer.name) if path is None else path.name

    # ---- finding ----

    def _match(self) -> ProjectMatch | None:
        session = self.session
        layer = session.image_layer
        known, chosen = self._known.get(layer), self._chosen.get(layer)
        if chosen is not None:
            session.keep_in(chosen)
            return None
        if known is not None and Project.is_project(known):
            # it was this very layer's a moment ago; where its pixels were changed in memory it still is
            return ProjectMatch(known, project_settings(known), FoundBy.PATH)
        home = default_folder(layer)
        match = project_of_image(path_of(layer), home, self._fingerprinter(layer))
        session.keep_in(free_project_folder(home) if match is None else match.folder)
        return match

    def _fingerprinter(self, layer: Any) -> Any:
        """The fingerprint of a layer's image as a project reads it, taken once."""
        known: dict[str | None, tuple[str, ...]] = {}

        def fingerprint(settings: ProjectSettings) -> tuple[str, ...]:
            if settings.axes not in known:
                known[settings.axes] = self.fingerprint(layer, settings.axes)
            return known[settings.axes]

        return fingerprint

    def fingerprint(self, layer: Any, axes: str | None) -> tuple[str, ...]:
        """What the image of a layer is known by: a line for each of its channels, in whatever layers they are."""
        session = self.session
        layers = session.layers_of_file() if layer is session.image_layer else [layer]
        try:
            images = [image_of([one], axes=axes) for one in layers]
        except AnlageError:  # it cannot have these axes
            images = [image_of([one]) for one in layers]
        return tuple(line for image in images for line in fingerprint_of(image))[:_MOST_LINES]

    # ---- opening ----

    def attach(self, match: ProjectMatch, *, sure: bool = False, scale_of: str = "") -> None:
        """Open a project over the chosen image; ask first where they do not agree.

        Parameters
        ----------
        match
            The project.
        sure
            The user said that it is the image's.
        scale_of
            Whose voxel size and time step hold where they contradict each other, as the user said: ``project``, ``image``.

        Raises
        ------
        AnlageError
            If it cannot be opened, or the axes that were chosen are not those that it was annotated with.
        """
        session = self.session
        session.keep_in(match.folder)
        if session.axes is None and match.settings.axes is not None:
            session.read_axes(match.settings.axes)
        image = session.image()
        if match.settings.shape_tzyx not in (None, image.shape_tzyx) and match.by != FoundBy.CHANGED:
            raise AnlageError(_other_shape(match, image))
        if match.by in (FoundBy.CHANGED, FoundBy.NAME) and not sure:
            self._ask(self._whether_it_fits(match, image))
            return
        other = scale_difference(match.settings, image, session.grid().axes)
        if other and not scale_of:
            self._ask(self._which_scale(match, other, sure=sure))
            return
        project = Project.open(match.folder)
        session.bench.take(project)
        try:
            self._complete(project, match, image, scale_of)
            session.take_settings(project)
            session.bench.show()
        except BaseException:
            session.bench.close()
            raise
        self._remember(project)
        for text in project.notes:
            session.say(text, "warning")

    def _complete(self, project: Project, match: ProjectMatch, image: TimeLapse, scale_of: str) -> None:
        """Write what the project does not know yet, and what the user said; nothing else."""
        session, settings = self.session, project.settings
        layer = session.image_layer
        path, changes = path_of(layer), dict[str, Any]()
        if match.by != FoundBy.PATH:
            changes["image"] = path
        if not settings.fingerprint or match.by == FoundBy.CHANGED:
            changes["fingerprint"] = self.fingerprint(layer, session.axes)
        for name, now, known in (
            ("spacing", image.spacing, settings.spacing), ("interval_s", image.interval_s, settings.interval_s),
            ("shape_tzyx", image.shape_tzyx, settings.shape_tzyx),
        ):  # fmt: skip
            if now is not None and (known is None or scale_of == "image"):
                changes[name] = now
        if changes:
            project.change_settings(**changes)

    def create(self) -> None:
        """Make a project for the chosen image.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or the project cannot be made.
        """
        session = self.session
        image, layer = session.scaled_image(), session.image_layer
        project = Project.create(
            session.folder, image=path_of(layer), spacing=image.spacing, interval_s=image.interval_s,
            shape_tzyx=image.shape_tzyx, fingerprint=self.fingerprint(layer, session.axes), axes=session.axes,
            combine=session.combine, diameter_um=session.diameter_um, **session.channel_settings(),
        )  # fmt: skip
        session.bench.take(project)
        self._remember(project)

    def begin_anew(self) -> None:
        """Make another project for the chosen image, beside those that it has.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, or the project cannot be made.
        """
        session = self.session
        session.scaled_image()
        session.set_folder(free_project_folder(default_folder(session.image_layer)))
        session.bench.need()

    def need(self) -> None:
        """The chosen image's project, opened or made.

        Raises
        ------
        AnlageError
            If there is no image with a known voxel size, a question is open, or the project cannot be opened or made.
        """
        session = self.session
        if session.project is not None:
            return
        session.scaled_image()
        if self.question is None:
            self.arrive()
        if session.project is None and self.lack:
            raise AnlageError(self.lack)
        if session.project is None:
            self.create()

    def _remember(self, project: Project) -> None:
        layer = self.session.image_layer
        self.forget()
        self._known[layer] = project.folder
        self._chosen.pop(layer, None)
        note_recent(project.folder)
        self.session.say(f"{self.title} → {project.folder.name}")

    # ---- the user opens a project ----

    def open(self, folder: Path) -> None:
        """Open a project in the viewer: its image is chosen, and opened if it is not there yet.

        Raises
        ------
        AnlageError
            If it is no project, is open elsewhere, or is damaged.
        """
        session = self.session
        if session.project is not None and session.project.folder == folder:
            return
        project = Project.open(folder)
        self._opening = True
        try:
            layer, match = self._layer_of(project)
            if layer is None and session.image_layer is None:
                session.bench.take(project)
                note_recent(folder)
                session.say(_gone(project), "warning")
                return
            if layer is not None and layer is not session.image_layer:
                session.choose_image(layer)
        finally:
            self._opening = False
            if session.project is not project:
                project.abandon()
        if match is None:
            note_recent(folder)  # where it is looked for when its image comes
            session.say(_gone(project), "warning")
            return
        session.close()
        self.attach(match)

    def _layer_of(self, project: Project) -> tuple[Any, ProjectMatch | None]:
        """The layer of a project's image, which is opened if it is on the disk; or the chosen one, where a human must say."""
        session, folder = self.session, project.folder
        layers = sorted(session.image_layers(), key=lambda layer: layer is not session.image_layer)
        found = [
            (match, layer)
            for layer in layers
            if (match := match_project(folder, path_of(layer), folder, self._fingerprinter(layer))) is not None
        ]
        if found:
            match, layer = min(found, key=lambda one: one[0].by)
            if match.by != FoundBy.NAME or (layer is session.image_layer and match.unlike is None):
                return layer, match
        path = project.image_path
        if path is None or not path.exists():
            return None, None
        layer = add_image(session.viewer, project.open_image(), path)
        return layer, match_project(folder, path, folder, self._fingerprinter(layer))

    # ---- questions ----

    def _whether_it_fits(self, match: ProjectMatch, image: TimeLapse) -> Question:
        name = match.folder.name
        same_shape = match.settings.shape_tzyx in (None, image.shape_tzyx)
        if match.by == FoundBy.CHANGED:
            text = f"{self.title} is not the image that {name} was made for: {match.unlike}."
        else:
            text = (
                f"Does {name} belong to {self.title}? Its own image, '{match.settings.image or 'in memory'}', is gone."
            )
        use = Answer(
            f"Use {name}", "Its annotation is shown over this image, and it is this image's project from now on.",
            lambda: self.attach(match, sure=True),
        )  # fmt: skip
        return Question(text, ((use,) if same_shape else ()) + self._other_answers(match))

    def _which_scale(self, match: ProjectMatch, other: str, *, sure: bool) -> Question:
        name = match.folder.name
        answers = (
            Answer(
                "Project's", "The image is shown as the project says; nothing in the project changes.",
                lambda: self.attach(match, sure=sure, scale_of="project"),
            ),
            Answer(
                "Image's", "The project takes what the image says.",
                lambda: self.attach(match, sure=sure, scale_of="image"),
            ),
        )  # fmt: skip
        return Question(
            f"{name} and {self.title} contradict each other: {other}. Which holds?",
            (*answers, *self._other_answers(match)),
        )

    def _other_answers(self, match: ProjectMatch) -> tuple[Answer, ...]:
        new = free_project_folder(default_folder(self.session.image_layer))

        def leave() -> None:
            self.lack = f"The project {match.folder.name} is not open; open it with Recent on the Data tab."

        return (
            Answer("New project", f"{match.folder.name} stays as it is; this image gets {new.name}.", self.begin_anew),
            Answer("Not now", "Nothing is opened.", leave),
        )  # fmt: skip

    def _ask(self, question: Question | None) -> None:
        changed = question is not self.question
        self.question = question
        if question is not None:
            self.lack = f"There is a question about the project of {self.title}. Answer above the tabs."
            self.session.say(question.text, "info")
        if changed:
            self.question_changed.emit()

    def answer(self, answer: Answer) -> None:
        """The user chose one of the answers."""
        self.forget()
        try:
            answer.action()
        except (AnlageError, OSError) as error:
            self._cannot(str(error))
        self.session.project_changed.emit()
        self.session.nuclei_changed.emit()

    def _cannot(self, sentence: str) -> None:
        self.lack = sentence
        self.session.say(sentence, "warning")


def _other_shape(match: ProjectMatch, image: TimeLapse) -> str:
    return (
        f"The project '{match.folder}' belongs to an image of shape {match.settings.shape_tzyx} (t, z, y, x), but "
        f"'{image.source}' has {image.shape_tzyx} with these axes; choose the axes that it was annotated with, or make a new project."
    )


def _gone(project: Project) -> str:
    path = project.image_path
    where = "was never on disk" if path is None else f"'{path}' is gone"
    return f"The image of {project.folder.name} {where}; open the image in napari to see the annotation."
