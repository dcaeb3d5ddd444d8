"""Parameters of a training of nuclei, and its plan: what the data decided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import model_validator

from anlage.foreign import MOST_DIAMETER_UM
from anlage.frozen import DiameterUm, Finite
from anlage.tasks.grid import Channels, CropZyx, Frames, Grid

__all__ = ["Classes", "NucleiConfig", "NucleiPlan", "Orientation"]

Orientation = Literal["any", "upright", "fixed"]
"""Which ways up examples are shown: turned and mirrored every way, in the plane alone, or as they lie."""


Classes = Annotated[tuple[Annotated[int, Ge(0), Le(2**32 - 1)], ...], MaxLen(256)]
"""Label values that are classes."""


class NucleiConfig(Finite):
    """Parameters of the nuclei task."""

    head: Literal["centres", "instances", "classes"] = "centres"
    """What the network says: 'centres', one point for each nucleus; 'instances', an outline for each; 'classes', the class of every voxel."""
    classes: Classes | None = None
    """Label values that are classes, for head=classes: 0 is what was left unpainted. By default all that were painted, and 0 where the annotation is complete."""
    diameter_um: DiameterUm | None = None
    """Typical diameter of a nucleus in µm; by default measured in the training data."""
    frames: Frames = (0,)
    """Frames that the network sees, relative to the one it answers for: 0, or −1,0,1 for the neighbours too."""
    cells: Annotated[float, Ge(3), Le(12)] | None = None
    """Cells of the network's grid across a nucleus: more are finer and slower; by default 4.5, and 6 where outlines are learnt."""
    sigma: Annotated[float, Ge(0.05), Le(0.5)] = 0.16
    """How wide a spot the network is taught to paint on each nucleus (standard deviation, in nucleus diameters): narrower keeps touching nuclei apart, wider forgives marks beside the centre."""
    patch_um: Annotated[float, Gt(0), Le(1e6)] | None = None
    """How much of the image the network is shown at once while it learns: edge length of a piece (patch) in µm; by default 5 nucleus diameters, 4 where outlines are learnt, or the whole image where it is smaller."""
    patch_voxels: CropZyx | None = None
    """The same in voxels of the training image, z,y,x; rounded up to what the network's pooling needs."""
    width: Annotated[int, Ge(8), Le(256)] = 32
    """How many patterns the network can tell apart at its finest level (channels); each coarser level has twice as many. More learn slower and want more nuclei."""
    levels: Annotated[int, Ge(1), Le(5)] = 3
    """How far the network looks around: each level more doubles its view, and its time to learn."""
    variation: Annotated[float, Ge(0), Le(2)] | None = None
    """How far training examples are varied in brightness and size: 1 is right for images of many kinds; with less a network learns sooner what looks the same everywhere, as in movies of one microscope; 0 leaves both, and the noise, as they are. By default 1, and 0.5 where outlines are learnt."""
    few_photons: Annotated[float, Ge(0), Le(1)] | None = None
    """Share of the training examples (0 to 1) that are shown as if bleached: with 2 to 100 photons in a voxel of a bright nucleus, and black and white measured anew. By default 0.5 where a training of centres starts from a model's weights, else 0."""
    balance: Literal["nuclei", "stores"] = "nuclei"
    """What examples are drawn from equally often: 'nuclei', every nucleus; 'stores', every store, however many nuclei it holds: where a long movie would outweigh short ones."""
    orientation: Orientation | None = None
    """Which ways up examples are shown: 'any', turned and mirrored in the plane and mirrored along z; 'upright', turned and mirrored in the plane alone; 'fixed', as they lie. By default 'any'; where outlines are learnt 'upright', and 'fixed' from 200 painted nuclei on: how a microscope blurs, and lies in a film, is the same everywhere, and can be learnt where there is enough to learn from. 'any' is right for outlines in serial sections."""


class NucleiPlan(Finite):
    """What the training data decided."""

    grid: Grid
    """The working grid."""
    diameter_um: DiameterUm
    """Typical diameter of the training nuclei in µm."""
    apparent_um: DiameterUm | None
    """Their diameter in µm as it is measured without annotations; a new image is compared with this."""
    n_channels: Channels
    """Image channels that the network sees of each frame."""
    frames: Frames
    """Frames that the network sees, relative to the one it answers for."""
    patch_zyx: CropZyx
    """Training patch in working voxels."""
    sigma: Annotated[float, Ge(0.01), Le(2)]
    """Width of the heat-map's spots in nucleus diameters."""
    match_radius_um: Annotated[float, Gt(0), Le(MOST_DIAMETER_UM)]
    """A candidate nearer than this to a true centre is right, in validation."""
    head: Literal["centres", "instances", "classes"] = "centres"
    """What the network says."""
    classes: Classes = ()
    """Label values of the classes, in the order of the network's outputs."""
    orientation: Orientation = "any"
    """Which ways up examples were shown."""
    few_photons: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of the examples that were shown as if bleached."""
    leading_channel: Annotated[int, Ge(0), Le(1023)] = 0
    """The channel in which nuclei stand out most: that of a model of one channel, where the training starts from one."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.head == "classes") != bool(self.classes):
            raise ValueError(f"a network of {self.head} with {len(self.classes)} classes")
        if self.leading_channel >= self.n_channels:
            raise ValueError(f"nuclei stand out in channel {self.leading_channel} of {self.n_channels}")
        return self
