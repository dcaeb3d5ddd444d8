"""Regions: the annotated cuboids of a project, and what each is used for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from annotated_types import Gt, Le
from pydantic import model_validator

from anlage.axes import Box
from anlage.dataset.store import BoxText
from anlage.errors import AnlageError
from anlage.frozen import Finite

__all__ = ["Region", "Use"]


class Use(StrEnum):
    """What a region serves for."""

    AUTO = "auto"
    """Training decides which part of it is held out."""
    TRAIN = "train"
    """Always learnt from, never held out."""
    VALIDATION = "validation"
    """Always held out: never learnt from."""


class Region(Finite):
    """An annotated cuboid of the project, in voxels of the image."""

    id: Annotated[int, Gt(0), Le(2**53)]
    """Number of the region, unique within the project."""
    name: str
    """What people call it."""
    box: BoxText
    """The cuboid with its margin; what lies in the margin is unknown."""
    core: BoxText
    """Where annotation is complete; inside the box."""
    complete: bool = True
    """Whether every nucleus of the core is marked; false: only some are (sparse)."""
    use: Use = Use.AUTO
    """Whether it is trained on, held out, or left to the training."""

    @model_validator(mode="after")
    def _core_inside(self) -> Self:
        if self.box.intersection(self.core) != self.core:
            raise AnlageError(
                f"The core {self.core} of the region '{self.name}' reaches outside its box {self.box} (t, z, y, x); "
                "make the box larger or the core smaller."
            )
        return self

    @classmethod
    def around(cls, id: int, name: str, box: Box, **fields: object) -> Self:  # noqa: A002  the field's own name
        """A region whose core is the whole box, unless a core is given."""
        return cls.model_validate({"id": id, "name": name, "box": box, "core": box, **fields})
