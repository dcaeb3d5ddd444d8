"""From a table of nuclei to tracks, as a user calls it, and decided anew around corrections."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.candidates import Candidates
from anlage.errors import AnlageError
from anlage.inference import links
from anlage.synthetic import SyntheticMovie, embryo
from anlage.timelapse import TimeLapse
from anlage.tracking import track as track_module
from anlage.tracking.linear_program import StoppedError
from anlage.tracking.problem import LinkingProblem, Solution
from anlage.tracking.resolve import resolve_locally
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import Tracking, as_tracking, clamped_rows, track, with_links

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


# --- what the report counts, and what is asked of the solver


def family(**choice: object) -> Tracking:
    """1 divides into 2 and 3; 3 goes on over a gap to 5; 4 stands alone; 6 is left out."""
    nuclei = Annotations.of(
        [[0, 0, 5, 5], [1, 0, 5, 4], [1, 0, 5, 6], [2, 0, 5, 40], [3, 0, 5, 7], [3, 0, 5, 60]],
        ids=[1, 2, 3, 4, 5, 6], properties={"size": np.arange(6.0)},
    )  # fmt: skip
    pairs = np.array([[0, 1], [0, 2], [2, 4], [3, 5]])
    free = np.zeros(6)
    problem = LinkingProblem(
        nuclei.frames, pairs, np.full(6, -1.0), np.array([-2.0, -1.0, -3.0, 5.0]), free + 1, free + 1, free - 1,
        np.zeros(6, bool), np.zeros(4, np.int8),
    )  # fmt: skip
    choice = {"edges": np.array([True, True, True, False]), "bound": -np.inf, **choice}
    kept = np.array([True] * 5 + [False])
    solution = Solution(kept, choice["edges"], -20.0, choice["bound"])  # type: ignore[arg-type]
    return as_tracking(
        nuclei, UM, problem, solution, TrackingSettings(), seconds=1.5, n_out_of_time=2, proposal_recall=0.9
    )


def test_the_report_counts_what_the_tracks_hold() -> None:
    report = family().report
    assert (report.n_nuclei, report.n_left_out, report.n_links, report.n_candidates) == (6, 1, 3, 4)
    assert (report.n_divisions, report.n_gaps, report.n_tracks, report.n_lineages) == (1, 1, 4, 2)
    assert (report.objective, report.bound, report.gap) == (-20.0, None, None)
    assert (report.seconds, report.n_out_of_time, report.proposal_recall) == (1.5, 2, 0.9)
    assert report.notes == ()


def test_wrong_links_are_expected_by_their_own_probabilities() -> None:
    found = family()
    assert found.report.expected_wrong_links == pytest.approx(3 - found.tracks.link_properties["probability"].sum())


def test_a_bound_that_was_proved_is_reported_with_its_gap() -> None:
    report = family(bound=-22.0).report
    assert (report.bound, report.gap) == (-22.0, pytest.approx(0.1))


def test_tracks_keep_ids_and_properties_and_links_stand_in_order() -> None:
    tracks = family().tracks
    assert tracks.ids.tolist() == [1, 2, 3, 4, 5]
    assert tracks.links.tolist() == [[1, 2], [1, 3], [3, 5]]
    assert tracks.properties["size"].tolist() == [0, 1, 2, 3, 4]


def test_what_cannot_be_wrong_adds_no_error() -> None:
    """Beginning in the first frame and ending in the last are no claims; the division of 1 is."""
    found = family()
    tracks, sure = found.tracks, found.marginals
    error = dict(zip(tracks.ids.tolist(), tracks.properties["track_error"].tolist(), strict=True))
    edge = dict(zip(map(tuple, found.problem.pairs.tolist()), sure.edge.tolist(), strict=True))
    assert error[1] == pytest.approx(1 - sure.division[0])
    assert error[2] == pytest.approx(1 - edge[0, 1] * sure.end[1])
    assert error[5] == error[3] == pytest.approx(1 - edge[0, 2] * edge[2, 4])
    assert error[4] == pytest.approx(1 - sure.appear[3] * sure.end[3])
    assert tracks.properties["division_probability"].tolist() == pytest.approx(sure.division[:5].tolist())


def test_accepted_divisions_are_certain() -> None:
    divided = Annotations.of([[0, 0, 5, 5], [1, 0, 5, 3], [1, 0, 5, 7], [2, 0, 5, 7]], ids=[1, 2, 3, 4])
    found = track(divided, UM, accepted=[[1, 2], [1, 3]]).tracks
    assert found.properties["division_probability"][0] == 1.0
    assert np.isnan(found.link_properties["probability"][:2]).all()
    once = track(divided, UM, accepted=[[3, 4]]).tracks
    assert once.properties["division_probability"][2] < 1.0


def test_missing_links_join_the_candidates_as_undecided_ones() -> None:
    frames = np.array([0, 1, 1, 2])
    candidates = Candidates(np.array([[0, 1], [1, 3]]), np.array([1, 1]))
    found, probability = with_links(frames, candidates, np.array([0.9, 0.8]), np.array([[0, 2], [1, 3], [0, 3]]))
    assert found.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 3]]
    assert found.steps.tolist() == [1, 1, 2, 1]
    assert probability.tolist() == [0.9, 0.5, 0.5, 0.8]
    none = np.zeros((0, 2), dtype=np.int64)
    assert with_links(frames, candidates, probability, none)[0] is candidates


def test_links_are_told_by_ids_and_found_as_rows() -> None:
    nuclei = three().select(np.array([2, 0, 1]))
    accepted, forbidden = clamped_rows(nuclei, [[11, 12]], [[12, 13], [11, 99]])
    assert accepted.tolist() == [[1, 2]]
    assert forbidden.tolist() == [[2, 0]], "what is forbidden of a nucleus that is not there is passed over"
    assert [rows.shape for rows in clamped_rows(nuclei, None, None)] == [(0, 2), (0, 2)]


def test_an_accepted_link_may_leap_over_one_frame_but_not_over_two() -> None:
    nuclei = Annotations.of([[0, 0, 5, 5], [2, 0, 5, 5], [5, 0, 5, 5]], ids=[1, 2, 3])
    assert clamped_rows(nuclei, [[1, 2]], None)[0].tolist() == [[0, 1]]
    with pytest.raises(AnlageError, match=r"from nucleus 2 in frame 2 to nucleus 3 in frame 5 leaps over 2 frames"):
        clamped_rows(nuclei, [[2, 3]], None)


def test_forbidden_goes_before_the_solver_and_accepted_before_forbidden() -> None:
    assert pairs(track(three(), UM, forbidden=[[11, 12]]).tracks) == {(12, 13)}
    both = track(three(), UM, forbidden=[[11, 12]], accepted=[[11, 12]])
    assert (11, 12) in pairs(both.tracks)


def crossing() -> Annotations:
    rng = np.random.default_rng(0)
    at = rng.uniform(5, 95, (20, 3)) * [0, 1, 1]
    return Annotations.of(np.concatenate([np.column_stack([np.full(20, t), np.add(at, [0, t, 0])]) for t in range(4)]))


def test_the_search_radius_the_number_of_candidates_and_gaps_can_be_said() -> None:
    def n(**settings: object) -> int:
        return track(crossing(), UM, settings=TrackingSettings(**settings)).report.n_candidates  # type: ignore[arg-type]

    assert n(radius_um=3.0) < n(radius_um=12.0) < n(radius_um=60.0)
    assert n(radius_um=60.0, most_candidates=2) < n(radius_um=60.0, most_candidates=4)
    assert n(most_candidates=1) < n(most_candidates=3)
    assert n(radius_um=12.0, gaps=False) < n(radius_um=12.0)
    assert n(gaps=False) < n()


def test_on_the_rim_of_the_image_tracks_end_more_cheaply() -> None:
    nuclei = crossing()
    narrow = track(nuclei, UM).problem
    wide = track(nuclei, UM, image=TimeLapse.of(np.zeros((4, 1, 1, 400, 400), np.uint8), spacing=UM)).problem
    inner = np.flatnonzero((nuclei.frames == 1) & (nuclei.positions[:, 3] > 80))
    assert (wide.end[inner] >= narrow.end[inner]).all()
    assert (wide.end[inner] > narrow.end[inner]).any()
    at_wall = int(np.argmin(nuclei.positions[nuclei.frames == 1][:, 3])) + 20
    close = track(nuclei, UM, image=TimeLapse.of(np.zeros((4, 1, 1, 100, 100), np.uint8), spacing=UM)).problem
    assert close.end[at_wall] == pytest.approx(wide.end[at_wall])


def test_the_image_reaches_half_a_voxel_beyond_its_outer_centres() -> None:
    """A nucleus on the last voxel is half a voxel from the wall, on either side; a single plane has no wall."""
    image = TimeLapse.of(np.zeros((2, 1, 1, 100, 100), np.uint8), spacing=UM)
    spots = [[0, 50], [99, 50], [50, 0], [50, 99], [50, 50]]
    nuclei = Annotations.of([[t, 0, y, x] for t in range(3) for y, x in spots])
    ends = track(nuclei, UM, image=image).problem.end[5:10]
    assert ends[:4] == pytest.approx([ends[0]] * 4)
    assert ends[4] > ends[0]


def test_a_model_of_divisions_needs_the_image() -> None:
    with pytest.raises(AnlageError, match="model of divisions looks at the image, and there is none"):
        track(three(), UM, divisions=object())  # type: ignore[arg-type]


def test_frames_without_nuclei_are_named_only_where_no_track_can_cross_them() -> None:
    apart = Annotations.of([[t, 0, 5, 5] for t in (0, 2, 5, 9)])
    assert track(apart, UM).report.notes == (
        "Frames 3 to 4 hold no nuclei; no track can cross them.",
        "Frames 6 to 8 hold no nuclei; no track can cross them.",
    )


def test_an_end_is_asked_for_between_the_steps() -> None:
    for after in range(3):
        asked: list[int] = []

        def stop(after: int = after, asked: list[int] = asked) -> bool:
            asked.append(1)
            return len(asked) > after

        with pytest.raises(StoppedError):
            track(three(), UM, should_stop=stop)
        assert len(asked) == after + 1


def test_a_tracking_is_immutable() -> None:
    assert Tracking.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(Tracking)


def test_distances_are_measured_in_micrometres() -> None:
    """Along z a voxel is ten times as long: two planes further are far, two columns further are near."""
    flat = Spacing(10, 1, 1)
    rest = [[t, 0, y, x] for t in range(2) for y in (0, 40) for x in (0, 20, 40)]
    nuclei = Annotations.of([*rest, [0, 4, 20, 20], [1, 6, 20, 20], [1, 4, 20, 22]], ids=range(1, 16))
    assert (13, 15) in pairs(track(nuclei, flat).tracks)
    assert (13, 14) not in pairs(track(nuclei, flat).tracks)
    tall = Spacing(0.1, 10, 10)
    assert (13, 14) in pairs(track(nuclei, tall).tracks)
    for radius, candidate in ((3.0, True), (1.5, False)):
        told = track(nuclei, flat, settings=TrackingSettings(radius_um=radius)).problem.pairs.tolist()
        assert ([12, 14] in told) is candidate
    # the same film in other voxels is the same problem
    scaled = Annotations.of(nuclei.positions * [1, 10, 1, 1], ids=nuclei.ids)
    other, same = track(nuclei, flat), track(scaled, UM)
    assert np.allclose(other.problem.edge, same.problem.edge)
    assert np.allclose(other.problem.end, same.problem.end)
    film = TimeLapse.of(np.zeros((2, 1, 7, 41, 41), np.uint8), spacing=flat)
    wide = TimeLapse.of(np.zeros((2, 1, 70, 41, 41), np.uint8), spacing=UM)
    assert not np.allclose(track(nuclei, flat, image=film).problem.appear, track(scaled, UM).problem.appear)
    assert np.allclose(
        track(nuclei, flat, image=film).problem.appear,
        track(Annotations.of(np.add(scaled.positions, [0, 4.5, 0, 0]), ids=nuclei.ids), UM, image=wide).problem.appear,
    )


def test_nuclei_that_contradict_each_other_are_refused_without_any_link() -> None:
    twice = Annotations.of([[0, 0, 5, 5], [1, 0, 5, 6]], ids=[7, 7])
    with pytest.raises(AnlageError, match="id 7"):
        track(twice, UM)


def test_links_of_a_table_of_many_nuclei_are_told_apart() -> None:
    """A pair's number is its row times the count plus its partner: no two pairs share one."""
    frames = np.array([0, 0, 0, 1, 1, 1])
    candidates = Candidates(np.array([[0, 4], [1, 3], [2, 5]]), np.array([1, 1, 1]))
    found, probability = with_links(frames, candidates, np.array([0.9, 0.8, 0.7]), np.array([[1, 4], [0, 3], [2, 5]]))
    assert found.pairs.tolist() == [[0, 3], [0, 4], [1, 3], [1, 4], [2, 5]]
    assert probability.tolist() == [0.5, 0.9, 0.8, 0.5, 0.7]


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        (TrackingSettings(), True), (TrackingSettings(radius_um=None, method="optimal"), True),
        (TrackingSettings(gaps=True), False), (TrackingSettings(most_candidates=8), False),
    ],
)  # fmt: skip
def test_candidates_that_were_set_explicitly_hold_also_where_they_are_the_default(
    settings: TrackingSettings, own: bool, monkeypatch
) -> None:
    """Only what nobody set is left to whoever judges the links."""
    asked: list[object] = []
    judge = links.link_scores
    monkeypatch.setattr(links, "link_scores", lambda *told: asked.append(told[-1]) or judge(*told))
    track(crossing(), UM, settings=settings)
    assert [one is None for one in asked] == [own]


def test_the_borders_of_an_image_lie_half_a_voxel_outside_but_a_single_plane_has_none() -> None:
    flat = TimeLapse.of(np.zeros((2, 1, 30, 40), np.uint8), "tzyx")
    low, high = track_module._extent_um(flat, Spacing(2.0, 0.5, 0.5))
    assert low.tolist() == [0, -0.25, -0.25]
    assert high.tolist() == [0, 14.75, 19.75]
