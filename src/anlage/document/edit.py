"""What an edit works on and what it returns: the content before, the content after, the inverse, the change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pydantic.dataclasses
from pydantic import Field

from anlage.axes import Box
from anlage.document.blocks import Block, Voxels
from anlage.document.fields import STRICT
from anlage.document.regions import Region
from anlage.document.table import Table
from anlage.errors import AnlageError
from anlage.frozen import Frame

__all__ = ["Change", "Content", "Edit", "Kind", "Outcome", "Paint"]

Place = Annotated[int, Field(ge=0, le=2**31)]
Kind = Literal["nuclei", "links", "labels", "regions"]


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit touched.

    Parameters
    ----------
    kinds
        Parts of the document.
    ids
        Nuclei that were added, removed, moved, changed, linked or unlinked.
    where
        The frame and the box where labels were painted; None where nothing was, or several frames were.
    """

    kinds: frozenset[Kind]
    ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    where: tuple[int, Box] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """Nuclei and regions of a document, and the shape (t, z, y, x) of its image where that is known."""

    nuclei: Table
    regions: tuple[Region, ...] = ()
    shape_tzyx: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an edit leads to: the content afterwards, what leads back, what was touched, and what is to be painted."""

    content: Content
    inverse: Edit
    kinds: frozenset[Kind]
    ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    paints: tuple[Paint, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        """Whether it names nothing at all."""
        return not (len(self.ids) or self.paints or "regions" in self.kinds)

    @property
    def change(self) -> Change:
        """What listeners are called with."""
        frames = {paint.t for paint in self.paints}
        if len(frames) != 1:
            return Change(self.kinds, self.ids)
        box = self.paints[0].box
        for paint in self.paints[1:]:
            box = box.union(paint.box)
        return Change(self.kinds, self.ids, (frames.pop(), box))


class Edit(Protocol):
    """Something that can be done to a document, and undone."""

    @property
    def text(self) -> str:
        """What is done, in words that follow *undo*: ``add 3 nuclei``."""
        ...

    def done(self, content: Content) -> Outcome:
        """The result. Raises AnlageError if the edit contradicts the content."""
        ...


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Paint:
    """Replace painted labels in a box of one frame.

    Parameters
    ----------
    t
        The frame.
    start_zyx
        First voxel of the box.
    before, after
        Labels (z, y, x) in the box, whole numbers; 0 is background.
    """

    t: Frame
    start_zyx: tuple[Place, Place, Place]
    before: Voxels
    after: Voxels

    @property
    def text(self) -> str:
        return f"paint in frame {self.t}"

    @property
    def box(self) -> Box:
        """What is painted over."""
        after: Block = self.after
        ranges = [(a, a + n) for a, n in zip(self.start_zyx, after.shape, strict=True)]
        return Box((self.t, self.t + 1), *ranges)

    def done(self, content: Content) -> Outcome:
        if self.before.shape != self.after.shape:
            raise AnlageError(
                f"A stroke replaces {self.before.shape} voxels by {self.after.shape}; both must be the same."
            )
        if content.shape_tzyx is not None and self.box.intersection(Box.whole(content.shape_tzyx)) != self.box:
            raise AnlageError(
                f"The painted box {self.box} (t, z, y, x) reaches outside the image of shape {content.shape_tzyx}."
            )
        back = Paint(self.t, self.start_zyx, self.after, self.before)
        return Outcome(content, back, frozenset({"labels"}), paints=(self,))
