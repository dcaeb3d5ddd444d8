"""Build a store from points alone: nuclei and their links without an image."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.build import check_place, describe, unaccepted_links
from anlage.dataset.diameter import find_diameter
from anlage.dataset.fingerprint import hash_annotations
from anlage.dataset.holdout import choose_block
from anlage.dataset.intensity import Intensity
from anlage.dataset.store import ATTRIBUTE, Store, StoreCuboid, StoreMeta, StoreSource, Use
from anlage.errors import AnlageError
from anlage.io.atomic import replacing, root_attributes
from anlage.io.nuclei_files.geff_graphs import write_graph
from anlage.problems import check

__all__ = ["build_points"]


def build_points(  # noqa: PLR0913  each is a choice of the user's
    out: str | Path,
    tracks: Annotations,
    spacing: Spacing,
    *,
    interval_s: float | None = None,
    sparse: bool = False,
    use: Use = "auto",
    diameter_um: float | None = None,
    tracks_source: str = "",
    overwrite: bool = False,
) -> Store:
    """Write nuclei and their links as a store without an image, for networks that work on points alone.

    Parameters
    ----------
    out
        Folder to write; missing parents are made.
    tracks
        Nuclei in voxels of whatever image they were found in, with links; rejected ones are kept.
    spacing
        Voxel size in µm.
    interval_s
        Time between frames in seconds; None where unknown.
    sparse
        Only some of the nuclei were marked.
    use
        What the store serves for; see `anlage.dataset.build.build_store`.
    diameter_um
        Typical nucleus diameter in µm; by default from the radii, else from how far nuclei lie apart.
    tracks_source
        Path of the tracks, for the record.
    overwrite
        Replace a store that is already there.

    Raises
    ------
    AnlageError
        If there is no nucleus or no link, the table contradicts itself, or something else is already at `out`.
    """
    out = Path(out).expanduser()
    check_place(out, overwrite=overwrite)
    check(tracks, source=tracks_source)
    true = tracks.state != State.REJECTED
    n_links = int(tracks.sure_links.sum())
    if not true.any() or not n_links:
        proposed = len(tracks.links) - n_links
        raise AnlageError(
            f"The tracks '{tracks_source}' hold {int(true.sum())} nuclei and {n_links} links"
            + (f", besides {proposed} that a network proposed and nobody accepted" if proposed else "")
            + "; without an image only links can be learnt from, so give tracks that have some."
        )
    diameter, diameter_from, _ = find_diameter(tracks.select(true), None, None, spacing, diameter_um)
    hull = Box.of(np.floor(tracks.positions.min(axis=0)), np.ceil(tracks.positions.max(axis=0)) + 1)
    nuclei = tracks.shifted(-np.array(hull.start))
    whole = hull.shifted(-np.array(hull.start))
    block = choose_block(nuclei.positions[true], hull.shape, spacing, diameter)
    meta = StoreMeta(
        shape_tczyx=(hull.shape[0], 0, *hull.shape[1:]),
        spacing_um_zyx=spacing.zyx,
        interval_s=interval_s,
        channels=(),
        combine="separate",
        intensity=Intensity(channels=()),
        cuboids=(StoreCuboid(box=whole, core=whole, frames=nuclei.annotated_frames),),
        origin_tzyx=hull.start,
        n_nuclei=int(true.sum()),
        n_rejected=int((~true).sum()),
        n_links=len(nuclei.links),
        known=1.0,
        sparse=sparse,
        diameter_um=diameter,
        diameter_from=diameter_from,
        validation=() if block is None else (block,),
        use=use,
        source=StoreSource(
            image="", axes="", shape_tczyx=(hull.shape[0], 0, *hull.shape[1:]), movie=hash_annotations(tracks),
            annotations=tracks_source, annotations_sha256=hash_annotations(tracks),
        ),
        notes=tuple(unaccepted_links(nuclei)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: version(name) for name in ("anlage", "numpy", "zarr")},
    )  # fmt: skip
    _write(out, nuclei, meta)
    return Store.open(out)


def _write(out: Path, nuclei: Annotations, meta: StoreMeta) -> None:
    import zarr

    with replacing(out, lambda folder: ATTRIBUTE in root_attributes(folder)) as temporary:
        zarr.create_group(temporary, zarr_format=3)
        write_graph(temporary / "graph", nuclei, Spacing(*meta.spacing_um_zyx), meta.interval_s)
        describe(temporary, meta)
