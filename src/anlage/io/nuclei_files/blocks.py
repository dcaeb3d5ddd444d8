"""Write nuclei of any number, block by block, so that they are never together in memory: CSV and GEFF."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.csv_files import write_csv_blocks
from anlage.io.nuclei_files.geff_graphs import append_nodes, write_graph
from anlage.io.nuclei_files.tables import table_columns
from anlage.io.seals import LIBRARY, Writer

__all__ = ["write_nuclei_blocks"]


def write_nuclei_blocks(
    path: str | Path,
    blocks: Iterable[Annotations],
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write nuclei without links to ``.csv`` or ``.geff``; what comes out is what `write_annotations` writes of all of them.

    Parameters
    ----------
    path
        Its suffix decides the format.
    blocks
        At least one; an empty one only where there are no nuclei. All have values in the same columns.
    spacing, interval_s
        Voxel size in µm and time step in s.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If something else is at `path`, the suffix is another, or the disk is full.
    """
    by = by.of("nuclei")
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        write_csv_blocks(path, (table_columns(block, spacing, interval_s) for block in blocks), by)
    elif suffix == ".geff":
        coming = iter(blocks)
        with replacing(path, by) as temporary:
            write_graph(temporary, next(coming), spacing, interval_s, mark=by.mark)
            append_nodes(temporary, coming)
    else:
        raise AnlageError(
            f"Nuclei cannot be written as '{suffix}' ('{path}') block by block; end the name in .csv or .geff."
        )
