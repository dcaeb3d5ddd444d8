"""What was annotated decides what is trained: masks train outlines, painted classes train classes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy import ndimage

from anlage import AddNuclei, AddRegion, Box, Region, Store

pytestmark = pytest.mark.viewer
ALL = Box((0, 3), (0, 12), (0, 48), (0, 52))


@pytest.fixture
def train(make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd, blobs):
    """The widget *Train networks* in a viewer with a movie, and a project with one region."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name="movie", **odd)
    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
    panel.session.set_folder(tmp_path / "movie.anlage")
    document = panel.session.need_document()
    document.apply(AddRegion(Region.around(document.new_region_id(), "all", ALL)))
    yield panel.tab
    for run in panel.tab.view.running():
        run.request_stop()
    panel.tab.retire()
    panel.session.close()


def add_labels(train, labels: np.ndarray, odd, qtbot) -> None:
    """A Labels layer of the user's own, chosen as annotation; counted in a thread."""
    session = train._session
    session.choose_nuclei(session.viewer.add_labels(labels, name="painted", **odd))
    train.count()
    qtbot.waitUntil(lambda: not train._counting.busy and not train._stale, timeout=20000)


def masks(movie: np.ndarray) -> np.ndarray:
    return np.stack([ndimage.label(frame > 250)[0] for frame in movie])


def press(train, card: str, qtbot) -> None:
    qtbot.mouseClick(train.cards.cards[card], Qt.MouseButton.LeftButton)


@pytest.mark.usefixtures("fake_anlage")
def test_masks_train_outlines_without_another_choice(train, blobs, odd, qtbot) -> None:
    assert train.cards.kind == "centres"
    add_labels(train, masks(blobs[0]), odd, qtbot)
    assert train.cards.kind == "outlines"
    assert train.cards.cards["outlines"].line.plain == "54 masks in 1 region."
    assert "head" not in train.special.names(), "the card says it"
    assert not train.advanced.isExpanded()
    train.start.button.click()
    qtbot.waitUntil(lambda: train.watcher.run is not None, timeout=60000)
    config = train.watcher.run.config
    assert config.settings["head"] == "instances"
    assert "outlines" in train.watcher.run.name
    store = Store.open(config.stores[0].place(train.watcher.run.path))
    assert store.labels is not None
    assert len(np.unique(store.positives.label)) > 10


def test_a_card_that_was_clicked_stays_chosen_until_another_image_is(train, blobs, odd, qtbot) -> None:
    press(train, "centres", qtbot)
    press(train, "links", qtbot)
    add_labels(train, masks(blobs[0]), odd, qtbot)
    assert train.cards.kind == "links"
    session = train._session
    session.choose_image(session.viewer.add_image(blobs[0], name="another", **odd))
    session.choose_image(session.viewer.layers["movie"])
    session.choose_nuclei(session.viewer.layers["painted"])
    train.count()
    qtbot.waitUntil(lambda: not train._counting.busy and train.cards.kind == "outlines", timeout=20000)


def test_marked_nuclei_among_a_few_masks_train_centres(train, blobs) -> None:
    document = train._session.document
    document.apply(AddNuclei(document.new_ids(len(blobs[1])), blobs[1]))
    train.count()
    assert train.cards.kind == "centres"
    assert train.cards.cards["outlines"].line.kind == "idle"
    assert "No nucleus is painted" in train.cards.cards["outlines"].line.plain


@pytest.mark.usefixtures("fake_anlage")
@pytest.mark.parametrize("n_classes", [1, 2])
def test_a_layer_of_painted_classes_trains_classes(train, blobs, odd, qtbot, n_classes: int) -> None:
    labels = (blobs[0] > 250).astype(int)
    labels[..., : 52 // n_classes] *= n_classes
    add_labels(train, labels, odd, qtbot)
    assert train.cards.kind == "classes"
    assert train.cards.cards["classes"].line.kind == "good"
    assert train.cards.cards["outlines"].line.kind == "idle"
    train.start.button.click()
    qtbot.waitUntil(lambda: train.watcher.run is not None, timeout=60000)
    config = train.watcher.run.config
    assert config.settings["head"] == "classes"
    assert Store.open(config.stores[0].place(train.watcher.run.path)).meta.classes == tuple(range(1, n_classes + 1))
