"""The trainings of a project: list, describe and compare them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.tasks import TASKS
from anlage.training.progress import Curve
from anlage.training.run import Run
from anlage.training.summary import RunSummary
from anlage.wording import in_words, none_in_words, short

__all__ = ["Summary", "differences", "runs_in", "summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """One run, as its folder describes it.

    Parameters
    ----------
    run
        The run.
    run_summary
        Where it stands, in a few numbers.
    curve
        What it reported so far.
    data
        What it learns from, in words.
    settings
        Every setting of the run, by name, in words.
    """

    run: Run
    run_summary: RunSummary
    curve: Curve
    data: str
    settings: dict[str, str]


def runs_in(folder: Path, more: Iterable[Run] = ()) -> list[Run]:
    """The runs in a folder, newest first, and `more` that lie elsewhere; what cannot be read as a run is left out."""
    found = {run.path: run for run in more}
    for path in folder.glob("*/run.json"):
        if path.parent.resolve() not in found:
            with contextlib.suppress(AnlageError):  # made by a newer version, or damaged: `anlage info` says which
                run = Run.open(path.parent)
                found[run.path] = run
    return sorted(found.values(), key=lambda run: (run.config.created, run.name), reverse=True)


def summary(run: Run) -> Summary:
    """Read a run's folder."""
    run_summary, curve = run.summary(), Curve()
    for event in run.events()[0]:
        curve.add(event)
    data = _data(run)
    return Summary(run, run_summary, curve, data, _settings(run, data))


def differences(summaries: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """Settings in which runs differ: each with its value in every run, in their order."""
    names = dict.fromkeys(name for one in summaries for name in one.settings)
    rows = [(name, [one.settings.get(name, "–") for one in summaries]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _settings(run: Run, data: str) -> dict[str, str]:
    config = run.config
    kinds = [type(config.training)] + ([TASKS[config.task].config] if config.task in TASKS else [])
    about = {name: field.description or "" for kind in kinds for name, field in kind.model_fields.items()}
    chosen: dict[str, Any] = config.training.model_dump(mode="json") | dict(config.settings)
    start = config.start_from
    first = {"data": data, "started from": short(Path(start).stem) if start else "fresh weights"}
    return first | {in_words(name): _value(value, about.get(name, "")) for name, value in chosen.items()}


def _value(value: Any, description: str) -> str:
    if value is None:
        return none_in_words(description)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_value(item, "") for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _data(run: Run) -> str:
    n, names = 0, []
    for reference in run.config.stores:
        try:
            n += Store.open(reference.place(run.path)).meta.n_nuclei
        except AnlageError:
            return f"{len(run.config.stores)} stores, not all readable"
        names.append(short(reference.stem))
    return f"{n} nuclei ({', '.join(names)})"
