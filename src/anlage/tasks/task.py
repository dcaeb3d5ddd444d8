"""The contract of a task: what a kind of network must supply; everything else is shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.calibration import Answers, Calibration, TemperatureScaling
from anlage.frozen import Finite, Frozen, Probability
from anlage.tasks.readiness import Readiness
from anlage.tasks.sources import Material, Stores

if TYPE_CHECKING:
    import torch

    from anlage.candidates import Candidates

__all__ = [
    "NOTHING_HELD_OUT",
    "Baseline",
    "Evidence",
    "Examples",
    "HeldOutFilm",
    "Kind",
    "Setting",
    "Task",
    "Validation",
]

NOTHING_HELD_OUT = "nothing: the training data themselves"
"""What was held out, where too little was annotated to hold anything out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that a task can be trained for: a card of the Train tab.

    Parameters
    ----------
    name, title
        What it is called in a program, and what people call it.
    task
        Name of the task.
    settings
        The parameters that make it this one, each as ``name=value``.
    unused
        Parameters of the task that these decide, or that mean nothing to it: a form need not show them.
    """

    name: str
    title: str
    task: str
    settings: tuple[str, ...] = ()
    unused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a run prepares its examples."""

    cache: Path
    """Folder for decoded training data; may be deleted at any time while nothing trains."""
    seed: int
    device: str
    batch_size: int | None
    """As the user set it; None lets the task choose from the data and the free memory."""
    augment: bool
    plan: Frozen | None = None
    """The plan that a resumed run made at its start, to be used as it is; None lets the task make one."""
    base: Frozen | None = None
    """The plan of the model that the run starts from: what shapes the network is taken from it; None without a model."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores of a network on held-out data."""

    loss: float
    score: float
    """Higher is better; the weights with the best score are kept."""
    metrics: Mapping[str, float]
    tie: float = 0.0
    """A score that is lower than the best by no more than this may be so by luck: the later weights, which learnt longer, are kept then."""
    n: int = 0
    """Held-out examples of the wanted kind behind the score; 0 where nobody counted."""


class Baseline(Finite):
    """What can be had without training, beside the network: on the same held-out examples, and by the same rule."""

    name: Literal[
        "the blob detector", "the distance alone", "always the same class", "always the commonest class", "chance"
    ]
    """What needs no training, as in a sentence."""
    measure: Annotated[str, Field(pattern=r"^[A-Za-z0-9 .,µ-]{1,80}$")]
    """What was measured of both, with its unit: 'F1 of centres within 2.8 µm'."""
    score: Annotated[float, Field(ge=0, le=1)]
    """Without training; higher is better."""
    network: Annotated[float, Field(ge=0, le=1)]
    """The network's own, by the same rule."""
    n: Annotated[int, Field(ge=0)]
    """Examples of the wanted kind (nuclei, links …) that both were measured on."""
    counts: dict[Literal["tp", "fp", "fn"], Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Found, wrong and missed without training, where the measure is made of these."""


class Evidence(Frozen):
    """What held-out data say of the finished network; goes into the card."""

    held_out: str
    """What was held out, as a sentence: '31 nuclei in 1 of 4 movies'."""
    n_positive: Annotated[int, Field(ge=0)]
    """Held-out examples of the wanted kind (nuclei, divisions, links)."""
    metrics: dict[str, float]
    """Scores on held-out data at the chosen threshold, by name."""
    threshold: Probability
    """Calibrated probability above which a prediction is reported."""
    thresholds: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """Further thresholds that were chosen with it, by name: 'inside', the probability from which a voxel is part of an object."""
    calibration: Calibration
    ece: float | None
    """Expected calibration error on held-out data; None where they were too few."""
    answers: Answers | None = None
    """How sure the network was of held-out examples, and what was true; None where nobody counted."""
    n_of: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Examples behind a metric, by its name, where these are not `n_positive`."""
    baseline: Baseline | None = None
    """What can be had without training; None where nobody measured it."""
    tracking: TemperatureScaling | None = None
    """Of a network whose answers make tracks: how the tracks' probabilities are to be scaled; None where too little was held out."""


@dataclass(frozen=True, slots=True)
class HeldOutFilm:
    """A held-out film as a detector might have found it, with a network's answers and what is right.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    points_um
        (N, 3) positions (z, y, x) in µm.
    share_real
        Share of them that are nuclei.
    candidates
        Candidates for links.
    links
        (E,) calibrated probability of each.
    divides
        (N,) probability of each nucleus to divide.
    right, known
        (E,) whether a candidate is a link, and whether that is known.
    """

    frames: npt.NDArray[np.int64]
    points_um: npt.NDArray[np.float64]
    share_real: float
    candidates: Candidates
    links: npt.NDArray[np.float64]
    divides: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


class Examples(Protocol):
    """The prepared data of one run."""

    @property
    def plan(self) -> Frozen:
        """What the data decided (grid, channels, patch, batch); kept in the run and the card."""
        ...

    @property
    def batch_size(self) -> int: ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the user: what was assumed or left out."""
        ...

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        """Examples of one optimiser step on the run's device: a pure function of the seed and `step`.

        So many, or so many for each of several networks that learn beside each other.
        """
        ...


class Task(ABC):
    """One kind of network. Stateless: all state lies in configs, examples and network.

    What has no default here, every kind must have; configs, plans and examples are those of the kind itself.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    use: ClassVar[str]
    """How a trained model is used: the command to type, with ``{model}`` for its file."""
    config: ClassVar[type[Frozen]]
    """Parameters of this task, beside those that every training has."""
    plan: ClassVar[type[Frozen]]
    """What the data decide at the start of a training; kept in the run and in the card."""

    material: ClassVar[Material] = Stores()
    """What it learns from, and how that is opened, checked and described in the card."""
    inherited: ClassVar[tuple[str, ...]] = ()
    """Parameters of `config` that shape the network: a training that starts from a model takes them from its card."""
    adapted: ClassVar[tuple[str, ...]] = ()
    """Those of `inherited` that may be set otherwise all the same: the weights that fit are taken over (`adopt`)."""

    steps: ClassVar[int]
    """Optimiser steps of a training, where the user sets neither steps nor epochs nor minutes."""
    least_steps: ClassVar[int] = 1
    """Optimiser steps below which nothing of use is learnt: a time limit never ends a training sooner."""
    validations: ClassVar[int] = 20
    """How often a training is validated on held-out data, about."""
    rate: ClassVar[float | None] = None
    """Highest learning rate of a training from fresh weights, where the user sets none; None: the usual one."""
    rate_from_model: ClassVar[float | None] = None
    """Highest learning rate of a training from a model's weights, where the user sets none; None: half of the usual one."""
    interpolates: ClassVar[bool] = False
    """Whether a training from a model may end part of the way back to the model's weights, where these predict held-out examples no worse."""
    way_tie: ClassVar[float] = 0.0
    """How much worse, as a part of the loss, weights nearer to that model may predict held-out examples and still be taken."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it can be trained for: one thing, unless parameters decide between several."""
        return (Kind(self.name, self.title, self.name),)

    def with_defaults(self, config: Any) -> Frozen:
        """The parameters, with defaults in place of what was left open and does not depend on the data."""
        filled: Frozen = config
        return filled

    def steps_for(self, config: Any, *, from_model: bool) -> int:
        """The usual number of steps with these parameters, from fresh weights or from those of a model."""
        return self.steps

    def least_steps_for(self, config: Any, *, from_model: bool) -> int:
        """The least number of steps with these parameters, from fresh weights or from those of a model."""
        return self.least_steps

    def warmup_steps(self, config: Any) -> int:
        """The least number of steps over which the learning rate rises."""
        return 0

    @abstractmethod
    def readiness(self, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        """What there is to learn from in these regions of an image, and what is missing, before any store is built."""

    def readiness_of(self, kind: str, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
        """The same for one of its `kinds`."""
        return self.readiness(nuclei, boxes)

    @abstractmethod
    def prepare(self, stores: Sequence[Any], config: Any, setting: Setting) -> Examples:
        """Decode, plan and split. Raises AnlageError, with what is missing, if the stores cannot train this task."""

    @abstractmethod
    def network(self, plan: Any, config: Any) -> torch.nn.Module:
        """A network with fresh weights (drawn from torch's global generator)."""

    @abstractmethod
    def loss(
        self, network: torch.nn.Module, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss to minimise, and its parts by name (detached)."""

    @abstractmethod
    def validate(self, network: Any, examples: Any) -> Validation:
        """Score the network on held-out data."""

    def views(self, examples: Any) -> Sequence[Any]:
        """The held-out data as a network may meet them: by the mean loss on these, weights on the way back to a model are chosen."""
        return (examples,)

    @abstractmethod
    def finish(self, network: Any, examples: Any) -> Evidence:
        """Calibrate and choose the threshold on held-out data; never raises for few or one-sided data."""

    def adopt(self, theirs: Mapping[str, Any], own: Mapping[str, Any], plan: Any) -> dict[str, Any]:
        """Weights of a model with other inputs, or another choice of what is `adapted`, as far as they fit this network's own.

        Parameters
        ----------
        theirs, own
            Arrays by name.
        plan
            Of this run.
        """
        return {name: array for name, array in theirs.items() if name in own and array.shape == own[name].shape}

    def held_out_films(self, network: Any, examples: Any, evidence: Evidence) -> Sequence[HeldOutFilm]:
        """Held-out films to fit the tracks' probabilities to; none of a network whose answers make no tracks."""
        return ()

    def save_held_out(self, network: Any, examples: Any, evidence: Evidence, folder: Path) -> None:
        """Write into the run's folder what is worth keeping of the held-out examples; by default nothing."""
        return
