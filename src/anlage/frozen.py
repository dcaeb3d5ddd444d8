"""Base classes of every record that crosses a process or the disk, and field types with bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from anlage.foreign import (
    INTERVALS_S,
    LEAST_DIAMETER_UM,
    MOST_DIAMETER_UM,
    MOST_FRAMES,
    VOXEL_EDGES_UM,
    bare_name,
    is_name,
    printable,
)  # fmt: skip

__all__ = [
    "BareName",
    "DiameterUm",
    "Finite",
    "Frame",
    "Frozen",
    "IntervalS",
    "Name",
    "Probability",
    "VoxelUm",
    "first_problem",
]


class Frozen(BaseModel):
    """An immutable record: unknown keys are refused, the text under a field is its description.

    A record's validator is built when it is first used: a command uses few of the records that it imports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


class Finite(Frozen):
    """A record that strangers may have written: its numbers are numbers, neither NaN nor infinite."""

    model_config = ConfigDict(allow_inf_nan=False)


def _name(text: str) -> str:
    if not is_name(text):
        written = printable(text[:80]).replace("\n", "\\n").replace("\t", "\\t")
        raise ValueError(f"'{written}' cannot be the name of a file (no folders, no control characters, not too long)")
    return text


Name = Annotated[str, AfterValidator(_name)]
"""Text that becomes one part of a path: without separators and control characters."""
BareName = Annotated[str, AfterValidator(bare_name)]
"""Text without folders: where something came from, as it is passed on to others."""
DiameterUm = Annotated[float, Field(ge=LEAST_DIAMETER_UM, le=MOST_DIAMETER_UM)]
"""Diameter of a nucleus in µm."""
VoxelUm = Annotated[float, Field(ge=VOXEL_EDGES_UM.low, le=VOXEL_EDGES_UM.high)]
"""Edge of a voxel in µm."""
IntervalS = Annotated[float, Field(ge=INTERVALS_S.low, le=INTERVALS_S.high)]
"""Time between two frames in seconds."""
Frame = Annotated[int, Field(ge=0, lt=MOST_FRAMES)]
"""Number of a frame."""
Probability = Annotated[float, Field(ge=0, le=1)]


def first_problem(error: ValidationError) -> str:
    """What is wrong with a record, in a few words: where, and why."""
    item = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in item["loc"])
    why = " ".join(printable(item["msg"].removeprefix("Value error, ")).split())
    return f"{printable(where[:80])}: {why}" if where else why
