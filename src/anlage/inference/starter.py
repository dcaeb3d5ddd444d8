"""Load the starter: the network that comes with the program, for first proposals."""

from __future__ import annotations

from pathlib import Path

__all__ = ["STARTER", "starter_path"]

STARTER = "starter"
"""Name of the network that comes with the program, wherever a model is named."""

_MODELS = Path(__file__).resolve().parents[1] / "models"


def starter_path(*, flat: bool = False) -> Path:
    """The starter's model file: for volumes, or for single planes (`flat`).

    Both were trained by ``anlage starter`` on synthetic embryos only.
    """
    return _MODELS / ("starter-2d.anlage" if flat else "starter.anlage")
