"""From a table of nuclei to tracks, as a user calls it, and decided anew around corrections."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.synthetic import SyntheticMovie, embryo
from anlage.tracking.local import resolve_locally
from anlage.tracking.programme import StoppedError
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import Tracking, track

UM = Spacing(1, 1, 1)


@pytest.fixture(scope="module")
def movie() -> SyntheticMovie:
    return embryo(seed=1, n_frames=8, shape_zyx=(12, 64, 64), n_nuclei=16)


@pytest.fixture(scope="module")
def tracking(movie: SyntheticMovie) -> Tracking:
    return track(movie.truth, movie.spacing)


def pairs(annotations: Annotations) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in annotations.links}


def three(**columns: object) -> Annotations:
    """One nucleus that moves to the right."""
    return Annotations.of([[0, 0, 5, 5], [1, 0, 5, 6], [2, 0, 5, 7]], ids=[11, 12, 13], **columns)  # type: ignore[arg-type]


def test_true_points_give_true_tracks(movie: SyntheticMovie, tracking: Tracking) -> None:
    found, true = pairs(tracking.tracks), pairs(movie.truth)
    assert len(found & true) >= 0.97 * len(true | found)
    assert tracking.report.n_divisions == len(movie.truth.divisions)
    assert tracking.report.gap is not None
    assert tracking.report.gap < 1e-4
    probability = tracking.tracks.link_properties["probability"]
    assert ((probability > 0) & (probability <= 1)).all()
    for name in ("division_probability", "track_error", "lineage_error"):
        column = tracking.tracks.properties[name]
        assert ((column >= 0) & (column <= 1)).all()
    mothers = np.isin(tracking.tracks.ids, tracking.tracks.divisions[:, 0])
    assert tracking.tracks.properties["division_probability"][mothers].min() > 0.5


def test_the_ids_of_the_given_nuclei_are_kept() -> None:
    shuffled = three().select(np.array([2, 0, 1]))
    assert pairs(track(shuffled, UM).tracks) == {(11, 12), (12, 13)}


def test_a_missed_frame_is_bridged_unless_that_is_switched_off(movie: SyntheticMovie) -> None:
    truth = movie.truth
    thrice = np.bincount(truth.links.ravel(), minlength=int(truth.ids.max()) + 1)[truth.ids] == 2
    missed = int(np.flatnonzero(thrice & (truth.frames == 4))[0])
    before = int(truth.links[truth.links[:, 1] == truth.ids[missed], 0][0])
    after = int(truth.links[truth.links[:, 0] == truth.ids[missed], 1][0])
    holed = truth.select(np.arange(len(truth)) != missed)
    assert (before, after) in pairs(track(holed, movie.spacing).tracks)
    plain = track(holed, movie.spacing, settings=TrackingSettings(gaps=False))
    assert plain.report.n_gaps == 0


def test_an_improbable_nucleus_is_left_out_and_a_rejected_one_is_not_looked_at(movie: SyntheticMovie) -> None:
    truth = movie.truth
    n = len(truth)
    stray = Annotations.of([[4, 1.0, 2.0, 2.0]], ids=[n + 1], probability=0.05, state=State.PROPOSED)
    both = Annotations.of(
        np.concatenate([truth.positions, stray.positions]), ids=np.append(truth.ids, n + 1),
        probability=np.append(np.full(n, 0.95), 0.05), state=np.append(np.full(n, State.PROPOSED), State.PROPOSED),
    )  # fmt: skip
    result = track(both, movie.spacing)
    assert n + 1 not in result.tracks.ids
    assert result.report.n_left_out >= 1
    certain = replace(both, probability=np.full(n + 1, np.nan))
    assert n + 1 in track(certain, movie.spacing).tracks.ids
    rejected = replace(certain, state=np.append(np.full(n, State.ACCEPTED), State.REJECTED).astype(np.int8))
    assert n + 1 not in track(rejected, movie.spacing).tracks.ids


def test_the_same_nuclei_give_the_same_tracks(movie: SyntheticMovie, tracking: Tracking) -> None:
    again = track(movie.truth, movie.spacing)
    assert (again.tracks.links == tracking.tracks.links).all()
    assert (again.tracks.link_properties["probability"] == tracking.tracks.link_properties["probability"]).all()


@pytest.mark.parametrize(
    ("nuclei", "links", "said"),
    [
        (three(), None, None),
        (Annotations.of([[0, 0, 5, 5], [1, 0, 5, 6]], ids=[7, 7]), None, "id 7"),
        (Annotations.of([[0, 0, 5, 5], [1, 0, np.nan, 6]], ids=[7, 8]), None, r"id 8.* y \(nan\)"),
        (three(), [[12, 13], [13, 12]], r"id 12.*linked back to its parent.*id 13"),
        (three(), [[11, 13], [12, 13]], r"id 13.*2 parents, \[11, 12\]"),
        (three(), [[11, 99]], "99, which does not exist"),
        (Annotations.of([[0, 0, 5, 5], [3, 0, 5, 6]], ids=[7, 8]), [[7, 8]], "from nucleus 7 in frame 0 to nucleus 8 in frame 3"),
    ],
)  # fmt: skip
def test_bad_input_is_a_sentence_with_the_ids(
    nuclei: Annotations, links: list[list[int]] | None, said: str | None
) -> None:
    if said is None:
        assert track(nuclei, UM, accepted=links).report.n_links == 2
        return
    with pytest.raises(AnlageError, match=said):
        track(nuclei, UM, accepted=links)


def test_frames_without_nuclei_are_named() -> None:
    apart = Annotations.of([[0, 0, 5, 5], [1, 0, 5, 5], [4, 0, 5, 5], [5, 0, 5, 5]])
    result = track(apart, UM)
    assert result.report.notes == ("Frames 2 to 3 hold no nuclei; no track can cross them.",)
    assert result.report.n_tracks == 2


def test_nothing_in_nothing_out() -> None:
    result = track(Annotations.of([]), UM)
    assert len(result.tracks) == 0
    assert result.report.n_tracks == 0


def test_an_end_that_is_asked_for_comes(movie: SyntheticMovie) -> None:
    with pytest.raises(StoppedError):
        track(movie.truth, movie.spacing, should_stop=lambda: True)


def test_greedy_is_a_preview_of_the_same_kind(movie: SyntheticMovie) -> None:
    preview = track(movie.truth, movie.spacing, settings=TrackingSettings(method="greedy"))
    assert preview.report.gap is None
    assert len(pairs(preview.tracks) & pairs(movie.truth)) > 0.9 * len(movie.truth.links)


def test_a_forbidden_link_goes_an_accepted_one_comes_back_and_the_rest_stays(tracking: Tracking) -> None:
    link = tracking.tracks.links[len(tracking.tracks.links) // 2].tolist()
    began = time.monotonic()
    without = resolve_locally(tracking, forbidden=[link])
    assert time.monotonic() - began < 5  # a fraction of a second on a quiet machine
    assert tuple(link) not in pairs(without.tracks)
    changed = pairs(without.tracks) ^ pairs(tracking.tracks)
    near = set(np.concatenate([np.array(list(changed)).ravel(), link]).tolist())
    frames = tracking.nuclei.frames[np.isin(tracking.nuclei.ids, list(near))]
    assert frames.max() - frames.min() <= 4
    back = resolve_locally(without, accepted=[link])
    assert pairs(back.tracks) == pairs(tracking.tracks)
    row = np.flatnonzero((back.tracks.links == link).all(axis=1))
    assert np.isnan(back.tracks.link_properties["probability"][row]).all()


def test_an_accepted_link_need_not_be_a_candidate_and_supersedes_an_older_one(tracking: Tracking) -> None:
    nuclei = tracking.nuclei
    mother, daughter = tracking.tracks.links[10].tolist()
    t = int(nuclei.frames[nuclei.ids == mother][0])
    far = nuclei.ids[nuclei.frames == t]
    place = nuclei.positions[nuclei.frames == t]
    here = nuclei.positions[nuclei.ids == daughter][0]
    stranger = int(far[np.argmax(np.abs(place - here).sum(axis=1))])
    first = resolve_locally(tracking, accepted=[[mother, daughter]])
    second = resolve_locally(first, accepted=[[stranger, daughter]])
    assert (stranger, daughter) in pairs(second.tracks)
    assert (mother, daughter) not in pairs(second.tracks)


def test_probabilities_near_a_correction_are_told_anew(tracking: Tracking) -> None:
    sure = tracking.tracks.link_properties["probability"]
    link = tracking.tracks.links[int(np.argmin(sure))].tolist()
    corrected = resolve_locally(tracking, accepted=[link])
    whole = track(tracking.nuclei, tracking.spacing, accepted=[link])
    near = np.isin(corrected.tracks.links, link).any(axis=1)
    theirs = dict(
        zip(map(tuple, whole.tracks.links.tolist()), whole.tracks.link_properties["probability"], strict=True)
    )
    for row in np.flatnonzero(near):
        assert corrected.tracks.link_properties["probability"][row] == pytest.approx(
            theirs[tuple(corrected.tracks.links[row].tolist())], abs=0.02, nan_ok=True
        )
