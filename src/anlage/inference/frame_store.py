"""Finished frames of an unfinished prediction, kept in ``OUT.parts/`` so that it can be continued, and shared.

::

    OUT.parts/job.json           what is predicted, with what and how; written once, by the first process
              scale.json         the nucleus diameter that it measured, for all
              frame-000012.npz   a finished frame: nuclei, map, what was assumed
              worker-*, claim-*  who is at work, and on which frame: `anlage.sharing.claims`
              stop               whoever makes this file stops all processes within 3 s

A frame appears whole or not at all, so a prediction that was broken off, in whatever way, goes on with the next frame.
The folder is gone once the output is there. Nothing here imports torch: the napari plugin uses it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from anlage.annotations import Annotations, State
from anlage.errors import AnlageError
from anlage.frozen import Finite
from anlage.inference.prediction_job import AgreedScale, PredictionJob
from anlage.io.atomic import own, replacing
from anlage.prediction import DenseMap, Prediction
from anlage.sharing.claims import CLAIM, WORKER, Crew, Worker, WorkerNote, write_first

__all__ = ["PredictionParts"]

_JOB, _SCALE, _STOP = "job.json", "scale.json", "stop"
_BEGIN, _ALONE = "begin", "alone"
"""Claimed by the process that makes room for a new job, and by one that shares with nobody."""
_AGAIN_S = 0.1
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, TypeError, RecursionError)
"""What reading a damaged frame raises."""


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
    def job_path(self) -> Path:
        return self.folder / _JOB

    @property
    def job(self) -> PredictionJob | None:
        """What is predicted; None where there is nothing, or nothing that this version can go on with."""
        return _read(self.job_path, PredictionJob)

    @property
    def scale(self) -> AgreedScale | None:
        """What the first process measured; None before that."""
        return _read(self.folder / _SCALE, AgreedScale)

    def agree(self, scale: AgreedScale) -> AgreedScale:
        """Tell the others what this process measured; gives what was told first."""
        write_first(self.folder / _SCALE, scale.model_dump_json(indent=2))
        return self.scale or scale

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
    def n_units(self) -> int:
        """Frames, or tiles of them, in all; 0 where that is not known yet."""
        return 0 if (scale := self.scale) is None else scale.n_units

    @property
    def is_running(self) -> bool:
        """Whether a process predicts now."""
        return bool(Crew(self.folder).at_work())

    def request_stop(self) -> None:
        """Ask all processes for an end; it comes within 3 s, and finished frames are kept."""
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
        if at_work := Crew(self.folder).at_work():
            raise AnlageError(self._busy(at_work))
        self.remove()

    def remove(self) -> None:
        """Remove the folder, in one step for all who look: its output is there."""
        aside = self.folder.with_name(f".part-{uuid.uuid4().hex[:8]}-{self.folder.name}")
        try:
            self.folder.rename(aside)
        except OSError:  # a drive on which files are open
            aside = self.folder
        shutil.rmtree(aside, ignore_errors=True)

    @contextlib.contextmanager
    def joined(self, job: PredictionJob, *, insist: bool = False) -> Iterator[Worker]:
        """Be one of the processes that predict into this folder; left empty by the last one, the folder is removed.

        Of the same job, what others finished is taken over; what there is of another job is removed, if nobody is at work on
        it.

        Parameters
        ----------
        job
            What is to be predicted.
        insist
            Refuse where something else was begun, or nothing.

        Raises
        ------
        AnlageError
            If others are at work on another job, the earlier job was another one and `insist`, the folder is something
            else's, or it cannot be made.
        """
        with self._entered(job.digest) as worker:
            self._begin(worker, job, insist=insist)
            yield worker

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only process that works into this folder; left empty, the folder is removed.

        Raises
        ------
        AnlageError
            If another process does, the folder is something else's, or it cannot be made.
        """
        with self._entered(_ALONE) as worker:
            if worker.others() or not worker.claim(_ALONE):
                raise AnlageError(self._busy(worker.others()))
            yield

    @contextlib.contextmanager
    def _entered(self, about: str) -> Iterator[Worker]:
        """Be at work in the folder."""
        self._check_ours()
        worker = Worker(self.folder, about)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            worker.__enter__()
        except OSError as error:
            raise AnlageError(
                f"'{self.folder}' cannot be written ({error.strerror}); choose another place for the output."
            ) from error
        try:
            yield worker
        finally:
            worker.leave()
            if not any(self.folder.glob("frame-*.npz")) and not Crew(self.folder).at_work():
                self.remove()

    def _begin(self, worker: Worker, job: PredictionJob, *, insist: bool) -> None:
        if not worker.others():
            self.stop_path.unlink(missing_ok=True)
        while True:
            earlier = self.job
            other = "nothing that this version can read" if earlier is None else job.differs(earlier)
            if other is None:
                break
            self._check_alone(worker, job, earlier)
            if insist:
                found = f"it was begun with {other}" if earlier is not None else f"it holds {other}"
                raise AnlageError(
                    f"There is no prediction in '{self.folder}' to go on with: {found}; repeat the command as it was, or "
                    "leave out --resume to begin anew."
                )
            if not worker.claim(_BEGIN):  # another process of the same job does what follows
                time.sleep(_AGAIN_S)
                continue
            if self.job == earlier:
                self._clear(is_other=True)
                self.job_path.unlink(missing_ok=True)
                write_first(self.job_path, job.model_dump_json(indent=2))
            worker.release(_BEGIN)
        if not worker.others():
            self._clear(is_other=False)
        self._check_alone(worker, job, self.job)

    def _check_alone(self, worker: Worker, job: PredictionJob, earlier: PredictionJob | None) -> None:
        """Refuse if others are at work on another job."""
        rivals = [note for note in worker.others() if note.about != job.digest]
        if rivals:
            why = None if earlier is None else job.differs(earlier)
            raise AnlageError(
                f"{rivals[0].words.capitalize()} predicts into '{self.folder}' now, with {why or 'other settings'}; give the "
                f"same options to share its work, wait, stop it by making the file '{self.stop_path}', or choose another name."
            )

    def _clear(self, *, is_other: bool) -> None:
        """Remove what processes left that died, damaged frames, and of another job all."""
        for path in self.folder.iterdir():
            broken = path.suffix == ".npz" and (is_other or not zipfile.is_zipfile(path))
            if broken or path.name.startswith(".part-") or (is_other and path.name == _SCALE):
                path.unlink(missing_ok=True)

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
        with replacing(self.path(prediction.frame), own) as temporary:
            np.savez_compressed(temporary, **columns)

    def read(self, frame: int) -> Prediction:
        """A finished frame.

        Raises
        ------
        AnlageError
            If it is damaged; it is removed then, and will be predicted again.
        """
        path = self.path(frame)
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

    def path(self, frame: int) -> Path:
        """Where a finished frame is kept."""
        return self.folder / f"frame-{frame:06d}.npz"

    def _check_ours(self) -> None:
        if not self.folder.exists():
            return
        is_ours = self.folder.is_dir() and all(
            path.name in (_JOB, _SCALE, _STOP) or path.name.startswith(("frame-", ".part-", WORKER, CLAIM))
            for path in self.folder.iterdir()
        )
        if not is_ours:
            raise AnlageError(
                f"'{self.folder}' is where finished frames would be kept, but it holds something else; move it away, or "
                "choose another name for the output."
            )

    def _busy(self, others: Sequence[WorkerNote]) -> str:
        who = others[0].words if others else "another process"
        return f"Into '{self.folder}' {who} writes now; wait for it, or stop it by making the file '{self.stop_path}'."


Record = TypeVar("Record", bound=Finite)


def _read(path: Path, kind: type[Record]) -> Record | None:
    """A record, if it is there and in order."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
