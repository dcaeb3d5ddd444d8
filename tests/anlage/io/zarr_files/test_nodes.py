"""No array is opened before its types, codecs and sizes are on our lists."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from anlage import AnlageError
from anlage.io import open_annotations, open_image
from anlage.io.zarr_files.array_description import checked_layout
from anlage.io.zarr_files.nodes import open_array, read_node

V2 = {"zarr_format": 2, "shape": [4, 8], "chunks": [4, 8], "dtype": "<u2", "compressor": None, "filters": None}
V3 = {
    "zarr_format": 3, "node_type": "array", "shape": [4, 8], "data_type": "uint16", "fill_value": 0,
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 8]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}  # fmt: skip


class Harmful:
    """Its pickle writes a file when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.place),))


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "|O"},
        {"dtype": "|O", "filters": [{"id": "pickle"}]},
        {"dtype": "|O", "filters": [{"id": "json2"}]},
        {"dtype": "|O", "filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle"}},
        {"compressor": {"id": "pickle", "protocol": 5}},
        {"compressor": {"id": "msgpack2"}},
        {"filters": [{"id": "astype", "encode_dtype": "|O", "decode_dtype": "<u2"}]},
        {"filters": [{"id": "delta", "dtype": "|O"}]},
        {"filters": [{}]},
        {"dtype": [["a", "<u2"]]},
        {"dtype": "<M8[ns]"},
        {"shape": [4, -8]},
        {"shape": "48"},
        {"chunks": [4]},
        {"chunks": [0, 8]},
        {"chunks": [10**6, 10**6]},
        {"zarr_format": 4},
    ],
)
def test_what_is_not_on_the_lists_is_refused_in_version_2(change: dict[str, Any]) -> None:
    checked_layout(V2, "a")
    with pytest.raises(AnlageError, match="'a'"):
        checked_layout({**V2, **change}, "a")


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "numcodecs.pickle"}]},
        {"codecs": [{"name": "bytes"}, {"name": "numcodecs.msgpack2"}]},
        {
            "codecs": [
                {"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 8], "codecs": [{"name": "pickle"}]}}
            ]
        },
        {"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [0, 8], "codecs": []}}]},
        {"codecs": "bytes"},
        {"data_type": "object"},
        {"data_type": {"name": "structured", "configuration": {}}},
        {"data_type": "r16"},
        {"storage_transformers": [{"name": "x"}]},
        {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "../"}}},
        {"shape": [4, None]},
        {"node_type": "thing"},
    ],
)
def test_what_is_not_on_the_lists_is_refused_in_version_3(change: dict[str, Any]) -> None:
    checked_layout(V3, "a")
    with pytest.raises(AnlageError, match="'a'"):
        checked_layout({**V3, **change}, "a")


def test_no_code_of_a_chunk_runs_whoever_opens_it(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    place.mkdir()
    about = {**V2, "dtype": "|O", "filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle", "protocol": 5}}
    (place / ".zarray").write_text(json.dumps({**about, "fill_value": "", "order": "C"}))
    (place / "0.0").write_bytes(pickle.dumps(Harmful(tmp_path / "ran")))
    for opener in (open_image, open_annotations, open_array):
        with pytest.raises(AnlageError, match="codec 'pickle'"):
            opener(place)
    assert not (tmp_path / "ran").exists()


def test_copies_of_the_descriptions_do_not_count(tmp_path: Path) -> None:
    """Zarr may keep all descriptions together at the top: what is checked must be what is used."""
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("image", data=np.ones((2, 2, 4, 4), np.uint8))
    zarr.consolidate_metadata(tmp_path / "a.zarr", zarr_format=2)
    about = tmp_path / "a.zarr" / "image" / ".zarray"
    about.write_text(about.read_text().replace('"|u1"', '"|O"'))
    with pytest.raises(AnlageError, match="values of type"):
        open_image(tmp_path / "a.zarr")


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=np.ones((2, 4, 4), np.uint8), chunks=(1, 4, 4))
    for target in ("/dev/zero", "/etc/passwd"):
        chunk = tmp_path / "a.zarr/c/0/0/0"
        chunk.unlink()
        chunk.symlink_to(target)
        with pytest.raises(AnlageError, match=r"pipe or a device|link to a file outside"):
            open_image(tmp_path / "a.zarr").read()
    (tmp_path / "a.zarr/zarr.json").unlink()
    os.mkfifo(tmp_path / "a.zarr/zarr.json")
    with pytest.raises(AnlageError, match="is a pipe or a device"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("content", [b"[" * 100_000 + b"]" * 100_000, b"5", b"\xff", b'{"zarr_format": 3}', b""])
def test_damaged_descriptions_are_sentences(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr/zarr.json").write_bytes(content)
    with pytest.raises(AnlageError, match=r"a\.zarr"):
        read_node(tmp_path / "a.zarr")


def _longer(graph: Path) -> None:
    about = graph / "nodes/props/x/values/zarr.json"
    about.write_text(about.read_text().replace('"shape": [\n    3\n  ]', '"shape": [\n    3000000\n  ]'))


def _newer(graph: Path) -> None:
    about = json.loads((graph / "zarr.json").read_text())
    about["attributes"]["geff"]["geff_version"] = "2.0"
    (graph / "zarr.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_longer, "has 3000000 rows, and there are 3 nodes"),
        (_newer, r"a GEFF of version 2\.0, newer than the 1"),
        (lambda graph: shutil.rmtree(graph / "nodes/props/y/values/c"), "incomplete: 1 of 1 chunks"),
        (lambda graph: shutil.rmtree(graph / "nodes/ids/c"), "incomplete: 1 of 1 chunks"),
    ],
)
def test_a_graph_that_is_not_whole_is_refused(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    from anlage import Annotations
    from anlage.io import write_annotations

    nuclei = Annotations.of([[0, 1, 2, 3], [1, 1, 2, 4], [1, 2, 5, 5]])
    write_annotations(tmp_path / "a.geff", nuclei)
    damage(tmp_path / "a.geff")
    with pytest.raises(AnlageError, match=said):
        open_annotations(tmp_path / "a.geff")
