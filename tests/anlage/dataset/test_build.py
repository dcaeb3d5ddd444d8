from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.dataset.intensity import measure_intensity
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

SHAPE = (4, 16, 60, 64)
BOX = Box((1, 4), (2, 14), (5, 50), (8, 60))
Make = Callable[..., Any]


@dataclass(frozen=True)
class Cuboid:
    """What `anlage.cuboid.detect_cuboid` gives back, as far as building needs it."""

    box: Box
    core: Box
    frames: tuple[int, ...]
    doubts: Sequence[Any] = ()
    measured_um: float | None = None


@pytest.fixture
def positions(positions_in: Make) -> np.ndarray:
    return positions_in(6, SHAPE[0], SHAPE[1:])


def test_the_store_is_exactly_the_box(movie: Make, positions: np.ndarray, store_of: Make) -> None:
    image = movie(positions, SHAPE)
    annotations = Annotations.of(positions, properties={"mood": np.arange(len(positions))})
    store = store_of(positions, SHAPE, image=image, annotations=annotations, cuboid=BOX)
    assert np.array_equal(store.image[:], image.read(BOX))
    assert store.image.dtype == np.uint16
    assert store.weight[:].mean() > 0.9, "all is known but what of nuclei outside reaches inside"
    assert store.meta.origin_tzyx == BOX.start
    inside = BOX.contains(positions)
    assert np.allclose(store.nuclei.positions, positions[inside] - BOX.start)
    assert store.nuclei.properties["mood"].tolist() == np.flatnonzero(inside).tolist()
    assert store.spacing == image.spacing
    assert store.meta.interval_s == 60
    assert store.meta.diameter_um == 8
    assert f"{int((~inside).sum())} annotated nuclei lie outside the cuboid" in store.summary()


def test_links_inside_the_box_are_kept(store_of: Make) -> None:
    positions = np.array([[0, 8, 30, 30], [1, 8, 31, 30], [2, 8, 32, 30], [1, 8, 5, 5.0]])
    annotations = Annotations.of(positions, links=[[1, 2], [2, 3], [1, 4]])
    store = store_of(positions, SHAPE, annotations=annotations, cuboid=Box((0, 3), (0, 16), (20, 60), (20, 64)))
    assert store.nuclei.links.tolist() == [[1, 2], [2, 3]]


def test_frames_are_normalised_by_the_whole_movie(movie: Make, positions: np.ndarray, store_of: Make) -> None:
    image = movie(positions, SHAPE)
    store = store_of(positions, SHAPE, image=image, cuboid=BOX)
    expected = store.meta.intensity.frame(image, 2)[:, 2:14, 5:50, 8:60]
    assert np.array_equal(store.frame(1), expected)


def test_a_subset_of_channels_and_their_sum(positions: np.ndarray, store_of: Make) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 4000, (4, 3, 16, 60, 64)).astype(np.uint16)
    before = data.tobytes()
    image = TimeLapse.of(data, spacing=Spacing(2, 1, 1), channels=("a", "b", "c"))
    two = store_of(positions, SHAPE, "two", image=image, channels=[2, 0])
    assert two.meta.channels == ("c", "a")
    assert np.array_equal(two.image[:], data[:, [2, 0]])
    total = store_of(positions, SHAPE, "sum", image=image, channels=[0, 2], combine="sum")
    assert total.meta.channels == ("a + c",)
    assert total.image.dtype == np.float32
    assert np.allclose(total.frame(1)[0], two.frame(1).mean(axis=0), atol=1e-6)
    assert data.tobytes() == before


def test_margin_is_unknown_but_for_the_nuclei_that_reach_into_it(store_of: Make) -> None:
    positions = np.array([[0, 8, 20, 20], [0, 8, 40, 40.0]])
    core, box = Box((0, 1), (8, 9), (20, 41), (20, 41)), Box((0, 1), (6, 11), (16, 45), (16, 45))
    weight = store_of(positions, SHAPE, cuboid=[Cuboid(box, core, (0,))]).weight[0]
    assert (weight[2, 4:25, 4:25] == 1).all(), "the core is known"
    assert weight[2, 0, 14] == 0, "the margin is not"
    assert weight[0, 0, 0] == 0
    assert weight[2, 0, 4] == 1, "4 µm from a nucleus, in the margin"
    assert weight[0, 4, 4] == 1, "2 planes of 2 µm from a nucleus"
    assert weight[2, 1, 1] == 0, "further than 4 µm away along the diagonal"


def test_a_given_box_is_complete_everywhere(store_of: Make) -> None:
    positions = np.array([[0, 8, 30, 30.0]])
    weight = store_of(positions, SHAPE, cuboid=Box((0, 1), (4, 12), (20, 40), (20, 40))).weight[:]
    assert (weight == 1).all()


def test_what_reaches_inside_of_a_nucleus_outside_is_unknown(store_of: Make) -> None:
    positions = np.array([[0, 8, 30, 30], [0, 8, 18, 30.0]])
    weight = store_of(positions, SHAPE, cuboid=Box((0, 1), (4, 12), (20, 40), (20, 40))).weight[0]
    assert weight[4, 0, 10] == 0
    assert weight[4, 2, 10] == 0
    assert weight[4, 3, 10] == 1
    assert weight[4, 10, 10] == 1


def test_frames_without_annotation_are_context(movie: Make, store_of: Make) -> None:
    positions = np.array([[0, 8, 30, 30], [2, 8, 30, 30.0]])
    image = movie(positions, SHAPE)
    store = store_of(positions, SHAPE, image=image)
    assert store.frames == (0, 2)
    assert [int(store.weight[t].max()) for t in range(4)] == [1, 0, 1, 0]
    assert np.array_equal(store.image[:], image.read())
    assert "2 of the cuboid's 4 frames have no annotated nucleus" in store.summary()


def test_rejected_nuclei_are_known_background_and_no_target(store_of: Make) -> None:
    positions = np.array([[0, 8, 30, 30], [1, 8, 10, 10], [0, 8, 16, 30.0]])
    annotations = Annotations.of(positions, state=[State.ACCEPTED, State.REJECTED, State.REJECTED])
    core = Box((0, 1), (8, 9), (30, 31), (30, 31))
    box = Box((0, 2), (4, 12), (10, 50), (8, 50))
    store = store_of(positions, SHAPE, annotations=annotations, cuboid=[Cuboid(box, core, (0,))])
    assert len(store.nuclei) == 3
    assert store.positives.positions.tolist() == [[0, 4, 20, 22]]
    assert store.weight[1, 4, 0, 2] == 1, "also in a frame where nothing else is known"
    assert store.weight[1, 4, 0, 10] == 0
    assert store.weight[0, 4, 6, 22] == 1, "also in the margin"


def test_rejected_nuclei_do_not_tell_how_large_nuclei_are(movie: Make, store_of: Make) -> None:
    positions = np.array([[0, 8, 16, 16], [0, 8, 16, 32.0], [0, 8, 32, 16], [0, 8, 32, 32]])
    states = [State.ACCEPTED, State.REJECTED, State.REJECTED, State.REJECTED]
    annotations = Annotations.of(positions, state=states, radius_um=[4.0, 20, 20, 20])
    image = movie(positions[:1], SHAPE)
    assert store_of(positions, SHAPE, image=image, annotations=annotations, diameter_um=None).meta.diameter_um == 8


def test_chunks_that_hold_nothing_are_absent(store_of: Make) -> None:
    """Also those that were written: nothing is known of most of a sparse annotation."""
    positions = np.array([[0, 8, 30, 30.0]])
    box, core = Box((0, 2), (0, 16), (0, 48), (0, 48)), Box((0, 1), (7, 10), (28, 33), (28, 33))
    store = store_of(positions, SHAPE, cuboid=[Cuboid(box, core, (0,))])
    known = {
        file.relative_to(store.path / "weight" / "c").parts[0] for file in (store.path / "weight" / "c").rglob("*")
    }
    assert known == {"0"}, "of frame 1 nothing is known"


def test_nuclei_that_nobody_looked_at_are_said(store_of: Make) -> None:
    positions = np.array([[0, 8, 10, 10], [0, 8, 30, 30], [0, 8, 50, 50.0]])
    states = [State.PROPOSED, State.ACCEPTED, State.REJECTED]
    store = store_of(positions, SHAPE, annotations=Annotations.of(positions, state=states))
    assert "1 of 2 nuclei were proposed by a model and not checked." in store.meta.notes
    checked = store_of(positions, SHAPE, "checked")
    assert "proposed" not in checked.summary()


def test_several_cuboids_share_a_store(movie: Make, store_of: Make) -> None:
    positions = np.array([[0, 8, 10, 10], [0, 8, 50, 55.0]])
    boxes = [Box((0, 1), (4, 12), (4, 16), (4, 16)), Box((0, 1), (4, 12), (44, 56), (50, 62))]
    image = movie(positions, SHAPE)
    store = store_of(positions, SHAPE, image=image, cuboid=[Cuboid(b, b, (0,)) for b in boxes])
    assert store.shape == (1, 1, 8, 52, 58)
    pixels, weight = store.image[0, 0], store.weight[0]
    assert np.array_equal(pixels[:, :12, :12], image.read(boxes[0])[0, 0])
    assert np.array_equal(pixels[:, 40:, 46:], image.read(boxes[1])[0, 0])
    assert pixels[:, :12, 12:].max() == 0, "between them lies nothing"
    assert weight[:, :12, 12:].max() == 0
    assert (weight[:, :12, :12] == 1).all()
    assert (weight[:, 40:, 46:] == 1).all()


def test_a_cuboid_that_moves_keeps_its_context_in_time(movie: Make, store_of: Make) -> None:
    positions = np.array([[0, 8, 15, 15], [1, 8, 40, 45.0], [3, 8, 40, 45.0]])
    first, second = Box((0, 1), (4, 12), (10, 20), (10, 20)), Box((1, 4), (4, 12), (35, 45), (40, 50))
    image = movie(positions, SHAPE)
    store = store_of(positions, SHAPE, image=image, cuboid=[Cuboid(first, first, (0,)), Cuboid(second, second, (1, 3))])
    assert store.meta.origin_tzyx == (0, 4, 10, 10)
    here, there = np.s_[0, :, :10, :10], np.s_[0, :, 25:35, 30:40]
    weight = store.weight[:]
    assert (weight[0][here[1:]] == 1).all()
    assert (weight[1][here[1:]] == 0).all(), "known only in its own frames"
    assert [int(weight[t][there[1:]].min()) for t in range(4)] == [0, 1, 0, 1]
    assert store.image[1][here].max() > 0, "the next frame is the first one's context"
    assert store.image[2][here].max() == 0
    assert store.image[0][there].max() > 0


def test_context_frames_are_added_on_wish(store_of: Make) -> None:
    positions = np.array([[1, 8, 30, 30.0]])
    box = Box((1, 2), (0, 16), (0, 60), (0, 64))
    assert store_of(positions, SHAPE, "plain", cuboid=box).shape[0] == 1
    store = store_of(positions, SHAPE, "context", cuboid=box, context_frames=2)
    assert store.shape[0] == 4
    assert store.frames == (1,)
    assert [int(store.weight[t].max()) for t in range(4)] == [0, 1, 0, 0]
    assert all(store.image[t].max() > 0 for t in range(4))


def test_labels_are_cut_and_rejected_ones_wiped(movie: Make, store_of: Make) -> None:
    labels = np.zeros((2, 16, 60, 64), dtype=np.int64)
    labels[0, 6:10, 10:20, 10:20] = 7
    labels[0, 6:10, 30:40, 30:40] = 1
    labels[1, 6:10, 12:22, 10:20] = 7
    centres = np.array([[0, 7.5, 14.5, 14.5], [0, 7.5, 34.5, 34.5]])
    image = movie(centres, (2, 16, 60, 64))
    annotations = Annotations.of(
        centres, label=[7, 1], state=[State.ACCEPTED, State.REJECTED], labels=TimeLapse.of(labels, "tzyx")
    )
    # the wall cuts the first nucleus: it stays, with its own label and centre
    box = Box((0, 2), (0, 16), (0, 45), (12, 45))
    store = store_of(centres, SHAPE, image=image, annotations=annotations, cuboid=box, diameter_um=None)
    assert store.labels is not None
    assert store.labels.dtype == np.uint32
    assert np.array_equal(store.labels[0] == 7, labels[0, :, :45, 12:45] == 7)
    assert (store.labels[0] != 1).all()
    assert store.labels[1].max() == 0, "a frame without annotated nuclei"
    assert store.nuclei.label.tolist() == [7, 1]
    # 4 × 10 × 10 voxels of 2 µm³
    assert store.meta.diameter_um == pytest.approx(2 * np.cbrt(800 * 3 / (4 * np.pi)))
    assert store.meta.diameter_from == "labels"


def test_a_long_nucleus_is_known_to_its_rim_in_the_margin(store_of: Make) -> None:
    labels = np.zeros((1, 16, 60, 64), dtype=np.uint8)
    labels[0, 8, 30, 20:44] = 5
    annotations = Annotations.of([[0, 8, 30, 32.0]], label=[5], labels=TimeLapse.of(labels, "tzyx"))
    cuboid = Cuboid(Box((0, 1), (4, 12), (20, 40), (16, 48)), Box((0, 1), (8, 9), (30, 31), (32, 33)), (0,))
    image = TimeLapse.of(np.random.default_rng(0).random((1, 16, 60, 64)), spacing=Spacing(2, 1, 1))
    store = store_of(annotations.positions, SHAPE, image=image, annotations=annotations, cuboid=[cuboid])
    weight = store.weight[0]
    assert (weight[4, 10, 4:28] == 1).all()
    assert weight[4, 11, 4] == 0


def test_no_labels_no_array(store_of: Make) -> None:
    assert store_of(np.array([[0, 8, 30, 30.0]]), SHAPE).labels is None


def test_a_single_plane_works(store_of: Make) -> None:
    positions = np.array([[0, 0, 30, 30], [0, 0, 10, 40.0]])
    store = store_of(positions, (1, 1, 60, 64))
    assert store.shape == (1, 1, 1, 60, 64)
    assert len(store.positives) == 2


def test_a_dask_image_is_never_loaded_whole(positions: np.ndarray, movie: Make, store_of: Make) -> None:
    import dask.array as da

    image = movie(positions, SHAPE)
    lazy = TimeLapse.of(da.from_array(image.data, chunks=(1, 1, 16, 60, 64)), spacing=image.spacing)
    same = store_of(positions, SHAPE, "lazy", image=lazy)
    assert np.array_equal(same.image[:], image.read())


class OneFrame:
    """An array of which no more than one frame may be read at once."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        piece = self.data[index]
        assert len(piece) <= 1, "more than one frame was read at once"
        return piece


def test_frames_are_read_one_at_a_time(positions: np.ndarray, movie: Make, store_of: Make) -> None:
    image = movie(positions, SHAPE)
    lazy = TimeLapse(OneFrame(image.data), "tczyx", spacing=image.spacing)
    assert np.array_equal(store_of(positions, SHAPE, image=lazy, sparse=True).image[:], image.read())


class Counted:
    """A large movie that is made when it is read, and counts how many of its voxels were."""

    dtype = np.dtype(np.uint16)

    def __init__(self, *shape: int) -> None:
        self.shape, self.n_read, self.frames = shape, 0, set[int]()

    def __getitem__(self, index: Any) -> np.ndarray:
        ranges = [range(*one.indices(n)) for one, n in zip(index, self.shape, strict=True)]
        self.n_read += int(np.prod([len(r) for r in ranges]))
        self.frames |= set(ranges[0])
        grids = np.meshgrid(*ranges, indexing="ij", sparse=True)
        return (100 + sum(g * k for g, k in zip(grids, (1, 3, 7, 11), strict=True)) % 1000).astype(np.uint16)


def test_what_lies_between_far_cuboids_is_neither_read_nor_written(
    store_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anlage.dataset.intensity.SAMPLED_FRAMES", 1)
    shape = (200, 40, 512, 512)
    pixels = Counted(*shape)
    image = TimeLapse.of(pixels, "tzyx", spacing=Spacing(2, 1, 1))
    boxes = [
        Box((0, 1), (0, 8), (0, 32), (0, 32)),
        Box((0, 1), (30, 38), (470, 502), (478, 510)),
        Box((198, 200), (32, 40), (480, 512), (480, 512)),
    ]
    centres = np.add([b.start for b in boxes], (0.0, 4, 16, 16))
    labels = Counted(*shape)
    annotations = Annotations.of(centres, labels=TimeLapse.of(labels, "tzyx"))
    intensity = measure_intensity(image)
    sampling = pixels.n_read + 3 * shape[2] * shape[3]  # and three planes tell which movie it is
    pixels.n_read = 0
    steps: list[tuple[int, int]] = []
    store = store_of(
        centres, shape, image=image, annotations=annotations, cuboid=[Cuboid(b, b, (b.t[0],)) for b in boxes],
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert pixels.n_read <= sampling + 10 * 8 * 32 * 32, "each box with a frame of context"
    assert labels.n_read == 3 * 8 * 32 * 32
    assert labels.frames == {0, 198}
    assert store.shape == (200, 1, 40, 512, 512)
    assert len([f for f in (store.path / "weight").rglob("*") if f.is_file()]) <= 1 + 3 * 8
    assert len([f for f in (store.path / "image").rglob("*") if f.is_file()]) <= 1 + 7 * 8
    assert steps == [(n, 5) for n in range(1, 6)], "of frames 0, 1, 197, 198 and 199"
    assert store.meta.intensity == intensity
    assert store.meta.known == pytest.approx(3 / 7, rel=0.01)
    for box in boxes:
        assert np.array_equal(store.image[box.slices[0], 0, *box.slices[1:]], image.read(box)[:, 0])
        assert (store.weight[box.t[0], *box.slices[1:]] == 1).all()
        assert np.array_equal(store.labels[box.t[0], *box.slices[1:]], image.read(box)[0, 0])
    assert store.weight[100, :, :64, :64].max() == 0


def test_the_nuclei_are_measured_where_most_of_them_are(store_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anlage.dataset.intensity.SAMPLED_FRAMES", 1)
    pixels = Counted(2, 64, 1024, 1024)
    image = TimeLapse.of(pixels, "tzyx", spacing=Spacing(2, 1, 1))
    centres = np.array([[0, 2, 20, 20], [0, 4, 30, 40], [0, 60, 1000, 1000.0]])
    boxes = [Box((0, 1), (0, 8), (0, 64), (0, 64)), Box((0, 1), (56, 64), (990, 1010), (990, 1010))]
    cuboids = [Cuboid(b, b, (0,)) for b in boxes]
    store_of(centres, SHAPE, image=image, cuboid=cuboids, diameter_um=None)
    with_measuring, pixels.n_read = pixels.n_read, 0
    store_of(centres, SHAPE, "given", image=image, cuboid=cuboids)
    assert with_measuring - pixels.n_read < 2_000_000, "of 67 million in the frame"


def test_cuboids_that_touch_are_cut_as_one(movie: Make, store_of: Make) -> None:
    positions = np.array([[0, 8, 29, 28], [0, 8, 30, 40.0]])
    image = movie(positions, SHAPE)
    boxes = [Box((0, 1), (2, 14), (18, 40), (12, 33)), Box((0, 1), (2, 14), (20, 44), (33, 60))]
    for sparse in (False, True):
        store = store_of(
            positions, SHAPE, f"sparse {sparse}", image=image, cuboid=[Cuboid(b, b, (0,)) for b in boxes], sparse=sparse
        )
        pixels = np.zeros(SHAPE, np.uint16)
        for box in boxes:
            pixels[box.slices] = image.read(box)[:, 0]
        assert np.array_equal(store.image[0, 0], pixels[0, 2:14, 18:44, 12:60])
        assert store.weight[0, 6, 11, 20] == 1, "of the first nucleus, left of the wall"
        assert store.weight[0, 6, 11, 21] == 1, "and right of it"


def test_progress_counts_frames(store_of: Make) -> None:
    seen: list[tuple[int, int]] = []
    store_of(np.array([[0, 8, 30, 30.0]]), SHAPE, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_any_zarr_reader_can_read_it(store_of: Make) -> None:
    store = store_of(np.array([[0, 8, 30, 30.0]]), SHAPE)
    group = zarr.open_group(store.path, mode="r")
    assert group.metadata.zarr_format == 3
    assert group["image"].chunks == (1, 1, 16, 60, 64)
    assert group["image"].metadata.dimension_names == ("t", "c", "z", "y", "x")


def test_the_cuboid_is_found_by_itself(movie: Make, store_of: Make, positions_in: Make) -> None:
    shape = (3, 20, 90, 100)
    every = positions_in(40, 3, shape[1:])
    annotated = Box((0, 2), (0, 20), (10, 60), (10, 70))
    marked = every[annotated.contains(every)]
    store = store_of(marked, shape, image=movie(every, shape), cuboid="auto")
    assert store.frames == (0, 1)
    assert len(store.positives) == len(marked)
    (cuboid,) = store.meta.cuboids
    assert cuboid.core.intersection(cuboid.box) == cuboid.core
    left = every[(every[:, 0] < 2) & ~annotated.contains(every)] - store.meta.origin_tzyx
    inside = left[Box.whole(store.shape_tzyx).contains(left)]
    known = np.asarray(store.weight[:])[tuple(np.rint(inside).astype(int).T)]
    assert not known.any(), "a nucleus that was not marked must never be taught as background"
    centres = np.rint(store.positives.positions).astype(int)
    assert np.asarray(store.weight[:])[tuple(centres.T)].all()


# what cannot become a store


def refused(tmp_path: Path, match: str, *args: Any, **how: Any) -> None:
    out = tmp_path / "deep" / "a.zarr"
    with pytest.raises(AnlageError, match=match):
        build_store(out, *args, **how)
    assert not out.exists()
    assert not list(tmp_path.rglob("*part*")), "nothing half-done stays behind"


def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path: Path, movie: Make, positions: np.ndarray) -> None:
    image, good = movie(positions, SHAPE), Annotations.of(positions)
    nowhere = TimeLapse.of(image.data, source="movie.tif")
    refused(tmp_path, "voxel size .*--spacing Z,Y,X", nowhere, good)
    refused(tmp_path, "Nothing is annotated", image, Annotations.of(np.zeros((0, 4))))
    refused(tmp_path, "Nothing is annotated: of 24", image, Annotations.of(positions, state=State.REJECTED))
    refused(
        tmp_path, "No annotated nucleus lies inside the cuboid", image, good, cuboid=Box((0, 1), (0, 1), (0, 2), (0, 2))
    )
    refused(tmp_path, "outside the image", image, good, cuboid=Box((9, 12), (0, 1), (0, 2), (0, 2)))
    refused(tmp_path, "Channel 1 does not exist", image, good, cuboid=BOX, channels=[1])
    refused(tmp_path, "outside the image", image, Annotations.of([[0, 8, 30, 300.0]]))
    refused(tmp_path, "no number for z", image, Annotations.of([[0, np.nan, 30, 30.0]]))
    refused(tmp_path, "diameter is -1", image, good, cuboid=BOX, diameter_um=-1.0)
    labels = TimeLapse.of(np.zeros((4, 8, 60, 64), np.uint8), "tzyx")
    refused(tmp_path, "labels .* have the shape", image, Annotations.of(positions, labels=labels), cuboid=BOX)


def test_nan_in_any_frame_that_is_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anlage.dataset.intensity.SAMPLED_FRAMES", 2)  # so that sampling does not find it first
    data = np.random.default_rng(0).random((5, 1, 4, 20, 20)).astype(np.float32)
    data[2, 0, 1, 1, 1] = np.nan
    image = TimeLapse.of(data, spacing=Spacing(1, 1, 1), source="movie.tif")
    annotations = Annotations.of([[t, 2, 10, 10.0] for t in range(5)])
    refused(tmp_path, "Frame 2, channel 0 .*NaN", image, annotations, cuboid=Box.whole((5, 4, 20, 20)), diameter_um=5.0)


def test_negative_labels_are_refused(tmp_path: Path, movie: Make, positions: np.ndarray) -> None:
    labels = TimeLapse.of(np.full(SHAPE, -1, np.int32), "tzyx")
    annotations = Annotations.of(positions, labels=labels)
    refused(tmp_path, "labels of frame 0 reach from -1", movie(positions, SHAPE), annotations,
            cuboid=Box.whole(SHAPE), diameter_um=8.0)  # fmt: skip


def test_what_is_there_is_not_overwritten_by_accident(store_of: Make, tmp_path: Path) -> None:
    positions = np.array([[0, 8, 30, 30.0]])
    store = store_of(positions, SHAPE)
    with pytest.raises(AnlageError, match="exists already"):
        store_of(positions, SHAPE)
    again = store_of(np.add(positions, [0, 0, 1, 0]), SHAPE, overwrite=True)
    assert again.path == store.path
    assert again.nuclei.positions[0, 2] == 31
    precious = tmp_path / "precious.zarr"
    precious.mkdir()
    (precious / "data").write_text("years of work")
    with pytest.raises(AnlageError, match="is not a store and will not be overwritten"):
        store_of(positions, SHAPE, "precious", overwrite=True)
    assert (precious / "data").read_text() == "years of work"


def test_a_failed_rebuild_leaves_the_old_store(store_of: Make, movie: Make) -> None:
    positions = np.array([[t, 8, 30, 30.0] for t in range(4)])
    store = store_of(positions, SHAPE)
    before = store.hash

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_of(positions, SHAPE, overwrite=True, progress=stop)
    assert Store.open(store.path).hash == before
    assert [p.name for p in store.path.parent.iterdir()] == ["a.zarr"]
