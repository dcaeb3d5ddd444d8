"""The head that gives every voxel a class, as they were painted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.dataset.store import Store
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.nuclei.head import Head
from anlage.tasks.nuclei.painted_stores import check_labels, class_values
from anlage.tasks.task import Evidence, Validation

if TYPE_CHECKING:
    import torch

    from anlage.tasks.nuclei.painted_targets import PaintedPart
    from anlage.tasks.nuclei.working_frames import PaintedTargets, Patches

__all__ = ["ClassesHead"]


class ClassesHead(Head):
    """The class of every voxel."""

    name: ClassVar[str] = "classes"
    kind: ClassVar[str] = "classes"
    title: ClassVar[str] = "Classes"
    unused: ClassVar[frozenset[str]] = frozenset({"head", "sigma"})
    targets: ClassVar[frozenset[str]] = frozenset({"class", "painted"})
    main_metric: ClassVar[str] = "dice"
    finds_nuclei: ClassVar[bool] = False
    n_coarse: ClassVar[int] = 0
    steps: ClassVar[int] = 300
    steps_from_model: ClassVar[int] = 300

    def n_fine(self, plan: NucleiPlan) -> int:
        return len(plan.classes)

    def first_outputs(self, plan: NucleiPlan) -> list[float]:
        return [0.0] * self.n_outputs(plan)

    def check_stores(self, stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
        check_labels(stores, self.name)
        return class_values(stores, config.classes)

    def painted(self, part: PaintedPart, classes: tuple[int, ...]) -> PaintedTargets:
        from anlage.tasks.nuclei.painted_targets import classes_on_grid

        return classes_on_grid(part, classes)

    def target(self, patches: Patches) -> dict[str, torch.Tensor]:
        assert patches.values is not None  # noqa: S101  (`painted` makes them)
        assert patches.painted is not None  # noqa: S101
        return {"class": patches.values.round().long(), "painted": patches.painted}

    def loss(self, output: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from anlage.tasks.nuclei.class_loss import class_loss

        return class_loss(output, batch)

    def validate(self, network: torch.nn.Module, examples: Any) -> Validation:
        from anlage.tasks.nuclei.class_validation import validate

        return validate(network, examples)

    def finish(self, network: torch.nn.Module, examples: Any) -> Evidence:
        from anlage.tasks.nuclei.class_validation import finish

        return finish(network, examples)
