"""Regions as training data: one store for each kind of region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anlage.annotations import Annotations, State
from anlage.cuboid import Cuboid
from anlage.document.regions import Region, Use

__all__ = ["RegionInputs", "region_inputs"]


@dataclass(frozen=True, slots=True)
class RegionInputs:
    """Arguments for `build_store`: regions of the same use, and all complete or all sparse.

    Parameters
    ----------
    annotations
        All nuclei of the movie; those outside the cuboids are left out by the store.
    cuboids
        The regions, with the frames that hold a nucleus.
    sparse
        Whether only some of the nuclei were marked in them.
    use
        What they serve for.
    regions
        The same regions, as the document has them.
    """

    annotations: Annotations
    cuboids: tuple[Cuboid, ...]
    sparse: bool
    use: Use
    regions: tuple[Region, ...]

    @property
    def name(self) -> str:
        """A short name, different for each group: ``train``, ``validation-sparse``."""
        return f"{self.use}-sparse" if self.sparse else str(self.use)


def region_inputs(annotations: Annotations, regions: Sequence[Region]) -> tuple[RegionInputs, ...]:
    """Group regions by use and completeness; regions that hold no nucleus teach nothing and are left out."""
    true = annotations.select(annotations.state != State.REJECTED)
    groups: dict[tuple[Use, bool], list[tuple[Region, Cuboid]]] = {}
    for region in regions:
        inside = true.select(region.core.contains(true.positions))
        if len(inside):
            cuboid = Cuboid(region.box, region.core, len(inside), inside.annotated_frames)
            groups.setdefault((region.use, not region.complete), []).append((region, cuboid))
    return tuple(
        RegionInputs(annotations, tuple(c for _, c in held), sparse, use, tuple(r for r, _ in held))
        for (use, sparse), held in sorted(groups.items(), key=lambda item: (list(Use).index(item[0][0]), item[0][1]))
    )
