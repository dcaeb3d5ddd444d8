from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from anlage.annotations import Annotations
from anlage.dataset.store import ATTRIBUTE, Store
from anlage.errors import AnlageError

SHAPE = (2, 10, 40, 40)
POSITIONS = np.array([[0, 5, 20, 20], [1, 5, 10, 30.0]])
Make = Callable[..., Any]


def edit_meta(store: Store, **changes: Any) -> None:
    path = store.path / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"][ATTRIBUTE].update(changes)
    path.write_text(json.dumps(content))


def test_what_was_written_is_what_is_opened(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE, annotations_source="nuclei.csv")
    again = Store.open(str(store.path))
    assert again == store
    assert again.meta.source.image == "movie.tif"
    assert again.meta.source.annotations == "nuclei.csv"
    assert again.meta.versions["anlage"]
    assert np.array_equal(again.frame(1), store.frame(1))


def test_the_summary_tells_what_it_is(store_of: Make) -> None:
    text = store_of(POSITIONS, SHAPE).summary()
    for part in (
        "2 frames, 1 channel (",
        "2 nuclei in 2 annotated frames",
        "2 × 1 × 1 µm",
        "60 s",
        "8.0 µm",
        "known: 100 %",
        "movie.tif",
    ):
        assert part in text


def test_what_it_serves_for_is_kept_and_part_of_its_content(store_of: Make) -> None:
    auto, held = (store_of(POSITIONS, SHAPE, use, use=use) for use in ("auto", "validation"))
    assert (auto.meta.use, Store.open(held.path).meta.use) == ("auto", "validation")
    assert auto.hash != held.hash
    assert "for validation, nothing is learnt from it" in held.summary()
    with pytest.raises(AnlageError, match="A store cannot be for 'testing'; it is for auto, train, validation"):
        store_of(POSITIONS, SHAPE, "c", use="testing")


def test_a_store_from_before_there_was_a_choice_serves_for_anything(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    edit_meta(store, schema_version=1)
    path = store.path / "zarr.json"
    content = json.loads(path.read_text())
    del content["attributes"][ATTRIBUTE]["use"]
    path.write_text(json.dumps(content))
    assert Store.open(store.path).meta.use == "auto"


def test_a_newer_schema_is_refused(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    edit_meta(store, schema_version=99, a_field_of_the_future=1)
    with pytest.raises(AnlageError, match=r"schema 99, newer than the 2 .*update anlage"):
        Store.open(store.path)


def test_a_damaged_description_names_the_field(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    edit_meta(store, diameter_um=-3)
    with pytest.raises(AnlageError, match=r"damaged \(diameter_um: "):
        Store.open(store.path)
    edit_meta(store, diameter_um=8, cuboids=[{"box": "0:0,0:1,0:1,0:1", "core": "x", "frames": []}])
    with pytest.raises(AnlageError):
        Store.open(store.path)


def test_what_is_no_store_is_refused(tmp_path: Path, store_of: Make) -> None:
    with pytest.raises(AnlageError, match=r"no store at .*nothing.zarr"):
        Store.open(tmp_path / "nothing.zarr")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(AnlageError, match="is not a store"):
        Store.open(tmp_path / "other.zarr")
    (tmp_path / "text.zarr").write_text("hello")
    with pytest.raises(AnlageError, match="is not a store"):
        Store.open(tmp_path / "text.zarr")
    store = store_of(POSITIONS, SHAPE)
    shutil.rmtree(store.path / "weight")
    with pytest.raises(AnlageError, match="lacks its array 'weight'"):
        _ = store.weight


def test_the_hash_knows_content_not_place_or_time(store_of: Make, movie: Make, tmp_path: Path) -> None:
    store = store_of(POSITIONS, SHAPE)
    copy = tmp_path / "elsewhere" / "b.zarr"
    shutil.copytree(store.path, copy)
    (copy / ".DS_Store").write_text("left by a file manager")
    assert Store.open(copy).hash == store.hash
    edit_meta(store, created="1999-01-01T00:00:00+00:00")
    assert Store.open(store.path).hash == store.hash
    rebuilt = store_of(POSITIONS, SHAPE, "again")
    assert rebuilt.hash == store.hash


@pytest.mark.parametrize("name", ["image", "weight"])
def test_the_hash_sees_a_single_changed_voxel(store_of: Make, name: str) -> None:
    store = store_of(POSITIONS, SHAPE)
    before = store.hash
    array = zarr.open_array(store.path / name, mode="r+")
    at = (1,) + (0,) * (array.ndim - 4) + (4, 20, 20)
    array[at] = array[at] ^ 1
    assert Store.open(store.path).hash != before


def test_the_hash_sees_changed_nuclei_and_meaning(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    moved = store_of(POSITIONS, SHAPE, "moved", annotations=Annotations.of(np.add(POSITIONS, [0, 0, 0.01, 0])))
    assert moved.hash != store.hash
    before = store.hash
    edit_meta(store, diameter_um=9.0)
    assert Store.open(store.path).hash != before


def test_a_corrupted_chunk_is_noticed_when_read(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    chunk = next(p for p in sorted((store.path / "image" / "c").rglob("*")) if p.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0xFF
    chunk.write_bytes(bytes(content))
    with pytest.raises(AnlageError, match="damaged"):
        store.frame(0)


def test_reading_a_store_loads_no_torch(store_of: Make) -> None:
    store = store_of(POSITIONS, SHAPE)
    code = (
        "import sys; from anlage.dataset.store import Store; from anlage.dataset import build, split;"
        "heavy = {'torch', 'zarr', 'scipy', 'geff', 'pandas'} & set(sys.modules); assert not heavy, heavy;"
        f"s = Store.open({str(store.path)!r}); s.hash; s.frame(0); len(s.nuclei); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
