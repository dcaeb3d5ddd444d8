"""Where to annotate next, from what a model predicted and the blob detector sees."""

from __future__ import annotations

import numpy as np
import pytest

from anlage import Annotations, Box, Spacing, State, TimeLapse
from anlage.inference import CLASSICAL
from anlage.project.next_places import PlaceRequest, find_places, spread
from anlage.project.proposals import ProposedNuclei

SPACING, SHAPE = Spacing(1.0, 1.0, 1.0), (8, 12, 90, 90)
DIAMETER_UM = 8.0
SEEN = [(5, 15, 15), (5, 15, 45), (5, 45, 15), (5, 15, 75)]
"""Blobs in the image that the model sees, too, in every frame."""
MISSED, DARK = (5, 72, 72), (5, 45, 75)
"""A blob that it misses in frame 3, and what it reports in frame 6 where nothing is."""


@pytest.fixture(scope="module")
def image() -> TimeLapse:
    grid = np.indices(SHAPE[1:])
    pixels = np.full(SHAPE, 10.0, dtype=np.float32)
    for t in range(SHAPE[0]):
        for at in [*SEEN, *([MISSED] if t == 3 else [])]:
            off = sum((axis - place) ** 2 for axis, place in zip(grid, at, strict=True))
            pixels[t] += 100 * np.exp(-off / 18)
    return TimeLapse(pixels, "tzyx", SPACING)


def request(image: TimeLapse, *, model: str = "net", known=(), exclude=(), at=SEEN) -> PlaceRequest:
    positions = [(t, *place) for t in range(SHAPE[0]) for place in at] + [(6, *DARK)]
    found = Annotations.of(positions, probability=[0.95] * (len(positions) - 1) + [0.7], state=State.PROPOSED)
    proposed = ProposedNuclei("a name", model, found, (Box.whole(SHAPE),), SPACING, 0.5, DIAMETER_UM)
    return PlaceRequest(image, proposed, DIAMETER_UM, Annotations.of(known), tuple(exclude), 4)


def go_on(done: int, of: int) -> bool:
    return True


def test_places_are_where_model_and_blobs_contradict_each_other(image):
    found = find_places(request(image), go_on)
    assert found.frames == (0, 2, 4, 5, 7)  # neither of them
    assert found.places == ()
    narrow = request(image)
    boxes = tuple(Box((t, t + 1), (0, 12), (0, 90), (0, 90)) for t in (3, 6))
    object.__setattr__(narrow.found, "boxes", boxes)
    found = find_places(narrow, go_on)
    assert found.rule == "most contradictions between model and blob detector first"
    assert {p.frame for p in found.places} == {3, 6}
    assert all(p.box.contains(np.array([(p.frame, *{3: MISSED, 6: DARK}[p.frame])])).all() for p in found.places)


def test_judged_nuclei_and_annotated_regions_are_in_doubt_no_more(image):
    boxes = tuple(Box((t, t + 1), (0, 12), (0, 90), (0, 90)) for t in (3, 6))
    settled = request(image, known=[(3, *MISSED)], exclude=[Box((6, 7), (0, 12), (0, 90), (0, 90))])
    object.__setattr__(settled.found, "boxes", boxes)
    assert find_places(settled, go_on).places == ()


def test_where_blobs_see_something_else_the_models_own_doubt_decides_and_that_is_said(image):
    elsewhere = [(5, 30, 30), (5, 30, 60), (5, 60, 30), (5, 60, 60)]
    found = find_places(request(image, at=elsewhere), go_on)
    assert found.rule.startswith(
        "least sure first (the blob detector sees something else here: it agrees with the model to "
    )
    assert [p.frame for p in found.places] == [6]
    assert "probability 0.70" in found.places[0].sentence


def test_the_blob_detectors_own_proposals_are_not_held_against_itself(image):
    calls = []
    found = find_places(request(image, model=CLASSICAL), lambda *n: bool(calls.append(n)) or True)
    assert found.rule == "least sure first"
    assert calls == []


def test_it_can_be_given_up_between_two_frames(image):
    calls = []

    def stop(done: int, of: int) -> bool:
        calls.append((done, of))
        return done < 2

    assert find_places(request(image), stop) is None
    assert calls == [(0, 5), (1, 5), (2, 5)]


def test_frames_are_spread_from_the_first_to_the_last():
    assert spread(range(100), 5) == (0, 25, 50, 74, 99)
    assert spread((7, 9), 5) == (7, 9)
    assert spread((), 5) == ()
