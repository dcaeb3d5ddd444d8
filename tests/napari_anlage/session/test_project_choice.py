"""An image's project comes and goes with the image: found by path or pixels, asked about, never mixed up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from anlage import AddNuclei, AnlageError, Project, Spacing, recent_projects
from napari_anlage.session.image_choice import path_of
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

SHAPES = {"A": (4, 6, 24, 26), "B": (4, 6, 24, 26), "C": (2, 5, 20, 22)}
SCALE: dict[str, Any] = {"scale": (60, 2, 0.5, 0.5), "units": ("s", "µm", "µm", "µm")}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A and B of one shape, C of another, each in a folder of its own."""
    for number, (name, shape) in enumerate(SHAPES.items()):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(number).poisson(50, shape).astype(np.uint16)
        tifffile.imwrite(tmp_path / name / f"{name}.tif", pixels)
    return tmp_path


@pytest.fixture
def session() -> Session:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.kept = viewer  # a session lives as long as its viewer
    session.heard = []
    session.said.connect(lambda text, kind: session.heard.append(text))
    return session


def show(session: Session, path: Path, **how: Any) -> Any:
    """Open a file as napari does, and choose it."""
    layer = session.viewer.add_image(tifffile.imread(path), name=path.stem, **{**SCALE, **how})
    layer.metadata["anlage"] = {"path": str(path)}
    session.choose_image(layer)
    return layer


def mark(session: Session, *places: tuple[float, float, float, float]) -> Path:
    document = session.need_document()
    document.apply(AddNuclei(document.new_ids(len(places)), places))
    return Path(session.project.folder)


def shown(session: Session) -> list[list[float]]:
    """Voxels of the nuclei that the viewer shows."""
    layer = next((layer for layer in session.viewer.layers if layer_roles.role_of(layer) == layer_roles.NUCLEI), None)
    return [] if layer is None else session.editor.place.from_points(np.asarray(layer.data)).tolist()


def answer(session: Session, text: str) -> None:
    session.arrival.answer(next(one for one in session.question.answers if one.text == text))


def settings(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "project.json").read_text())["settings"]
    return found


# ---- one image after the other, and side by side ----


def test_the_next_movie_of_the_same_shape_has_a_project_of_its_own(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    a = mark(session, (1, 2, 5, 5), (1, 2, 9, 9))
    before = (a / "project.json").read_bytes()
    session.viewer.layers.clear()
    show(session, lab / "B/B.tif", scale=(60, 6, 0.9, 0.9))
    assert session.project is None
    assert shown(session) == []
    assert session.heard[-1] == "B.tif → B.anlage, a new project."
    b = mark(session, (0, 1, 3, 3))
    assert (b, settings(b)["spacing_um_zyx"]) == (lab / "B/B.anlage", [6, 0.9, 0.9])
    session.viewer.layers.clear()
    show(session, lab / "C/C.tif")
    c = mark(session, (0, 1, 4, 4))
    session.viewer.layers.clear()
    assert session.project is None
    for name, folder, nuclei in (
        ("A", a, [[1, 2, 5, 5], [1, 2, 9, 9]]), ("C", c, [[0, 1, 4, 4]]),
    ):  # fmt: skip
        show(session, lab / f"{name}/{name}.tif")
        assert session.project.folder == folder
        assert shown(session) == nuclei
        assert session.heard[-1] == f"{name}.tif → {name}.anlage"
    session.close()
    assert settings(a) == json.loads(before)["settings"]


def test_of_two_images_side_by_side_each_has_its_project_and_its_settings(lab: Path, session: Session) -> None:
    a = show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.set_diameter(7.0)
    session.choose_channels([0], "sum")
    b = show(session, lab / "B/B.tif", scale=(60, 6, 0.9, 0.9))
    assert (session.diameter_um, session.combine) == (None, "separate")
    mark(session, (3, 1, 8, 8))
    session.choose_image(a)
    assert (shown(session), session.diameter_um) == ([[1, 2, 5, 5]], 7.0)
    session.choose_image(b)
    assert (shown(session), session.diameter_um) == ([[3, 1, 8, 8]], None)
    assert [layer.name for layer in session.image_layers()] == ["A", "B"]
    assert settings(lab / "A/A.anlage")["channel_names"] == ["A"]
    session.viewer.layers.remove(b)
    assert session.project is None
    session.choose_image(a)
    assert shown(session) == [[1, 2, 5, 5]]
    session.close()


def test_what_a_layer_of_the_users_own_holds_is_the_annotation_of_one_image(lab: Path, session: Session) -> None:
    """Masks of A are not taken for those of B by themselves; who chooses them there means it."""
    a = show(session, lab / "A/A.tif")
    masks = session.viewer.add_labels(np.ones(SHAPES["A"], np.uint8), name="masks of A", **SCALE)
    session.choose_any_nuclei()
    assert session.nuclei_layer is masks
    show(session, lab / "B/B.tif")
    session.choose_any_nuclei()
    assert session.nuclei_layer is None
    with pytest.raises(AnlageError, match="No annotation yet"):
        session.annotations()
    session.choose_image(a)
    session.choose_any_nuclei()
    assert session.nuclei_layer is masks


def test_channels_of_one_image_are_not_told_to_its_neighbour(lab: Path, session: Session) -> None:
    from napari_anlage.session.channels import Role, roles

    show(session, lab / "A/A.tif")
    b = show(session, lab / "B/B.tif")
    session.choose_image(session.viewer.layers["A"])
    mark(session, (1, 2, 5, 5))
    assert settings(lab / "A/A.anlage")["channel_roles"] == ["nuclei"]
    session.choose_image(None)
    session.choose_image(session.viewer.layers["A"])
    assert b.name == "B"
    session.choose_image(b)
    assert roles(session)[0] == Role.NUCLEI
    session.close()


# ---- moved, renamed, copied ----


def test_a_renamed_folder_a_renamed_file_and_a_moved_file_are_found_again(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    (lab / "A").rename(lab / "old A")
    show(session, lab / "old A/A.tif")
    assert (session.project.folder, shown(session)) == (lab / "old A/A.anlage", [[1, 2, 5, 5]])
    session.viewer.layers.clear()
    (lab / "old A/A.tif").rename(lab / "old A/first.tif")
    show(session, lab / "old A/first.tif")
    assert (session.heard[-1], shown(session)) == ("first.tif → A.anlage", [[1, 2, 5, 5]])
    assert session.viewer.layers[0].name == "first"
    session.viewer.layers.clear()
    (lab / "old A/first.tif").rename(lab / "C/first.tif")
    show(session, lab / "C/first.tif")
    assert session.project.folder == lab / "old A/A.anlage"  # among the recent ones
    assert session.project.image_path == lab / "C/first.tif"
    session.viewer.layers.clear()
    (lab / "old A/A.anlage").rename(lab / "C/whatever.anlage")
    show(session, lab / "C/first.tif")
    assert session.project.folder == lab / "C/whatever.anlage"  # beside the image
    session.close()


def test_a_copy_of_a_folder_is_another_project(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    shutil.copytree(lab / "A", lab / "copy")
    show(session, lab / "copy/A.tif")
    assert session.project.folder == lab / "copy/A.anlage"
    mark(session, (0, 0, 1, 1))
    session.viewer.layers.clear()
    show(session, lab / "A/A.tif")
    assert shown(session) == [[1, 2, 5, 5]]
    session.viewer.layers.clear()
    shutil.copy(
        lab / "A/A.tif", lab / "A/twin.tif"
    )  # the same pixels, but the other is still there: an image of its own
    show(session, lab / "A/twin.tif")
    assert session.project is None
    session.close()


def test_an_image_in_memory_is_known_by_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    one, other = (np.random.default_rng(n).random(SHAPES["A"]) for n in (0, 1))
    session.choose_image(session.viewer.add_image(one, name="Image", **SCALE))
    folder = mark(session, (1, 2, 5, 5))
    assert folder == tmp_path / "anlage/Image.anlage"
    session.viewer.layers.clear()
    session.choose_image(session.viewer.add_image(other, name="Image", **SCALE))
    assert (session.project, session.folder.name) == (None, "Image-2.anlage")
    mark(session, (0, 0, 1, 1))
    session.viewer.layers.clear()
    session.choose_image(session.viewer.add_image(one.copy(), name="Image [1]", **SCALE))
    assert shown(session) == [[1, 2, 5, 5]]
    session.close()


def test_an_image_in_memory_that_is_painted_on_keeps_its_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Session
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    first, second = (session.viewer.add_image(np.full(SHAPES["A"], n), name=f"i{n}", **SCALE) for n in (1, 2))
    session.choose_image(first)
    folder = mark(session, (1, 2, 5, 5))
    session.choose_image(second)
    first.data[:] = 9
    session.choose_image(first)
    assert session.project.folder == folder
    session.close()


# ---- what does not fit is asked about ----


def test_a_file_that_was_replaced_is_asked_about(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    folder = mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    before = (folder / "project.json").read_bytes()
    shutil.copy(lab / "B/B.tif", lab / "A/A.tif")
    show(session, lab / "A/A.tif")
    assert session.question.text == "A.tif is not the image that A.anlage was made for: its pixels are other ones."
    assert (session.project, shown(session)) == (None, [])
    with pytest.raises(AnlageError, match=r"a question about the project of A\.tif"):
        session.need_document()
    with pytest.raises(AnlageError, match="Answer above the tabs"):
        session.annotations()
    answer(session, "New project")
    assert session.project.folder == lab / "A/A-2.anlage"
    assert (folder / "project.json").read_bytes() == before
    session.viewer.layers.clear()
    show(session, lab / "A/A.tif")
    assert session.question is None  # of two that name this file, the one that knows its pixels
    assert session.project.folder == lab / "A/A-2.anlage"
    session.viewer.layers.clear()
    shutil.rmtree(lab / "A/A-2.anlage")
    show(session, lab / "A/A.tif")
    answer(session, "Use A.anlage")
    assert shown(session) == [[1, 2, 5, 5]]
    session.viewer.layers.clear()
    show(session, lab / "A/A.tif")
    assert (session.question, shown(session)) == (None, [[1, 2, 5, 5]])
    session.close()


def test_a_project_of_another_shape_cannot_be_used_for_this_image(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    shutil.copy(lab / "C/C.tif", lab / "A/A.tif")
    show(session, lab / "A/A.tif")
    assert "has 4 × 6 × 24 × 26 voxels (t, z, y, x), and this image 2 × 5 × 20 × 22" in session.question.text
    assert [one.text for one in session.question.answers] == ["New project", "Not now"]
    answer(session, "Not now")
    assert (session.question, session.project) == (None, None)
    session.close()


@pytest.mark.parametrize(("chosen", "expected"), [("Project's", (2.0, 0.5, 0.5)), ("Image's", (2.0, 0.9, 0.9))])
def test_a_contradiction_about_the_voxel_size_is_asked_about(
    lab: Path, session: Session, chosen: str, expected: tuple[float, ...]
) -> None:
    show(session, lab / "A/A.tif")
    folder = mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    before = (folder / "project.json").read_bytes()
    layer = show(session, lab / "A/A.tif", scale=(30, 2, 0.9, 0.9))
    text = session.question.text.replace(" (z, y, x)", "")
    assert "the voxel size is 2 × 0.5 × 0.5 µm in the project and 2 × 0.9 × 0.9 µm in the image" in text
    assert "the time step is 60 s in the project and 30 s in the image" in session.question.text
    assert (folder / "project.json").read_bytes() == before
    assert tuple(layer.scale) == (30, 2, 0.9, 0.9)
    answer(session, chosen)
    assert session.question is None
    assert session.scaled_image().spacing == Spacing(*expected)
    assert tuple(layer.scale[1:]) == expected
    assert tuple(settings(folder)["spacing_um_zyx"]) == expected
    assert shown(session) == [[1, 2, 5, 5]]
    session.close()
    if chosen == "Project's":
        assert (folder / "project.json").read_bytes() == before


def test_an_image_without_a_voxel_size_gets_that_of_its_project(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    layer = show(session, lab / "A/A.tif", scale=(1, 1, 1, 1), units=("pixel",) * 4)
    assert session.question is None
    assert (tuple(layer.scale), [str(unit) for unit in layer.units]) == (
        (60, 2, 0.5, 0.5), ["second", "micrometer", "micrometer", "micrometer"],
    )  # fmt: skip
    assert shown(session) == [[1, 2, 5, 5]]
    session.close()


def test_a_project_of_an_older_version_is_asked_about_where_its_image_is_gone(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    folder = mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    file = json.loads((folder / "project.json").read_text())
    del file["settings"]["fingerprint"]
    (folder / "project.json").write_text(json.dumps(file))
    show(session, lab / "A/A.tif")
    assert session.project.settings.fingerprint  # the path says it all; the pixels are known from now on
    session.viewer.layers.clear()
    file["settings"].update(image="/gone/A.tif", image_relative="../gone/A.tif")
    (folder / "project.json").write_text(json.dumps(file))
    show(session, lab / "A/A.tif")
    assert session.question.text == "Does A.anlage belong to A.tif? Its own image, '/gone/A.tif', is gone."
    answer(session, "Use A.anlage")
    assert session.project.image_path == lab / "A/A.tif"
    session.close()


# ---- opened, closed and begun by hand ----


def test_a_project_dropped_on_another_image_opens_its_own_and_leaves_that_alone(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    a = mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    other = show(session, lab / "B/B.tif", scale=(60, 6, 0.9, 0.9))
    session.open_project(a)
    assert path_of(session.image_layer) == lab / "A/A.tif"
    assert shown(session) == [[1, 2, 5, 5]]
    assert tuple(other.scale) == (60, 6, 0.9, 0.9)
    session.choose_image(other)
    assert (session.project, session.scaled_image().spacing) == (None, Spacing(6, 0.9, 0.9))
    (lab / "A/A.tif").unlink()
    before = (a / "project.json").read_bytes()
    session.viewer.layers.remove(session.viewer.layers["A"])
    session.open_project(a)
    assert (session.image_layer, session.project) == (other, None)
    assert "A.tif' is gone; open the image in napari" in session.heard[-1]
    assert tuple(other.scale) == (60, 6, 0.9, 0.9)
    assert (a / "project.json").read_bytes() == before


def test_a_closed_project_stays_closed_until_it_is_wanted(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    mark(session, (1, 2, 5, 5))
    session.close_project()
    assert (session.project, shown(session)) == (None, [])
    with pytest.raises(AnlageError, match=r"The project A.anlage is closed; open it again with Recent"):
        session.annotations()
    session.set_scale(Spacing(2, 0.5, 0.5), 60.0)
    assert session.project is None
    session.need_document()
    assert shown(session) == [[1, 2, 5, 5]]
    session.close()


def test_a_new_project_begins_empty_and_is_the_images_from_then_on(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    first = mark(session, (1, 2, 5, 5))
    session.new_project()
    second = session.project.folder
    assert (second, shown(session)) == (lab / "A/A-2.anlage", [])
    session.viewer.layers.clear()
    show(session, lab / "A/A.tif")
    assert session.project.folder == second  # the one that was open last
    session.open_project(first)
    session.viewer.layers.clear()
    show(session, lab / "A/A.tif")
    assert session.project.folder == first
    assert recent_projects()[:2] == (first, second)
    session.close()


def test_a_project_that_is_open_elsewhere_or_damaged_is_said_so_by_every_panel(lab: Path, session: Session) -> None:
    Project.create(lab / "A/A.anlage", image=lab / "A/A.tif").close()
    held = Project.open(lab / "A/A.anlage")
    show(session, lab / "A/A.tif")
    with pytest.raises(AnlageError, match="is open already in this program"):
        session.annotations()
    with pytest.raises(AnlageError, match="is open already in this program"):
        session.need_document()
    held.close()
    session.need_document()
    session.viewer.layers.clear()
    (lab / "A/A.anlage/project.json").write_text("{")
    show(session, lab / "A/A.tif")
    with pytest.raises(AnlageError, match="cannot be read"):
        session.need_document()
    assert not (lab / "A/A-2.anlage").exists()


def test_other_axes_let_the_project_go_and_come_back_with_it(lab: Path, session: Session) -> None:
    show(session, lab / "A/A.tif")
    folder = mark(session, (1, 2, 5, 5))
    session.set_axes("ztyx")
    assert session.project is None
    with pytest.raises(AnlageError, match="choose the axes that it was annotated with"):
        session.annotations()
    session.set_axes(None)
    assert shown(session) == [[1, 2, 5, 5]]
    assert settings(folder)["axes"] is None
    session.viewer.layers.clear()
    show(session, lab / "B/B.tif")
    session.set_axes("ztyx")
    session.set_scale(Spacing(3, 1, 1), 5.0)
    mark(session, (1, 2, 5, 5))
    session.viewer.layers.clear()
    show(session, lab / "B/B.tif")
    assert (session.grid().axes, shown(session)) == ("ztyx", [[1, 2, 5, 5]])
    assert (session.image().spacing, session.image().interval_s) == (Spacing(3, 1, 1), 5.0)
    session.close()
