"""The kinds of network. Adding one is a folder beside these and a line in `TASKS`."""

from __future__ import annotations

from collections.abc import Mapping

from anlage.errors import AnlageError
from anlage.tasks.divisions.task import DivisionsTask
from anlage.tasks.events.task import EventsTask
from anlage.tasks.links.task import LinksTask
from anlage.tasks.nuclei.task import NucleiTask
from anlage.tasks.task import Kind, Task

__all__ = ["KINDS", "TASKS", "kind_of_model", "task_named"]

TASKS: dict[str, Task] = {task.name: task for task in (NucleiTask(), DivisionsTask(), LinksTask(), EventsTask())}
"""By name. Loads no torch."""

KINDS: dict[str, Kind] = {kind.name: kind for task in TASKS.values() for kind in task.kinds}
"""All that can be trained, by name, in the order of `TASKS`."""


def kind_of_model(task: str, head: str) -> Kind:
    """What a model was trained for, by the task and the head that its card names."""
    kinds = TASKS[task].kinds
    return next((kind for kind in kinds if f"head={head}" in kind.settings), kinds[0])


def task_named(name: str, tasks: Mapping[str, Task] | None = None) -> Task:
    """Look up a task among `tasks`, or among those there are.

    Raises
    ------
    AnlageError
        If there is none of that name.
    """
    tasks = TASKS if tasks is None else tasks
    if name not in tasks:
        raise AnlageError(f"There is no task '{name}'; there is {', '.join(tasks)}.")
    return tasks[name]
