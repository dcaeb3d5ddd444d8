"""`train`: one process's whole work on a run, from the lock to the last event."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import anlage
from anlage.errors import AnlageError
from anlage.full_disk import full_disk_sentence, is_full
from anlage.shell import command
from anlage.tasks import task_named
from anlage.tasks.task import Task
from anlage.training.context import TrainingContext
from anlage.training.distributed import World
from anlage.training.files import clear_leftovers
from anlage.training.progress import Event, EventLog, Failed, Started, Stopped
from anlage.training.run import Run
from anlage.training.stopping import StopWatcher, is_stale
from anlage.training.tensorboard import tensorboard_listener

__all__ = ["train"]

_log = logging.getLogger(__name__)


def train(
    run: Run,
    *,
    tasks: Mapping[str, Task] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Path | None:
    """Train a run to its end, from its start or from where it broke off.

    Parameters
    ----------
    run
        The run folder.
    tasks
        The tasks there are, by name; None: those of `anlage.tasks`.
    on_event
        Called with each event after it was written.

    Returns
    -------
    Path or None
        The run's model; of a finished run at once. None if the training was stopped before there were weights worth
        keeping, and in processes that follow another one's lead.

    Raises
    ------
    AnlageError
        If another trainer has the run, or the training cannot go on; what was reached is kept.
    """
    began = time.monotonic()
    task = task_named(run.config.task, tasks)
    world = World.from_environment()
    if not world.is_first:
        return _learn(TrainingContext(run, task, None, StopWatcher(run.stop_path), world, began))
    with run.lock():
        clear_leftovers(run.path)
        clear_leftovers(run.preview_path.parent)
        if run.is_finished:
            return run.model_path
        if is_stale(run.stop_path):
            run.stop_path.unlink(missing_ok=True)
        with (
            _log_to(run.log_path),
            tensorboard_listener(
                run.path / "tensorboard", on_event, wanted=run.config.training.tensorboard
            ) as listener,
            EventLog(run.events_path, listener) as event_log,
            StopWatcher(run.stop_path) as stopping,
        ):
            context = TrainingContext(run, task, event_log, stopping, world, began)
            with _FailureReport(context):
                context.report(Started(time=time.time(), pid=os.getpid(), version=anlage.__version__))
                return _learn(context)


def _learn(context: TrainingContext) -> Path | None:
    # imported after the first event: they load torch, which takes seconds, and whoever watches should see that something happens
    from anlage.training.loop import learn
    from anlage.training.numerics import is_lost_device, is_out_of_memory

    on = f"continue with `{command('resume', context.run.path)}`"
    try:
        return learn(context)
    except OSError as error:
        if not is_full(error):
            raise
        raise AnlageError(full_disk_sentence(f"({error.filename or context.run.path})", f", then {on}")) from error
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise AnlageError(f"Memory ran out ({_first_line(error)}); close other programs, then {on}.") from error
        if is_lost_device(error):
            raise AnlageError(
                f"The graphics card stopped answering ({_first_line(error)}); what was saved is intact: {on}, and if it "
                "happens again restart the computer, see what `anlage doctor` says, or train on the processor with --device cpu in a new run."
            ) from error
        raise


class _FailureReport:
    """Writes the last event of a training that did not end well."""

    def __init__(self, context: TrainingContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        # on a full disk this event cannot be written either; the error itself still reaches the caller
        with contextlib.suppress(OSError):
            self._context.report(self._event(error))
        if isinstance(error, AnlageError):
            _log.error(str(error), exc_info=error.__cause__)  # where it happened, for whoever looks closer
        elif not isinstance(error, KeyboardInterrupt):
            _log.error("The training broke off.", exc_info=error)

    def _event(self, error: BaseException) -> Event:
        if isinstance(error, AnlageError):
            return Failed(text=str(error))
        if isinstance(error, KeyboardInterrupt):
            model = self._context.run.model_path
            step = self._context.run.saved_step()
            return Stopped(step=step, model=None if model is None else model.name, seconds=self._context.seconds)
        on = f"continue with `{command('resume', self._context.run.path)}`"
        if isinstance(error, OSError) and error.strerror:
            named = error.filename or self._context.run.path
            return Failed(
                text=f"{named} could not be read or written ({error.strerror}); see that its disk is there, then {on}."
            )
        return Failed(
            text=f"The training broke off by a mistake in the program ({type(error).__name__}: {_first_line(error)}); report it with "
            f"{self._context.run.log_path}, and {on}."
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written (full disk) must not end the training."""


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    logger = logging.getLogger("anlage")
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
