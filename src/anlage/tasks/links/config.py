"""Parameters of a training of links, and its plan: what the data decided."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import model_validator

from anlage.foreign import MOST_DIAMETER_UM
from anlage.frozen import DiameterUm, Finite
from anlage.tasks.grid import Channels, CropZyx, Grid, check_whole

__all__ = ["CropPlan", "LinksConfig", "LinksPlan"]


class LinksConfig(Finite):
    """Parameters of the links task."""

    image: bool = True
    """See the image around each nucleus, where the stores have one; false: only the points."""
    most: Annotated[int, Ge(2), Le(32)] = 8
    """Candidates of one nucleus in the next frame."""
    radius: Annotated[float, Gt(0), Le(10)] | None = None
    """Search radius in nearest-neighbour distances; by default so that it holds nearly all links of the training data."""
    strides: Annotated[tuple[Annotated[int, Ge(1), Le(20)], ...], MinLen(1), MaxLen(20)] = (1, 3, 5)
    """Also learn from every so many frames, as if the film had been taken more slowly: 1 means every frame."""
    jitter: Annotated[float, Ge(0), Le(0.5)] = 0.1
    """Positions are varied by up to this standard deviation, in nearest-neighbour distances, as a detector's are."""
    dropped: Annotated[float, Ge(0), Le(0.5)] = 0.15
    """Largest share of nuclei that are left out, and of false points put in, while it learns."""
    window: Annotated[int, Ge(3), Le(20)] = 5
    """Frames of an example."""
    width: Annotated[int, Ge(8), Le(512)] = 64
    """Numbers that the network remembers of each nucleus and each candidate."""
    rounds: Annotated[int, Ge(1), Le(6)] = 2
    """Rounds of message passing between nuclei and candidates."""


class CropPlan(Finite):
    """Crops of the image around each nucleus that the network sees."""

    grid: Grid
    """The working grid."""
    crop_zyx: CropZyx
    """Working voxels around a nucleus."""
    n_channels: Channels
    """Image channels."""
    diameter_um: DiameterUm
    """Typical diameter of the training nuclei in µm: a film is brought to the grid by it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_whole(self.crop_zyx, self.grid)
        return self


class LinksPlan(Finite):
    """What the training data decided."""

    radius: Annotated[float, Gt(0), Le(100)]
    """Search radius around the expected place, in nearest-neighbour distances."""
    spread: Annotated[float, Ge(0), Le(100)]
    """Typical distance by which nuclei missed where they were expected, in nearest-neighbour distances: the motion scale."""
    neighbour_um: Annotated[float, Gt(0), Le(100 * MOST_DIAMETER_UM)]
    """Median distance between nearest neighbours in the training data, in µm."""
    look: CropPlan | None
    """The crops of the image that it sees; None: it works on points alone."""
    history: bool = False
    """Whether it is told what the film as a whole tells: common movement read off probable links, ages, and times of divisions."""
