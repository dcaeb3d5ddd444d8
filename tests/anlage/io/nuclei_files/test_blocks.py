"""Nuclei that are written block by block are what they are when written at once."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei_files.blocks import write_nuclei_blocks


def some(n: int, *, radius_um: float = 4.0) -> Annotations:
    rng = np.random.default_rng(1)
    positions = np.column_stack([np.arange(n) // 7, rng.random((n, 3)) * 50])
    return Annotations.of(
        positions, probability=rng.random(n), radius_um=radius_um, state=State.PROPOSED, origin="model#abc"
    )


def in_blocks(nuclei: Annotations, size: int):
    for first in range(0, max(len(nuclei), 1), size):
        yield nuclei.select(np.arange(first, min(first + size, len(nuclei))))


@pytest.mark.parametrize("radius_um", [4.0, np.nan])
@pytest.mark.parametrize("n", [0, 1, 100])
@pytest.mark.parametrize("suffix", [".csv", ".geff"])
def test_in_blocks_or_at_once_is_the_same(tmp_path, suffix, n, radius_um):
    nuclei, how = some(n, radius_um=radius_um), {"spacing": Spacing(2, 0.5, 0.5), "interval_s": 30.0}
    once, blocks = tmp_path / f"once{suffix}", tmp_path / f"blocks{suffix}"
    write_annotations(once, nuclei, **how)
    write_nuclei_blocks(blocks, in_blocks(nuclei, 30), **how)
    if suffix == ".csv":
        assert blocks.read_bytes() == once.read_bytes()
        return
    one, other = open_annotations(once), open_annotations(blocks)
    for name in ("ids", "positions", "probability", "radius_um", "state", "origin", "label"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    if n:
        import geff

        geff.validate_structure(blocks)
        assert (once / "zarr.json").read_text().split('"anlage"')[0] == (blocks / "zarr.json").read_text().split(
            '"anlage"'
        )[0]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(AnlageError, match=r"cannot be written as '\.xml'"):
        write_nuclei_blocks(tmp_path / "a.xml", [some(3)])
