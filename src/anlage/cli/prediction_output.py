"""Report the progress of ``predict`` and ``track``: a progress bar for people, or JSON lines for a program."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from typing import Any, Literal, TextIO

from anlage.cli.progress_bar import bar, say
from anlage.inference.events import PredictEvent

__all__ = ["ProgressReporter", "progress_reporter"]


class ProgressReporter:
    """Tells people: a bar on stderr and lines on stdout."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._said: set[str] = set()
        self._total = self._done = self._before = self._here = 0
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        """Say a sentence, once."""
        if text not in self._said:
            self._said.add(text)
            self._report(PredictEvent(kind="note", text=text, done=self._done, total=self._total))

    def start(self, total: int, done: int, pieces: str = "frames") -> None:
        """So many frames, or tiles of them, of which some were finished before."""
        self._total, self._done, self._before, self._began = total, done, done, time.monotonic()
        kept = f"{done} of {total} {pieces} were finished before; going on with the others." if done else ""
        self._report(PredictEvent(kind="started", text=kept, done=done, total=total))

    @property
    def here(self) -> int:
        """How many frames, or tiles, this process has finished."""
        return self._here

    def others(self, done: int) -> None:
        """So many are finished in all, those of other processes with them."""
        self._done = max(self._done, done)

    def all_done(self, done: int) -> None:
        """So many are finished in all, by other processes."""
        self._done = done
        self._report(PredictEvent(kind="frame", done=done, total=self._total))

    def frame(self, frame: int, nuclei: int) -> None:
        """One more frame is finished."""
        self._done = min(self._done + 1, self._total)
        self._here += 1
        left = (time.monotonic() - self._began) / max(1, self._done - self._before) * (self._total - self._done)
        self._report(
            PredictEvent(
                kind="frame",
                frame=frame,
                nuclei=nuclei,
                done=self._done,
                total=self._total,
                seconds_left=round(left, 1),
            )
        )

    def end(self, kind: Literal["writing", "finished", "stopped"], text: str, nuclei: int | None = None) -> None:
        """Say how far it came."""
        self._report(PredictEvent(kind=kind, text=text, done=self._done, total=self._total, nuclei=nuclei))

    def _report(self, event: PredictEvent) -> None:
        if event.kind == "started":
            self._bar = bar(event.total, "predicting", initial=event.done)
        elif event.kind == "frame" and self._bar is not None:
            self._bar.update(event.done - self._bar.n)
        elif self._bar is not None and event.kind != "note":
            self._bar.close()
        if event.text and event.kind != "writing":
            say(event.text)


class _JsonReporter(ProgressReporter):
    """Tells a program: one JSON object a line on stdout."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out

    def _report(self, event: PredictEvent) -> None:
        self._out.write(event.model_dump_json(exclude_defaults=True) + "\n")
        self._out.flush()


@contextlib.contextmanager
def progress_reporter(how: Literal["bar", "json"]) -> Iterator[ProgressReporter]:
    """A reporter for people or programs; with ``json``, all that is printed meanwhile becomes notes, so that stdout holds only JSON."""
    if how == "bar":
        yield ProgressReporter()
        return
    reporter = _JsonReporter(sys.stdout)
    with contextlib.redirect_stdout(_AsNotes(reporter)):
        yield reporter


class _AsNotes(io.TextIOBase):
    """Takes what is printed, line by line."""

    def __init__(self, reporter: ProgressReporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._reporter.note(line)
        return len(text)
