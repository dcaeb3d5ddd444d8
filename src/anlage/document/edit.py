"""What an edit works on and what it returns: the content before, the content after, the inverse, the change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.document.regions import Region
from anlage.document.table import Table

if TYPE_CHECKING:
    from anlage.document.paint import Paint

__all__ = ["Change", "Content", "Edit", "Kind", "Outcome"]

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
