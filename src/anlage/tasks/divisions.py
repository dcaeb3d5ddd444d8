"""The divisions task: is this frame the mother's last? Asked of single nuclei, from crops of three frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from annotated_types import Ge, Gt, Le, MultipleOf
from pydantic import model_validator

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.foreign import MOST_DIAMETER_UM
from anlage.frozen import DiameterUm, Finite, Frozen
from anlage.tasks.division_truth import Outcome, outcomes
from anlage.tasks.grid import Channels, CropZyx, Frames, Grid, check_whole
from anlage.tasks.material import Stores
from anlage.tasks.readiness import Readiness, counted, divisions_readiness
from anlage.tasks.task import Evidence, Setting, Validation

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.divisions_examples import DivisionExamples

__all__ = ["FRAMES", "DivisionsConfig", "DivisionsPlan", "DivisionsTask"]

FRAMES = (-1, 0, 1)
"""Frames that the network sees, relative to the one that it answers for."""


class DivisionsConfig(Finite):
    """Parameters of the divisions task."""

    diameter_um: DiameterUm | None = None
    """Typical diameter of a nucleus in µm; by default measured in the training data."""
    crop_um: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Edge length of the crop around a nucleus in µm; by default 3 nucleus diameters."""
    cells: Annotated[float, Ge(2), Le(12)] = 5.0
    """Cells of the network's grid across a nucleus: more are finer and slower."""
    dividing: Annotated[float, Gt(0), Le(0.8)] = 0.35
    """Share of the training examples that are mothers in their last frame."""
    hard: Annotated[float, Ge(0), Le(0.8)] = 0.35
    """Share that are told from them with difficulty: the frames before and after a division, and nuclei beside one."""
    doubt: Annotated[float, Ge(0), Le(1)] = 0.5
    """Weight of the frames next to a division, which people often mark a frame early or late; 1 counts them fully."""
    width: Annotated[int, Ge(8), Le(128), MultipleOf(4)] = 24
    """Channels of the network's finest level, a multiple of 4; each coarser level has twice as many."""
    levels: Annotated[int, Ge(1), Le(5)] = 3
    """Levels of the network."""


class DivisionsPlan(Finite):
    """What the training data decided."""

    grid: Grid
    """The working grid."""
    diameter_um: DiameterUm
    """Typical diameter of the training nuclei in µm."""
    apparent_um: DiameterUm | None
    """Their diameter in µm as it is measured without annotations; a new image is compared with this."""
    n_channels: Channels
    """Image channels that the network sees of each frame."""
    frames: Frames = FRAMES
    """Frames that the network sees, relative to the one it answers for."""
    crop_zyx: CropZyx
    """Crop around a nucleus in working voxels."""
    match_radius_um: Annotated[float, Gt(0), Le(MOST_DIAMETER_UM)]
    """A division nearer than this to a true one, and at most a frame early or late, is right, in validation."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_whole(self.crop_zyx, self.grid)
        return self


class DivisionStores(Stores):
    """Stores with divisions; what the starter knows, how nuclei look, is no help."""

    has_starter: ClassVar[bool] = False

    def remembered(self, sources: Sequence[Store], plan: Frozen) -> dict[str, Any]:
        told = super().remembered(sources, plan)
        learnt = [store for store in sources if store.meta.use != "validation"]
        for entry, store in zip(told["trained_on"], learnt, strict=True):
            outcome = outcomes(store.positives)
            n, n_others = int((outcome == Outcome.DIVIDES).sum()), int((outcome == Outcome.GOES_ON).sum())
            others = counted(n_others, "nucleus that goes on", "nuclei that go on")
            frames = counted(len(store.frames), "frame")
            entry |= {"n_examples": n, "holds": f"{counted(n, 'division')} and {others} in {frames}"}
        return told


class DivisionsTask:
    """The mother's last frame, in 2D and 3D."""

    name: ClassVar[str] = "divisions"
    title: ClassVar[str] = "Divisions"
    minutes: ClassVar[float] = 8.0
    least_steps: ClassVar[int] = 80
    use: ClassVar[str] = "anlage predict {model} IMAGE --nuclei NUCLEI -o scored.csv"
    config: ClassVar[type[Frozen]] = DivisionsConfig
    plan: ClassVar[type[Frozen]] = DivisionsPlan
    inherited: ClassVar[tuple[str, ...]] = ("crop_um", "cells", "width", "levels")
    material: ClassVar[DivisionStores] = DivisionStores()

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return divisions_readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: DivisionsConfig, setting: Setting) -> DivisionExamples:
        from anlage.tasks.divisions_preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: DivisionsPlan, config: DivisionsConfig) -> torch.nn.Module:
        import torch

        from anlage.networks.crops import CropNetwork

        network = CropNetwork(
            plan.n_channels * len(plan.frames),
            plan.crop_zyx,
            stem=plan.grid.stem,
            strides=plan.grid.strides,
            widths=[config.width * 2**level for level in range(config.levels)],
            kernels=plan.grid.kernels,
        )
        network.begin_with(-1.0)
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from torch.nn import functional

        logits = network(batch["image"]).float()
        each = functional.binary_cross_entropy_with_logits(logits, batch["divides"], reduction="none")
        loss = (each * batch["weight"]).sum() / batch["weight"].sum()
        divides = batch["divides"] > 0
        right = ((logits > 0) == divides).float().mean()
        return loss, {"entropy": loss.detach(), "right": right.detach()}

    def validate(self, network: torch.nn.Module, examples: DivisionExamples) -> Validation:
        from anlage.tasks.divisions_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: DivisionExamples) -> Evidence:
        from anlage.tasks.divisions_validation import finish

        return finish(network, examples)
