"""The loss of the links task: each candidate for itself, and against those that compete for the same later nucleus."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

__all__ = ["batch_loss", "flattened", "link_loss"]

_COMPETITION, _DIVISION = 0.5, 0.5
_SUREST = 15.0
_OF_NODES = ("nearby", "node", "prior_divides", "divides", "divides_known", "crops")
_OF_EDGES = ("edge", "prior", "is_link", "link_known")


def batch_loss(network: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Parts of the loss of a padded batch."""
    graph = flattened(batch)
    links, divides = network(graph)
    return link_loss(links, divides, graph)


def flattened(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One graph of all the graphs of a batch, without what fills them up.

    Parameters
    ----------
    batch
        For each of B graphs: N nuclei and E candidates, filled up to the largest; `edge_there` (B, E) says which
        candidates there are. Nuclei that fill up have no candidate, and nothing is known of them.
    """
    b, n = batch["node"].shape[:2]
    there = batch["edge_there"].flatten()
    graph = {name: batch[name].flatten(0, 1) for name in _OF_NODES if name in batch}
    offset = (torch.arange(b, device=there.device) * n)[:, None, None]
    graph["pairs"] = (batch["pairs"] + offset).flatten(0, 1)[there]
    return graph | {name: batch[name].flatten(0, 1)[there] for name in _OF_EDGES if name in batch}


def link_loss(links: torch.Tensor, divides: torch.Tensor, graph: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Cross-entropies for each true link: of candidates, of the mother among them, and of divisions."""
    known, is_link = graph["link_known"].float(), graph["is_link"].float()
    n_links = is_link.sum().clamp(min=1)
    each = functional.binary_cross_entropy_with_logits(links, is_link, reduction="none")
    parting = functional.binary_cross_entropy_with_logits(divides, graph["divides"].float(), reduction="none")
    return {
        "link": (each * known).sum() / n_links,
        "mother": _COMPETITION * _mother(links, is_link, graph["pairs"][:, 1], len(divides)) / n_links,
        "division": _DIVISION * (parting * graph["divides_known"].float()).sum() / n_links,
    }


def _mother(links: torch.Tensor, is_link: torch.Tensor, later: torch.Tensor, n: int) -> torch.Tensor:
    """Cross-entropy of the true mother among all candidates of a nucleus and none; only where it is one of them."""
    logits = links.clamp(-_SUREST, _SUREST)
    zero = torch.zeros(n, dtype=logits.dtype, device=logits.device)
    every = torch.log1p(zero.index_add(0, later, logits.exp()))
    return (is_link * (every.index_select(0, later) - logits)).sum()
