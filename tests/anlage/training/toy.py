"""A tiny task with the real contract: learn a line through a few numbers. Also a program that trains it.

``python toy.py RUN`` trains the run like ``anlage resume RUN`` does; behaviour that a test wants (a slow step, a NaN, a
lack of memory) is a setting of the task.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.calibration import Calibration
from anlage.dataset.build import build_store
from anlage.frozen import Frozen
from anlage.tasks.readiness import Readiness
from anlage.tasks.task import Evidence, Setting, Task, Validation
from anlage.timelapse import TimeLapse
from anlage.training.run import Run


class ToyConfig(Frozen):
    """What the tests make happen."""

    width: int = 16
    """Hidden units."""
    step_ms: float = 0.0
    """Time that a batch takes."""
    prepare_s: float = 0.0
    look_s: float = 0.0
    finish_s: float = 0.0
    nan_from: int | None = None
    """First step whose loss is NaN."""
    nan_until: int | None = None
    most_examples: int | None = None
    """More examples than this in a batch: memory runs out."""
    lost_at: int | None = None
    """Step at which the graphics driver is lost."""
    scores: tuple[float, ...] = ()
    """Scores of the looks, in order, the last one for ever; none: minus the loss."""
    tie: float = 0.0
    """Difference of scores that may be luck."""


class ToyPlan(Frozen):
    inputs: int
    """Numbers in an example."""


@dataclass
class ToyExamples:
    plan: ToyPlan
    batch_size: int
    setting: Setting
    config: ToyConfig
    notes: Sequence[str] = ("This is a toy.",)
    looks: int = 0
    n_examples: int = 80

    def draw(self, key: int, n: int) -> dict[str, Any]:
        import torch

        rng = np.random.default_rng([self.setting.seed, key])
        x = rng.normal(size=(n, self.plan.inputs)).astype(np.float32)
        y = np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(y)}

    def batch(self, step: int, batch_size: int) -> dict[str, Any]:
        time.sleep(self.config.step_ms / 1000)
        if self.config.most_examples is not None and batch_size > self.config.most_examples:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        if step == self.config.lost_at:
            raise RuntimeError(
                "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other "
                "API call, so the stacktrace below might be incorrect."
            )
        batch = self.draw(step, batch_size)
        start, stop = self.config.nan_from, self.config.nan_until
        if start is not None and start <= step < (stop if stop is not None else 10**9):
            batch["y"][0] = float("nan")
        return batch


class ToyTask(Task):
    name: ClassVar[str] = "toy"
    title: ClassVar[str] = "Toy"
    use: ClassVar[str] = "toy {model}"
    steps: ClassVar[int] = 20
    config: ClassVar[type[Frozen]] = ToyConfig
    plan: ClassVar[type[Frozen]] = ToyPlan

    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        return Readiness("a line")

    def prepare(self, stores: Sequence[Any], config: ToyConfig, setting: Setting) -> ToyExamples:
        _work(config.prepare_s)
        (setting.cache / "decoded.npy").write_bytes(b"numbers")
        plan = setting.plan or setting.base or ToyPlan(inputs=stores[0].image.shape[2] + 1)
        return ToyExamples(plan, setting.batch_size or 8, setting, config)

    def network(self, plan: ToyPlan, config: ToyConfig) -> Any:
        from collections import OrderedDict

        from torch import nn

        encoder = nn.Sequential(nn.Linear(plan.inputs, config.width), nn.BatchNorm1d(config.width), nn.SiLU())
        return nn.Sequential(OrderedDict(encoder=encoder, dropout=nn.Dropout(0.2), leave=nn.Linear(config.width, 1)))

    def loss(self, network: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        loss = (network(batch["x"]) - batch["y"]).square().mean()
        return loss, {"square": loss.detach()}

    def validate(self, network: Any, examples: ToyExamples) -> Validation:
        _work(examples.config.look_s)
        held_out = examples.draw(10**6, 64)
        loss = float((network(held_out["x"]) - held_out["y"]).square().mean())
        scores = examples.config.scores
        score = scores[min(examples.looks, len(scores) - 1)] if scores else -loss
        examples.looks += 1
        return Validation(loss, score, {"f1": score, "threshold": 0.25}, examples.config.tie)

    def finish(self, network: Any, examples: ToyExamples) -> Evidence:
        _work(examples.config.finish_s)
        return Evidence(
            held_out="64 numbers", n_positive=64, metrics={"f1": 0.5}, threshold=0.3, calibration=Calibration(), ece=0.1
        )


TASKS = {"toy": ToyTask()}


def _work(seconds: float) -> None:
    """Time spent in small pieces, as by a network on many tiles."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def make_store(path: Path) -> Path:
    """A real store, of a single nucleus."""
    rng = np.random.default_rng(0)
    image = TimeLapse(rng.integers(0, 999, (2, 4, 16, 16)).astype(np.uint16), "tzyx", spacing=Spacing(2, 1, 1))
    nuclei = Annotations.of([[0, 2.0, 8, 8], [1, 2, 8, 8]])
    build_store(path, image, nuclei, cuboid=Box.whole((2, 4, 16, 16)), diameter_um=5.0)
    return path


if __name__ == "__main__":
    from anlage.training.process import train

    if "TOY_CONTROL" in os.environ:  # where a test wants to know that Python is up
        Path(os.environ["TOY_CONTROL"]).touch()
    train(Run.open(sys.argv[1]), tasks=TASKS)
