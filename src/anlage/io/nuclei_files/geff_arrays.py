"""Check the arrays of a GEFF before they are read: complete, and as long as its nuclei and links are many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from anlage.errors import AnlageError
from anlage.foreign import check_size, printable
from anlage.io.zarr_files.array_description import ArrayLayout
from anlage.io.zarr_files.chunks import find_chunks
from anlage.io.zarr_files.nodes import ZarrNode, is_zarr, members, read_node

__all__ = ["check_graph"]

_MOST = 100_000_000
"""Nuclei, and links, of a movie."""
_MOST_TEXT = 2**31
"""Bytes of a column of text."""
_NEWEST = 1
"""GEFF's major version."""
_NEVER_ZERO = ("y", "x")
"""Places that are not 0 for all nuclei of a chunk; an absent chunk of another property may be all 0."""


def check_graph(path: Path) -> None:
    """Refuse a GEFF whose arrays differ in length, are too long, or lack their files.

    Raises
    ------
    AnlageError
        If so, or it is no GEFF.
    """
    root = read_node(path)
    _check_version(root)
    for part in ("nodes", "edges"):
        ids = _array(path / part / "ids", path)
        n = ids.shape[0] if ids.shape else 0
        check_size(n, _MOST, f"The number of {'nuclei' if part == 'nodes' else 'links'} of '{path}'")
        _check_present(path / part / "ids", ids)
        for place, layout in _columns(path / part / "props"):
            if place.name != "data" and layout.shape[:1] != (n,):
                raise AnlageError(
                    f"'{place}' in the GEFF has {layout.shape[0] if layout.shape else 0} rows, and there are {n} {part}; copy it "
                    "again."
                )
            size = layout.value_bytes
            for length in layout.shape:
                size *= length
            check_size(size, _MOST_TEXT, f"The number of bytes of '{place}'")
            if part == "nodes" and place.name == "values" and place.parent.name in _NEVER_ZERO and n > 1:
                _check_present(place, layout)


def _check_version(root: ZarrNode) -> None:
    about = root.attributes.get("geff")
    if not isinstance(about, dict):
        raise AnlageError(f"'{root.path}' is no GEFF: its attributes do not say so.")
    found = re.match(r"(\d{1,4})", str(about.get("geff_version")))
    if found is not None and int(found[1]) > _NEWEST:
        version = printable(str(about["geff_version"])[:20])
        raise AnlageError(
            f"'{root.path}' is a GEFF of version {version}, newer than the {_NEWEST} that is read; save it as version "
            f"{_NEWEST}, or update anlage."
        )


def _array(path: Path, graph: Path) -> ArrayLayout:
    layout = read_node(path).layout if is_zarr(path) else None
    if layout is None:
        raise AnlageError(f"The GEFF '{graph}' lacks its array '{path.relative_to(graph)}'; copy it again.")
    return layout


def _columns(properties: Path) -> Iterator[tuple[Path, ArrayLayout]]:
    """Values, missing marks and data of all properties."""
    for name in members(properties) if is_zarr(properties) else ():
        for part in members(properties / name):
            yield properties / name / part, _array(properties / name / part, properties.parent.parent)


def _check_present(path: Path, layout: ArrayLayout) -> None:
    found = find_chunks(path, layout)
    if found.n_absent and len(found.frames(0)[0]) > 1:  # of a single row even the id may be 0
        raise AnlageError(f"The graph is incomplete: {found.sentence(path)}; copy it again.")
