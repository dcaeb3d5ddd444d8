"""The starters: the networks that come with the program, for first proposals."""

from __future__ import annotations

from pathlib import Path

__all__ = ["OUTLINER", "STARTER", "STARTERS", "starter_path"]

STARTER = "starter"
"""Name of the network that finds centres, wherever a model is named."""
OUTLINER = "starter-outlines"
"""Name of the one that outlines nuclei."""
STARTERS = (STARTER, f"{STARTER}-2d", OUTLINER, f"{OUTLINER}-2d")
"""All of them by name; those for single planes come by themselves where an image is one."""

_MODELS = Path(__file__).resolve().parents[1] / "models"


def starter_path(*, flat: bool = False, outlines: bool = False) -> Path:
    """A starter's model file: for volumes, or for single planes (`flat`); one that finds centres, or one that outlines.

    All were trained by ``anlage starter`` on synthetic embryos only.
    """
    return _MODELS / f"{OUTLINER if outlines else STARTER}{'-2d' if flat else ''}.anlage"
