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
from anlage.model import load_model, read_card
from anlage.tasks import task_named
from anlage.training.config import assign

__all__ = ["USUAL", "card_of", "usual_start"]

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
    card = load_model(model, task=task).card
    try:
        plan.model_validate(card.plan)
    except ValidationError as error:
        raise AnlageError(
            f"The model {model} was planned by another version of anlage ({card.version}); train without starting from it."
        ) from error
    return card


def usual_start(task: str, stores: Sequence[str | Path], assignments: Sequence[str] = ()) -> Path | None:
    """The model that a training starts from unless the user says otherwise: the starter, where it fits.

    It fits where it is of the task, the data have its channels and dimensions, and no setting asks for another network.
    It has learnt from synthetic embryos what nuclei look like, so that few annotations and minutes suffice.

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
    # imported here: with the package around it scipy is loaded, which takes a second
    from anlage.inference.starter import starter_path

    about = task_named(task)
    if not about.material.has_starter:
        return None
    first = Store.open(Path(stores[0]).resolve())
    path = starter_path(flat=first.shape_tzyx[1] == 1)
    if not path.exists():
        return None
    card = read_card(path)
    if card.task != task or card.n_inputs != first.shape[1]:
        return None
    _, wanted = assign(task, assignments)
    asked = wanted.model_dump(mode="json")
    shaping = set(about.inherited) - set(about.adapted)
    same = all(asked[name] == card.config.get(name, asked[name]) for name in shaping)
    return path if same else None
