"""Finished frames of an unfinished prediction, kept in ``OUT.parts/`` so that it can be continued.

::

    OUT.parts/job.json           what is predicted, with what and how
              frame-000012.npz   a finished frame: nuclei, map, what was assumed
              lock, pid          held by the one process that predicts
              stop               whoever makes this file stops the prediction within 3 s

A frame appears whole or not at all, so a prediction that was broken off, in whatever way, goes on with the next frame.
The folder is gone once the output is there. Nothing here imports torch: the napari plugin uses it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from pydantic import ValidationError

from anlage.annotations import Annotations, State
from anlage.errors import AnlageError
from anlage.frozen import Finite
from anlage.io.atomic import own, replacing
from anlage.io.locking import LOCK_FILES, FolderLock, TakenError
from anlage.prediction import DenseMap, Prediction

__all__ = ["PredictionJob", "PredictionParts"]

_SCHEMA = 1
_JOB, _STOP = "job.json", "stop"
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, TypeError, RecursionError)
"""What reading a damaged frame raises."""


class PredictionJob(Finite):
    """What is predicted, with what and how: finished frames of another job are never mixed in."""

    schema_version: Annotated[int, Ge(1), Le(_SCHEMA)] = _SCHEMA
    version: str
    """Version of anlage."""
    model: str
    """Model by name and the beginning of its weights' hash."""
    movie: str
    """Hash of the image's shape and some of its planes."""
    image: str
    """Where the image was read from."""
    spacing_um_zyx: tuple[float, float, float] | None
    """Voxel size in µm."""
    frames: tuple[int, int]
    """First frame, and the one after the last."""
    region: str | None = None
    """Part of each frame in voxels; None: all."""
    channels: tuple[int, ...] | None = None
    """Channels of the image that were chosen; None: those of the model."""
    diameter_um: float | None = None
    """Nucleus diameter in µm that was given; None: measured."""
    threshold: float | None = None
    """Lowest probability that is reported; None: the model's own."""
    heatmap: bool = False
    """Whether maps are kept."""
    labels: bool = False
    """Whether label images are made, of tiles."""
    inside: float | None = None
    """Probability from which a voxel belongs to an object; None: the model's own."""
    turns: int = 1
    """Mirrored and turned copies that are averaged."""
    tiles: int | None = None
    """Tiles of a frame."""

    def differs(self, earlier: PredictionJob) -> str | None:
        """What is not the same in another job, in words; None if nothing that matters is."""
        for name in type(self).model_fields:
            now, then = getattr(self, name), getattr(earlier, name)
            if name != "image" and now != then:
                return f"{name.removesuffix('_zyx').replace('_', ' ')} {_shown(then)} instead of {_shown(now)}"
        return None


class PredictionParts:
    """The folder of finished frames beside an output.

    Parameters
    ----------
    folder
        ``OUT.parts``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, output: str | Path) -> PredictionParts:
        """Of a prediction that writes to `output`, whether it has begun or not."""
        output = Path(output).expanduser()
        return cls(output.with_name(f"{output.name}.parts"))

    @property
    def stop_path(self) -> Path:
        return self.folder / _STOP

    @property
    def job(self) -> PredictionJob | None:
        """What is predicted; None where there is nothing, or nothing that this version can go on with."""
        try:
            return PredictionJob.model_validate_json((self.folder / _JOB).read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def done(self) -> tuple[int, ...]:
        """Finished frames, in order."""
        names = (path.stem.removeprefix("frame-") for path in self.folder.glob("frame-*.npz"))
        return tuple(sorted(int(name) for name in names if name.isdecimal()))

    @property
    def n_done(self) -> int:
        """How many pieces are finished: frames, or tiles of them where labels are made."""
        return sum(1 for _ in self.folder.glob("frame-*.npz"))

    @property
    def n_frames(self) -> int:
        """Frames in all; 0 where nothing has begun."""
        return 0 if (job := self.job) is None else job.frames[1] - job.frames[0]

    @property
    def is_running(self) -> bool:
        """Whether a process predicts now."""
        return FolderLock(self.folder).is_held

    def request_stop(self) -> None:
        """Ask for an end; it comes within 3 s, and finished frames are kept."""
        with contextlib.suppress(FileNotFoundError):  # it has ended by itself
            self.stop_path.touch()

    def discard(self) -> None:
        """Remove finished frames; does nothing where there are none.

        Raises
        ------
        AnlageError
            If the folder is not one of these, or a process predicts now.
        """
        if not self.folder.exists():
            return
        self._check_ours()
        if self.is_running:
            raise AnlageError(self._busy())
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that predicts into this folder; left empty, the folder is removed.

        Raises
        ------
        AnlageError
            If another process does, the folder is something else's, or it cannot be made.
        """
        self._check_ours()
        with contextlib.ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FolderLock(self.folder).held())
            except TakenError:
                raise AnlageError(self._busy()) from None
            except OSError as error:
                raise AnlageError(
                    f"'{self.folder}' cannot be written ({error.strerror}); choose another place for the output."
                ) from error
            try:
                yield
            finally:
                stack.close()
                if not any(self.folder.glob("frame-*.npz")):
                    shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, job: PredictionJob, *, insist: bool = False) -> tuple[int, ...]:
        """Take over what an earlier process finished of the same job; of another job, remove it.

        Parameters
        ----------
        job
            What is to be predicted.
        insist
            Refuse where something else was begun, or nothing.

        Returns
        -------
        done
            The frames that are finished.

        Raises
        ------
        AnlageError
            If the earlier job was another one, and `insist`.
        """
        self.stop_path.unlink(missing_ok=True)
        earlier = self.job
        other = "nothing that this version can read" if earlier is None else job.differs(earlier)
        if insist and other is not None:
            found = f"it was begun with {other}" if earlier is not None else f"it holds {other}"
            raise AnlageError(
                f"There is no prediction in '{self.folder}' to go on with: {found}; repeat the command as it was, or leave "
                "out --resume to begin anew."
            )
        for path in self.folder.iterdir():
            if path.name.startswith(".part-") or (
                path.suffix == ".npz" and (other is not None or not zipfile.is_zipfile(path))
            ):
                path.unlink()
        if other is not None:
            with replacing(self.folder / _JOB, own) as temporary:
                temporary.write_text(job.model_dump_json(indent=2), encoding="utf-8")
        return self.done

    def keep(self, prediction: Prediction) -> None:
        """Write a finished frame."""
        nuclei, dense = prediction.nuclei, prediction.heatmap
        columns: dict[str, Any] = {
            "positions": nuclei.positions, "probability": nuclei.probability, "radius_um": nuclei.radius_um,
            "about": np.array(json.dumps([prediction.model, prediction.notes])),
            "diameter_um": np.array(prediction.diameter_um),
        }  # fmt: skip
        if dense is not None:
            # 0 … 1 in half precision: finer than anybody can see, and half the size
            columns |= {"heat": dense.data.astype(np.float16), "place": np.array([dense.step_zyx, dense.origin_zyx])}
        with replacing(self._path(prediction.frame), own) as temporary:
            np.savez_compressed(temporary, **columns)

    def read(self, frame: int) -> Prediction:
        """A finished frame.

        Raises
        ------
        AnlageError
            If it is damaged; it is removed then, and will be predicted again.
        """
        path = self._path(frame)
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = {name: file[name] for name in file.files}
            model, notes = json.loads(str(columns["about"]))
            nuclei = Annotations.of(
                columns["positions"], probability=columns["probability"], radius_um=columns["radius_um"],
                state=State.PROPOSED, origin=model,
            )  # fmt: skip
            dense = None
            if "heat" in columns:
                step, origin = (tuple(row) for row in columns["place"].tolist())
                dense = DenseMap(columns["heat"].astype(np.float32), step, origin)
            return Prediction(frame, nuclei, model, dense, tuple(notes), float(columns["diameter_um"]))
        except _BROKEN as problem:
            path.unlink(missing_ok=True)
            raise AnlageError(
                f"The finished frame {frame} in '{self.folder}' was damaged ({problem}) and is removed; run the command "
                "again, and it is predicted anew."
            ) from problem

    def _path(self, frame: int) -> Path:
        return self.folder / f"frame-{frame:06d}.npz"

    def _check_ours(self) -> None:
        if not self.folder.exists():
            return
        is_ours = self.folder.is_dir() and all(
            path.name in (_JOB, _STOP, *LOCK_FILES) or path.name.startswith(("frame-", ".part-"))
            for path in self.folder.iterdir()
        )
        if not is_ours:
            raise AnlageError(
                f"'{self.folder}' is where finished frames would be kept, but it holds something else; move it away, or "
                "choose another name for the output."
            )

    def _busy(self) -> str:
        return (
            f"Another process predicts into '{self.folder}' now; wait for it, or stop it by making the file "
            f"'{self.stop_path}'."
        )


def _shown(value: Any) -> str:
    """A value of a job, in a sentence."""
    if value is None:
        return "not given"
    return (
        str(value)[:40]
        if isinstance(value, str)
        else ",".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value}"
    )
