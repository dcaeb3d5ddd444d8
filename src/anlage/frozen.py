"""Base of everything that crosses a process or the disk."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable record: unknown keys are refused, the text under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def settled(self) -> Self:
        """The same with all decided that was left open and needs no data to be decided."""
        return self
