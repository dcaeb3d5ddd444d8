"""The head that outlines objects: beside the centres, for every working voxel whether it is inside an object, and of which.

How objects are made of these stands in `anlage.tasks.nuclei.votes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.dataset.store import Store
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan, Orientation
from anlage.tasks.nuclei.head import N_CENTRE, Head
from anlage.tasks.nuclei.painted_stores import check_labels, check_labels_of_nuclei, check_no_classes
from anlage.tasks.nuclei.working_frames import UNSURE
from anlage.tasks.task import Evidence, Validation

if TYPE_CHECKING:
    import torch

    from anlage.tasks.nuclei.painted_targets import PaintedPart
    from anlage.tasks.nuclei.working_frames import PaintedTargets, Patches

__all__ = ["MANY_PAINTED", "OutlinesHead"]

MANY_PAINTED = 200
"""Painted nuclei to learn from, from which on a network of outlines sees them as they lie."""
N_FINE = 4
"""Outputs for each working voxel: logit of being inside, and the vote along z, y, x in cells."""
_STEP_WEIGHT = 0.3
"""Weight of the steps to centres: where an outline lies is harder to learn, and a step need only keep neighbours apart."""


class OutlinesHead(Head):
    """An outline for each nucleus."""

    name: ClassVar[str] = "instances"
    kind: ClassVar[str] = "outlines"
    title: ClassVar[str] = "Outlines"
    targets: ClassVar[frozenset[str]] = frozenset({"heat", "offset", "known", "inside", "painted", "vote", "voted"})
    cells: ClassVar[float] = 6.0
    patch_diameters: ClassVar[float] = 4.0
    variation: ClassVar[float] = 0.5
    steps: ClassVar[int] = 700
    steps_from_model: ClassVar[int] = 700
    warmup_steps: ClassVar[int] = 20
    """The last layer begins with fresh weights, which a few steps at a high rate spoil: a short training never recovers."""

    def n_fine(self, plan: NucleiPlan) -> int:
        return N_FINE

    def orientation_of(self, config: NucleiConfig, n_nuclei: int) -> Orientation:
        if config.orientation is not None:
            return config.orientation
        return "fixed" if n_nuclei >= MANY_PAINTED else "upright"

    def with_defaults(self, config: NucleiConfig) -> NucleiConfig:
        # the number of nuclei decides the orientation, and is not known yet
        return super().with_defaults(config).model_copy(update={"orientation": config.orientation})

    def check_stores(self, stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
        check_no_classes(stores)
        check_labels(stores, self.name)
        check_labels_of_nuclei(stores)
        return ()

    def painted(self, part: PaintedPart, classes: tuple[int, ...]) -> PaintedTargets:
        from anlage.tasks.nuclei.painted_targets import objects_on_grid

        return objects_on_grid(part)

    def target(self, patches: Patches) -> dict[str, torch.Tensor]:
        from anlage.tasks.nuclei.centre_loss import centres_of
        from anlage.tasks.nuclei.outline_loss import outlines_of

        assert patches.values is not None  # noqa: S101  (`painted` makes them)
        # where an object lies whose centre is unknown, nothing is known of centres
        sure = replace(patches, known=patches.known * (patches.values != UNSURE))
        return {**centres_of(sure), **outlines_of(patches)}

    def loss(self, output: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from anlage.networks.unet import depth_to_space
        from anlage.tasks.nuclei.centre_loss import centre_loss
        from anlage.tasks.nuclei.outline_loss import outline_loss

        parts = centre_loss(output[:, :N_CENTRE], batch["heat"], batch["offset"], batch["known"])
        stem = [n // m for n, m in zip(batch["inside"].shape[2:], output.shape[2:], strict=True)]
        parts |= outline_loss(depth_to_space(output[:, N_CENTRE:], stem), batch)
        return parts | {name: _STEP_WEIGHT * parts[name] for name in ("offset", "vote")}

    def validate(self, network: torch.nn.Module, examples: Any) -> Validation:
        from anlage.tasks.nuclei.outline_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: Any) -> Evidence:
        from anlage.tasks.nuclei.outline_validation import finish

        return finish(network, examples)
