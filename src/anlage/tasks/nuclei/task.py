"""The nuclei task: find, outline or classify what was marked or painted in a part of an image, in all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.frozen import Frozen
from anlage.tasks.readiness import Readiness, nuclei_readiness
from anlage.tasks.task import Evidence, Setting, Task, Validation

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.nuclei.examples import NucleiExamples

from anlage.tasks.nuclei.config import N_CENTRE, NucleiConfig, NucleiPlan

__all__ = ["NucleiTask"]


class NucleiTask(Task):
    """Centres, outlines or classes, in 2D and 3D."""

    name: ClassVar[str] = "nuclei"
    title: ClassVar[str] = "Nuclei"
    minutes: ClassVar[float] = 5.0
    least_steps: ClassVar[int] = 60
    use: ClassVar[str] = "anlage predict {model} IMAGE -o found.csv"
    config: ClassVar[type[Frozen]] = NucleiConfig
    plan: ClassVar[type[Frozen]] = NucleiPlan
    inherited: ClassVar[tuple[str, ...]] = ("head", "frames", "cells", "sigma", "width", "levels")
    adapted: ClassVar[tuple[str, ...]] = ("head",)

    def warmup_steps(self, config: NucleiConfig) -> int:
        """Outlines begin with fresh weights, which a few steps at a high rate spoil: a short training never recovers."""
        return 20 if config.head == "instances" else 0

    def minutes_for(self, config: NucleiConfig) -> float:
        return self.minutes if config.head == "centres" else 2 * self.minutes

    def least_steps_for(self, config: NucleiConfig, *, from_model: bool) -> int:
        """From fresh weights, and of outlines, whose last layer is fresh, twice as many."""
        return self.least_steps if from_model and config.head == "centres" else 2 * self.least_steps

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return nuclei_readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: NucleiConfig, setting: Setting) -> NucleiExamples:
        from anlage.tasks.nuclei.preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: NucleiPlan, config: NucleiConfig) -> torch.nn.Module:
        import torch

        from anlage.networks.unet import UNet

        network = UNet(
            plan.n_channels * len(plan.frames),
            plan.n_outputs,
            stem=plan.grid.stem,
            strides=plan.grid.strides,
            widths=[config.width * 2**level for level in range(config.levels)],
            kernels=plan.grid.kernels,
        )
        begin = torch.zeros(plan.n_outputs)
        if plan.head != "classes":
            begin[0] = -4.0  # nothing anywhere: most cells are background
        network.begin_with(begin)
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from anlage.tasks.nuclei.heads import loss

        return loss(network(batch["image"]), batch)

    def adopt(self, theirs: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """Weights of a model with another head, as this network can take them: all but the last layer's, of which centres."""
        shared = super().adopt(theirs, own)
        for name in ("leave.weight", "leave.bias"):
            if name not in shared and name in theirs and len(own[name]) > len(theirs[name]) == N_CENTRE:
                shared[name] = own[name].clone()
                shared[name][:N_CENTRE] = theirs[name]
        return shared

    def validate(self, network: torch.nn.Module, examples: NucleiExamples) -> Validation:
        from anlage.tasks.nuclei.heads import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
        from anlage.tasks.nuclei.heads import finish

        return finish(network, examples)
