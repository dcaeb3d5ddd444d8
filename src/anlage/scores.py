"""Scores as text: always with the number of examples and the confidence interval.

One rule for all: a share of n examples has Wilson's interval (E. B. Wilson, JASA 22, 1927). The mean of n values between 0 and 1
(an overlap, a Dice) varies by no more than a share does, so the same interval is wide enough for it, too. F1 is a function of a
share of its own, J = tp / (tp + fp + fn), whose interval carries over. Average precision has as many examples as there are of the
wanted kind (K. Boyd et al., ECML 2013), the area under a ROC curve as many as there are of the rarer kind (its variance is at
most A (1 − A) / min(m, n): Z. W. Birnbaum and O. M. Klose, Ann. Math. Stat. 28, 1957).

All of that covers the luck of counting so few or so many, not that examples of one image resemble each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from anlage.calibration import f1_interval, wilson_interval
from anlage.wording import plural

__all__ = ["EXAMPLES", "NOUNS", "Score", "headline_score", "interval_of", "is_score", "label_of", "noun_of"]

_F1 = ("f1", "best_f1", "mean_f1")
_JACCARD = ("ap50", "ap75", "mean_ap")
_SHARES = (
    "precision", "recall", "in_frame", "average_precision", "seg", "pq", "dice", "accuracy", "auc", "link_accuracy",
    "division_average_precision", "proposal_recall", "det", "tra", "lnk", "complete_tracks", "link_f1",
)  # fmt: skip
_LABELS = {
    "f1": "F1", "best_f1": "best F1", "mean_f1": "mean F1", "auc": "AUC", "seg": "SEG", "dice": "Dice", "ap50": "AP50",
    "ap75": "AP75", "link_f1": "F1 of links",
}  # fmt: skip
_HEADLINES = ("f1", "best_f1", "dice", "accuracy", "link_accuracy", "auc", "average_precision")
_MANY = 1000
"""Examples from which a third digit says something."""

NOUNS = {
    "nuclei": ("nucleus", "nuclei"),
    "classes": ("piece as large as a nucleus", "pieces as large as a nucleus"),
    "divisions": ("division", "divisions"),
    "links": ("link", "links"),
    "events": ("event", "events"),
}
"""What each kind of network is measured on, one and many."""
EXAMPLES = ("held-out example", "held-out examples")
"""The same where it is not known what is measured."""


@dataclass(frozen=True, slots=True)
class Score:
    """A share between 0 and 1 with what it rests on.

    Parameters
    ----------
    label
        What was measured: 'F1'.
    value
        Between 0 and 1.
    n
        Examples behind it.
    low, high
        95 % interval; see the module.
    noun
        What the examples are, one and many.
    """

    label: str
    value: float
    n: int
    low: float
    high: float
    noun: tuple[str, str] = EXAMPLES

    @classmethod
    def of_share(cls, label: str, part: float, whole: float, noun: tuple[str, str] = EXAMPLES) -> Self:
        """Of a part of so many examples, or of their mean (times their number)."""
        low, high = wilson_interval(part, whole)
        return cls(label, part / whole if whole else math.nan, round(whole), low, high, noun)

    @classmethod
    def of_counts(cls, label: str, tp: float, fp: float, fn: float, noun: tuple[str, str] = EXAMPLES) -> Self:
        """F1 of what was found, reported wrongly and missed."""
        low, high = f1_interval(tp, fp, fn) if tp + fp + fn else (0.0, 1.0)
        value = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan
        return cls(label, value, round(tp + fn), low, high, noun)

    def __str__(self) -> str:
        """``F1 1.00, 6 nuclei, 0.76 to 1.00``."""
        return f"{self.short}, {plural(self.n, *self.noun)}, {self.interval}"

    @property
    def short(self) -> str:
        """``F1 1.00``; only where number and interval stand beside it."""
        return f"{self.label} {self._number(self.value)}"

    @property
    def interval(self) -> str:
        """``0.76 to 1.00``."""
        return f"{self._number(self.low)} to {self._number(self.high)}"

    def _number(self, value: float) -> str:
        if not math.isfinite(value):
            return "unknown"
        return f"{value:.{3 if self.n >= _MANY else 2}f}"


def is_score(name: str) -> bool:
    """Whether a metric of this name is a share, which has an interval."""
    return name in _F1 or name in _JACCARD or name in _SHARES or name.startswith("dice_")


def interval_of(
    name: str,
    metrics: Mapping[str, float],
    n: int,
    n_of: Mapping[str, int] | None = None,
    noun: tuple[str, str] = EXAMPLES,
) -> Score | None:
    """A metric with what it rests on; None where it is no share, or nobody counted.

    Parameters
    ----------
    name
        Of the metric.
    metrics
        All that were measured together, tp, fp and fn among them where something was counted.
    n
        Examples of the wanted kind.
    n_of
        Examples behind other metrics, by name.
    noun
        What the examples are, one and many; see `noun_of`.
    """
    if not is_score(name) or name not in metrics or not math.isfinite(metrics[name]):
        return None
    label, value = label_of(name), metrics[name]
    tp, fp, fn = (metrics.get(count, math.nan) for count in ("tp", "fp", "fn"))
    known = all(math.isfinite(count) and count >= 0 for count in (tp, fp, fn))
    if known and name in ("f1", "precision", "recall", "in_frame"):
        if name == "f1":
            return Score.of_counts(label, tp, fp, fn, noun) if tp + fp + fn else None
        whole = {"precision": tp + fp, "recall": tp + fn, "in_frame": tp}[name]
        return Score.of_share(label, value * whole, whole, noun) if whole else None
    whole = (n_of or {}).get(name, n)
    if whole <= 0:
        return None
    # what was reported, where it was not counted: as many as there are
    both = 2 * tp + fp + fn if known else 2 * whole
    return _of_value(name, label, min(1.0, max(0.0, value)), whole, both, noun)


def headline_score(metrics: Mapping[str, float], n: int, task: str, head: str = "") -> Score | None:
    """The main score of a validation; None where nothing was counted.

    Parameters
    ----------
    metrics
        What was measured.
    n
        Examples of the wanted kind.
    task, head
        Kind of network, and of output.
    """
    found = (interval_of(name, metrics, n, noun=noun_of(task, head)) for name in _HEADLINES)
    return next((score for score in found if score is not None), None)


def label_of(name: str) -> str:
    """How a metric is called in a sentence."""
    return _LABELS.get(name, name.replace("_", " "))


def noun_of(task: str, head: str = "") -> tuple[str, str]:
    """What a kind of network is measured on, one and many."""
    return NOUNS.get(head, NOUNS.get(task, EXAMPLES))


def _of_value(name: str, label: str, value: float, n: int, both: float, noun: tuple[str, str]) -> Score:
    """A score of which only the value is known: of `n` examples, with `both` sides' objects together."""
    if name in _F1:
        tp = value * both / 2
        low, high = f1_interval(tp, both - 2 * tp, 0.0)
    elif name in _JACCARD:
        union = both / (1 + value)
        low, high = wilson_interval(value * union, union)
    else:
        low, high = wilson_interval(value * n, n)
    return Score(label, value, n, low, high, noun)
