"""What each head of the nuclei task learns, and how it is judged."""

from __future__ import annotations

import torch

from anlage.tasks.nuclei.centres import centre_loss
from anlage.tasks.nuclei.examples import NucleiExamples
from anlage.tasks.task import Evidence, Validation

__all__ = ["finish", "loss", "validate"]

_STEP_WEIGHT = 0.3
"""Weight of the steps to centres where outlines are learnt: where an outline lies is harder to learn, and a step need only tell neighbours apart."""


def loss(output: torch.Tensor, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of a network's output, by what the batch holds; and its parts, detached."""
    from anlage.tasks.nuclei.config import N_CENTRE
    from anlage.tasks.nuclei.outlines import mask_loss, unfold

    if "class" in batch:
        from anlage.tasks.nuclei.classes import class_loss

        parts = class_loss(output, batch)
    else:
        parts = centre_loss(output[:, :N_CENTRE], batch["heat"], batch["offset"], batch["known"])
        if "inside" in batch:
            shape = batch["inside"].shape[2:]
            stem = [n // m for n, m in zip(shape, output.shape[2:], strict=True)]
            parts |= mask_loss(unfold(output[:, N_CENTRE:], stem), batch)
            parts |= {name: _STEP_WEIGHT * parts[name] for name in ("offset", "vote")}
    total = torch.stack(list(parts.values())).sum()
    return total, {name: part.detach() for name, part in parts.items()}


def validate(network: torch.nn.Module, examples: NucleiExamples) -> Validation:
    """A look at held-out data."""
    head = examples.plan.head
    if head == "instances":
        from anlage.tasks.nuclei.outline_validation import validate as look
    elif head == "classes":
        from anlage.tasks.nuclei.classes import validate as look
    else:
        from anlage.tasks.nuclei.centre_validation import validate as look
    return look(network, examples)


def finish(network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
    """Calibration, thresholds and scores on held-out data."""
    head = examples.plan.head
    if head == "instances":
        from anlage.tasks.nuclei.outline_validation import finish as judge
    elif head == "classes":
        from anlage.tasks.nuclei.classes import finish as judge
    else:
        from anlage.tasks.nuclei.centre_validation import finish as judge
    return judge(network, examples)
