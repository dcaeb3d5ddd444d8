"""The head that finds centres: a heat-map and, for every cell near a nucleus, the offset to its centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.dataset.store import Store
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.nuclei.head import N_CENTRE, Head
from anlage.tasks.nuclei.painted_stores import check_no_classes
from anlage.tasks.task import Evidence, Validation

if TYPE_CHECKING:
    import torch

    from anlage.tasks.nuclei.working_frames import Patches

__all__ = ["CentresHead"]


class CentresHead(Head):
    """One point for each nucleus."""

    name: ClassVar[str] = "centres"
    kind: ClassVar[str] = "centres"
    title: ClassVar[str] = "Centres"
    targets: ClassVar[frozenset[str]] = frozenset({"heat", "offset", "known"})
    paints_labels: ClassVar[bool] = False
    few_photons_from_model: ClassVar[float] = 0.5
    steps: ClassVar[int] = 400
    steps_from_model: ClassVar[int] = 250
    least_steps_from_model: ClassVar[int] = 60

    def n_fine(self, plan: NucleiPlan) -> int:
        return 0

    def check_stores(self, stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
        check_no_classes(stores)
        return ()

    def target(self, patches: Patches) -> dict[str, torch.Tensor]:
        from anlage.tasks.nuclei.centre_loss import centres_of

        return centres_of(patches)

    def loss(self, output: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from anlage.tasks.nuclei.centre_loss import centre_loss

        return centre_loss(output[:, :N_CENTRE], batch["heat"], batch["offset"], batch["known"])

    def validate(self, network: torch.nn.Module, examples: Any) -> Validation:
        from anlage.tasks.nuclei.centre_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: Any) -> Evidence:
        from anlage.tasks.nuclei.centre_validation import finish

        return finish(network, examples)
