"""A network, and how it sees one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anlage.axes import Spacing
from anlage.dataset.intensity import Intensity

if TYPE_CHECKING:
    import torch

__all__ = ["Loaded"]


@dataclass(frozen=True)
class Loaded:
    """A network, and how it sees one image.

    Parameters
    ----------
    network, plan
        As from `network_of`.
    device
        Where the network lies.
    intensity
        Of the image's channels that it looks at.
    spacing
        Voxel size in µm, the model's where the image has none.
    diameter_um
        Nucleus diameter by which the image is scaled.
    notes
        What was assumed, as sentences.
    measured_voxels
        Voxels of a frame in which the nuclei were measured; 0 where nothing was.
    """

    network: torch.nn.Module
    plan: Any
    device: str
    intensity: Intensity
    spacing: Spacing
    diameter_um: float
    notes: tuple[str, ...]
    measured_voxels: int = 0
