"""The Review tab in a real viewer: 20 planted errors are found, gone to and fixed with keys, and undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anlage import AddNuclei, State, safe_links
from anlage.synthetic.planted_errors import SHAPE, SPACING, plant, planted_lineages

pytestmark = pytest.mark.viewer
SEED = 1
NAMES: dict[str, str] = {}


@pytest.fixture
def reviewed(make_napari_viewer_proxy, monkeypatch, tmp_path, qtbot):
    """The dock at its Review tab, over tracks with 20 planted errors."""
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(800, 560)  # a software renderer takes long for a large one
    z, y, x = SPACING.zyx
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), SHAPE)
    viewer.add_image(
        pixels, name="movie", scale=(300, z, y, x), units=("s", "µm", "µm", "µm"), axis_labels=tuple("tzyx")
    )
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(tmp_path / "movie.anlage")
    tracks, planted = plant(planted_lineages(SEED), SEED)
    chance = np.random.default_rng(0).uniform(0.95, 1.0, len(tracks.links))
    tracks = replace(tracks, link_properties={"probability": chance}, state=np.zeros(len(tracks), np.int8))
    dock.session.need_document().apply(AddNuclei.of(tracks))
    dock.go_to("review")
    panel = dock.review.warnings
    panel.decide.setChecked(False)
    qtbot.waitUntil(lambda: bool(panel.inspection.warnings), timeout=60000)
    yield viewer, dock, planted
    dock.close()
    dock.session.close()


def press(dock: Any, key: str) -> None:
    """Press a key while the mouse is over the image."""
    viewer = dock.session.viewer
    (does,) = [does for known, does in viewer.keymap.items() if str(known).lower() == NAMES.get(key, key)]
    does(viewer)


def settled(dock: Any, qtbot: Any, action: Any) -> None:
    """Do something, and wait until the tracks were looked through again."""
    with qtbot.waitSignal(dock.review.warnings.searched, timeout=60000):
        action()


def test_20_planted_errors_are_found_gone_to_and_fixed_with_keys(reviewed, qtbot) -> None:
    _, dock, planted = reviewed
    inspection, document = dock.review.warnings.inspection, dock.session.document
    named = {nucleus for warning in inspection.warnings[:30] for nucleus in warning.ids}
    assert [kind for kind, ids in planted if not ids & named] == []
    assert dock.review.warnings.list.count() == len(inspection.warnings)

    seen = set()
    for _ in range(6):  # each of the first kinds, by keys alone
        press(dock, ".")
        warning = inspection.current
        assert dock.session.editor.place.frame(dock.session.viewer) == warning.position[0]
        assert set(dock.session.editor.selected().tolist()) == set(warning.ids)
        at = dock.session.grid().world(warning.position)[-2:]
        np.testing.assert_allclose(dock.session.viewer.scene.camera.center[-2:], at, atol=1e-6)
        key = {"swap": "f", "end": "o", "gap": "i"}.get(warning.kind, "y")
        seen.add(warning.kind)
        before = document.nuclei
        settled(dock, qtbot, lambda key=key: press(dock, key))
        assert document.nuclei is not before
        assert warning not in inspection.warnings
    assert seen >= {"swap", "end"}
    after = document.nuclei
    settled(dock, qtbot, document.undo)
    assert warning.ids in [one.ids for one in inspection.warnings]
    settled(dock, qtbot, document.redo)
    np.testing.assert_array_equal(document.nuclei.links, after.links)


def test_keys_that_do_not_apply_say_why_the_selection_counts_and_nothing_is_too_wide(reviewed, qtbot) -> None:
    _, dock, _ = reviewed
    panel, document = dock.review.warnings, dock.session.document
    press(dock, ".")
    assert panel.inspection.current.kind == "swap"
    assert not panel.fixes["insert"].isEnabled()
    assert panel.fixes["insert"].toolTip().startswith("No nucleus seems to be missing here")
    assert panel.fixes["swap"].isEnabled()
    revision = document.revision
    press(dock, "i")
    assert document.revision == revision
    mother, daughter = document.nuclei.links[5].tolist()
    dock.session.editor.nuclei.select([mother, daughter])
    settled(dock, qtbot, lambda: press(dock, "b"))
    assert document.undo_text == f"break the link from nucleus {mother} to nucleus {daughter}"
    press(dock, ",")
    assert panel.inspection.current is not None
    for step in ("track", "review"):
        dock.go_to(step)
        assert getattr(dock, step).minimumSizeHint().width() <= 312


def test_sure_links_are_accepted_at_once_and_a_sample_checks_them(reviewed, qtbot) -> None:
    _, dock, _ = reviewed
    sample, document = dock.review.sample, dock.session.document
    safe = safe_links(document.nuclei, 0.01)
    assert f"{len(safe)} of {safe.n_proposed} proposed links; {safe.expected_errors:.1f} of them" in sample.count.text()
    sample.size.setValue(10)
    sample.begin(seed=3)
    assert sample.right.isVisible()
    broken = document.nuclei.links.tolist()
    for i in range(10):
        press(dock, "b" if i == 4 else "y")
    assert not sample.active
    assert sample.result.plain == (
        f"1 of 10 wrong: 10.0 % (95 % interval 1.8 to 40.4 %), {100 * safe.expected_errors / len(safe):.2f} % were expected."
    )
    assert len(document.nuclei.links) == len(broken) - 1
    assert not sample.scale.button.isEnabled()
    assert sample.scale.button.toolTip().startswith("9 links were right and 1 wrong; with fewer than 5 of each")
    n = len(safe_links(document.nuclei, 0.01))
    assert n == len(safe) - 10
    sample.accept.button.click()
    assert len(safe_links(document.nuclei, 0.01)) == 0
    assert (document.nuclei.state == State.ACCEPTED).sum() > n / 2
    assert document.undo_text == f"accept {n} links"
    document.undo()
    assert len(safe_links(document.nuclei, 0.01)) == n

    sample.begin(seed=4)
    for i in range(10):
        press(dock, "b" if i % 2 else "y")
    before = document.nuclei.link_properties["probability"]
    sample.scale.button.click()
    assert document.undo_text.startswith("scale the probabilities of")
    after = document.nuclei.link_properties["probability"]
    assert np.nanmedian(after) < 0.8 < np.nanmedian(before)  # every second one was wrong
    assert np.isnan(after[np.isnan(before)]).all()  # what was accepted stays certain
    document.undo()
    np.testing.assert_array_equal(document.nuclei.link_properties["probability"], before)


def test_the_links_around_a_fix_are_decided_anew_as_a_step_of_its_own(reviewed, qtbot) -> None:
    _, dock, _ = reviewed
    panel, document = dock.review.warnings, dock.session.document
    press(dock, ".")
    assert panel.inspection.current.kind == "swap"
    right = panel.inspection.current.instead[0]
    other = panel.inspection.current.instead[1]
    panel.decide.setChecked(True)
    dock.session.editor.nuclei.select(right)
    revision = document.revision
    panel.fix("break")  # both wrong links; the right ones are found by themselves
    assert document.revision == revision + 1
    qtbot.waitUntil(lambda: document.revision > revision + 1, timeout=60000)
    links = set(map(tuple, document.nuclei.links.tolist()))
    assert {right, other} <= links
    assert document.undo_text.endswith("around the fix anew")
    document.undo()
    assert document.undo_text == "break 2 links"
