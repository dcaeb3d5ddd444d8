"""Proposals under review: what is shown, what becomes of it in the document, and what the next training makes of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AddNuclei, AnlageError, Annotations, Box, Spacing, State, build_store
from anlage.project.proposals import ProposedNuclei
from napari_anlage.predict.acceptance import Acceptance
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

SHAPE = (3, 12, 48, 52)
SPACING = Spacing(2.0, 0.53, 0.47)


@pytest.fixture
def scene(odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = ViewerModel()
    image = viewer.add_image(np.random.default_rng(0).integers(80, 120, SHAPE).astype(np.uint16), name="movie", **odd)
    session = Session.of(viewer)
    session.choose_image(image)
    yield session, Acceptance.of(session)
    session.close()


def candidates(positions, probability, model: str = "m", box: Box | None = None) -> ProposedNuclei:
    found = Annotations.of(positions, probability=probability, state=State.PROPOSED, origin=model)
    return ProposedNuclei(model, model, found, (box or Box.whole(SHAPE),), SPACING, 0.5, 5.0)


SOME = candidates([(1, 5, 10, 10), (1, 5, 30, 30), (1, 6, 40, 12), (2, 5, 10, 10)], [0.9, 0.6, 0.3, 0.8])


def shown(session: Session) -> list[list[float]]:
    """World positions of the rings that can be seen, in order."""
    (layer,) = (layer for layer in session.viewer.layers if layer_roles.role_of(layer) == "preview centres")
    return sorted(np.round(layer.data_to_world(p), 6).tolist() for p in layer.data[layer.shown])


def worlds(session: Session, *rows: int) -> list[list[float]]:
    image = session.image_layer
    return sorted(np.round(image.data_to_world(SOME.nuclei.positions[row]), 6).tolist() for row in rows)


def test_the_threshold_begins_at_the_models_own_and_acts_at_once(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    assert shown(session) == worlds(session, 0, 1, 3)
    acceptance.set_threshold(0.2)
    assert shown(session) == worlds(session, 0, 1, 2, 3)
    acceptance.set_threshold(0.85)
    assert shown(session) == worlds(session, 0)
    assert session.document is None  # looking makes no project


def test_the_size_is_that_of_the_rings_and_of_how_near_two_can_be(scene) -> None:
    session, acceptance = scene
    acceptance.take(candidates([(1, 5, 10, 10), (1, 5, 10, 16), (1, 5, 10, 40)], [0.9, 0.7, 0.8]))
    layer = session.viewer.layers[-1]
    assert layer.shown.all()  # 2.8 µm apart, nuclei of 5 µm
    np.testing.assert_allclose(layer.size, 5.0)
    acceptance.set_size(6.0)
    assert layer.shown.tolist() == [True, False, True]
    np.testing.assert_allclose(layer.size, 6.0)


def test_a_size_that_was_chosen_stays_until_it_is_given_back(scene) -> None:
    _, acceptance = scene
    acceptance.take(candidates([(1, 5, 10, 10)], [0.9]))
    acceptance.set_size(7.0)
    looked_for_7 = replace(candidates([(2, 5, 10, 10)], [0.9]), diameter_um=7.0)
    acceptance.take(looked_for_7)
    assert (acceptance.size_um, acceptance.chosen_um, acceptance.home_um) == (7.0, 7.0, 5.0)
    acceptance.set_size(5.0)
    assert acceptance.chosen_um is None
    acceptance.take(replace(looked_for_7, diameter_um=5.5))
    assert acceptance.size_um == 5.5


def test_what_is_accepted_is_a_nucleus_and_undo_proposes_it_again(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    assert acceptance.accept(acceptance.inside([Box.of((1, 0, 0, 0), (2, 12, 48, 52))])) == 2
    nuclei = session.document.nuclei
    np.testing.assert_allclose(nuclei.positions, SOME.nuclei.positions[:2])
    assert nuclei.state.tolist() == [State.ACCEPTED] * 2
    assert nuclei.probability.tolist() == [0.9, 0.6]
    assert nuclei.origin.tolist() == ["m", "m"]
    assert nuclei.radius_um.tolist() == [2.5, 2.5]
    assert shown(session) == worlds(session, 3)
    assert acceptance.counts() == (1, 2, 0)
    assert session.document.undo_text == "accept 2 proposals"
    session.document.undo()
    assert shown(session) == worlds(session, 0, 1, 3)
    session.document.redo()
    assert acceptance.counts() == (1, 2, 0)


def test_what_is_rejected_is_background_in_the_next_training(scene, tmp_path: Path) -> None:
    """In a sparse region nothing is known of a place until somebody judges it."""
    session, acceptance = scene
    session.need_document().apply(AddNuclei(session.document.new_ids(1), [(1, 5, 30, 30)], radius_um=2.5))
    acceptance.take(SOME)
    acceptance.reject(np.array([0]))
    assert acceptance.counts() == (1, 1, 1)
    region = Box.of((1, 0, 0, 0), (2, 12, 48, 52))
    store = build_store(
        tmp_path / "s.zarr", session.scaled_image(), session.annotations(), cuboid=region, sparse=True, diameter_um=5.0
    )
    weight = np.asarray(store.weight[0])
    assert weight[5, 10, 10] == 1  # rejected: known, and no nucleus
    assert weight[5, 30, 30] == 1  # marked: known, and a nucleus
    assert weight[6, 40, 12] == 0  # merely proposed: unknown
    true = store.nuclei.select(store.nuclei.state != State.REJECTED)
    np.testing.assert_allclose(true.positions, [(0, 5, 30, 30)])


def test_a_nucleus_marked_by_hand_is_not_proposed(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    document = session.need_document()
    document.apply(AddNuclei(document.new_ids(1), [(1, 5, 31, 31)], radius_um=2.5))
    assert shown(session) == worlds(session, 0, 3)
    document.undo()
    assert shown(session) == worlds(session, 0, 1, 3)


def test_a_layer_of_the_users_own_counts_and_is_taken_over_with_the_first_verdict(scene, odd) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    world = session.image_layer.data_to_world((1, 5, 31, 31))
    points = session.viewer.add_points([world], name="mine", units=odd["units"], axis_labels=odd["axis_labels"])
    session.choose_nuclei(points)
    assert shown(session) == worlds(session, 0, 3)
    points.data = np.concatenate([points.data, [session.image_layer.data_to_world((1, 5, 10, 10))]])
    assert shown(session) == worlds(session, 3)
    acceptance.accept(np.array([3]))
    assert len(session.annotations()) == 3


def test_a_project_that_lay_there_already_is_asked_before_anything_is_added(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    acceptance.accept(np.array([0]))
    session.close()
    assert session.document is None
    assert acceptance.counts() == (3, 0, 0)
    assert acceptance.accept(np.array([0, 1])) == 1  # the first one is in the project that is opened again
    assert len(session.document.nuclei) == 2


def test_deleting_a_ring_rejects_it_and_any_other_change_is_undone(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    layer = session.viewer.layers[-1]
    layer.selected_data = {1}
    layer.remove_selected()
    assert session.document.nuclei.state.tolist() == [State.REJECTED]
    np.testing.assert_allclose(session.document.nuclei.positions[0], SOME.nuclei.positions[1])
    assert shown(session) == worlds(session, 0, 3)
    layer = next(layer for layer in session.viewer.layers if layer_roles.role_of(layer) == "preview centres")
    layer.add(layer.data[0] + 1)
    assert shown(session) == worlds(session, 0, 3)


def test_the_one_under_the_mouse_else_the_selected_ones(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    viewer = session.viewer
    world = session.image_layer.data_to_world((1, 5, 30, 30))
    viewer.dims.set_point(range(4), world)
    layer = next(layer for layer in viewer.layers if layer_roles.role_of(layer) == "preview centres")
    viewer.cursor.position = world
    assert acceptance.under_cursor().tolist() == [1]
    viewer.cursor.position = session.image_layer.data_to_world((1, 5, 20, 45))
    assert acceptance.under_cursor().tolist() == []
    layer.selected_data = {3, 0}
    assert acceptance.under_cursor().tolist() == [0, 3]
    assert acceptance.selected().tolist() == [0, 3]
    with pytest.raises(AnlageError, match="There is no proposal to accept there; lower the threshold"):
        acceptance.accept(np.zeros(0, np.int64))


def test_the_least_likely_comes_first_and_none_twice(scene) -> None:
    _, acceptance = scene
    acceptance.take(SOME)
    assert [acceptance.next_open(1)[2:] for _ in range(4)] == [(30, 30), (10, 10), (10, 10), (30, 30)]
    assert acceptance.next_open(2)[0] == 1  # goes on from where it was
    acceptance.reject(np.array([0, 1, 3]))
    with pytest.raises(AnlageError, match="No proposal is left to judge"):
        acceptance.next_open(1)


def test_what_was_judged_outside_every_region_is_counted(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    acceptance.accept(np.array([0, 3]))
    assert acceptance.outside_regions() == 2
    session.bench.add_region(Box.of((1, 0, 0, 0), (2, 12, 48, 52)))
    assert acceptance.outside_regions() == 1


def test_another_image_or_another_model_begins_anew_and_the_same_adds(scene, odd) -> None:
    session, acceptance = scene
    first = Box.of((1, 0, 0, 0), (2, 12, 48, 52))
    acceptance.take(candidates([(1, 5, 10, 10)], [0.9], box=first))
    acceptance.set_threshold(0.3)
    acceptance.take(candidates([(2, 5, 10, 10)], [0.4], box=Box.of((2, 0, 0, 0), (3, 12, 48, 52))))
    assert acceptance.threshold == 0.3  # the user's
    assert len(shown(session)) == 2
    assert acceptance.predicted_box(1) == first
    acceptance.take(candidates([(2, 5, 10, 10)], [0.9], model="other"))
    assert acceptance.threshold == 0.5
    assert len(shown(session)) == 1
    session.choose_image(session.viewer.add_image(np.zeros(SHAPE), **odd))
    assert acceptance.candidates is None
    assert not [layer for layer in session.viewer.layers if (layer_roles.role_of(layer) or "").startswith("preview")]


def test_taking_the_overlay_away_ends_the_review(scene) -> None:
    session, acceptance = scene
    acceptance.take(SOME)
    session.viewer.layers.remove(
        next(la for la in session.viewer.layers if layer_roles.role_of(la) == "preview centres")
    )
    assert acceptance.candidates is None


def test_every_channel_of_a_layer_shows_them(odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = ViewerModel()
    at = {
        key: (*odd[key][:1], {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": "c"}[key], *odd[key][1:])
        for key in odd
    }
    image = viewer.add_image(np.zeros((3, 2, 12, 48, 52)), **at)
    session = Session.of(viewer)
    session.choose_image(image)
    acceptance = Acceptance.of(session)
    acceptance.take(SOME)
    layer = viewer.layers[-1]
    assert layer.shown.tolist() == [True, True, False, True] * 2
    layer.selected_data = {4, 5}  # in the second channel
    assert acceptance.selected().tolist() == [0, 1]
