"""What can be said of a run before there is one: whether its stores and the model to start from fit together.

Nothing here imports torch: this is what the napari plugin uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Frozen

if TYPE_CHECKING:
    from anlage.card import Card
    from anlage.dataset.store import Store

__all__ = ["card_of", "check_together"]


def card_of(model: str | Path, task: str, plan: type[Frozen]) -> Card:
    """The card of a model to start from, after a look at all of the file.

    Raises
    ------
    AnlageError
        If there is no such model, it is damaged, for another task, or of a version whose plans are unknown here.
    """
    from anlage.model import load_model

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


def check_together(stores: Sequence[Store], card: Card | None) -> None:
    """Refuse stores that no single network can learn from, and a model that does not see as many channels.

    Also refused are stores that are all meant for validation.

    Raises
    ------
    AnlageError
        If it is so.
    """
    from anlage.dataset.split import check_uses

    check_uses(stores)
    for store in stores[1:]:
        if store.shape[1] != stores[0].shape[1]:
            raise AnlageError(
                f"The store '{store.path}' has {store.shape[1]} channels but '{stores[0].path}' has {stores[0].shape[1]}: "
                "build both with the same choice of channels."
            )
        if (store.shape_tzyx[1] == 1) != (stores[0].shape_tzyx[1] == 1):
            raise AnlageError(
                f"'{store.path}' and '{stores[0].path}' cannot train one network: one is a single plane, the other is not."
            )
    if card is not None and _n_inputs(card) != stores[0].shape[1]:
        raise AnlageError(
            f"The model to start from sees {_n_inputs(card)} channels ({', '.join(card.channels)}), but the store "
            f"'{stores[0].path}' has {stores[0].shape[1]}: choose the same channels, or train without --from."
        )


def _n_inputs(card: Card) -> int:
    """Channels of a store that the model sees."""
    return 1 if card.combine == "sum" else len(card.channels)
