"""Whether a network is worth using, in words."""

from __future__ import annotations

from typing import Any

import pytest

from anlage.calibration import Calibration
from anlage.tasks.task import NOTHING_HELD_OUT, Baseline, Evidence
from anlage.verdict import FEW_HELD_OUT, Verdict, judged


def evidence(tp: int = 30, fp: int = 1, fn: int = 1, **changes: Any) -> Evidence:
    metrics = {"f1": 2 * tp / (2 * tp + fp + fn), "tp": float(tp), "fp": float(fp), "fn": float(fn)}
    usual: dict[str, Any] = {
        "held_out": "31 nuclei in 1 of 4 movies", "n_positive": tp + fn, "metrics": metrics, "threshold": 0.5,
        "calibration": Calibration(), "ece": None, "baseline": beside(0.9, metrics["f1"]),
    }  # fmt: skip
    return Evidence(**{**usual, **changes})


def beside(score: float, network: float, n: int = 31) -> Baseline:
    return Baseline(name="the blob detector", measure="F1 of centres within 2.8 µm", score=score, network=network, n=n)


def test_better_than_blobs_on_enough_is_good():
    verdict = judged(evidence(), "nuclei", "centres", done=200, least=60)
    assert verdict.is_good
    assert (verdict.reasons, verdict.advice) == ((), "")
    assert verdict.text == verdict.headline == "It does better than no training on what was held out."
    assert verdict.score == (
        "F1 0.97, 31 nuclei, 0.89 to 0.99; F1 of centres within 2.8 µm: trained 0.97, the blob detector 0.90"
    )


def test_worse_than_blobs_is_poor_and_says_what_to_do():
    verdict = judged(evidence(baseline=beside(0.98, 0.97)), "nuclei", "centres")
    assert verdict.level == "poor"
    assert verdict.reasons == (
        "On held-out data it is worse than the blob detector, which needs no training: "
        "F1 of centres within 2.8 µm 0.97 against 0.98, 31 nuclei.",
    )
    for way in ("annotate more nuclei", "--set steps", "`anlage predict classical IMAGE -o found.csv`"):
        assert way in verdict.advice
    assert verdict.text == " ".join((verdict.headline, *verdict.reasons, verdict.advice))


def test_as_good_as_blobs_is_not_proven():
    verdict = judged(evidence(baseline=beside(0.97, 0.97)), "nuclei", "centres")
    assert verdict.level == "unproven"
    assert "no better than the blob detector" in verdict.text


@pytest.mark.parametrize(("tp", "level"), [(3, "poor"), (4, "good")])
def test_next_to_nothing_is_poor(tp, level):
    """F1 0.167 and 0.211."""
    found = evidence(tp, 15, 15, baseline=None)
    assert judged(found, "divisions").level == level


@pytest.mark.parametrize(("done", "level"), [(59, "unproven"), (60, "good"), (None, "good")])
def test_few_steps_are_said(done, level):
    verdict = judged(evidence(), "nuclei", done=done, least=60)
    assert verdict.level == level
    assert ("It learnt for 59 steps only; at least 60 are needed." in verdict.text) == (done == 59)


def test_one_step_is_one():
    assert "It learnt for 1 step only" in judged(evidence(), "nuclei", done=1, least=60).text


def test_without_held_out_data_nobody_knows():
    for found in (evidence(held_out=NOTHING_HELD_OUT), evidence(n_positive=0, metrics={})):
        verdict = judged(found, "links")
        assert verdict.level == "unproven"
        assert "Nothing was held out" in verdict.text
        assert "link more nuclei" in verdict.advice


def test_nothing_measured_is_said():
    verdict = judged(evidence(metrics={}, baseline=None), "links")
    assert verdict.reasons == ("Nothing was measured on held-out data.",)
    assert verdict.score == ""


@pytest.mark.parametrize(
    ("n", "said"), [(1, "Only 1 nucleus was held out"), (FEW_HELD_OUT - 1, "Only 9 nuclei were"), (FEW_HELD_OUT, "")]
)
def test_few_held_out_objects_are_said(n, said):
    verdict = judged(evidence(n, 0, 0, baseline=beside(0.5, 1.0, n)), "nuclei")
    assert said in verdict.text
    assert verdict.is_good == (said == "")


def test_a_baseline_of_nothing_compares_nothing():
    verdict = judged(evidence(baseline=beside(0.0, 0.0, 0)), "nuclei")
    assert verdict.is_good
    assert verdict.headline == "Nothing speaks against it."
    assert "blob" not in verdict.score


def test_what_is_poor_and_unproven_is_poor_with_all_reasons():
    verdict = judged(evidence(1, 20, 3, baseline=beside(0.5, 0.08)), "nuclei", done=3, least=60)
    assert verdict.level == "poor"
    assert len(verdict.reasons) == 4


def test_classes_are_judged_by_dice_and_pieces():
    found = evidence(
        metrics={"dice": 0.91, "dice_1": 0.9, "accuracy": 0.95}, n_of={"dice": 40}, baseline=None, n_positive=90_000
    )
    assert judged(found, "nuclei", "classes").score == "Dice 0.91, 40 pieces as large as a nucleus, 0.78 to 0.97"


def test_it_crosses_a_process():
    verdict = judged(evidence(baseline=beside(0.98, 0.97)), "nuclei", "centres")
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
