"""The nuclei task: find every nucleus in an image, from centres marked in a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.frozen import Frozen
from anlage.tasks.grid import Grid, Zyx
from anlage.tasks.readiness import Readiness, nuclei_readiness
from anlage.tasks.task import Evidence, Setting, Validation

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.nuclei_examples import NucleiExamples

__all__ = ["NucleiConfig", "NucleiPlan", "NucleiTask"]


class NucleiConfig(Frozen):
    """Parameters of the nuclei task."""

    head: Literal["centres"] = "centres"
    """What the network says: 'centres', one point for each nucleus."""
    diameter_um: Annotated[float, Gt(0)] | None = None
    """Typical diameter of a nucleus in µm; by default measured in the training data."""
    frames: Annotated[tuple[int, ...], MinLen(1)] = (0,)
    """Frames that the network sees, relative to the one it answers for: 0, or −1,0,1 for the neighbours too."""
    cells: Annotated[float, Ge(3), Le(12)] = 4.5
    """Cells of the network's grid across a nucleus: more are finer and slower."""
    sigma: Annotated[float, Ge(0.05), Le(0.5)] = 0.16
    """Width (standard deviation) of the heat-map's spots, in nucleus diameters."""
    patch_um: Annotated[float, Gt(0)] | None = None
    """Edge length of a training patch in µm; by default 5 nucleus diameters, or the whole image where it is smaller."""
    width: Annotated[int, Ge(8), Le(256)] = 32
    """Channels of the network's finest level; each coarser level has twice as many."""
    levels: Annotated[int, Ge(1), Le(5)] = 3
    """Levels of the network."""


class NucleiPlan(Frozen):
    """What the training data decided."""

    grid: Grid
    """The working grid."""
    diameter_um: float
    """Typical diameter of the training nuclei in µm."""
    apparent_um: float | None
    """Their diameter in µm as it is measured without annotations; a new image is compared with this."""
    n_channels: int
    """Image channels that the network sees of each frame."""
    frames: tuple[int, ...]
    """Frames that the network sees, relative to the one it answers for."""
    patch_zyx: Zyx
    """Training patch in working voxels."""
    sigma: float
    """Width of the heat-map's spots in nucleus diameters."""
    match_radius_um: float
    """A candidate nearer than this to a true centre is right, in validation."""

    @property
    def sigma_um(self) -> float:
        return self.sigma * self.diameter_um


class NucleiTask:
    """Centres of nuclei, in 2D and 3D."""

    name: ClassVar[str] = "nuclei"
    title: ClassVar[str] = "Nuclei"
    minutes: ClassVar[float] = 5.0
    use: ClassVar[str] = "anlage predict {model} IMAGE -o found.csv"
    config: ClassVar[type[Frozen]] = NucleiConfig
    plan: ClassVar[type[Frozen]] = NucleiPlan
    inherited: ClassVar[tuple[str, ...]] = ("head", "frames", "cells", "sigma", "width", "levels")

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return nuclei_readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: NucleiConfig, setting: Setting) -> NucleiExamples:
        from anlage.tasks.nuclei_preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: NucleiPlan, config: NucleiConfig) -> torch.nn.Module:
        import torch

        from anlage.networks.unet import UNet
        from anlage.tasks.centres import N_OUT

        network = UNet(
            plan.n_channels * len(plan.frames),
            N_OUT,
            stem=plan.grid.stem,
            strides=plan.grid.strides,
            widths=[config.width * 2**level for level in range(config.levels)],
            kernels=plan.grid.kernels,
        )
        network.begin_with(torch.tensor([-4.0, 0.0, 0.0, 0.0]))  # nothing anywhere: most cells are background
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from anlage.tasks.centres import centre_loss

        parts = centre_loss(network(batch["image"]), batch["heat"], batch["offset"], batch["known"])
        return parts["heat"] + parts["offset"], {name: part.detach() for name, part in parts.items()}

    def validate(self, network: torch.nn.Module, examples: NucleiExamples) -> Validation:
        from anlage.tasks.nuclei_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
        from anlage.tasks.nuclei_validation import finish

        return finish(network, examples)
