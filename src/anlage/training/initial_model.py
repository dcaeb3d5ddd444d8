"""The model that a training starts from.

Nothing here imports torch: this is what the napari plugin uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from anlage.card import Card
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.io.kinds import FileKind, kind_of
from anlage.model import read_card
from anlage.tasks import task_named
from anlage.tasks.sources import fits_inputs
from anlage.training.config import assign

__all__ = ["USUAL", "card_of", "settings_of_start", "usual_start", "usual_steps"]

USUAL = "usual"
"""Stands for what `usual_start` gives, wherever a model to start from is named."""


def card_of(model: str | Path, task: str, plan: type[Frozen]) -> Card:
    """The card of a model to start from; all of its file is checked.

    Raises
    ------
    AnlageError
        If there is no such model, it is damaged, for another task, or of a version whose plans are unknown here.
    """
    if not Path(model).is_file():
        raise AnlageError(f"There is no model at {model} to start from; check the path.")
    # imported here: with the package around it scipy is loaded, which takes a second
    from anlage.inference.keras_start import model_to_start_from

    card = model_to_start_from(model, task).card
    try:
        plan.model_validate(card.plan)
    except ValidationError as error:
        raise AnlageError(
            f"The model {model} was planned by another version of anlage ({card.version}); train without starting from it."
        ) from error
    return card


def settings_of_start(model: str | Path | None, assignments: Sequence[str]) -> list[str]:
    """The settings of a training, with those that its start asks for where the user says nothing.

    Of a network of miniML the convolutions are held: from 50 windows of a new recording that found more than learning all of it
    (mean F1 0.957 against 0.942 over eleven recordings, docs/lab-book/events.md).

    Parameters
    ----------
    model
        The model to start from; None: fresh weights.
    assignments
        Settings, each ``name=value``.
    """
    said = {assignment.partition("=")[0].strip() for assignment in assignments}
    if model is None or said & {"freeze_encoder", "fresh_weights"} or kind_of(model) is not FileKind.KERAS:
        return list(assignments)
    return [*assignments, "freeze_encoder=true"]


def usual_start(task: str, stores: Sequence[str | Path], assignments: Sequence[str] = ()) -> Path | None:
    """The model that a training starts from unless the user says otherwise: the starter, where it fits.

    It fits where it is of the task, the data have its dimensions, and no setting asks for another network; of several channels
    or frames it takes the one in which nuclei stand out, and the others are learnt.
    It has learnt from synthetic embryos what nuclei look like, so that few annotations and steps suffice.

    Parameters
    ----------
    task
        Name of the task.
    stores
        Training data.
    assignments
        Settings, each ``name=value``.

    Returns
    -------
    path
        None: fresh weights.
    """
    if not task_named(task).material.has_starter:
        return None
    first = Store.open(Path(stores[0]).resolve())
    return _fitting_starter(task, assignments, first.shape[1], flat=first.shape_tzyx[1] == 1)


def _card(model: Path) -> Card:
    """The card of a model to start from, or of what a network of miniML is as one."""
    if kind_of(model) is FileKind.MODEL:
        return read_card(model)
    # imported here: with the package around it scipy is loaded, which a window need not wait for
    from anlage.inference.keras_start import card_to_start_from

    return card_to_start_from(model)


def usual_steps(
    task: str,
    assignments: Sequence[str] = (),
    start_from: str | Path | None = USUAL,
    *,
    n_inputs: int = 1,
    flat: bool = False,
) -> tuple[int, int]:
    """How many steps a training makes that sets neither steps nor epochs nor minutes; known before its data are written.

    Parameters
    ----------
    task
        Name of the task.
    assignments
        Settings, each ``name=value``.
    start_from
        As in `Run.create`.
    n_inputs
        Channels of the training data.
    flat
        Whether these are single planes.

    Returns
    -------
    usual
        Optimiser steps.
    least
        Those below which nothing of use is learnt.

    Raises
    ------
    AnlageError
        If a setting is not possible, or the model to start from cannot be read or contradicts it.
    """
    model = _fitting_starter(task, assignments, n_inputs, flat=flat) if start_from == USUAL else start_from
    training, config = assign(task, assignments, base=None if model is None else _card(Path(model)).config)
    about, from_model = task_named(task), model is not None and not training.fresh_weights
    usual = about.steps_for(config, from_model=from_model)
    return usual, about.least_steps_for(config, from_model=from_model)


def _fitting_starter(task: str, assignments: Sequence[str], n_inputs: int, *, flat: bool) -> Path | None:
    # imported here: with the package around it scipy is loaded, which takes a second
    from anlage.inference.starter import starter_path

    about = task_named(task)
    path = starter_path(flat=flat)
    if not about.material.has_starter or not path.exists():
        return None
    card = read_card(path)
    if card.task != task or not fits_inputs(card.n_inputs, n_inputs, widens=about.material.widens):
        return None
    _, wanted = assign(task, assignments)
    asked = wanted.model_dump(mode="json")
    # what nobody set, and the kind of output does not decide, is as the model has it
    named, usual = {text.partition("=")[0].strip() for text in assignments}, about.config().model_dump(mode="json")
    shaping = {n for n in set(about.inherited) - set(about.adapted) if n in named or asked[n] != usual[n]}
    same = all(asked[name] == card.config.get(name, asked[name]) for name in shaping)
    # it looks at the frame that it answers for, which has to be among those of this training
    return path if same and 0 in asked.get("frames", (0,)) else None
