"""The divisions task: is this frame the mother's last? Asked of single nuclei, from crops of three frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.frozen import Frozen
from anlage.tasks.divisions.config import DivisionsConfig, DivisionsPlan
from anlage.tasks.divisions.readiness import readiness
from anlage.tasks.divisions.truth import Fate, fates
from anlage.tasks.readiness import Readiness
from anlage.tasks.sources import Material, Stores
from anlage.tasks.task import Evidence, Setting, Task, Validation
from anlage.wording import plural

if TYPE_CHECKING:
    import torch

    from anlage.dataset.store import Store
    from anlage.tasks.divisions.examples import DivisionExamples

__all__ = ["DivisionsTask"]


class DivisionStores(Stores):
    """Stores with divisions; the starter knows how nuclei appear, which is no help."""

    has_starter: ClassVar[bool] = False

    def card_fields(self, sources: Sequence[Store], plan: Frozen) -> dict[str, Any]:
        fields = super().card_fields(sources, plan)
        learnt = [store for store in sources if store.meta.use != "validation"]
        for entry, store in zip(fields["trained_on"], learnt, strict=True):
            fate = fates(store.positives)
            n, n_others = int((fate == Fate.DIVIDES).sum()), int((fate == Fate.GOES_ON).sum())
            others = plural(n_others, "nucleus that goes on", "nuclei that go on")
            frames = plural(len(store.frames), "frame")
            entry |= {"n_examples": n, "holds": f"{plural(n, 'division')} and {others} in {frames}"}
        return fields


class DivisionsTask(Task):
    """The mother's last frame, in 2D and 3D."""

    name: ClassVar[str] = "divisions"
    title: ClassVar[str] = "Divisions"
    steps: ClassVar[int] = 300
    least_steps: ClassVar[int] = 80
    rate: ClassVar[float | None] = 1e-3
    rate_from_model: ClassVar[float | None] = 5e-4
    use: ClassVar[str] = "anlage predict {model} IMAGE --nuclei NUCLEI -o scored.csv"
    config: ClassVar[type[Frozen]] = DivisionsConfig
    plan: ClassVar[type[Frozen]] = DivisionsPlan
    inherited: ClassVar[tuple[str, ...]] = ("crop_um", "cells", "width", "levels")
    material: ClassVar[Material] = DivisionStores()

    def warmup_steps(self, config: DivisionsConfig) -> int:
        # the read-out sees a whole crop at once: at the full rate from the first steps on it may end where every crop
        # is answered alike, and never come out again
        return 45

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return readiness(nuclei, boxes)

    def prepare(self, stores: Sequence[Store], config: DivisionsConfig, setting: Setting) -> DivisionExamples:
        from anlage.tasks.divisions.preparation import prepare

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
        from anlage.tasks.divisions.validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: DivisionExamples) -> Evidence:
        from anlage.tasks.divisions.validation import finish

        return finish(network, examples)
