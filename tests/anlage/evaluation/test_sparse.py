"""The score of a sparse truth. The cases follow its published definition and counts."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.sparse import SparseScore, score_sparse

UNIT = Spacing(1, 1, 1)


def graph(nodes: dict[str, tuple[int, float]], links: str) -> Annotations:
    """Named nuclei at (t, y), and links as ``"AB BC"``."""
    number = {name: i for i, name in enumerate(nodes, start=1)}
    pairs = [(number[a], number[b]) for a, b in links.split()]
    return Annotations.of([(t, 0, y, 0) for t, y in nodes.values()], links=pairs)


def score(result: Annotations, truth: Annotations, radius: float = 1.0, **more) -> SparseScore:
    return score_sparse(result, truth, UNIT, radius, **more)


LINE = {"A": (0, 0), "B": (1, 0), "C": (2, 0)}
#  P – D – C – G
#        \ c – g
FORK = {"P": (0, 0), "D": (1, 0), "C": (2, 5), "c": (2, -5), "G": (3, 5), "g": (3, -5)}
FORK_LINKS = "PD DC Dc CG cg"
TRUTH = graph(FORK, FORK_LINKS)


class TestLinks:
    def test_the_truth_itself(self):
        s = score(TRUTH, TRUTH, n_nuclei=6)
        assert (s.edge_tp, s.edge_fp, s.edge_fn, s.division_tp, s.division_fp, s.division_fn) == (5, 0, 0, 1, 0, 0)
        assert s.score == pytest.approx(1.1)

    @pytest.mark.parametrize(
        ("extra", "fp"), [("XA", 0), ("XB", 1), ("XC", 1), ("AX", 1), ("BX", 1), ("CX", 0)], ids=lambda v: str(v)
    )
    def test_only_links_that_the_truth_can_judge_are_wrong(self, extra, fp):
        at = {"XA": -1, "XB": 0, "XC": 1, "AX": 1, "BX": 2, "CX": 3}[extra]
        nodes = {name: (t + 1, y) for name, (t, y) in LINE.items()}
        replaced = {"XB": "BC", "XC": "AB"}.get(extra, "AB BC")  # a nucleus has one parent
        s = score(graph({**nodes, "X": (at + 1, 100)}, f"{replaced} {extra}"), graph(nodes, "AB BC"))
        assert s.edge_fp == fp

    def test_nuclei_that_nobody_marked_cost_nothing(self):
        crowd = {f"{i}": (i % 3, 50 + i) for i in range(9)}
        s = score(graph({**LINE, **crowd}, "AB BC 01 12"), graph(LINE, "AB BC"))
        assert (s.edge_tp, s.edge_fp, s.edge_fn) == (2, 0, 0)
        assert s.adjusted_edge_jaccard is s.score is None

    def test_too_many_nuclei_cost_a_tenth_for_each_time(self):
        crowd = {f"{i}": (i % 3, 50 + i) for i in range(9)}
        found = graph({**LINE, **crowd}, "AB BC")
        assert score(found, graph(LINE, "AB BC"), n_nuclei=6).adjusted_edge_jaccard == pytest.approx(0.9)
        assert score(found, graph(LINE, "AB BC"), n_nuclei=1).adjusted_edge_jaccard == 0
        assert score(found, graph(LINE, "AB BC"), n_nuclei=24).adjusted_edge_jaccard == pytest.approx(1.05)

    def test_the_radius_is_in_micrometres(self):
        moved = graph(LINE, "AB BC").shifted((0, 2, 0, 0))
        assert score_sparse(moved, graph(LINE, "AB BC"), Spacing(3.5, 1, 1)).edge_tp == 2
        assert score_sparse(moved, graph(LINE, "AB BC"), Spacing(3.6, 1, 1)).edge_tp == 0

    @pytest.mark.parametrize("more", [{"radius": 0.0}, {"n_nuclei": 0}])
    def test_refusals(self, more):
        with pytest.raises(AnlageError):
            score(TRUTH, TRUTH, **more)


def divisions(result: Annotations, truth: Annotations, radius: float = 1.0) -> tuple[int, int, int]:
    s = score(result, truth, radius)
    return s.division_tp, s.division_fp, s.division_fn


class TestDivisions:
    def test_missed(self):
        assert divisions(graph({n: FORK[n] for n in "PDCG"}, "PD DC CG"), TRUTH) == (0, 0, 1)

    def test_a_daughter_that_is_no_part_of_the_lineage(self):
        assert divisions(graph(FORK, "PD DC CG cg"), TRUTH) == (0, 0, 1)

    def test_a_late_split_on_the_way_is_right(self):
        late = {"P": (0, 0), "D": (1, 0), "M": (2, 0), "G": (3, 5), "g": (3, -5)}
        assert divisions(graph(late, "PD DM MG Mg"), TRUTH) == (1, 0, 0)

    def test_an_early_split_is_right(self):
        early = {"P": (0, 0), "D": (1, 0), "d": (1, -3), "C": (2, 5), "c": (2, -5)}
        assert divisions(graph(early, "PD Pd DC dc"), TRUTH) == (1, 0, 0)

    def test_a_split_where_the_truth_goes_straight_on(self):
        found = graph({**LINE, "D": (2, 5)}, "AB BC BD")
        assert divisions(found, graph(LINE, "AB BC")) == (0, 1, 0)

    def test_a_split_where_the_truth_ends_cannot_be_judged(self):
        found = graph({**LINE, "D": (3, 5), "E": (3, -5)}, "AB BC CD CE")
        assert divisions(found, graph(LINE, "AB BC")) == (0, 0, 0)

    def test_a_split_far_from_all_that_is_marked(self):
        far = {"X": (0, 100), "Y": (1, 105), "Z": (1, 95)}
        assert divisions(graph(far, "XY XZ"), graph({"A": (0, 0), "B": (1, 0)}, "AB")) == (0, 0, 0)

    def test_a_track_that_takes_the_nucleus_before_the_mother_does_not_matter(self):
        truth = graph({"A": (0, 0), "B": (1, 0), "D": (2, 0), "C": (3, 5), "c": (3, -5)}, "AB BD DC Dc")
        found = {
            "P": (0, -20), "Q": (1, -15), "R": (2, 0.5), "S": (3, 5), "T": (3, -5),
            "U": (0, 0.1), "V": (1, 0.1), "W": (2, 50),
        }  # fmt: skip
        assert divisions(graph(found, "PQ QR RS RT UV VW"), truth, 5.0) == (1, 0, 0)

    def test_copies_of_a_division_count_once(self):
        copies = {f"{name}{i}": place for i in range(3) for name, place in FORK.items()}
        number = {name: i for i, name in enumerate(copies, start=1)}
        links = [(number[f"{a}{i}"], number[f"{b}{i}"]) for i in range(3) for a, b in FORK_LINKS.split()]
        found = Annotations.of([(t, 0, y, 0) for t, y in copies.values()], links=links)
        s = score(found, TRUTH)
        assert (s.division_tp, s.division_fn) == (1, 0)

    def test_one_split_does_not_serve_two_divisions(self):
        #  A – B – C     and C divides again at once
        nodes = {"A": (0, 0), "B": (1, 0), "C": (2, 5), "c": (2, -5), "D": (3, 8), "d": (3, 2), "e": (3, -5)}
        truth = graph(nodes, "AB BC Bc CD Cd ce")
        assert divisions(truth, truth) == (2, 0, 0)
        less = graph({n: p for n, p in nodes.items() if n != "d"}, "AB BC Bc CD ce")
        assert divisions(less, truth) == (1, 0, 1)

    def test_found_missed_and_wrong_together(self):
        truth, found, pairs, links = [], [], [], []
        for shift, missed in ((0, False), (40, True)):
            base = len(truth)
            truth += [(t, 0, y + shift, 0) for t, y in FORK.values()]
            links += [(base + "PDCcGg".index(a) + 1, base + "PDCcGg".index(b) + 1) for a, b in FORK_LINKS.split()]
            names = "PDCG" if missed else "PDCcGg"
            start = len(found)
            found += [(FORK[n][0], 0, FORK[n][1] + shift, 0) for n in names]
            own = "PD DC CG" if missed else FORK_LINKS
            pairs += [(start + names.index(a) + 1, start + names.index(b) + 1) for a, b in own.split()]
        truth += [(t, 0, 80, 0) for t in range(3)]
        links += [(13, 14), (14, 15)]
        found += [(0, 0, 80, 0), (1, 0, 80, 0), (2, 0, 80, 0), (2, 0, 86, 0)]
        pairs += [(11, 12), (12, 13), (12, 14)]
        assert divisions(Annotations.of(found, links=pairs), Annotations.of(truth, links=links)) == (1, 1, 1)


def test_nothing_found_and_nothing_to_find():
    nothing = Annotations.of(np.zeros((0, 4)))
    s = score(nothing, TRUTH, n_nuclei=6)
    assert (s.edge_fn, s.division_fn, s.score) == (5, 1, 0)
    assert score(TRUTH, nothing).edge_jaccard is None
    assert score(nothing, nothing).score is None
