"""What was found, what is wrong and what was missed, and the scores that follow from these counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Counts", "largest_standard_error"]


def largest_standard_error(n: int) -> float:
    """Of a share of n examples, at most: a difference smaller than this may be luck. Infinite for none."""
    return 0.5 / math.sqrt(n) if n else math.inf


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives and false negatives."""

    tp: int
    fp: int
    fn: int

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); 0 where there was nothing to find and nothing was reported."""
        return 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)

    @property
    def metrics(self) -> dict[str, float]:
        """F1, precision, recall, and the counts themselves, as a card has them."""
        return {
            "f1": self.f1,
            "precision": self.tp / max(self.tp + self.fp, 1),
            "recall": self.tp / max(self.tp + self.fn, 1),
            "tp": float(self.tp),
            "fp": float(self.fp),
            "fn": float(self.fn),
        }

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)
