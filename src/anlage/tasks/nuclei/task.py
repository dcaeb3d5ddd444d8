"""The nuclei task: find, outline or classify what was marked or painted in a part of an image, in all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.dataset.photons import Exposure
from anlage.frozen import Frozen
from anlage.tasks.nuclei.centres import CentresHead
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.nuclei.head import N_CENTRE
from anlage.tasks.nuclei.heads import HEADS, head_with_targets
from anlage.tasks.nuclei.readiness import READINESS, readiness
from anlage.tasks.readiness import Readiness
from anlage.tasks.sources import Material, Stores
from anlage.tasks.task import Evidence, Kind, Setting, Task, Validation

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.nuclei.examples import NucleiExamples

__all__ = ["NucleiTask"]

BLEACHED = Exposure(photons=4.0, ground=0.15, read_noise=0.5)
"""What a network has to do with: the last frames of a film are often that dim."""


class NucleiStores(Stores):
    """Stores with an image, of any number of channels."""

    widens: ClassVar[bool] = True


class NucleiTask(Task):
    """Centres, outlines or classes, in 2D and 3D: what differs between them is their head's."""

    name: ClassVar[str] = "nuclei"
    title: ClassVar[str] = "Nuclei"
    steps: ClassVar[int] = CentresHead.steps_from_model
    least_steps: ClassVar[int] = CentresHead.least_steps_from_model
    use: ClassVar[str] = "anlage predict {model} IMAGE -o found.csv"
    config: ClassVar[type[Frozen]] = NucleiConfig
    plan: ClassVar[type[Frozen]] = NucleiPlan
    inherited: ClassVar[tuple[str, ...]] = ("head", "frames", "cells", "sigma", "width", "levels")
    adapted: ClassVar[tuple[str, ...]] = ("head", "frames")
    material: ClassVar[Material] = NucleiStores()
    interpolates: ClassVar[bool] = True
    way_tie: ClassVar[float] = 0.02

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(Kind(head.kind, head.title, self.name, head.settings, head.unused) for head in HEADS.values())

    def with_defaults(self, config: NucleiConfig) -> NucleiConfig:
        return HEADS[config.head].with_defaults(config)

    def warmup_steps(self, config: NucleiConfig) -> int:
        return HEADS[config.head].warmup_steps

    def steps_for(self, config: NucleiConfig, *, from_model: bool) -> int:
        head = HEADS[config.head]
        return head.steps_from_model if from_model else head.steps

    def least_steps_for(self, config: NucleiConfig, *, from_model: bool) -> int:
        head = HEADS[config.head]
        return head.least_steps_from_model if from_model else head.least_steps

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return readiness(nuclei, boxes)

    def readiness_of(self, kind: str, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return READINESS[kind](nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: NucleiConfig, setting: Setting) -> NucleiExamples:
        from anlage.tasks.nuclei.preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: NucleiPlan, config: NucleiConfig) -> torch.nn.Module:
        import torch

        from anlage.networks.unet import UNet

        head = HEADS[plan.head]
        network = UNet(
            plan.n_channels * len(plan.frames),
            head.n_outputs(plan),
            stem=plan.grid.stem,
            strides=plan.grid.strides,
            widths=[config.width * 2**level for level in range(config.levels)],
            kernels=plan.grid.kernels,
        )
        network.begin_with(torch.tensor(head.first_outputs(plan)))
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        import torch

        parts = head_with_targets(batch).loss(network(batch["image"]), batch)
        total = torch.stack(list(parts.values())).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def adopt(self, theirs: Mapping[str, Any], own: Mapping[str, Any], plan: NucleiPlan) -> dict[str, Any]:
        """Weights of a model of one input or with another head: all but those of other inputs, and of its last layer those that find centres."""
        shared = super().adopt(theirs, own, plan)
        if "enter.weight" not in shared and "enter.weight" in theirs:
            # the other inputs begin with no weight, so that the network first answers as the model does
            first = plan.frames.index(0) * plan.n_channels + plan.leading_channel
            width = math.prod(plan.grid.stem)
            shared["enter.weight"] = own["enter.weight"].clone().zero_()
            shared["enter.weight"][:, first * width : (first + 1) * width] = theirs["enter.weight"]
        for name in ("leave.weight", "leave.bias"):
            if name not in shared and name in theirs and len(own[name]) > len(theirs[name]) == N_CENTRE:
                shared[name] = own[name].clone()
                shared[name][:N_CENTRE] = theirs[name]
        return shared

    def validate(self, network: torch.nn.Module, examples: NucleiExamples) -> Validation:
        return examples.head.validate(network, examples)

    def views(self, examples: NucleiExamples) -> Sequence[NucleiExamples]:
        """The held-out frames as they are, and as if they were bleached."""
        return (examples, examples.bleached(BLEACHED))

    def finish(self, network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
        return examples.head.finish(network, examples)
