"""build and info on images and tables."""

from __future__ import annotations

import numpy as np
import tifffile

from anlage.dataset.store import Store
from anlage.io import write_annotations, write_image


def test_build_says_what_was_read_found_and_comes_next(folder, command):
    code, out, err = command("build", "image.ome.zarr", "early.csv", "-o", "deep/down/nuclei.zarr")
    assert code == 0, err
    assert "4 t × 1 c × 12 z × 72 y × 72 x" in out
    assert "2 × 0.5 × 0.5 µm" in out
    assert "nuclei in 3 frames (frames 0 to 2)" in out
    assert "Annotated cuboid (t, z, y, x): 0:3," in out
    assert "Next: anlage train nuclei deep/down/nuclei.zarr" in out
    code, out, _ = command("info", "deep/down/nuclei.zarr")
    assert code == 0
    assert "annotated frames" in out


def test_a_frame_with_missing_nuclei_is_said_to_be_doubtful(folder, command, movie):
    here = movie.truth.frames
    keep = (here != 1) | (movie.truth.ids % 4 == 0)
    write_annotations(folder / "gap.csv", movie.truth.select(keep))
    code, out, err = command("build", "image.ome.zarr", "gap.csv", "-o", "s.zarr")
    assert code == 0, err
    assert out.replace("Frame", "frame").count("Doubtful: frame 1 has") == 1
    assert "--sparse" in out


def test_sparse_and_summed_channels(folder, command, movie):
    pixels = np.concatenate([movie.image.read(), movie.image.read() // 2], axis=1)
    write_image(folder / "two.ome.zarr", pixels, spacing=movie.spacing, channels=["a", "b"])
    code, _, err = command("build", "two.ome.zarr", "early.csv", "-o", "s.zarr", "--sparse", "--sum-channels", "0,1")
    assert code == 0, err
    store = Store.open(folder / "s.zarr")
    assert store.meta.sparse
    assert store.meta.combine == "sum"
    assert store.shape[1] == 1
    code, _, err = command(
        "build", "two.ome.zarr", "early.csv", "-o", "c.zarr", "--channels", "1", "--diameter-um", "7"
    )
    assert code == 0, err
    assert Store.open(folder / "c.zarr").meta.channels == ("b",)
    assert Store.open(folder / "c.zarr").meta.diameter_um == 7


def test_a_store_can_be_meant_for_validation(folder, command):
    code, out, err = command("build", "image.ome.zarr", "early.csv", "-o", "held.zarr", "--use", "validation")
    assert code == 0, err
    assert Store.open(folder / "held.zarr").meta.use == "validation"
    assert "for validation, nothing is learnt from it" in out
    assert "Next: anlage train nuclei OTHER.zarr held.zarr -o run" in out
    code, _, err = command("train", "nuclei", "held.zarr", "-o", "run")
    assert code == 2
    assert "There is nothing to train on: 'held' is meant for validation; add a region, or a store, that is not." in err
    assert not (folder / "run").exists()
    code, _, err = command("build", "image.ome.zarr", "early.csv", "-o", "b.zarr", "--use", "test")
    assert code == 2
    assert "validation" in err


def test_frames_of_context_are_kept_around_the_cuboid(folder, command):
    words = ("build", "image.ome.zarr", "early.csv", "-o", "s.zarr", "--cuboid", "1:2,0:12,0:72,0:72")
    code, _, err = command(*words, "--context", "1")
    assert code == 0, err
    store = Store.open(folder / "s.zarr")
    assert store.shape[0] == 3
    assert store.frames == (1,)
    code, _, err = command(*words, "--overwrite")
    assert code == 0, err
    assert Store.open(folder / "s.zarr").shape[0] == 1
    code, _, err = command(*words, "--overwrite", "--context", "-1")
    assert code == 2
    assert "no number of frames" in err


def test_spacing_and_interval_override_the_file(folder, command, movie):
    tifffile.imwrite(folder / "plain.tif", movie.image.read()[:, 0])
    words = ("build", "plain.tif", "early.csv", "-o", "s.zarr", "--spacing", "2,0.5,0.5", "--interval", "60")
    code, _, err = command(*words)
    assert code == 0, err
    assert Store.open(folder / "s.zarr").meta.interval_s == 60
    assert Store.open(folder / "s.zarr").meta.spacing_um_zyx == (2.0, 0.5, 0.5)


def test_info_on_images_and_tables(folder, command, movie):
    assert "4 t × 1 c × 12 z × 72 y × 72 x" in command("info", "image.ome.zarr")[1]
    for name in ("table.csv", "table.geff"):
        write_annotations(folder / name, movie.truth, spacing=movie.spacing)
        code, out, err = command("info", name)
        assert code == 0, err
        assert f"Annotations: {len(movie.truth)} nuclei in 4 frames" in out
        assert "Marked or found by: human." in out


def test_a_graph_with_times_in_seconds_needs_no_interval(folder, command, movie):
    import geff
    import networkx
    from geff_spec import Axis

    early = movie.truth.select(movie.truth.frames < 3)
    graph = networkx.DiGraph()
    for number, (t, z, y, x) in zip(early.ids.tolist(), early.positions.tolist(), strict=True):
        graph.add_node(number, t=300 * t, z=z, y=y, x=x)
    axes = [Axis(name="t", type="time", unit="second"), *(Axis(name=a, type="space", unit="pixel") for a in "zyx")]
    metadata = geff.GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={})
    geff.write(graph, folder / "early.geff", metadata=metadata, zarr_format=3)
    tifffile.imwrite(folder / "plain.tif", movie.image.read()[:, 0])
    code, out, err = command("build", "plain.tif", "early.geff", "-o", "s.zarr", "--spacing", "2,0.5,0.5")
    assert code == 0, err
    assert "taken as 300 second apart" in out
    assert Store.open(folder / "s.zarr").frames == (0, 1, 2)
