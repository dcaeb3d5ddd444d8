"""Planted errors are among the first warnings; what is right, or was settled by a human, is not warned of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anlage import AddNuclei, Annotations, DescribeNuclei, Document, Spacing
from anlage.synthetic.planted_errors import Planted, plant, planted_lineages
from anlage.tracking.track_warning import REVIEWED, TrackWarning
from anlage.tracking.warnings import find_warnings

SPACING = Spacing(2.0, 0.5, 0.5)
SHAPE = (30, 40, 240, 240)


def found(planted: Planted, warnings: tuple[TrackWarning, ...]) -> list[str]:
    """Kinds of the planted errors that no warning names a nucleus of."""
    named = {nucleus for warning in warnings for nucleus in warning.ids}
    return [kind for kind, ids in planted if not ids & named]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_20_planted_errors_are_among_the_first_30_warnings(seed: int) -> None:
    tracks, planted = plant(planted_lineages(seed), seed)
    warnings = find_warnings(tracks, SHAPE, SPACING)
    assert len(planted) == 20
    assert found(planted, warnings[:30]) == []
    scores = [warning.score for warning in warnings]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] <= scores[0] <= 1


def test_true_tracks_give_no_grave_warning_and_doubtful_links_come_first() -> None:
    truth = planted_lineages(4)
    assert sum(one.score > 0.5 for one in find_warnings(truth, SHAPE, SPACING)) <= 2
    probability = np.full(len(truth.links), 0.999)
    probability[50] = 0.2
    first = find_warnings(replace(truth, link_properties={"probability": probability}), SHAPE, SPACING)[0]
    mother, daughter = truth.links[50].tolist()
    assert (first.kind, first.links, first.score) == ("link", ((mother, daughter),), 0.8)
    assert "is right with a probability of 20 %" in first.text
    assert first.position == tuple(truth.positions[daughter - 1])
    probability[50] = np.nan  # a human says that it is right
    assert not any(
        one.links == first.links
        for one in find_warnings(replace(truth, link_properties={"probability": probability}), SHAPE, SPACING)
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_warning_would_have_instead_is_what_was_true(seed: int) -> None:
    truth = planted_lineages(seed)
    tracks, planted = plant(truth, seed)
    true = {(int(a), int(b)) for a, b in truth.links}
    warnings = find_warnings(tracks, SHAPE, SPACING)
    swaps = [one for one in warnings if one.kind == "swap"]
    assert len(swaps) >= 3
    assert all(set(one.instead) <= true and not set(one.links) & true for one in swaps)
    gaps = [one for one in warnings if one.kind == "gap" and one.missing is not None]
    assert len(gaps) >= 3
    for one in gaps:
        (a, b), missing = one.instead[0], np.array(one.missing)
        (gone,) = [c for c in truth.ids[truth.frames == missing[0]].tolist() if {(a, c), (c, b)} <= true]
        assert np.linalg.norm((truth.positions[gone - 1, 1:] - missing[1:]) * SPACING.um) < 4
    assert [kind for kind, _ in planted].count("swap") == 4


def test_ends_at_the_border_and_in_the_last_frame_are_right() -> None:
    at = [(t, 5, y, 40) for y in (2, 100) for t in range(4)]
    chain = [(1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8)]
    more = [(t, 5, 100, 100) for t in range(7)]
    tracks = Annotations.of([*at, *more], links=[*chain, *((i, i + 1) for i in range(9, 15))], radius_um=4.0)
    warnings = find_warnings(tracks, (7, 10, 200, 200), SPACING)
    assert [one.ids for one in warnings] == [(8,)]
    assert warnings[0].text == "A track ends with nucleus 8 in frame 3, inside the image and 3 frames before the last."


def test_a_missed_division_names_mother_and_sister() -> None:
    truth = planted_lineages(5)
    mother, one, other = truth.divisions[1].tolist()
    tracks = truth.linked(truth.links[(truth.links != (mother, other)).any(axis=1)])
    first = find_warnings(tracks, SHAPE, SPACING)[0]
    assert first.kind == "missed division"
    assert first.ids == (other, mother, one)
    assert first.instead == ((mother, other),)


def test_what_a_human_settled_is_passed_over_and_comes_back_with_undo() -> None:
    tracks, _ = plant(planted_lineages(1), 1)
    document = Document(shape_tzyx=SHAPE)
    document.apply(AddNuclei.of(tracks))
    before = find_warnings(document.nuclei, SHAPE, SPACING)
    ids, words = [i for i, _ in before[0].about], [word for _, word in before[0].about]
    document.apply(DescribeNuclei(ids, {REVIEWED: words}))
    assert before[0] not in find_warnings(document.nuclei, SHAPE, SPACING)
    document.undo()
    assert find_warnings(document.nuclei, SHAPE, SPACING) == before


def test_two_divisions_in_quick_succession_and_a_radius_that_jumps() -> None:
    truth = planted_lineages(6)
    radius = truth.radius_um.copy()
    last = [
        row
        for row in np.flatnonzero(truth.frames == SHAPE[0] - 1)
        if not np.isin(truth.divisions, truth.ids[row]).any()
    ]
    radius[last[3]] *= 2.5
    warnings = find_warnings(replace(truth, radius_um=radius), SHAPE, SPACING, at_least=0.0)
    assert any(one.kind == "size" and one.ids[0] == truth.ids[last[3]] and one.score > 0.5 for one in warnings)
    at = [(0, 5, 50, 50), (1, 5, 50, 44), (1, 5, 50, 56), (2, 5, 50, 38), (2, 5, 56, 44), (2, 5, 50, 56)]
    quick = Annotations.of(at, links=[(1, 2), (1, 3), (2, 4), (2, 5), (3, 6)])
    found_here = find_warnings(quick, (3, 10, 100, 100), SPACING)
    assert any("only 1 frames after" in one.text and one.ids[0] == 2 for one in found_here), found_here
