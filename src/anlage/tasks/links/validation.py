"""Validation of the links task: every candidate of the held-out part, scored as in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata

from anlage.calibration import Answers, Calibration, choose_threshold, expected_calibration_error, fit_platt
from anlage.candidates import Candidates
from anlage.tasks.baselines import share_baseline
from anlage.tasks.counts import Counts
from anlage.tasks.links.examples import LinkExamples, padded
from anlage.tasks.links.graph import Film
from anlage.tasks.links.loss import flattened, link_loss
from anlage.tasks.links.shown import Sample
from anlage.tasks.task import Evidence, Validation

__all__ = ["finish", "validate"]

MANY = 20
"""Candidates from which a calibration error is given."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """Held-out candidates of which something is known."""

    logits: npt.NDArray[np.float64]
    is_link: npt.NDArray[np.bool_]
    divides_logits: npt.NDArray[np.float64]
    divides: npt.NDArray[np.bool_]
    loss: float
    """For each true link."""
    recall: float
    """Share of the true links that are candidates."""
    misses: npt.NDArray[np.float64]
    """By how much each misses where its nucleus is expected; what links go by without training."""


def validate(network: torch.nn.Module, examples: LinkExamples) -> Validation:
    """1 less the cross-entropy for each true link: almost all links are right, so a share of right ones says little."""
    scored = _scored(network, examples.validation, examples.setting.device)
    return Validation(
        loss=scored.loss, score=1.0 - scored.loss,
        metrics={
            "average_precision": _average_precision(scored.logits, scored.is_link),
            "auc": _auc(scored.logits, scored.is_link),
            "link_accuracy": float(((scored.logits > 0) == scored.is_link).mean()) if len(scored.logits) else float("nan"),
            "division_average_precision": _average_precision(scored.divides_logits, scored.divides),
        },
        n=int(scored.is_link.sum()),
    )  # fmt: skip


def finish(network: torch.nn.Module, examples: LinkExamples) -> Evidence:
    """Calibrate on the held-out candidates, as annotated and as a detector might have found them."""
    scored = _scored(network, examples.validation, examples.setting.device)
    calibration = fit_platt(scored.logits, scored.is_link) if len(scored.logits) else Calibration()
    probability = calibration.apply(scored.logits)
    n = int(scored.is_link.sum())
    threshold = choose_threshold(probability, scored.is_link, n)
    said = probability >= threshold
    tp = int((said & scored.is_link).sum())
    counts = Counts(tp, int(said.sum()) - tp, n - tp)
    plan = examples.plan
    metrics = {
        **counts.metrics,
        "average_precision": _average_precision(scored.logits, scored.is_link),
        "auc": _auc(scored.logits, scored.is_link),
        "link_accuracy": float((said == scored.is_link).mean()) if len(said) else float("nan"),
        "division_average_precision": _average_precision(scored.divides_logits, scored.divides),
        "proposal_recall": scored.recall,
        "search_radius": plan.radius,
        "motion_scale": plan.spread,
        "neighbour_distance_um": plan.neighbour_um,
    }  # fmt: skip
    return Evidence(
        held_out=examples.held_out,
        n_positive=examples.n_held_out,
        metrics=metrics,
        threshold=threshold,
        calibration=calibration,
        ece=expected_calibration_error(probability, scored.is_link) if len(probability) >= MANY else None,
        answers=Answers.of(probability, scored.is_link),
        n_of={
            "auc": min(n, len(scored.is_link) - n),
            "link_accuracy": len(scored.is_link),
            "division_average_precision": int(scored.divides.sum()),
        },
        baseline=share_baseline(
            "the distance alone", "average precision of links", _average_precision(-scored.misses, scored.is_link),
            _average_precision(scored.logits, scored.is_link), n,
        ),
    )  # fmt: skip


def _scored(network: torch.nn.Module, samples: Sequence[Sample], device: str) -> _Scored:
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    losses, n_links = 0.0, 0.0
    for one in samples:
        graph = {name: tensor.to(device) for name, tensor in flattened(padded([one])).items()}
        with torch.no_grad():
            links, divides = network(graph)
            parts = link_loss(links.float(), divides.float(), graph)
        n = float(graph["is_link"].sum())
        losses, n_links = losses + float(sum(parts.values())) * max(n, 1.0), n_links + n
        links_known, divides_known = one.known.link_known, one.known.divides_known
        columns.append(
            (
                links.float().cpu().numpy().astype(np.float64)[links_known], one.known.is_link[links_known],
                divides.float().cpu().numpy().astype(np.float64)[divides_known], one.known.divides[divides_known],
                _misses(one.shown, one.candidates)[links_known],
            )
        )  # fmt: skip
    logits, is_link, divides_logits, divides_true, misses = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    found, true = sum(one.n_found for one in samples), sum(one.n_true for one in samples)
    return _Scored(
        logits, is_link.astype(bool), divides_logits, divides_true.astype(bool), losses / max(n_links, 1.0),
        found / true if true else float("nan"), misses,
    )  # fmt: skip


def _misses(film: Film, candidates: Candidates) -> npt.NDArray[np.float64]:
    """(E,) by how many nearest-neighbour distances each candidate misses where its nucleus is expected from its surroundings."""
    earlier, later = candidates.pairs.T
    expected = np.where(
        (candidates.steps == 1)[:, None], film.ahead.expected_um[earlier], film.over.expected_um[earlier]
    )
    missed = np.linalg.norm(film.points_um[later] - film.points_um[earlier] - expected, axis=1)
    # two frames on a nucleus is √2 times as far from where it is expected
    relative: npt.NDArray[np.float64] = missed / film.scale_um[earlier] / np.sqrt(candidates.steps)
    return relative


def _average_precision(logits: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Mean precision at each right candidate, going down from the likeliest; NaN where there is none."""
    if not right.any():
        return float("nan")
    ranked = right[np.argsort(-logits, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def _auc(logits: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Chance that a right candidate is held for likelier than a wrong one; NaN where either kind is absent."""
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if not n_right or not n_wrong:
        return float("nan")
    return float((rankdata(logits)[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))
