"""The segmentation thresholds that a project keeps for each model.

::

    movie.anlage/predictions/thresholds.json    model → probability of an object, of its outline, smallest object
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from anlage.io.atomic import own, replacing

__all__ = ["Thresholds", "keep_thresholds", "thresholds_of"]

_FILE = Path("predictions", "thresholds.json")


class Thresholds(BaseModel):
    """What becomes an object, and how large it is; None: the model's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Calibrated probability from which something is an object."""
    inside: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Probability from which a voxel belongs to an object."""
    smallest: Annotated[float, Field(ge=0, le=1e12)] | None = None
    """Smallest object in µm³; in single planes µm²."""

    @property
    def options(self) -> list[str]:
        """Command-line options for them."""
        said = (("--threshold", self.threshold), ("--inside", self.inside), ("--smallest", self.smallest))
        return [word for option, value in said if value is not None for word in (option, f"{value:g}")]


class _File(RootModel[dict[str, Thresholds]]):
    pass


def thresholds_of(folder: Path, model_id: str) -> Thresholds:
    """What was chosen in this project for a model."""
    return _read(folder).get(model_id, Thresholds())


def keep_thresholds(folder: Path, model_id: str, chosen: Thresholds) -> None:
    """Remember them, whole or not at all.

    Raises
    ------
    AnlageError
        If the disk is full, or the place cannot be written to.
    """
    every = _read(folder) | {model_id: chosen}
    with replacing(folder / _FILE, own) as temporary:
        temporary.write_text(_File(every).model_dump_json(indent=2), encoding="utf-8")


def _read(folder: Path) -> dict[str, Thresholds]:
    try:
        return _File.model_validate_json((folder / _FILE).read_bytes()).root
    except (OSError, ValidationError):
        return {}  # none were chosen yet, or by a newer version
