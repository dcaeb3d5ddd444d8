"""Names, roles and thumbnails of channels, for every way in which channels come into napari."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Box, Spacing, TimeLapse, open_image, write_image
from napari_anlage.session.channels import Role, guessed, nuclei_channels, nuclei_image, rename, roles, set_role
from napari_anlage.session.session import Session
from napari_anlage.viewer.open_movie import add_image
from napari_anlage.widgets.thumbnails import SIDE, coarse_image, thumbnail


class Counting:
    """An array that counts what is read of it."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self.shape, self.dtype, self.n_read = data, data.shape, data.dtype, 0

    def __getitem__(self, index):
        piece = np.asarray(self._data[index])
        self.n_read += piece.size
        return piece


@pytest.mark.parametrize(
    ("names", "nuclear"),
    [
        (("channel 0", "channel 1"), (0,)),
        (("membrane", "H2B-mCherry"), (1,)),
        (("DAPI", "GFP", "Hoechst 33342"), (0, 2)),
        (("red", "green", "blue"), (0,)),
        (("Nuclei",), (0,)),
    ],
)
def test_a_nuclear_stain_is_known_by_its_name(names, nuclear) -> None:
    assert [i for i, role in enumerate(guessed(names)) if role is Role.NUCLEI] == list(nuclear)


def test_channels_along_an_axis_are_named_and_given_roles() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5, 6)), axis_labels=tuple("czyx")))
    heard = []
    session.image_changed.connect(lambda: heard.append(1))
    rename(session, 1, " lamin ")
    assert session.channel_names() == ["channel 0", "lamin", "channel 2"]
    assert session.image().channels == ("channel 0", "lamin", "channel 2")
    set_role(session, 2, Role.NUCLEI)
    set_role(session, 0, Role.OTHER)
    assert roles(session) == (Role.OTHER, Role.OTHER, Role.NUCLEI)
    assert nuclei_channels(session) == (2,)
    assert len(heard) == 3
    session.choose_channels([0, 1], "separate")
    assert nuclei_channels(session) == (0, 1)  # none of these is said to show nuclei, so all are taken to
    rename(session, 1, "")
    assert session.channel_names()[1] == "channel 1"


def test_separate_layers_are_renamed_themselves() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    one, two = (viewer.add_image(np.zeros((4, 5, 6)), name=name) for name in ("one", "two"))
    session.choose_image(two)
    rename(session, 1, "membrane")
    assert one.name == "membrane"
    assert session.channel_names() == ["two", "membrane"]
    set_role(session, 1, Role.NUCLEI)
    set_role(session, 0, Role.OTHER)
    session.choose_channels([0, 1], "separate")
    assert nuclei_channels(session) == (1,)  # its place in the joined image
    session.choose_image(one)
    assert roles(session) == (Role.NUCLEI, Role.OTHER)  # the role belongs to the layer, whatever it is joined to


def test_colours_of_a_picture_are_its_channels() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((2, 8, 9, 3), np.uint8), rgb=True))
    rename(session, 2, "DAPI")
    assert session.channel_names() == ["red", "green", "DAPI"]
    assert nuclei_channels(session) == (2,)


def test_only_the_nuclear_channels_are_looked_at_for_nuclei() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    pixels = np.random.default_rng(0).random((2, 3, 4, 5, 6))
    session.choose_image(viewer.add_image(pixels, axis_labels=tuple("tczyx"), units=("s", "pixel", "µm", "µm", "µm")))
    set_role(session, 0, Role.OTHER)
    set_role(session, 2, Role.NUCLEI)
    shown = nuclei_image(session)
    assert shown.shape == (2, 1, 4, 5, 6)
    assert shown.channels == ("channel 2",)
    assert shown.spacing == session.scaled_image().spacing
    part = Box((1, 2), (1, 3), (0, 5), (2, 4))
    np.testing.assert_array_equal(shown.read(part), pixels[1:2, 2:3, 1:3, :, 2:4])
    for channel in (0, 1):
        set_role(session, channel, Role.NUCLEI)
    assert nuclei_image(session).shape == (2, 3, 4, 5, 6)


# ---- thumbnails ----


def test_a_thumbnail_shows_the_middle_frame() -> None:
    movie = np.zeros((5, 2, 3, 80, 160), np.uint16)
    movie[2, 1, :, :40, 80:] = 900
    small = thumbnail(TimeLapse.of(movie), 1)
    assert small.shape == (SIDE // 2, SIDE)
    assert small.dtype == np.uint8
    assert small[:10, 20:].min() == 255
    assert small[10:].max() == 0
    assert thumbnail(TimeLapse.of(movie), 0).max() == 0


def test_a_thumbnail_reads_a_few_planes_of_the_middle_at_most() -> None:
    lazy = Counting(np.broadcast_to(np.arange(3000, dtype=np.uint16), (4, 2, 30, 3000, 3000)))
    assert max(thumbnail(TimeLapse.of(lazy), 1).shape) <= SIDE
    assert lazy.n_read == 3 * 1024 * 1024


@pytest.mark.parametrize("shape", [(1, 7), (300, 3), (41, 41), (1, 1)])
def test_a_thumbnail_of_any_shape_is_small(shape) -> None:
    small = thumbnail(TimeLapse.of(np.random.default_rng(0).random(shape)), 0)
    assert max(small.shape) <= SIDE
    assert min(small.shape) >= 1


def test_dead_pixels_do_not_spoil_a_thumbnail() -> None:
    plane = np.zeros((40, 40), np.float32)
    plane[10:20, 10:20] = 5
    plane[0, 0] = np.nan
    assert thumbnail(TimeLapse.of(plane), 0)[15, 15] == 255


def test_the_coarsest_useful_level_of_a_multiscale_layer_is_read() -> None:
    levels = [np.zeros((2, 800 // k, 800 // k)) for k in (1, 2, 4, 8, 16)]
    layer = ViewerModel().add_image(levels, multiscale=True)
    assert coarse_image(layer, "zyx").shape == (1, 1, 2, 100, 100)


def test_names_and_roles_are_kept_with_the_project(tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (2, 2, 3, 8, 9), dtype=np.uint16)
    write_image(tmp_path / "m.ome.zarr", pixels, spacing=Spacing(2, 1, 1), interval_s=9.0, channels=("one", "two"))
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(add_image(viewer, open_image(tmp_path / "m.ome.zarr"), tmp_path / "m.ome.zarr"))
    session.choose_channels([0, 1], "sum")
    session.need_document()
    rename(session, 1, "histone")
    set_role(session, 0, Role.OTHER)
    session.close()

    again = Session.of(other := ViewerModel())
    again.open_project(tmp_path / "m.anlage")
    assert [layer.name for layer in other.layers][:2] == ["m one", "histone"]
    assert again.channel_names() == ["m one", "histone"]
    assert roles(again) == (Role.OTHER, Role.NUCLEI)
    assert (again.picked, again.combine) == ((0, 1), "sum")
    again.close()
