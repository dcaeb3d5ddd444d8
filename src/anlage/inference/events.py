"""Progress events that a prediction reports to the program that watches it."""

from __future__ import annotations

from typing import Literal

from anlage.frozen import Frozen

__all__ = ["PredictEvent"]


class PredictEvent(Frozen):
    """One line of ``anlage predict … --progress json``."""

    kind: Literal["note", "started", "frame", "writing", "finished", "stopped"]
    """note: a sentence; started; frame: one more is finished; writing: the output is made; finished; stopped: on request."""
    text: str = ""
    """The message for people."""
    done: int = 0
    """Frames that are finished, those of an earlier process included."""
    total: int = 0
    """Frames in all."""
    frame: int | None = None
    """The frame that was finished."""
    nuclei: int | None = None
    """Nuclei found: in this frame, or (finished) in all."""
    seconds_left: float | None = None
    """Expected, in seconds; None while nothing is known."""
