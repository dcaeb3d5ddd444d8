"""The Track tab in a real viewer with the real command: tracked, drawn, accepted, undone, stopped."""

from __future__ import annotations

import time

import numpy as np
import pytest

from anlage import AddNuclei, RemoveLinks, State, decide_around, read_track_scores
from anlage.project.trackings import adopted_scores, load_broken_links
from anlage.synthetic.planted_errors import planted_lineages
from napari_anlage.review.inspection import Inspection
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.colouring import Colouring

pytestmark = pytest.mark.viewer
SHAPE = (6, 20, 100, 100)


@pytest.fixture
def docked(make_napari_viewer_proxy, monkeypatch, tmp_path):
    """The dock at its Track tab, over an empty movie."""
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(
        np.zeros(SHAPE, np.uint8),
        name="movie",
        scale=(300, 2, 0.5, 0.5),
        units=("s", "µm", "µm", "µm"),
        axis_labels=tuple("tzyx"),
    )
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(tmp_path / "movie.anlage")
    dock.session.set_diameter(8.0)
    dock.go_to("track")
    yield viewer, dock
    dock.close()
    dock.session.close()


def test_the_projects_nuclei_are_tracked_drawn_accepted_and_undone(docked, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.track, dock.session
    truth = planted_lineages(1, 12, shape_tzyx=SHAPE)
    document = session.need_document()
    bare = truth.linked(np.zeros((0, 2), dtype=np.int64))
    document.apply(AddNuclei.of(bare))
    tab.refresh()
    assert tab.source.chosen.title == "The project's nuclei"
    assert tab.run.button.isEnabled()
    assert not tab.accept.button.isEnabled()
    tab.run.button.click()
    assert not tab.run.button.isEnabled()
    qtbot.waitUntil(lambda: tab.preview.tracks is not None or tab.status.kind == "error", timeout=120000)
    assert tab.status.kind == "good", tab.status.plain
    assert "links are expected to be wrong" in tab.status.plain
    roles = {layer_roles.role_of(layer) for layer in viewer.layers}
    assert {"tracks links", "tracks centres"} <= roles
    assert not len(document.nuclei.links)
    session.colour_by(Colouring.ERROR)
    tab.accept.button.click()
    assert len(document.nuclei) == len(truth)
    links = set(map(tuple, document.nuclei.links.tolist()))
    true = set(map(tuple, truth.links.tolist()))
    assert len(links & true) > 0.9 * len(true)
    assert np.isfinite(document.nuclei.link_properties["probability"]).all()
    assert "tracks links" not in {layer_roles.role_of(layer) for layer in viewer.layers}
    assert document.nuclei.state.tolist() == [State.ACCEPTED] * len(truth)

    # a correction is now decided by what this tracking knew
    inspection = Inspection.of(session)
    assert inspection.decides_by == "by the probabilities that the tracks were made with"
    before = document.nuclei
    broken = (int(before.links[7, 0]), int(before.links[7, 1]))
    document.apply(RemoveLinks([broken]))
    ask = inspection.surroundings(before)
    _, decision = ask()
    scores = read_track_scores(adopted_scores(session.folder))
    expected = decide_around(document.nuclei, truth_spacing(session), broken, [broken], scores)
    np.testing.assert_array_equal(decision.added, expected.added)
    np.testing.assert_array_equal(decision.probability, expected.probability)
    # a link that was broken stays so in a later session, until it is there again
    assert load_broken_links(session.folder) == {broken}
    later = Inspection(session)
    assert later.surroundings(document.nuclei) is None
    later.surroundings(before)
    assert later.broken_links == {broken}
    adopted_scores(session.folder).unlink()
    assert inspection.decides_by.startswith("by distance and motion, as nothing was kept")
    by_distance = inspection.surroundings(before)()[1]
    assert isinstance(by_distance.added, np.ndarray)
    document.undo()

    document.undo()
    assert not len(document.nuclei.links)
    assert tab.list.count() == 1


def truth_spacing(session):
    return session.scaled_image().spacing


def test_a_stop_is_obeyed_within_three_seconds_and_grey_buttons_say_why(docked, qtbot) -> None:
    _, dock = docked
    tab, session = dock.track, dock.session
    assert tab.run.button.isEnabled()  # a model may find the nuclei
    session.need_document().apply(AddNuclei.of(planted_lineages(2, 12, shape_tzyx=SHAPE)))
    tab.refresh()
    tab.run.button.click()
    qtbot.waitUntil(lambda: tab._child.busy, timeout=60000)
    began = time.monotonic()
    tab.stop.click()
    qtbot.waitUntil(lambda: not tab.busy, timeout=20000)
    assert time.monotonic() - began < 6  # 3 s on a quiet core
    assert tab.status.plain == "Stopped; nothing was changed."
    assert tab.run.button.isEnabled()
    assert tab.preview.tracks is None
    assert tab.show_button.button.toolTip() == "There are no tracks yet."
