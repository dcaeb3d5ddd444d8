"""The contract of a head: what a network of the nuclei task says, how it learns that, and how well it does.

Loads no torch: what needs it is imported by the methods that a training or a prediction calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from anlage.dataset.store import Store
from anlage.tasks.grid import CELLS
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan, Orientation
from anlage.tasks.task import Evidence, Validation

if TYPE_CHECKING:
    import torch

    from anlage.tasks.nuclei.painted_targets import PaintedPart
    from anlage.tasks.nuclei.working_frames import PaintedTargets, Patches

__all__ = ["N_CENTRE", "Head"]

N_CENTRE = 4
"""Outputs for each cell that find centres: heat logit, and offset to the centre along z, y, x in cells."""


class Head(ABC):
    """One kind of output of the nuclei task. Stateless.

    Examples, in `validate` and `finish`, are `anlage.tasks.nuclei.examples.NucleiExamples`.
    """

    name: ClassVar[str]
    """As the setting ``head`` has it."""
    kind: ClassVar[str]
    """What is trained with it, in a word."""
    title: ClassVar[str]
    """What people call that."""
    unused: ClassVar[frozenset[str]] = frozenset({"head", "classes"})
    """Parameters that it decides, or that mean nothing to it."""
    targets: ClassVar[frozenset[str]]
    """Names of the tensors that `target` makes; no two heads have the same."""
    main_metric: ClassVar[str] = "f1"
    """The metric by which a network is judged."""
    finds_nuclei: ClassVar[bool] = True
    """Whether it finds nuclei one by one."""
    paints_labels: ClassVar[bool] = True
    """Whether it gives every voxel a label."""

    cells: ClassVar[float] = CELLS
    """Cells of the network's grid across a nucleus."""
    patch_diameters: ClassVar[float] = 5.0
    """Edge of a training patch in nucleus diameters: a nucleus with its neighbours on all sides, several times over."""
    variation: ClassVar[float] = 1.0
    """How far training examples are varied in brightness and size."""
    few_photons_from_model: ClassVar[float] = 0.0
    """Share of the examples that are shown as if bleached, where a training starts from a model's weights."""
    steps: ClassVar[int]
    """Steps of a training from fresh weights, where the user sets nothing."""
    steps_from_model: ClassVar[int]
    """The same, from a model's weights."""
    warmup_steps: ClassVar[int] = 0
    """The least number of steps over which the learning rate rises."""
    least_steps: ClassVar[int] = 120
    """Steps below which nothing of use is learnt from fresh weights."""
    least_steps_from_model: ClassVar[int] = 120
    """The same, from a model's weights."""

    n_coarse: ClassVar[int] = N_CENTRE
    """Outputs for each cell."""

    @property
    def settings(self) -> tuple[str, ...]:
        """What a training of it has to set: nothing, where it is what is trained unless something is set."""
        return () if NucleiConfig().head == self.name else (f"head={self.name}",)

    @abstractmethod
    def n_fine(self, plan: NucleiPlan) -> int:
        """Outputs for each working voxel."""

    def n_outputs(self, plan: NucleiPlan) -> int:
        """Outputs for each cell, with those of its working voxels."""
        z, y, x = plan.grid.stem
        return self.n_coarse + self.n_fine(plan) * z * y * x

    def first_outputs(self, plan: NucleiPlan) -> list[float]:
        """What a network with fresh weights answers everywhere: by default no nucleus, since most cells are background."""
        return [-4.0] + [0.0] * (self.n_outputs(plan) - 1)

    # ---- what the user left open ----

    def cells_of(self, config: NucleiConfig) -> float:
        """Cells across a nucleus: as set, or as the head needs them."""
        return self.cells if config.cells is None else config.cells

    def variation_of(self, config: NucleiConfig) -> float:
        """How far examples are varied: as set, or as the head needs it."""
        return self.variation if config.variation is None else config.variation

    def few_photons_of(self, config: NucleiConfig, *, from_model: bool) -> float:
        """Share of the examples that are shown as if bleached: as set, or as the head needs it."""
        if config.few_photons is not None:
            return config.few_photons
        return self.few_photons_from_model if from_model and self.variation_of(config) > 0 else 0.0

    def orientation_of(self, config: NucleiConfig, n_nuclei: int) -> Orientation:
        """Which ways up examples are shown: as set, or as the head and so many nuclei to learn from need it."""
        return "any" if config.orientation is None else config.orientation

    def with_defaults(self, config: NucleiConfig) -> NucleiConfig:
        """The parameters, with the head's defaults in place of what was left open and does not depend on the data."""
        defaults = {
            "cells": self.cells_of(config),
            "variation": self.variation_of(config),
            "orientation": self.orientation_of(config, 0),
        }
        return config.model_copy(update=defaults)

    # ---- learning ----

    @abstractmethod
    def check_stores(self, stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
        """Label values of the classes that are learnt, none if these are not classes.

        Raises
        ------
        AnlageError
            If the stores do not hold the labels that this head learns from.
        """

    def painted(self, part: PaintedPart, classes: tuple[int, ...]) -> PaintedTargets | None:
        """What is painted in a part of a store, on the grid; by default nothing painted is learnt."""
        return None

    @abstractmethod
    def target(self, patches: Patches) -> dict[str, torch.Tensor]:
        """What the network should say of these patches, and where that is known; see `targets`."""

    @abstractmethod
    def loss(self, output: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Parts of the loss, whose sum is to be minimised.

        Parameters
        ----------
        output
            (B, `n_outputs`, Z, Y, X) of the network.
        batch
            The tensors of `target`.
        """

    # ---- held-out data ----

    @abstractmethod
    def validate(self, network: torch.nn.Module, examples: Any) -> Validation:
        """Score the network on held-out data."""

    @abstractmethod
    def finish(self, network: torch.nn.Module, examples: Any) -> Evidence:
        """Calibration, thresholds and scores on held-out data."""
