"""The edit that paints labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from anlage.axes import Box
from anlage.document.blocks import Block, Voxels
from anlage.document.edit import Content, Outcome
from anlage.document.fields import STRICT
from anlage.errors import AnlageError
from anlage.frozen import Frame

__all__ = ["Paint"]

Place = Annotated[int, Field(ge=0, le=2**31)]


@dataclass(frozen=True, config=STRICT)
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
