"""One training from several movies: projects are added, ticked and counted, and each becomes a store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from anlage import AddNuclei, AddRegion, Box, Project, Region, Spacing, Store, TimeLapse, write_image

pytestmark = pytest.mark.viewer
ALL = Box((0, 3), (0, 12), (0, 48), (0, 52))


def annotate(document, blobs, *, region: bool = True) -> None:
    document.apply(AddNuclei(document.new_ids(len(blobs[1])), blobs[1]))
    if region:
        document.apply(AddRegion(Region.around(document.new_region_id(), "all", ALL)))


@pytest.fixture
def days(tmp_path: Path, blobs) -> list[Path]:
    """Three projects of other movies; in the last one no region was made."""
    folders = []
    for number in (1, 2, 3):
        image = tmp_path / f"day{number}.ome.zarr"
        movie = TimeLapse.of(blobs[0], "tzyx", spacing=Spacing(2, 0.53, 0.47), interval_s=60.0)
        write_image(image, blobs[0][:, None], spacing=movie.spacing, interval_s=60.0)
        folders.append(tmp_path / f"day{number}.anlage")
        with Project.create(folders[-1], image=image, spacing=movie.spacing, shape_tzyx=movie.shape_tzyx) as project:
            annotate(project.document, blobs, region=number < 3)
    return folders


@pytest.fixture
def train(make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd, blobs):
    """The widget *Train networks* in a viewer with a movie, annotated."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name="movie", **odd)
    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
    panel.session.set_folder(tmp_path / "movie.anlage")
    annotate(panel.session.need_document(), blobs)
    panel.tab.count()
    yield panel.tab
    for run in panel.tab.view.running():
        run.request_stop()
    panel.tab.retire()
    panel.session.close()


@pytest.fixture
def add(train, monkeypatch: pytest.MonkeyPatch, qtbot):
    """Choose a folder by the button."""

    def chosen(folder: Path) -> None:
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
        qtbot.mouseClick(train.movies.add_project, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not train.movies._thread.busy, timeout=20000)

    return chosen


def rows(train) -> list[list[str]]:
    tree = train.movies.tree
    return [[tree.topLevelItem(i).text(c) for c in range(4)] for i in range(tree.topLevelItemCount())]


def test_alone_a_movie_needs_no_list(train) -> None:
    assert not train.movies.tree.isVisibleTo(train)
    assert train.cards.cards["centres"].line.plain == "54 nuclei in 1 region."


@pytest.mark.usefixtures("fake_anlage")
def test_three_movies_are_one_training(train, days, add, qtbot) -> None:
    for folder in days[:2]:
        add(folder)
    assert rows(train) == [["this movie", "54", "0", "1"], ["day1", "54", "0", "1"], ["day2", "54", "0", "1"]]
    said = train.cards.cards["centres"].line.plain
    assert said == "162 nuclei in 3 movies."
    train.start.button.click()
    qtbot.waitUntil(lambda: train.watcher.run is not None, timeout=60000)
    run = train.watcher.run
    places = [store.place(run.path) for store in run.config.stores]
    assert [Store.open(place).meta.n_nuclei for place in places] == [54, 54, 54]
    assert {place.parent for place in places} == {train._session.folder / "stores"}
    assert [place.stem[-4:] for place in places[1:]] == ["day1", "day2"]


def test_what_is_not_ticked_and_what_has_nothing_is_left_out(train, days, add) -> None:
    add(days[0].parent)  # a folder stands for the projects in it, without this movie's own
    assert [row[0] for row in rows(train)] == ["this movie", "day1", "day2", "day3"]
    said = train.cards.cards["centres"].line
    assert "1 movie left out: orange in the list" in said.plain
    assert "put a box around them" in train.movies.tree.topLevelItem(3).toolTip(0)
    assert said.kind == "warning"
    train.movies.tick(Path(), on=False)
    train.movies.tick(days[1], on=False)
    train.movies.tick(days[2], on=False)
    assert train.cards.cards["centres"].line.plain == "54 nuclei in 1 region."
    assert train.material.taken("centres") == (days[0],)
    train.movies.tick(days[0], on=False)
    assert train.material.taken("centres") == (Path(),), "nothing else is ticked: this movie"


def test_a_project_is_taken_off_the_list(train, days, add) -> None:
    add(days[0])
    train.movies.tree.setCurrentItem(train.movies.tree.topLevelItem(0))
    assert not train.movies.remove.isEnabled(), "this movie is always there"
    train.movies.tree.setCurrentItem(train.movies.tree.topLevelItem(1))
    train.movies.remove.click()
    assert rows(train) == [["this movie", "54", "0", "1"]]
    assert train.cards.cards["centres"].line.plain == "54 nuclei in 1 region."


def test_what_is_no_project_is_listed_with_why(train, tmp_path, add) -> None:
    (tmp_path / "empty").mkdir()
    add(tmp_path / "empty")
    assert "is no project" in train.movies.tree.topLevelItem(1).toolTip(0)
    assert train.material.taken("centres") == (Path(),)


def test_the_list_belongs_to_the_image(train, days, add, blobs, odd) -> None:
    add(days[0])
    session = train._session
    session.choose_image(session.viewer.add_image(np.array(blobs[0]), name="another", **odd))
    assert not train.movies.others
