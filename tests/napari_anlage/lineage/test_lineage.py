"""The lineage tree: where tracks are drawn, that a click goes there, and that 30,000 nuclei are drawn at once."""

from __future__ import annotations

import time

import numpy as np
import pytest

from anlage import AddNuclei, Annotations
from napari_anlage.lineage.layout import LineageLayout
from napari_anlage.lineage.panel import LineagePanel
from napari_anlage.lineage.plot import LineagePlot, clock
from napari_anlage.viewer.colouring import Colouring, errors, lineages, nucleus_colours
from napari_anlage.viewer.tracks import TrackTable


def family() -> tuple[Annotations, TrackTable]:
    """One nucleus for two frames, two daughters, of which the second divides; and a track beside them."""
    at = [
        (0, 0, 0, 0),
        (1, 0, 0, 0),
        (2, 0, 0, 0),
        (2, 0, 0, 9),
        (3, 0, 0, 0),
        (3, 0, 0, 8),
        (3, 0, 0, 10),
        (0, 0, 50, 0),
        (1, 0, 50, 0),
    ]
    links = [(1, 2), (2, 3), (2, 4), (3, 5), (4, 6), (4, 7), (8, 9)]
    probability = np.array([0.99, 0.9, 0.4, 0.99, np.nan, 0.99, 0.99])
    nuclei = Annotations.of(at, links=links, link_properties={"probability": probability})
    return nuclei, TrackTable.of(nuclei)


def test_daughters_lie_beside_each_other_and_mothers_between_them() -> None:
    nuclei, tracks = family()
    layout = LineageLayout.of(nuclei, tracks)
    assert layout.n_leaves == 4
    assert layout.across.tolist() == [0.75, 0.75, 0.0, 1.5, 0.0, 1.0, 2.0, 3.0, 3.0]
    time_, across, whose = layout.lines()
    drawn = {(tuple(t), tuple(a), int(w)) for t, a, w in zip(time_.tolist(), across.tolist(), whose, strict=True)}
    assert ((1.0, 2.0), (1.5, 1.5), 3) in drawn  # along time, at the daughter's place
    assert ((1.0, 1.0), (0.75, 1.5), 3) in drawn  # from the mother to it
    assert layout.nearest(2.2, 1.4) == 3
    one = LineageLayout.of(nuclei, tracks, 8)
    assert one.rows.tolist() == [7, 8]
    assert one.n_leaves == 1


def test_colours_say_lineage_or_error() -> None:
    nuclei, tracks = family()
    assert lineages(tracks).tolist() == [1] * 7 + [8, 8]
    wrong = errors(nuclei, tracks)
    np.testing.assert_allclose(wrong[[1, 3, 6]], [0.01, 0.6, 0.01])
    assert np.isnan(wrong[[0, 5, 7]]).all()
    family_ink = nucleus_colours(nuclei, tracks, Colouring.LINEAGE)
    assert len(np.unique(family_ink[:7], axis=0)) == 1
    assert (family_ink[0] != family_ink[8]).any()
    doubtful = nucleus_colours(nuclei, tracks, Colouring.ERROR)
    assert doubtful[3, 0] > 0.9 > 0.5 > doubtful[3, 2]  # red
    assert doubtful[1, 2] > doubtful[1, 0]  # blue


def test_times_are_read_as_people_write_them() -> None:
    assert [clock(t, 300.0) for t in (0, 1, 12, 13)] == ["0", "5 min", "1 h", "1 h 05"]
    assert clock(3, 15.0) == "45 s"


@pytest.mark.viewer
def test_30_000_nuclei_are_drawn_at_once(qtbot) -> None:
    n_frames, n = 300, 100
    at = [(t, 0, 10 * i, 0) for i in range(n) for t in range(n_frames)]
    links = [(i * n_frames + t, i * n_frames + t + 1) for i in range(n) for t in range(1, n_frames)]
    nuclei = Annotations.of(
        at, links=links, link_properties={"probability": np.random.default_rng(0).random(len(links))}
    )
    tracks = TrackTable.of(nuclei)
    plot = LineagePlot()
    qtbot.addWidget(plot)
    plot.resize(900, 250)
    plot.show()
    began = time.perf_counter()
    plot.show_layout(
        LineageLayout.of(nuclei, tracks),
        nucleus_colours(nuclei, tracks, Colouring.ERROR),
        np.zeros(len(nuclei), bool),
        fit=True,
    )
    assert time.perf_counter() - began < 1.5  # 0.15 s on a quiet core
    picked = []
    plot.picked.connect(picked.append)
    assert plot.upright is False
    plot.resize(320, 700)
    qtbot.waitUntil(lambda: plot.upright is True)


@pytest.mark.viewer
def test_the_tree_and_the_viewer_show_the_same(make_napari_viewer_proxy, qtbot, odd, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(np.zeros((4, 8, 60, 60), np.uint8), name="movie", **odd)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.review.colours.tree.click()
    panel = next(w for w in viewer.window.dock_widgets.values() if type(w).__name__ == "LineagePanel")
    assert panel.counts.text() == "There are no links yet."
    document = dock.session.need_document()
    document.apply(AddNuclei.of(family()[0]))
    qtbot.waitUntil(lambda: panel.counts.text() == "2 lineages · 2 divisions · 1 doubtful link", timeout=5000)
    panel.plot.picked.emit(3)
    assert dock.session.editor.selected().tolist() == [4]
    assert dock.session.editor.place.frame(dock.session.viewer) == 2
    assert panel.plot._frame == 2
    picked = "Picked: 60 % that a link of its track is wrong (1 link), 65 % of its lineage (6 links)."
    qtbot.waitUntil(lambda: panel.hint.text().endswith(picked), timeout=5000)
    panel.choice.setCurrentIndex(1)
    dock.session.editor.nuclei.select([9])
    qtbot.waitUntil(lambda: panel.counts.text() == "1 lineage · 0 divisions · 0 doubtful links", timeout=5000)
    dock.review.colours.tree.click()  # the same one again
    assert len([w for w in viewer.window.dock_widgets.values() if type(w).__name__ == "LineagePanel"]) == 1
    panel.close()
    again = LineagePanel(viewer)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: "of its lineage (1 link)" in again.hint.text(), timeout=5000)  # nucleus 9 is still picked
    again.close()
    dock.close()
    dock.session.close()
