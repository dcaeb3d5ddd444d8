"""The events task: what happens on a signal over time, once per track or again and again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.frozen import Frozen
from anlage.io.signal_files.held_out import HELD_OUT, write_held_out
from anlage.tasks.events.config import EventsConfig, EventsPlan
from anlage.tasks.events.files import SignalFiles
from anlage.tasks.readiness import Readiness
from anlage.tasks.sources import Material
from anlage.tasks.task import Evidence, Setting, Task, Validation

if TYPE_CHECKING:
    import torch

    from anlage.networks.temporal import TemporalEnsemble
    from anlage.tasks.events.examples import EventsExamples
    from anlage.tasks.events.files import SignalFile

__all__ = ["EventsTask"]


class EventsTask(Task):
    """Events on signals, with one network over time for both kinds."""

    name: ClassVar[str] = "events"
    title: ClassVar[str] = "Events"
    steps: ClassVar[int] = 400
    least_steps: ClassVar[int] = 60
    validations: ClassVar[int] = 8
    interpolates: ClassVar[bool] = True
    rate_from_model: ClassVar[float | None] = 5e-4
    """A few dozen examples are learnt by heart at a higher rate, and what the model knew is forgotten."""
    use: ClassVar[str] = "anlage predict {model} SIGNALS -o events.csv"
    config: ClassVar[type[Frozen]] = EventsConfig
    plan: ClassVar[type[Frozen]] = EventsPlan
    inherited: ClassVar[tuple[str, ...]] = (
        "kind", "signals", "normalise", "limits", "clip_signals", "resolution", "width", "depth", "members", "kernel", "invert",
    )  # fmt: skip
    material: ClassVar[Material] = SignalFiles()

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return Readiness(
            "signals are scored on the Signals tab",
            lack="Events are learnt from signals, not from the image: measure or open them on the Signals tab and score some.",
        )

    def prepare(self, stores: Sequence[SignalFile], config: EventsConfig, setting: Setting) -> EventsExamples:
        from anlage.tasks.events.preparation import prepare

        return prepare(stores, config, setting)

    def network(self, plan: EventsPlan, config: EventsConfig) -> torch.nn.Module:
        from anlage.networks.recurrent import RecurrentNetwork
        from anlage.networks.temporal import TemporalEnsemble, TemporalNetwork

        shape = plan.recurrent
        if shape is not None:
            return TemporalEnsemble(
                [
                    RecurrentNetwork(
                        plan.window, plan.stride, shape.convolutions, shape.units, shape.hidden, slope=shape.slope
                    )
                    for _ in range(config.members)
                ]
            )
        return TemporalEnsemble(
            [
                TemporalNetwork(
                    len(plan.scales),
                    plan.n_classes,
                    stride=plan.stride,
                    width=config.width,
                    dilations=plan.dilations,
                    kernel=config.kernel,
                    ends=plan.kind == "once",
                )
                for _ in range(config.members)
            ]
        )

    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        from anlage.tasks.events.loss import events_loss

        parts = events_loss(network(batch["signals"], batch["known"]), batch)
        total: Any = sum(parts.values())
        return total, {name: part.detach() for name, part in parts.items()}

    def validate(self, network: TemporalEnsemble, examples: EventsExamples) -> Validation:
        from anlage.tasks.events.validation import validate

        return validate(network, examples)

    def finish(self, network: TemporalEnsemble, examples: EventsExamples) -> Evidence:
        from anlage.tasks.events.validation import finish

        return finish(network, examples)

    def save_held_out(
        self, network: TemporalEnsemble, examples: EventsExamples, evidence: Evidence, folder: Path
    ) -> None:
        from anlage.tasks.events.validation import held_out

        write_held_out(folder / HELD_OUT, held_out(network, examples, evidence))
