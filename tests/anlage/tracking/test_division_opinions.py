"""How far a network of divisions is believed where something else judges divisions, too."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.calibration import Calibration
from anlage.tasks.task import Evidence
from anlage.timelapse import TimeLapse
from anlage.tracking.division_opinions import joined, note_of, trust_in
from anlage.tracking.track import track

UM = Spacing(1, 1, 1)


def evidence(n: int, **metrics: float) -> Evidence:
    return Evidence(
        held_out="", n_positive=n, metrics=metrics, threshold=0.5, calibration=Calibration(), ece=None
    )  # fmt: skip


def test_a_network_that_tells_all_its_held_out_divisions_is_taken_at_its_word() -> None:
    good = evidence(8, average_precision=1.0)
    assert trust_in(good) == 1.0
    assert note_of(good) == ()
    assert joined(np.array([0.9, 0.01]), np.array([0.02, 0.8]), 1.0) == pytest.approx([0.9, 0.01])


def test_a_network_that_learnt_nothing_leaves_the_decision_to_the_links() -> None:
    """It says the same rare probability of every nucleus; at its word no nucleus would divide."""
    poor = evidence(8, average_precision=0.1)
    together = joined(np.full(2, 0.014), np.array([0.95, 0.01]), trust_in(poor))
    assert together[0] > 0.5
    assert together[1] < 0.05
    assert "average precision 0.10" in note_of(poor)[0]


def test_one_held_out_division_condemns_no_network() -> None:
    assert trust_in(evidence(1, average_precision=0.25)) == 0.75
    assert trust_in(evidence(0)) == 1.0


def test_what_a_network_does_not_say_is_left_to_the_links() -> None:
    assert joined(np.array([np.nan]), np.array([0.3]), 0.7) == pytest.approx([0.3])


@pytest.mark.parametrize(("precision", "divides"), [(1.0, False), (0.05, True)])
def test_a_network_that_denies_every_division_is_believed_only_if_it_told_some(
    monkeypatch: pytest.MonkeyPatch, *, precision: float, divides: bool
) -> None:
    """Two daughters on either side of where their mother was: without the network this is a division."""
    nuclei = Annotations.of([[0, 0, 20, 20], [1, 0, 14, 20], [1, 0, 26, 20], [0, 0, 45, 45], [1, 0, 45, 45]])
    image = TimeLapse.of(np.zeros((2, 1, 1, 60, 60), np.uint8), spacing=UM)

    def denies(_: Any, of: Annotations, *__: Any, **___: Any) -> np.ndarray:
        return np.where(of.frames == 0, 1e-5, np.nan)

    monkeypatch.setattr("anlage.inference.divisions.score_divisions", denies)
    model: Any = SimpleNamespace(card=SimpleNamespace(evidence=evidence(20, average_precision=precision)))
    report = track(nuclei, UM, image=image, divisions=model).report
    assert (report.n_divisions == 1) is divides
    assert ("hardly told the 20 held-out divisions" in " ".join(report.notes)) is divides
