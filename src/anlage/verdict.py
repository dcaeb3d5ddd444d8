"""The verdict on a trained network: whether it is worth using, and what to do if not.

Nothing here is stored: a verdict follows from the card's numbers, so that cards of earlier versions have one, too, and a
stranger's card cannot bring its own words.
"""

from __future__ import annotations

from typing import Literal

from anlage.frozen import Frozen
from anlage.scores import Score, interval_of, noun_of
from anlage.tasks.nuclei.heads import HEADS
from anlage.tasks.task import NOTHING_HELD_OUT, Baseline, Evidence
from anlage.wording import plural

__all__ = ["FEW_HELD_OUT", "Verdict", "judged", "main_score"]

FEW_HELD_OUT = 10
"""Held-out examples below which a score says little: of 9 nuclei that are all found, the interval of F1 begins at 0.82."""
_NEAR_NOTHING = 0.2
"""A score below which a network is of no use."""
_MORE = {
    "nuclei": "annotate more nuclei",
    "divisions": "mark more divisions",
    "links": "link more nuclei",
    "events": "score more examples",
}
_WITHOUT = {
    "nuclei": "find them without training: `anlage predict classical IMAGE -o found.csv`",
    "links": "track without a model of links",
    "divisions": "track without a model of divisions",
}
_HEADLINES = {
    "good": "It does better than no training on what was held out.",
    "unproven": "Whether this network is of use is not known.",
    "poor": "This network is not good enough to be used.",
}


class Verdict(Frozen):
    """Whether a network is worth using, and what to do if not.

    `Card.verdict` gives it for every model, `RunSummary.verdict` for a run with a model. What to show: `level` as a colour or
    symbol (``good``: nothing to worry about; ``unproven``: too little is known; ``poor``: do not use it), `headline` as the
    line beside the score, `reasons` and `advice` below it, or `text`, which holds all of them. All texts are the program's own.
    """

    level: Literal["good", "unproven", "poor"]
    """How it is judged."""
    headline: str
    """The judgement as a sentence."""
    score: str
    """The main score with number and interval, beside what needs no training: 'F1 0.94, 31 nuclei, 0.86 to 0.98; …'; empty where
    nothing was measured."""
    reasons: tuple[str, ...] = ()
    """What speaks against it, a sentence each; none where it is good."""
    advice: str = ""
    """What to do, as a sentence; empty where it is good."""

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against it."""
        return self.level == "good"

    @property
    def text(self) -> str:
        """All of it, to be read in one piece."""
        said = [self.headline, *self.reasons, *([self.advice] if self.advice else [])]
        return " ".join(said)


def judged(
    evidence: Evidence, task: str, head: str = "", *, done: int | None = None, least: int | None = None
) -> Verdict:
    """Judge a network by what is known of it.

    Parameters
    ----------
    evidence
        What held-out data say.
    task, head
        Kind of network, and of output.
    done
        Optimiser steps of its training; None where unknown.
    least
        Steps below which nothing of use is learnt; None where unknown.
    """
    noun = noun_of(task, head)
    score = main_score(evidence, task, head)
    poor: list[str] = []
    unproven: list[str] = []
    if score is not None and score.value < _NEAR_NOTHING:
        poor.append(f"On held-out data it finds next to nothing: {score}.")
    if evidence.baseline is not None:
        _compared(evidence.baseline, noun, poor, unproven)
    if done is not None and least is not None and done < least:
        unproven.append(f"It learnt for {plural(done, 'step', 'steps')} only; at least {least} are needed.")
    _known(evidence, score, noun, unproven)
    level: Literal["good", "unproven", "poor"] = "poor" if poor else "unproven" if unproven else "good"
    reasons = (*poor, *unproven)
    compared = evidence.baseline is not None and evidence.baseline.n > 0
    return Verdict(
        level=level,
        headline=_HEADLINES[level] if reasons or compared else "Nothing speaks against it.",
        score=_in_words(score, evidence.baseline),
        reasons=reasons,
        advice=_advice(task) if reasons else "",
    )


def main_score(evidence: Evidence, task: str, head: str = "") -> Score | None:
    """The score by which a network is judged, with number and interval; None where nothing was measured."""
    kind = HEADS.get(head)
    for metric in ("f1" if kind is None else kind.main_metric, "best_f1", "accuracy"):
        found = interval_of(metric, evidence.metrics, evidence.n_positive, evidence.n_of, noun_of(task, head))
        if found is not None:
            return found
    return None


def _compared(baseline: Baseline, noun: tuple[str, str], poor: list[str], unproven: list[str]) -> None:
    if not baseline.n or baseline.network > baseline.score:
        return
    both = f"{baseline.measure} {baseline.network:.2f} against {baseline.score:.2f}, {plural(baseline.n, *noun)}"
    if baseline.network == baseline.score:
        unproven.append(f"On held-out data it is no better than {baseline.name}, which needs no training: {both}.")
    else:
        poor.append(f"On held-out data it is worse than {baseline.name}, which needs no training: {both}.")


def _known(evidence: Evidence, score: Score | None, noun: tuple[str, str], unproven: list[str]) -> None:
    """Whether enough was held out to know anything."""
    if evidence.held_out == NOTHING_HELD_OUT or evidence.n_positive == 0:
        unproven.append("Nothing was held out from training, so nobody knows how it does on anything new.")
    elif score is None:
        unproven.append("Nothing was measured on held-out data.")
    elif score.n < FEW_HELD_OUT:
        were = "was" if score.n == 1 else "were"
        unproven.append(f"Only {plural(score.n, *noun)} {were} held out, which says little.")


def _in_words(score: Score | None, baseline: Baseline | None) -> str:
    said = [] if score is None else [str(score)]
    if baseline is not None and baseline.n:
        said.append(f"{baseline.measure}: trained {baseline.network:.2f}, {baseline.name} {baseline.score:.2f}")
    return "; ".join(said)


def _advice(task: str) -> str:
    ways = [_MORE.get(task, "give it more examples"), "train longer (`--set steps=…`)"]
    if task in _WITHOUT:
        ways.append(_WITHOUT[task])
    return f"What helps: {', '.join(ways[:-1])}, or {ways[-1]}."
