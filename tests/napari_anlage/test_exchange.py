"""Every panel of the dock lets go of what belongs to the image before."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AddNuclei, Annotations, Box, Spacing
from anlage.project.proposals import ProposedNuclei
from napari_anlage.annotate.problem_list import ProblemList
from napari_anlage.annotate.region_panel import RegionPanel
from napari_anlage.data.tab import DataTab
from napari_anlage.predict.tab import PredictTab
from napari_anlage.review.tab import ReviewTab
from napari_anlage.session.session import Session
from napari_anlage.signals.tab import SignalsTab
from napari_anlage.track.tab import TrackTab
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.colouring import Colouring

SHAPE = (3, 6, 40, 44)
SCALE: dict[str, Any] = {"scale": (60, 2, 0.5, 0.5), "units": ("s", "µm", "µm", "µm"), "axis_labels": tuple("tzyx")}


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A session over two images of one shape; the first is chosen."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    a, b = (viewer.add_image(rng.poisson(50, SHAPE).astype("u2"), name=name, **SCALE) for name in "AB")
    session = Session.of(viewer)
    session.choose_image(a)
    yield session, a, b
    session.close()
    del viewer


def candidates() -> ProposedNuclei:
    nuclei = Annotations.of([(0, 2, 10, 10), (0, 3, 30, 30)], probability=[0.9, 0.31], origin="net")
    return ProposedNuclei("net", "net@1", nuclei, (Box.whole(SHAPE),), Spacing(2, 0.5, 0.5), 0.3, 6.0)


def test_proposals_suggestions_and_sliders_go_with_the_image(pair, qtbot) -> None:
    session, a, b = pair
    tab = PredictTab(session)
    qtbot.addWidget(tab)
    tab.acceptance.take(candidates())
    tab.acceptance.set_size(9.0)
    tab.next.find_places()
    qtbot.waitUntil(lambda: tab.next.status.plain.startswith("Looked at"), timeout=30000)
    tab.next.list.addItem("frame 0: two candidates near the threshold")
    tab.status.say("2 proposals in frame 0.")
    assert tab.next.list.count() > 0
    session.choose_image(b)
    assert tab.acceptance.candidates is None
    assert (tab.next.list.count(), tab.next.status.plain, tab.status.plain) == (0, "", "")
    assert [layer_roles.role_of(layer) for layer in session.viewer.layers] == [None, None]
    session.choose_image(a)
    assert tab.acceptance.candidates is None
    tab.retire()


def test_a_result_that_arrives_late_is_not_drawn_on_the_next_image(pair, qtbot) -> None:
    session, _, b = pair
    tab = TrackTab(session)
    qtbot.addWidget(tab)
    release = threading.Event()

    def slowly() -> Annotations:
        release.wait(10)
        return Annotations.of([(0, 1, 5, 5), (1, 1, 5, 5)], links=[(1, 2)])

    heard: list[Any] = []
    tab._loading.done.connect(heard.append)
    tab._loading.run(slowly)
    session.choose_image(b)
    assert not tab._loading.busy
    release.set()
    qtbot.wait(150)
    assert heard == []
    assert tab.preview.tracks is None
    tab._loading.run(lambda: "next")
    qtbot.waitUntil(lambda: heard == ["next"])
    tab.retire()


def test_tracks_shown_warnings_and_samples_go_with_the_image(pair, qtbot) -> None:
    session, _, b = pair
    document = session.need_document()
    document.apply(
        AddNuclei(
            [1, 2, 3],
            [(0, 1, 5, 5), (1, 1, 5, 6), (2, 1, 5, 7)],
            links=[(1, 2), (2, 3)],
            link_probability=[0.999, 0.999],
        )
    )
    track, review = TrackTab(session), ReviewTab(session)
    for tab in (track, review):
        qtbot.addWidget(tab)
    track.preview.show(document.nuclei, "net")
    review.sample.most.setValue(50.0)
    review.sample.begin(seed=0)
    session.colour_by(Colouring.ERROR)
    assert review.sample.active
    session.choose_image(b)
    assert not review.sample.active
    assert (review.sample.result.plain, session.colouring) == ("", Colouring.TRACK)
    assert track.preview.tracks is None
    assert not track.accept.button.isEnabled()
    assert [layer_roles.role_of(layer) for layer in session.viewer.layers] == [None, None]
    for tab in (track, review):
        tab.retire()


def test_signals_are_those_of_the_project(pair, qtbot) -> None:
    session, a, b = pair
    session.need_document()
    folder = session.folder / "signals"
    folder.mkdir()
    rows = "\n".join(f"1,{t},{np.sin(t):.3f}" for t in range(12))
    (folder / "measured.csv").write_text(f"track_id,t,brightness\n{rows}\n")
    tab = SignalsTab(session)
    qtbot.addWidget(tab)
    qtbot.waitUntil(lambda: tab.scoring is not None, timeout=10000)
    session.choose_image(b)
    assert tab.scoring is None
    assert tab.status.plain.startswith("No signals are open")
    assert tab.source.where.text() == ""
    session.choose_image(a)
    qtbot.waitUntil(lambda: tab.scoring is not None, timeout=10000)
    tab.retire()


def test_problems_and_regions_speak_of_the_annotation_that_was_chosen(pair, qtbot) -> None:
    """From: my masks. The region holds what the masks hold, whoever is asked."""
    session, _, _ = pair
    masks = np.zeros(SHAPE, np.uint16)
    for t in range(3):
        for number in range(4):
            masks[t, 1:4, 4 + 9 * number : 9 + 9 * number, 10:16] = number + 1
    layer = session.viewer.add_labels(masks, name="my masks", **SCALE)
    session.bench.need()
    session.choose_nuclei(layer)
    session.bench.add_region(Box.whole(SHAPE))
    problems, regions = ProblemList(session), RegionPanel(session)
    for panel in (problems, regions):
        qtbot.addWidget(panel)
        panel.show()
    problems.search()
    qtbot.waitUntil(lambda: not problems._thread.busy, timeout=10000)
    assert not any("holds no nucleus" in finding.text for finding in problems.issues)
    assert regions.list.item(0).text() == "region 1 – 12 nuclei"
    session.choose_nuclei(None)
    problems.search()
    qtbot.waitUntil(lambda: not problems._thread.busy, timeout=10000)
    assert any("no nucleus" in finding.text for finding in problems.issues)
    assert regions.list.item(0).text() == "region 1 – 0 nuclei"
    problems.retire()
    regions.retire()


def test_a_voxel_size_that_is_being_typed_is_not_set_for_the_next_image(pair, qtbot) -> None:
    session, a, b = pair
    tab = DataTab(session)
    qtbot.addWidget(tab)
    before = tuple(b.scale)
    tab.scale.voxel_fields.spins[0].setValue(77.0)
    session.choose_image(b)
    assert tab.scale.voxel_fields.spins[0].value() == 2.0
    tab.scale.voxel_fields.apply.click()
    assert (tuple(b.scale), tuple(a.scale)) == (before, before)
