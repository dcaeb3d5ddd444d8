"""Whether a network is worth using, on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.model import Model

__all__ = ["open_for_use", "verdict_lines"]


def verdict_lines(path: Path) -> str:
    """What is known of a model, and the judgement, as lines; of one that cannot be read, why."""
    from anlage.model import read_card

    try:
        verdict = read_card(path).verdict
    except AnlageError as error:
        return str(error)
    lines = [f"Verdict: {verdict.headline}", *verdict.reasons, *([verdict.advice] if verdict.advice else [])]
    return "\n".join([f"On held-out data: {verdict.score}.", *lines] if verdict.score else lines)


def open_for_use(path: Path, task: str | None = None, head: str | None = None) -> Model:
    """Load a model, and say so if it is not known to be good."""
    from anlage.model import load_model

    model = load_model(path, task=task, head=head)
    verdict = model.card.verdict
    if not verdict.is_good:
        print(f"Note: {verdict.text}")
    return model
