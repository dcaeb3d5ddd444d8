"""Show a training in the terminal: a progress bar, and a line for every validation and note."""

from __future__ import annotations

import contextlib
import math
from types import TracebackType
from typing import Any, Self

from anlage.cli.progress_bar import bar, say
from anlage.scores import EXAMPLES, interval_of, noun_of
from anlage.training.progress import Event, Finished, Note, Resumed, Started, Step, Stopped, Validated
from anlage.training.run import Run
from anlage.wording import duration, plural

__all__ = ["Follower", "describe", "noun_of_run"]

_SILENT = {"tp", "fp", "fn", "match_radius_um"}
_NAMES = {
    "f1": "F1", "best_f1": "best F1", "centre_error_um": "centre error (µm)", "median_error_um": "centre error (µm)",
}  # fmt: skip
"""Metrics as they are said; others by their own names."""


class Follower:
    """Shows the events of a run as they come.

    Parameters
    ----------
    run
        The run to follow, from its first event on.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._next = 0
        self._bar: Any = None

    def poll(self) -> bool:
        """Show what is new; whether there was anything."""
        events, self._next = self._run.events(self._next)
        for event in events:
            self.show(event)
        return bool(events)

    def show(self, event: Event) -> None:
        """Show one event. A terminal that was closed meanwhile does not matter to the training."""
        with contextlib.suppress(OSError):
            if isinstance(event, Step):
                self._advance(event)
            elif (line := describe(event, noun_of_run(self._run))) is not None:
                say(line)

    def _advance(self, event: Step) -> None:
        if self._bar is None:
            layout = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps{postfix}"
            self._bar = bar(event.steps, "training", "step", bar_format=layout)
        self._bar.total = event.steps
        self._bar.n = event.step
        left = "" if event.eta_s is None else f", {duration(event.eta_s)} left"
        self._bar.set_postfix_str(f"loss {event.loss:.4g}, {event.steps_per_s:.3g} steps/s{left}", refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def noun_of_run(run: Run | None) -> tuple[str, str]:
    """What a run's network is measured on, one and many."""
    if run is None:
        return EXAMPLES
    return noun_of(run.config.task, str(run.config.settings.get("head", "")))


def describe(event: Event, noun: tuple[str, str] = EXAMPLES) -> str | None:
    """An event as a line for the user; None where there is nothing to say.

    Parameters
    ----------
    event
        The event.
    noun
        What scores are measured on, one and many; see `noun_of_run`.
    """
    if isinstance(event, Started):
        return f"Preparing the training data (process {event.pid}) …"
    if isinstance(event, Resumed):
        return f"Going on from step {event.step}."
    if isinstance(event, Note):
        return event.text
    if isinstance(event, Validated):
        scores = _metrics({"loss": event.loss, **event.metrics}, event.n, {}, noun)
        return (
            f"{duration(event.seconds)}, step {event.step}: held-out {scores}{' (best so far)' if event.best else ''}"
        )
    if isinstance(event, Finished):
        return f"Finished after {event.step} steps in {duration(event.seconds)}; on held-out data: {_metrics(event.metrics, event.n, event.n_of, noun)}."
    if isinstance(event, Stopped):
        return f"Stopped at step {event.step} after {duration(event.seconds)}."
    return None  # what broke a training off is said once, by the command that ends with it


def _metrics(metrics: dict[str, float], n: int, n_of: dict[str, int], noun: tuple[str, str]) -> str:
    """Scores with their intervals, and with the number of examples wherever it is another one than before."""
    said, shown_n = [], -1
    for name, value in metrics.items():
        if name in _SILENT or not math.isfinite(value):
            continue
        score = interval_of(name, metrics, n, n_of, noun)
        extra = ""
        if score is not None:
            extra = f" ({score.interval})" if score.n == shown_n else f" ({plural(score.n, *noun)}, {score.interval})"
            shown_n = score.n
        said.append(f"{_NAMES.get(name, name.replace('_', ' '))} {value:.3g}{extra}")
    return ", ".join(said)
