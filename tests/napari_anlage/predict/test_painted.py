"""Models that paint, on the Predict tab of a real viewer: labels over the image, tuned without the network, kept and used."""

from __future__ import annotations

import importlib.util
import json
import shlex
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from anlage import labels_of, open_label_image
from anlage.project.models import Choice
from anlage.project.predictions import results
from anlage.project.thresholds import Thresholds, keep_thresholds, thresholds_of
from napari_anlage.predict.threshold_tuner import ROLE
from napari_anlage.train.live_preview import LearningPreview
from napari_anlage.viewer import layer_roles

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("fake_anlage")]

_spec = importlib.util.spec_from_file_location(
    "oracle", Path(__file__).parents[2] / "anlage" / "inference" / "oracle.py"
)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model file that outlines objects; the fake in its place does not open it."""
    path = tmp_path_factory.mktemp("model") / "painter.anlage"
    oracle.oracle_model(path)
    return path


@pytest.fixture
def docked(make_napari_viewer_proxy, monkeypatch, tmp_path, odd, blobs, model):
    """A viewer with a movie and the dock, at the Predict tab with the painter chosen."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name="movie", **odd)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(tmp_path / "movie.anlage")
    dock.go_to("predict")
    dock.predict.models.add(model)
    viewer.reset_view()
    yield viewer, dock
    dock.predict.retire()
    dock.session.close()


def previewed(viewer, dock, odd, qtbot, t: int = 2):
    viewer.dims.set_point(0, odd["translate"][0] + t * odd["scale"][0])
    tab = dock.predict
    tab.preview.button.click()
    qtbot.waitUntil(lambda: tab.labels.part is not None and not tab.previewer.busy, timeout=60000)
    return next(layer for layer in viewer.layers if layer_roles.role_of(layer) == ROLE)


def settled(tab, qtbot) -> None:
    qtbot.wait(30)
    qtbot.waitUntil(lambda: not tab.labels.busy, timeout=30000)


def test_labels_lie_over_the_image_and_thresholds_act_without_the_network(
    docked, blobs, odd, qtbot, monkeypatch
) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    assert tab.models.choice.paints == "instances"
    assert not tab.threshold.isVisible()
    assert not tab.next.isVisible()
    layer = previewed(viewer, dock, odd, qtbot)
    monkeypatch.setattr(tab.previewer._child, "start", lambda *_, **__: pytest.fail("the network was asked again"))
    assert tab.notes.text() == "A sentence."
    # where the object is, in the world
    brightest = np.unravel_index(blobs[0][2].argmax(), blobs[0][2].shape)
    world = session.image_layer.data_to_world((2, *brightest))
    assert layer.data[tuple(np.rint(layer.world_to_data(world)).astype(int))] > 0
    values = np.unique(layer.data)
    assert len(values) == 2
    assert "1 object in frame 2, median" in tab.labels.status.plain
    assert "µm³" in tab.labels.status.plain

    tab.labels.threshold.spin.setValue(0.05)
    settled(tab, qtbot)
    assert set(values) < set(np.unique(layer.data))  # the first keeps its number, and so its colour
    assert tab.labels.status.plain.startswith("2 objects")
    volumes = [int((layer.data > 0).sum())]
    for inside in (0.9, 0.2):
        tab.labels.inside.spin.setValue(inside)
        settled(tab, qtbot)
        volumes.append(int((layer.data > 0).sum()))
    assert volumes[1] < volumes[0] < volumes[2]
    tab.labels.smallest.spin.setValue(tab.labels.smallest.spin.maximum())
    settled(tab, qtbot)
    assert not layer.data.any()
    assert "lower them" in tab.labels.status.plain
    tab.labels.smallest.back.click()
    settled(tab, qtbot)
    assert layer.data.any()
    tab.labels.contour.click()
    assert layer.contour == 1
    tab.labels.see.click()
    assert not layer.visible
    tab.labels.inside.back.click()
    settled(tab, qtbot)
    assert (layer.contour, layer.visible) == (1, False)  # tuning changes neither


def test_dragging_makes_labels_only_as_often_as_they_are_ready_and_the_last_value_counts(
    docked, odd, qtbot, monkeypatch
) -> None:
    viewer, dock = docked
    tab = dock.predict
    layer = previewed(viewer, dock, odd, qtbot)
    made = []
    monkeypatch.setattr(
        "napari_anlage.predict.threshold_tuner.labels_of",
        lambda maps, **chosen: made.append(chosen) or labels_of(maps, **chosen),
    )
    for step in range(0, 1000, 10):
        tab.labels.inside.slider.setValue(step)
        qtbot.wait(2)
    settled(tab, qtbot)
    assert 1 <= len(made) < 60
    assert made[-1]["inside"] == pytest.approx(tab.labels.inside.value())
    expected = labels_of(tab.labels._maps, **made[-1]).steady()
    assert np.array_equal(np.asarray(layer.data)[0], expected)


def test_an_image_that_is_removed_takes_the_tuning_along_without_a_word(docked, odd, qtbot) -> None:
    """As when the viewer is closed while a preview is shown."""
    viewer, dock = docked
    layer = previewed(viewer, dock, odd, qtbot)
    viewer.layers.remove("movie")
    assert layer not in viewer.layers
    assert not dock.predict.labels.isVisibleTo(dock.predict)


def test_what_was_chosen_is_kept_in_the_project_and_used_for_the_whole_movie(docked, odd, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot)
    tab.whole.copy.button.click()
    qtbot.waitUntil(lambda: "Copied" in tab.whole.status.plain, timeout=30000)
    assert "--threshold" not in QGuiApplication.clipboard().text()  # the model's own need not be said
    tab.labels.threshold.spin.setValue(0.05)
    tab.labels.inside.spin.setValue(0.8)
    settled(tab, qtbot)
    kept = json.loads((session.folder / "predictions" / "thresholds.json").read_text("utf-8"))
    assert kept == {tab.models.choice.id: {"threshold": 0.05, "inside": 0.8, "smallest": None}}

    tab.whole.copy.button.click()
    qtbot.waitUntil(lambda: "--threshold" in QGuiApplication.clipboard().text(), timeout=30000)
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[words.index("--threshold") + 1] == "0.05"
    assert words[words.index("--inside") + 1] == "0.8"
    assert words[words.index("-o") + 1].endswith(".zarr")
    assert "--all-candidates" not in words

    tab.whole.run.button.click()
    qtbot.waitUntil(lambda: "are shown" in tab.whole.status.plain, timeout=90000)
    (result,) = [one for one in results(session.folder) if one.state == "finished"]
    labels = open_label_image(result.path)
    assert all(len(np.unique(labels.frame(t))) == 3 for t in range(3))  # two objects, as tuned
    shown = next(layer for layer in viewer.layers if layer_roles.role_of(layer) == "predicted labels")
    np.testing.assert_allclose(shown.scale, session.image_layer.scale)
    np.testing.assert_allclose(shown.translate, session.image_layer.translate)
    assert np.array_equal(np.asarray(shown.data), labels.read()[:, 0])
    # another preview begins where the tuning ended
    previewed(viewer, dock, odd, qtbot, t=1)
    assert (tab.labels.threshold.value(), tab.labels.inside.value()) == (0.05, 0.8)
    assert "2 objects in frame 1" in tab.labels.status.plain
    # predictions of labels are no source of nuclei to track
    assert not [source for source in dock.track.source._sources if source.title.startswith("Prediction")]


def test_another_image_or_a_model_that_paints_nothing_takes_the_labels_away(docked, odd, blobs, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot)
    tab.models.combo.setCurrentIndex(tab.models.combo.count() - 1)
    assert tab.models.choice.argument == "classical"
    assert not tab.labels.isVisible()
    assert not [layer for layer in viewer.layers if layer_roles.role_of(layer) == ROLE]
    tab.models.combo.setCurrentIndex(0)
    previewed(viewer, dock, odd, qtbot)
    viewer.add_image(blobs[0][:1, :2, :8, :8], name="other", **odd)
    session.choose_image(viewer.layers["other"])
    assert tab.labels.part is None


def test_the_worst_objects_are_shown_as_pictures_that_lead_there_and_follow_the_sliders(
    docked, blobs, odd, qtbot
) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot)
    assert "paint some objects" in tab.worst.compare.reason.text()
    painted = np.zeros(blobs[0].shape, np.uint16)
    z, y, x = (round(value) for value in tab.labels.part.centres[0])
    painted[2, z, y - 1 : y + 2, x - 1 : x + 2] = 4
    centres = blobs[1][36:, 1:]
    missed = tuple(round(value) for value in centres[np.abs(centres - (z, y, x)).max(axis=1).argmax()])
    painted[2, missed[0], missed[1] - 2 : missed[1] + 3, missed[2] - 2 : missed[2] + 3] = 9
    viewer.add_labels(painted, name="truth", **odd)
    tab.worst.compare.button.click()
    qtbot.waitUntil(lambda: tab.worst.list.count() == 2, timeout=30000)
    first, second = (tab.worst.list.item(i) for i in range(2))
    assert first.text() == "missed"
    assert second.text().startswith("IoU 0.")
    assert " of 2 painted objects" in tab.worst.status.plain
    assert ", 2 objects, 0." in tab.worst.status.plain
    shown = first.icon().pixmap(132, 132).toImage()
    colours = np.array([shown.pixelColor(i, j).getRgb()[:3] for i in range(132) for j in range(132)])
    off = [np.abs(colours - one).max(axis=1).min() for one in ((0, 213, 255), (255, 79, 216))]
    assert off[0] < 16 < off[1]  # what is true, and nothing found; a screen may have fewer colours
    tab.worst.list.itemClicked.emit(first)
    world = session.image_layer.data_to_world((2, *missed))
    np.testing.assert_allclose(viewer.dims.point[:2], world[:2])
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], world[2:])
    before = second.text()
    tab.labels.inside.spin.setValue(0.8)
    qtbot.waitUntil(lambda: tab.worst.list.count() == 2 and tab.worst.list.item(1).text() != before, timeout=30000)


def test_objects_become_painted_labels_as_one_step_and_what_was_painted_stays(docked, odd, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot)
    tab.labels.threshold.spin.setValue(0.05)
    settled(tab, qtbot)
    part = tab.labels.part
    document = session.need_document()
    session.editor.show_labels()
    z, y, x = (round(value) for value in part.centres[1])
    document.painted[2, z, y - 3 : y + 4, x - 3 : x + 4] = 7  # the second was painted by hand
    assert document.commit_stroke()
    mine = document.painted[2] == 7
    n = len(document.nuclei)
    tab.labels.accept.button.click()
    assert "1 object painted in frame 2; 1 was painted already" in tab.labels.status.plain
    painted = document.painted[2]
    assert np.array_equal(painted == 7, mine)
    first = part.steady() == part.ids[0]
    spans = part.box.slices[1:]
    assert len(np.unique(painted[spans][first])) == 1
    assert painted[spans][first][0] not in (0, 7)
    assert len(document.nuclei) == n + 1
    assert not tab.labels.layer.visible
    assert document.undo_text == "take over 1 predicted object"
    document.undo()
    assert np.array_equal(document.painted[2] > 0, mine)
    document.redo()
    tab.labels.accept.button.click()
    assert "painted already" in tab.labels.status.plain
    assert tab.labels.status.kind == "error"


def test_the_preview_while_it_trains_paints_too(docked, odd, qtbot, model) -> None:
    viewer, dock = docked
    said = []
    live = LearningPreview(dock.session)
    live.said.connect(lambda text, kind: said.append(text))
    viewer.dims.set_point(0, odd["translate"][0] + odd["scale"][0])
    live.follow(SimpleNamespace(name="2026-11-21-run", newest_model_path=model), on=True)
    qtbot.waitUntil(lambda: any("1 object in view" in text for text in said), timeout=60000)
    live.stop()
    (layer,) = [layer for layer in viewer.layers if layer_roles.role_of(layer) == "learning labels"]
    assert layer.name.startswith("learning: objects (")
    assert layer.data.any()


def test_thresholds_outlive_damage_and_belong_to_one_model(tmp_path) -> None:
    keep_thresholds(tmp_path, "a", Thresholds(inside=0.25))
    keep_thresholds(tmp_path, "b", Thresholds(smallest=0.0))
    assert thresholds_of(tmp_path, "a").options == ["--inside", "0.25"]
    assert thresholds_of(tmp_path, "b").options == ["--smallest", "0"]
    assert thresholds_of(tmp_path, "c") == Thresholds()
    (tmp_path / "predictions" / "thresholds.json").write_text("{", encoding="utf-8")
    assert thresholds_of(tmp_path, "a") == Thresholds()
    assert results(tmp_path) == []


def test_a_painter_says_what_it_is(model) -> None:
    said = Choice.of(model).lines()
    assert said[0] == "Paints objects, voxel by voxel."
