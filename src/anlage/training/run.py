"""A run folder: the only thing that a trainer and those who watch it have in common.

::

    RUN/run.json         what to train, on what, how (RunConfig); written before anything else, never changed
        events.jsonl     what the trainer reports (progress.py)
        log.txt          what it and its libraries print
        plan.json        what the data decided, so that a resumed run decides nothing anew
        checkpoint.safetensors, checkpoint-previous.safetensors
        preview/model.anlage   the newest weights while it trains, to see how it goes
        report/          pictures of how good the model is
        tensorboard/     curves for TensorBoard, where they were asked for
        cache/           decoded training data; may be deleted while nothing trains
        lock, pid        held by the one trainer
        stop             whoever makes this file stops the trainer
        NAME.anlage      the model

Nothing here imports torch: this is what the napari plugin uses.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import anlage
from anlage.errors import AnlageError
from anlage.foreign import checked_name
from anlage.io.locking import LOCK_FILES, FolderLock, TakenError
from anlage.shell import command
from anlage.stored_paths import stored_path, stored_relative_path
from anlage.tasks import task_named
from anlage.tasks.sources import Source
from anlage.tasks.task import Task
from anlage.training.config import RunConfig, StoreRef, assign, read_config
from anlage.training.distributed import program
from anlage.training.failure import Failure, explain
from anlage.training.files import write_whole
from anlage.training.initial_model import USUAL, card_of, settings_of_start, usual_start
from anlage.training.progress import Event, Finished, Stopped, read_run_events, saved_step
from anlage.training.summary import RunSummary, summarise

__all__ = ["Run", "RunState"]

RunState = Literal["new", "running", "stopped", "finished", "failed"]

_NICE = 10
_LEFT = ("run.json", "events.jsonl", "log.txt", "plan.json", "stop")
_BESIDE = (*LOCK_FILES, "cache", "preview", "tensorboard")
"""What may lie, with these, in the folder of a run that came to nothing."""
# CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW and BELOW_NORMAL_PRIORITY_CLASS, which only Windows' Python names
_WINDOWS_FLAGS = 0x200 | 0x08000000 | 0x4000 if os.name == "nt" else 0


class Run:
    """One training, as a folder. Make it with `create` or `open`."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.config = config
        self._child: subprocess.Popen[bytes] | None = None
        self.replaced = False
        """Whether it was made in place of a run that had come to nothing."""

    @classmethod
    def create(
        cls,
        path: str | Path,
        task: str,
        stores: Sequence[str | Path],
        assignments: Sequence[str] = (),
        *,
        start_from: str | Path | None = None,
        tasks: Mapping[str, Task] | None = None,
    ) -> Self:
        """Make a run folder, without training yet.

        Parameters
        ----------
        path
            A folder that is not there yet, is empty, or holds a run that came to nothing: without a checkpoint, and without
            a trainer.
        task
            Name of the task, for example ``nuclei``.
        stores
            Training data.
        assignments
            Settings, each ``name=value``; see `anlage.training.config.assign`.
        start_from
            A model whose weights to start from; settings that shape the network are taken over from it. ``"usual"``: the
            starter that comes with the program, where it fits (see `anlage.training.initial_model.usual_start`); None: fresh
            weights.
        tasks
            The tasks there are, by name; None: those of `anlage.tasks`.

        Raises
        ------
        AnlageError
            If the folder holds something already, a store cannot be read, stores or the model to start from do not fit
            together, or a setting is not possible. Nothing was made or replaced then.
        """
        folder = Path(path).resolve()
        checked_name(folder.name, "The name of the run, which its model takes,")
        about = task_named(task, tasks)
        if not stores:
            raise AnlageError("A training needs at least one store; make one with `anlage build`.")
        material = about.material
        given = [file for store in stores for file in material.files(Path(store).resolve())]
        if start_from == USUAL:
            start_from = usual_start(task, given, assignments)
        card = None if start_from is None else card_of(start_from, task, about.plan)
        assignments = settings_of_start(start_from, assignments)
        training, settings = assign(task, assignments, tasks, None if card is None else card.config)
        if training.freeze_encoder and start_from is None:
            raise AnlageError(
                "freeze_encoder=true needs a model to start from, else the encoder would stay random; give one with --from MODEL."
            )
        if training.fresh_weights and (start_from is None or training.freeze_encoder):
            raise AnlageError(
                "fresh_weights=true takes the architecture of a model to start from, and nothing of it can be frozen; give the model "
                "with --from MODEL, without freeze_encoder."
            )
        opened = [material.open(file, settings) for file in given]
        material.check(opened, card)
        earlier = _earlier(folder)
        config = RunConfig(
            name=folder.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            task=task,
            stores=tuple(_reference(store, folder) for store in opened),
            training=training,
            settings=settings.model_dump(mode="json"),
            start_from=None if start_from is None else stored_path(start_from),
        )
        run = cls(folder, config)
        run.replaced = earlier is not None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.nullcontext() if earlier is None else earlier.lock():
                if earlier is not None:
                    earlier.clear()
                write_whole(folder / "run.json", config.model_dump_json(indent=2).encode())
        except OSError as error:
            raise AnlageError(f"The run folder {folder} cannot be written: {error.strerror}.") from error
        return run

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a run folder.

        Raises
        ------
        AnlageError
            If there is none, or it was made by a newer version.
        """
        folder = Path(path).resolve()
        return cls(folder, read_config(folder))

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    @property
    def checkpoint_path(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is anything to go on from."""
        before = self.checkpoint_path.with_name("checkpoint-previous.safetensors")
        return self.checkpoint_path.exists() or before.exists()

    @property
    def plan_path(self) -> Path:
        return self.path / "plan.json"

    @property
    def stop_path(self) -> Path:
        return self.path / "stop"

    @property
    def target_path(self) -> Path:
        """Where the model is or will be."""
        return self.path / f"{self.config.name}.anlage"

    @property
    def model_path(self) -> Path | None:
        """The model; None while there is none."""
        return self.target_path if self.target_path.is_file() else None

    @property
    def preview_path(self) -> Path:
        """Where the trainer puts its newest weights, uncalibrated, at every validation."""
        return self.path / "preview" / "model.anlage"

    @property
    def report_path(self) -> Path:
        """Folder of the pictures of how good the model is."""
        return self.path / "report"

    @property
    def newest_model_path(self) -> Path | None:
        """The finished run's model, else the newest weights there are; None while there are none."""
        if self.is_finished:
            return self.target_path
        written = {path: changed for path in (self.preview_path, self.target_path) if (changed := _changed(path))}
        return max(written, key=lambda path: written[path], default=None)

    def events(self, after: int = 0) -> tuple[list[Event], int]:
        """Events from byte `after` on, and where to go on reading; complete lines only."""
        return read_run_events(self.events_path, after)

    @property
    def state(self) -> RunState:
        """What the run is doing; ``failed`` if its trainer is gone without having reported that it finished or stopped."""
        if self.is_locked() or (self._child is not None and self._child.poll() is None):
            return "running"
        last = self.last_event
        if last is None:
            # a child that died before its first event has failed too
            died = self._child is not None and self._child.poll() != 0
            return "failed" if died else "new"
        if isinstance(last, Finished):
            return "stopped" if self.model_path is None else "finished"
        return "stopped" if isinstance(last, Stopped) else "failed"

    @property
    def failure(self) -> Failure | None:
        """Why the run failed and what to do; None unless its state is ``failed``. It reads the run's files: ask it once."""
        if self.state != "failed":
            return None
        exit_code = None if self._child is None else self._child.poll()
        return explain(self.path, self.log_path, self.events()[0], exit_code, has_checkpoint=self.has_checkpoint)

    def summary(self, tasks: Mapping[str, Task] | None = None) -> RunSummary:
        """The run in a few numbers, to compare it with others; see `anlage.training.summary.summarise`."""
        return summarise(self.config, self.events()[0], self.state, self.model_path, tasks)

    @property
    def came_to_nothing(self) -> bool:
        """Whether it can be replaced without losing anything: nothing trains, and there is neither checkpoint nor model."""
        return self.state != "running" and not self.has_checkpoint and self.newest_model_path is None

    def clear(self) -> None:
        """Remove what a run that came to nothing has left, except the lock, which the caller holds."""
        for name in ("cache", "preview", "tensorboard"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in _LEFT:
            (self.path / name).unlink(missing_ok=True)

    @property
    def is_finished(self) -> bool:
        """Whether the training is complete and its model is there."""
        return isinstance(self.last_event, Finished) and self.model_path is not None

    def saved_step(self) -> int:
        """Optimiser steps in the newest checkpoint, by the events."""
        return saved_step(self.events()[0])

    def request_stop(self) -> None:
        """Ask the trainer to stop; it does within about 3 s, keeping the best weights."""
        self.stop_path.touch()

    def start(self) -> subprocess.Popen[bytes]:
        """Train in a process of its own, at low priority, that outlives this one; what it prints goes to the log.

        Raises
        ------
        AnlageError
            If a trainer is at work on this run already, or the system starts no process.
        """
        if self.state == "running":
            raise AnlageError(self._busy())
        try:
            self.stop_path.unlink(missing_ok=True)
            with self.log_path.open("ab") as log:
                self._child = subprocess.Popen(
                    [*program(self.config.training.processes), "resume", str(self.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=os.name == "posix",
                    creationflags=_WINDOWS_FLAGS,
                )
        except OSError as error:
            raise AnlageError(
                f"The training in {self.path} could not be started ({error.filename or sys.executable}: {error.strerror}); "
                "see that the folder can be written to and memory is free, then try again."
            ) from error
        if os.name == "posix":
            # here, not by a function run between fork and exec, which can deadlock in a process with threads
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._child.pid, _NICE)
        return self._child

    def is_locked(self) -> bool:
        """Whether a trainer is at work on this run, in whatever process; asking hinders neither it nor others who ask."""
        return FolderLock(self.path).is_held

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only trainer of this run, until the process ends however it may.

        Raises
        ------
        AnlageError
            If another trainer has it.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(FolderLock(self.path).held())
            except TakenError:
                raise AnlageError(self._busy()) from None
            except OSError as error:
                raise AnlageError(
                    f"The run {self.path} cannot be written: {error.strerror or error}; see that its disk is there and not full."
                ) from error
            yield

    def _busy(self) -> str:
        who = FolderLock(self.path).who
        return f"The run {self.path} is being trained by {who}; wait for it, or stop it with `{command('stop', self.path)}`."

    @property
    def last_event(self) -> Event | None:
        """The last event that a trainer reported; None if there is none yet."""
        # the end of the file is enough; a whole one may be large
        try:
            size = self.events_path.stat().st_size
        except FileNotFoundError:
            return None
        for reach in (65536, size):
            start = max(0, size - reach)
            events, _ = read_run_events(self.events_path, start)
            if events:
                return events[-1]
        return None


def _changed(path: Path) -> int | None:
    """When a file was written; None where it is not."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _earlier(folder: Path) -> Run | None:
    """The run that came to nothing in this folder; None if there is none. Refuses a folder in any other use."""
    if folder.exists() and not folder.is_dir():
        raise AnlageError(f"{folder} is a file; choose another folder for the run.")
    held = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".part-")] if folder.exists() else []
    if "run.json" in held:
        run = Run.open(folder)
        if run.came_to_nothing and set(held) <= {*_LEFT, *_BESIDE}:
            return run
        raise AnlageError(
            f"{folder} holds a run already; continue it with `{command('resume', folder)}`, or choose another folder."
        )
    if held:
        raise AnlageError(f"{folder} is not empty (it holds {held[0]}); choose another folder for the run.")
    return None


def _reference(store: Source, folder: Path) -> StoreRef:
    return StoreRef(
        path=stored_path(store.path), relative=stored_relative_path(store.path, folder) or "", hash=store.hash
    )


def _versions() -> dict[str, str]:
    versions = {"anlage": anlage.__version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "zarr"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
