"""The project: the folder that holds one movie's annotation, its stores, runs and models.

::

    movie.anlage/
      project.json        settings and regions (ProjectFile)
      annotations.geff/   nuclei and links when the project was last saved
      journal.jsonl       every change since
      labels.zarr         painted labels (t, z, y, x), uint32; absent until something is painted
      stores/ runs/ models/ predictions/
      lock, lock.soft, pid   held by the one program that has the project open
"""

from __future__ import annotations

import datetime
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

import anlage
from anlage.axes import Spacing
from anlage.document.journal import write_journal
from anlage.document.training_regions import RegionInputs, region_inputs
from anlage.errors import AnlageError
from anlage.foreign import printable
from anlage.io import open_image
from anlage.io.locking import LOCK_FILES
from anlage.project.fold import Folder, Snapshot
from anlage.project.folder import JOURNAL, LABELS, PROJECT, ProjectContent, find, write_file
from anlage.project.lock import Lock
from anlage.project.reading import document_of
from anlage.project.settings import ProjectFile, ProjectSettings
from anlage.stored_paths import resolve_stored_path, stored_path, stored_relative_path

if TYPE_CHECKING:
    from anlage.timelapse import TimeLapse
    from anlage.training.run import Run

__all__ = ["Project"]

_OURS = ("stores", "runs", "models", "predictions", "tracks", "signals")


class Project:
    """A project that is open. Make it with `create` or `open`, end it with `close`."""

    def __init__(self, folder: Path, lock: Lock, found: ProjectContent) -> None:
        self.folder = folder
        self._lock = lock
        self.notes = (found.journal.note,) if found.journal.note else ()
        """What was noticed while opening, as sentences."""
        self._files = Folder(folder, found.file)
        self._files.finish_fold()
        self.document = document_of(folder, found, folder / LABELS)
        self._journal = self._files.open_journal(found.journal.n_bytes)
        self.document.write_to(self._journal)
        self._saved_revision = -1 if self.document.revision else 0
        self._thread: ThreadPoolExecutor | None = None
        self._saving: Future[None] | None = None

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        image: str | Path | None = None,
        spacing: Spacing | None = None,
        interval_s: float | None = None,
        **settings: Any,
    ) -> Self:
        """Make a project in a folder that holds no other; missing parents are made.

        Parameters
        ----------
        folder
            Its folder, by custom ``NAME.anlage``. It may hold ``stores``, ``runs``, ``models`` and ``predictions`` already.
        image
            Path of the image; None where it is not on disk.
        spacing
            Voxel size in µm.
        interval_s
            Time between frames in seconds.
        settings
            Further fields of `ProjectSettings`: ``axes``, ``shape_tzyx``, ``channels``, ``combine``, ``diameter_um``.

        Raises
        ------
        AnlageError
            If something else is in the folder, or it cannot be written.
        """
        place = Path(folder).expanduser().resolve()
        _check_free(place)
        made = _settings(place, ProjectSettings(), image=image, spacing=spacing, interval_s=interval_s, **settings)
        try:
            place.mkdir(parents=True, exist_ok=True)
            lock = Lock(place)
        except OSError as error:
            raise AnlageError(
                f"The project '{place}' cannot be made ({(error.strerror or str(error)).lower()})."
            ) from error
        try:
            _check_free(place)
            write_journal(place / JOURNAL, 0)
            write_file(place, ProjectFile(created=_now(), version=anlage.__version__, settings=made))
            return cls(place, lock, find(place))
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a project as it was when the last change was made, however the program ended then.

        Raises
        ------
        AnlageError
            If it is no project, is open in another program, or is damaged.
        """
        place = Path(folder).expanduser().resolve()
        if not cls.is_project(place):
            raise AnlageError(
                f"'{place}' is no project: it has no {PROJECT}. Make a new one, or choose another folder."
            )
        lock = Lock(place)
        try:
            return cls(place, lock, find(place))
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def is_project(path: str | Path) -> bool:
        """Whether a folder holds a project."""
        return (Path(path) / PROJECT).is_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.folder.stem

    @property
    def settings(self) -> ProjectSettings:
        """The image, and how it is read."""
        return self._files.settings

    def change_settings(self, **changes: Any) -> None:
        """Change fields of `ProjectSettings`, and write them at once; ``image`` may be a path and ``spacing`` a `Spacing`.

        Raises
        ------
        AnlageError
            If a value is not possible, does not fit what was painted, or cannot be written.
        """
        made = _settings(self.folder, self.settings, **changes)
        if made == self.settings:
            return
        self.document.place(shape_tzyx=made.shape_tzyx, spacing=made.spacing)
        self._files.change({"settings": made})

    @property
    def image_path(self) -> Path | None:
        """Where the image is; where it was if it is gone; None if it never was on disk."""
        settings = self.settings
        found = resolve_stored_path(self.folder, settings.image, settings.image_relative)
        return found or (Path(settings.image) if settings.image else None)

    def open_image(self) -> TimeLapse:
        """The image, read as the settings say.

        Raises
        ------
        AnlageError
            If it was never on disk, is gone, or cannot be read.
        """
        path = self.image_path
        if path is None:
            raise AnlageError(f"The project '{self.folder}' has no image on disk; open it and choose the image.")
        if resolve_stored_path(self.folder, self.settings.image, self.settings.image_relative) is None:
            raise AnlageError(
                f"The image '{self.settings.image}' of the project '{self.folder.name}' is gone, and is not where it was as seen "
                "from the project either; open the image in napari, and its project is found again."
            )
        return open_image(
            path, axes=self.settings.axes, spacing=self.settings.spacing, interval_s=self.settings.interval_s
        )

    @property
    def stores_folder(self) -> Path:
        return self.folder / "stores"

    @property
    def runs_folder(self) -> Path:
        return self.folder / "runs"

    def runs(self) -> tuple[Run, ...]:
        """The trainings of this project, the newest first; folders that hold no readable run are left out."""
        from anlage.project.trainings import runs_in

        return tuple(runs_in(self.runs_folder))

    def region_inputs(self) -> tuple[RegionInputs, ...]:
        """What the regions give to `build_store`: one group for each use, complete or sparse."""
        return region_inputs(self.document.nuclei, self.document.regions)

    def save(self, *, wait: bool = True) -> None:
        """Fold the journal into the saved state. Nothing is lost if this is interrupted, or never done.

        Parameters
        ----------
        wait
            False: write in a thread while edits go on; what goes wrong there is raised when saving is asked for again.

        Raises
        ------
        AnlageError
            If it cannot be written; the journal holds everything then as before.
        """
        if self._saving is not None:
            if not wait and not self._saving.done():
                return
            saving, self._saving = self._saving, None
            error = saving.exception()
            if error is not None and not wait:
                raise error
        if self.document.revision == self._saved_revision:
            return
        snapshot = Snapshot.of(self.document, self._journal)
        if wait:
            self._write(snapshot)
        else:
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="anlage saving")
            self._saving = self._thread.submit(self._write, snapshot)

    def close(self) -> None:
        """Save, and let others open the project."""
        try:
            self.save()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let others open the project, without saving; the journal has everything."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
        self._journal.close()
        self._lock.release()

    def _write(self, snapshot: Snapshot) -> None:
        self._files.save(snapshot, self._journal)
        self._saved_revision = snapshot.revision


def _settings(folder: Path, before: ProjectSettings, **changes: Any) -> ProjectSettings:
    """ProjectSettings with changes, checked; paths and voxel sizes are written as the file has them."""
    if "image" in changes:
        path = changes["image"]
        changes["image"] = None if path is None else stored_path(path)
        changes["image_relative"] = None if path is None else stored_relative_path(path, folder)
    if "spacing" in changes:
        spacing = changes.pop("spacing")
        changes["spacing_um_zyx"] = None if spacing is None else spacing.zyx
    try:
        return ProjectSettings.model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        value = printable(repr(first["input"])[:200])
        raise AnlageError(f"The project cannot have {name} = {value}: {first['msg'].lower()}.") from None


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise AnlageError(f"'{folder}' is a file; choose another name for the project.")
    if (folder / PROJECT).exists():
        raise AnlageError(f"'{folder}' holds a project already; open it, or choose another name.")
    strange = (
        [path.name for path in folder.iterdir() if path.name not in (*_OURS, JOURNAL, *LOCK_FILES)]
        if folder.exists()
        else []
    )
    if strange:
        raise AnlageError(
            f"'{folder}' holds other things already ({strange[0]}); choose another folder for the project."
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
