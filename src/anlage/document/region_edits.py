"""Edits of regions: add, remove, change."""

from __future__ import annotations

from dataclasses import replace

from pydantic.dataclasses import dataclass

from anlage.axes import Box
from anlage.document.edit import Content, Edit, Outcome
from anlage.document.fields import STRICT
from anlage.document.regions import Region
from anlage.errors import AnlageError

__all__ = ["AddRegion", "ChangeRegion", "RemoveRegion"]


@dataclass(frozen=True, config=STRICT)
class AddRegion:
    """Add a region, whose id is new."""

    region: Region

    @property
    def text(self) -> str:
        return f"add the region '{self.region.name}'"

    def done(self, content: Content) -> Outcome:
        if any(region.id == self.region.id for region in content.regions):
            raise AnlageError(f"There is a region {self.region.id} already; take a new id.")
        return _with_regions(content, (*content.regions, self.region), RemoveRegion(self.region.id))


@dataclass(frozen=True, config=STRICT)
class ChangeRegion:
    """Put a region in the place of the one with the same id."""

    region: Region

    @property
    def text(self) -> str:
        return f"change the region '{self.region.name}'"

    def done(self, content: Content) -> Outcome:
        old = _region(content, self.region.id)
        kept = tuple(self.region if region.id == old.id else region for region in content.regions)
        return _with_regions(content, kept, ChangeRegion(old))


@dataclass(frozen=True, config=STRICT)
class RemoveRegion:
    """Remove a region; the nuclei in it stay."""

    id: int

    @property
    def text(self) -> str:
        return f"remove the region {self.id}"

    def done(self, content: Content) -> Outcome:
        old = _region(content, self.id)
        kept = tuple(region for region in content.regions if region is not old)
        return _with_regions(content, kept, AddRegion(old))


def _region(content: Content, id: int) -> Region:  # noqa: A002  the field's own name
    for region in content.regions:
        if region.id == id:
            return region
    raise AnlageError(f"There is no region {id}; it may have been removed.")


def _with_regions(content: Content, regions: tuple[Region, ...], inverse: Edit) -> Outcome:
    for region in regions:
        if content.shape_tzyx is not None and region.box.intersection(Box.whole(content.shape_tzyx)) != region.box:
            raise AnlageError(
                f"The region '{region.name}' ({region.box}, t, z, y, x) reaches outside the image of shape "
                f"{content.shape_tzyx}; make it smaller."
            )
    ordered = tuple(sorted(regions, key=lambda region: region.id))
    return Outcome(replace(content, regions=ordered), inverse, frozenset({"regions"}))
