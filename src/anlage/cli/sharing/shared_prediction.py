"""What ``anlage predict`` does with units of work, alone or together with other processes: join, predict, collect."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser
from anlage.cli.interruption import HALTED, HaltError, until_halted
from anlage.cli.nuclei_output import GOES_ON
from anlage.cli.sharing.elsewhere import run_elsewhere
from anlage.cli.sharing.places import add_places, check_places
from anlage.cli.sharing.taking_part import is_written_since
from anlage.errors import AnlageError
from anlage.inference.sharing import COLLECT, Share, UnitDone, Units, work_through
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.cli.prediction_output import ProgressReporter
    from anlage.inference.frame_store import PredictionParts
    from anlage.inference.prediction_job import PredictionJob
    from anlage.sharing.claims import Worker

__all__ = ["add_sharing", "predict_shared"]

_AGAIN_S = 0.5
_LISTED = 8
"""Missing units that are named."""


def add_sharing(parser: Parser) -> None:
    """The options by which several processes share a prediction."""
    group = parser.add_argument_group("several processes, on one computer or many that see the same folder")
    group.add_argument(
        "--part", type=Share.parse, metavar="K/N",
        help="do part K of N equal ones and leave (default: whatever no other process has taken, until all is done)",
    )  # fmt: skip
    group.add_argument(
        "--collect", action="store_true",
        help="only make the output of the finished parts; what is missing is said (default: the process that is done last makes it)",
    )  # fmt: skip
    add_places(parser)


def predict_shared(
    options: argparse.Namespace,
    parts: PredictionParts,
    job: PredictionJob,
    reporter: ProgressReporter,
    *,
    prepare: Callable[[], Units],
    write: Callable[[], None],
) -> int:
    """Take part in a prediction, and make its output if this process is the last one; returns the exit code.

    Parameters
    ----------
    options
        The command's.
    parts
        Where finished units are kept.
    job
        What is predicted.
    reporter
        Tells how far it is.
    prepare
        Makes ready to predict; where nothing is left to predict, to collect.
    write
        Makes the output.
    """
    check_places(options)
    if options.on is not None:
        return run_elsewhere(options, parts, reporter)
    with parts.joined(job, insist=options.resume or options.collect) as worker:
        if is_written_since(options.output, options.submitted):
            reporter.end("finished", f"{options.output} is written already.")
            return 0
        units = prepare()
        reporter.start(units.n, units.n - len(units.missing()), units.kind)

        def say_where() -> None:
            worker.leave()
            kept = f"{units.n - len(units.missing())} of {units.n} {units.kind} are kept in {parts.folder}"
            reporter.end("stopped", f"Stopped; {kept}. {options.written.sentence()} {GOES_ON}")

        taking_part = _TakingPart(options, parts, worker, units, reporter)
        return until_halted(parts.stop_path, say_where, lambda: taking_part.work(write))


@dataclass(frozen=True)
class _TakingPart:
    """The part of one process in a prediction that others may share."""

    options: argparse.Namespace
    parts: PredictionParts
    worker: Worker
    units: Units
    reporter: ProgressReporter

    def work(self, write: Callable[[], None]) -> None:
        """Predict what is free; then write the output, or leave that to others."""
        share = self.options.part
        complete = self.options.collect or work_through(
            self.units,
            self.worker,
            share=share,
            on_done=self._on_done,
            on_others=self._on_others,
            is_over=self._is_over,
        )
        if complete and self.options.parts_only:
            self.reporter.end("finished", f"Left in {self.parts.folder}.")
        elif complete and self._is_collector():
            if missing := self.units.missing():
                raise AnlageError(_missing_sentence(self.units, missing, self.parts.folder))
            write()
            self.parts.remove()
        else:
            self._leave_to_others()

    def _on_done(self, done: UnitDone) -> None:
        self.reporter.frame(done.frame, done.nuclei)
        self._look_for_stop()

    def _on_others(self, n_done: int) -> None:
        self.reporter.others(n_done)
        self._look_for_stop()

    def _look_for_stop(self) -> None:
        """In a thread of a scheduler's worker, where nothing else looks."""
        if threading.current_thread() is not threading.main_thread() and self.parts.stop_path.exists():
            raise HaltError(HALTED)

    def _is_over(self) -> bool:
        """Whether another process has made the output."""
        return not self.parts.job_path.exists()

    def _is_collector(self) -> bool:
        """Whether this process makes the output; waits for another that does, in case it dies."""
        while not self._is_over():
            try:
                if self.worker.claim(COLLECT):
                    return True
            except FileNotFoundError:  # it has just been done
                continue
            if self.options.part is not None:
                break
            time.sleep(_AGAIN_S)
        return False

    def _leave_to_others(self) -> None:
        units, output = self.units, self.options.output
        own = f"{self.reporter.here} of {units.n} {units.kind} were predicted here"
        if self._is_over():
            if not output.exists():
                raise AnlageError(f"'{self.parts.folder}' is gone, and the finished {units.kind} with it: begin anew.")
            self.reporter.end("finished", f"Another process has written {output}; {own}.")
            return
        missing = len(units.missing())
        rest = f"{missing} of {units.n} {units.kind} are missing" if missing else "another process is about to"
        self.reporter.end(
            "finished",
            f"Part {self.options.part} is done, {own}. {output} is not written yet: {rest}. The part that ends last writes it, or the "
            "same command with --collect.",
        )


def _missing_sentence(units: Units, missing: Sequence[int], folder: Path) -> str:
    named = ", ".join(_stretches(missing)[:_LISTED])
    more = " …" if len(_stretches(missing)) > _LISTED else ""
    return (
        f"{plural(len(missing), units.kind.removesuffix('s'))} of {units.n} in '{folder}' are not predicted yet ({named}{more}, "
        "counted from 0): run the same command without --collect, and it goes on with them."
    )


def _stretches(numbers: Sequence[int]) -> list[str]:
    """``3``, ``7–9``."""
    return list(_joined(sorted(numbers)))


def _joined(numbers: Sequence[int]) -> Iterator[str]:
    first = last = None
    for n in [*numbers, None]:
        if last is not None and n == last + 1:
            last = n
            continue
        if first is not None:
            yield f"{first}" if first == last else f"{first}–{last}"
        first = last = n
