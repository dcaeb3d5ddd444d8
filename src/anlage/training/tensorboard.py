"""A run's curves for TensorBoard: scalars in ``RUN/tensorboard/``, made from the same events that everybody watches.

Written by the package ``tensorboard`` alone; TensorFlow is not needed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from anlage.errors import AnlageError
from anlage.training.progress import Event, Step, Validated

__all__ = ["scalars_of", "tensorboard_listener"]

Listener = Callable[[Event], None]


@contextlib.contextmanager
def tensorboard_listener(folder: Path, on_event: Listener | None, *, wanted: bool) -> Iterator[Listener | None]:
    """A listener that also writes curves for TensorBoard, if wanted.

    Parameters
    ----------
    folder
        Where the logs go; each process of a run adds a file.
    on_event
        Called with each event in any case.
    wanted
        Whether to write at all.

    Raises
    ------
    AnlageError
        If it is wanted and the package is absent.
    """
    if not wanted:
        yield on_event
        return
    if importlib.util.find_spec("tensorboard") is None:
        raise AnlageError(
            "tensorboard=true needs the package tensorboard; install it with `pip install 'anlage[tensorboard]'`, or leave the "
            "setting out."
        )
    # imported only where it is wanted: it is an optional package, and on import it warns that TensorFlow is absent
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from tensorboard.compat.proto.event_pb2 import Event as Entry
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer: Any = EventFileWriter(str(folder))

    def listen(event: Event) -> None:
        scalars = scalars_of(event)
        if scalars:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
            step = getattr(event, "step", 0)
            writer.add_event(Entry(wall_time=time.time(), step=step, summary=Summary(value=values)))
        if isinstance(event, Validated):
            writer.flush()
        if on_event is not None:
            on_event(event)

    try:
        yield listen
    finally:
        writer.close()


def scalars_of(event: Event) -> dict[str, float]:
    """The curves that an event adds a point to, by their TensorBoard name."""
    if isinstance(event, Step):
        return {
            "training/loss": event.loss, **{f"training/{name}": value for name, value in event.parts.items()},
            "training/learning_rate": event.learning_rate, "training/steps_per_s": event.steps_per_s,
        }  # fmt: skip
    if isinstance(event, Validated):
        metrics = {f"held_out/{name}": value for name, value in event.metrics.items()}
        return {"held_out/loss": event.loss, "held_out/score": event.score, **metrics}
    return {}
