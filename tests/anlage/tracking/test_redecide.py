"""After a correction the links around it are decided anew; what a human said, and what lies farther away, stays."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from anlage.annotations import Annotations
from anlage.synthetic.planted_errors import SPACING, plant, planted_lineages
from anlage.tracking.redecide import decide_around


def changed(
    tracks: Annotations, pairs: dict[tuple[int, int], float], gone: set[tuple[int, int]] = frozenset()
) -> Annotations:
    """Tracks in which a human made or broke links; all others are a network's."""
    later = {b for _, b in pairs}
    known = [(int(a), int(b)) for a, b in tracks.links if int(b) not in later and (int(a), int(b)) not in gone]
    links = [*known, *pairs]
    chance = np.array([0.9] * len(known) + list(pairs.values()))
    return tracks.linked(np.array(links, dtype=np.int64), {"probability": chance})


def test_the_rest_of_a_swap_follows_when_a_human_corrects_half_of_it() -> None:
    truth = planted_lineages(1)
    spoilt, planted = plant(truth, 1)
    true = {(int(a), int(b)) for a, b in truth.links}
    wrong = [(int(a), int(b)) for a, b in spoilt.links]
    (swap,) = [ids for kind, ids in planted if kind == "swap"][:1]
    one, other = [pair for pair in wrong if pair not in true and set(pair) <= swap]
    right = (one[0], other[1])
    tracks = changed(spoilt, {right: np.nan})
    decide_around(tracks, SPACING, right)  # the first one loads the solver
    began = time.process_time()
    decision = decide_around(tracks, SPACING, right)
    assert time.process_time() - began < 1.0
    assert (other[0], one[1]) in set(map(tuple, decision.added.tolist()))
    assert right not in set(map(tuple, decision.removed.tolist()))
    assert ((decision.probability > 0) & (decision.probability <= 1)).all()
    far = np.abs(truth.frames[decision.added[:, 1] - 1] - truth.frames[right[1] - 1])
    assert (far <= 3).all()


def test_a_link_that_was_broken_does_not_come_back_and_humans_links_stay() -> None:
    truth = planted_lineages(2)
    tracks = replace(truth, link_properties={"probability": np.full(len(truth.links), 0.9)})
    pair = next((int(a), int(b)) for a, b in truth.links if truth.frames[b - 1] == 10)
    broken = changed(tracks, {}, {pair})
    back = decide_around(broken, SPACING, pair)
    assert pair in set(map(tuple, back.added.tolist()))
    decision = decide_around(broken, SPACING, pair, [pair])
    assert pair not in set(map(tuple, decision.added.tolist()))
    certain = replace(truth, link_properties={"probability": np.full(len(truth.links), np.nan)})
    assert len(decide_around(certain, SPACING, pair)) == 0
    assert len(decide_around(broken, SPACING, [999999])) == 0
