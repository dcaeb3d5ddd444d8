from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from anlage.calibration import Calibration
from anlage.card import Card, TrainedOn
from anlage.dataset.intensity import ChannelIntensity, Intensity
from anlage.tasks.task import Baseline, Evidence

METRICS = {
    "f1": 0.931, "precision": 0.95, "recall": 0.913, "tp": 283.0, "fp": 15.0, "fn": 27.0,
    "median_error_um": 0.84, "n_frames": 4.0,
}  # fmt: skip


def evidence(**about: Any) -> Evidence:
    return Evidence(
        **{
            "held_out": "310 nuclei in 1 of 4 movies",
            "n_positive": 310,
            "metrics": METRICS,
            "threshold": 0.45,
            "calibration": Calibration(slope=0.8),
            "ece": 0.021,
            **about,
        }
    )


def card(**about: Any) -> Card:
    return Card(
        **{
            "name": "centres-7f3a",
            "task": "nuclei",
            "head": "centres",
            "created": "2026-11-21T10:00:00Z",
            "version": "0.1.0",
            "channels": ("H2B-GFP",),
            "spacing_um_zyx": (2.0, 0.5, 0.5),
            "interval_s": 180.0,
            "intensity": Intensity(channels=(ChannelIntensity(name="H2B-GFP", index=0, low=100.0, high=900.0),)),
            "diameter_um": 8.0,
            "plan": {"cells": 4.5},
            "config": {"head": "centres", "frames": [0]},
            "trained_on": (TrainedOn(name="embryo1", source="movie1.zarr", n_nuclei=1234, n_frames=7),),
            "evidence": evidence(),
            "steps": 1500,
            "seconds": 240.0,
            **about,
        }
    )


def section(markdown: str, title: str) -> str:
    return markdown.split(f"## {title}\n")[1].split("\n## ")[0]


class TestText:
    def test_it_says_what_it_finds_and_looks_at(self):
        text = card().to_markdown()
        assert text.startswith("# centres-7f3a\n\nFinds the centre of every nucleus")
        seen = section(text, "What it looks at")
        assert "Channels: H2B-GFP" in seen
        assert "2 × 0.5 × 0.5 µm (z, y, x)" in seen
        assert "8.0 µm, that is 4.0 × 16.0 × 16.0 voxels" in seen
        assert "3 min" in seen

    def test_it_says_from_what_it_learnt_with_counts(self):
        learnt = section(card().to_markdown(), "What it learnt from")
        assert "embryo1 (from movie1.zarr): 1\N{THIN SPACE}234 nuclei in 7 frames" in learnt
        assert "1\N{THIN SPACE}500 steps in 4 min" in learnt

    def test_it_says_how_well_with_counts_and_an_interval(self):
        does = section(card().to_markdown(), "How well it does")
        assert "310 nuclei in 1 of 4 movies" in does
        assert "0.931 (95 % interval 0.91 to 0.95, from 310 examples)" in does
        assert "95.0%" in does
        assert "| Missed | 27 |" in does
        assert "µm | 0.84 |" in does
        assert "| n_frames | 4 |" in does

    def test_few_held_out_nuclei_show_as_a_wide_interval(self):
        metrics = {**METRICS, "tp": 11.0, "fp": 1.0, "fn": 1.0}
        does = section(card(evidence=evidence(metrics=metrics)).to_markdown(), "How well it does")
        assert "95 % interval 0.73 to 0.98, from 12 examples" in does

    def test_nothing_found_is_told_without_failing(self):
        metrics = {"f1": 0.0, "precision": 0.0, "recall": 0.0, "tp": 0.0, "fp": 0.0, "fn": 310.0}
        assert "0 (95 % interval 0.00 to 0.02" in card(evidence=evidence(metrics=metrics)).to_markdown()

    def test_it_never_claims_held_out_data_where_there_were_none(self):
        text = card(evidence=evidence(held_out="nothing: the training data themselves")).to_markdown()
        assert "Held out from training for this: nothing: the training data themselves." in text
        assert "never trained on" not in text

    def test_without_counts_the_interval_is_that_of_so_many_examples(self):
        does = section(card(evidence=evidence(metrics={"f1": 0.9})).to_markdown(), "How well it does")
        assert "together) | 0.9 (95 % interval 0.87 to 0.92, from 310 examples) |" in does

    def test_a_number_that_is_no_share_has_no_interval(self):
        does = section(card(evidence=evidence(metrics={"median_error_um": 0.9})).to_markdown(), "How well it does")
        assert "µm | 0.9 |" in does
        assert "interval" not in does

    def test_what_needs_no_training_stands_beside_it_with_its_counts(self):
        beside = Baseline(
            name="the blob detector", measure="F1 of centres within 2.8 µm", score=0.86, network=0.94, n=31,
            counts={"tp": 27, "fp": 5, "fn": 4},
        )  # fmt: skip
        does = section(card(evidence=evidence(baseline=beside)).to_markdown(), "How well it does")
        assert "on the same 31 nuclei: F1 of centres within 2.8 µm: trained 0.94, the blob detector 0.86" in does
        assert "(27 found, 5 wrong, 4 missed)" in does
        assert "**It does better than no training on what was held out.**" in does

    def test_a_network_worse_than_none_is_said_to_be(self):
        beside = Baseline(name="the blob detector", measure="F1", score=0.96, network=0.90, n=310)
        told = card(evidence=evidence(baseline=beside), steps_done=12, least_steps=60)
        assert told.verdict.level == "poor"
        does = section(told.to_markdown(), "How well it does")
        assert "worse than the blob detector, which needs no training: F1 0.90 against 0.96, 310 nuclei." in does
        assert "It learnt for 12 steps only; at least 60 are needed." in does
        assert "`anlage predict classical" in does

    def test_a_card_of_an_earlier_version_still_opens(self):
        whole = card().model_dump(mode="json")
        for name in ("steps_done", "steps_planned", "least_steps"):
            del whole[name]
        for name in ("n_of", "baseline"):
            del whole["evidence"][name]
        assert Card.model_validate(whole).verdict.headline == "Nothing speaks against it."

    def test_unmeasured_is_said_to_be_unknown(self):
        text = card(evidence=evidence(metrics={}, ece=None, n_positive=0, held_out="nothing")).to_markdown()
        assert "Not known" in section(text, "How well it does")
        assert "Take them as a ranking" in section(text, "What its probabilities are worth")

    def test_it_says_what_its_probabilities_are_worth(self):
        worth = section(card().to_markdown(), "What its probabilities are worth")
        assert "off by 2.1 percentage points" in worth
        assert "probability of 0.45" in worth

    def test_it_says_what_it_is_not_for(self):
        limits = section(card(limits="Never saw dividing nuclei.").to_markdown(), "What it should not be used for")
        assert "8.0 µm it knows" in limits
        assert "Other stains" in limits
        assert "Never saw dividing nuclei." in limits
        assert "fewer than 100" not in limits

    def test_a_model_from_few_examples_says_so(self):
        few = card(trained_on=(TrainedOn(name="a", n_nuclei=1, n_frames=1, sparse=True),)).to_markdown()
        assert "1 nucleus in 1 frame; only some of the nuclei there were marked" in few
        assert "fewer than 100 examples" in few

    def test_summed_channels_are_named(self):
        text = card(channels=("mCherry", "GFP"), combine="sum").to_markdown()
        assert "Channels: mCherry, GFP, added up" in text

    def test_a_task_without_a_sentence_of_its_own_is_still_named(self):
        assert "Finds something new." in card(task="something", head="new").to_markdown()

    def test_a_strangers_text_cannot_act_in_a_viewer(self):
        nasty = "<script>x</script> ![p](http://e.vil/p.png)\n# title | `code`"
        text = card(name="<b>x ![p](e.png) | `code`", limits=nasty, channels=(nasty,)).to_markdown()
        assert "<b>" not in text
        assert "<script" not in text
        assert "![" not in text
        assert "\n# title" not in text

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("# big", r"\# big"), ("- a", r"\- a"), ("1. a", r"1\. a"), ("12) a", r"12\) a"), ("*a* _b_ c_d", r"\*a\* \_b\_ c_d"),
            ("~~a~~", r"\~\~a\~\~"), (r"\[a](b)", r"\\\[a](b)"), ("0.5 µm, my_model", "0.5 µm, my_model"),
        ],
    )  # fmt: skip
    def test_a_strangers_text_makes_no_headings_lists_or_emphasis(self, text, written):
        limits = section(card(limits=text).to_markdown(), "What it should not be used for")
        assert f"- {written}\n" in f"{limits}\n"


class TestRecord:
    def test_it_survives_json(self):
        assert Card.model_validate_json(card().model_dump_json()) == card()

    def test_metrics_that_are_not_numbers_are_left_out(self):
        made = card(evidence=evidence(metrics={"f1": 0.0, "median_error_um": math.nan}, ece=math.nan))
        assert made.evidence.metrics == {"f1": 0.0}
        assert made.evidence.ece is None
        assert Card.model_validate_json(made.model_dump_json()) == made
        json.loads(made.model_dump_json(), parse_constant=pytest.fail)

    def test_unknown_keys_are_refused(self):
        with pytest.raises(ValidationError, match="surprise"):
            card(surprise=1)

    def test_a_newer_schema_is_refused(self):
        with pytest.raises(ValidationError, match="schema_version"):
            card(schema_version=99)

    def test_its_id_names_the_weights(self):
        assert card(weights_sha256="abcdef0123456789").id == "centres-7f3a-abcdef01"
