"""What a training changes: a network's weights, their running average, and the moments of AdamW."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from anlage.errors import AnlageError
from anlage.training.config import TrainingConfig
from anlage.training.distributed import World

__all__ = ["AdamW", "Learner", "StepResult"]

_ENCODER = ("enter", "encoder", "down")
"""Parts of a network that `freeze_encoder` holds."""
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one optimiser step did."""

    loss: float
    """Mean over its batches."""
    parts: dict[str, float]
    """The same, part by part."""
    is_finite: bool
    """Whether loss and gradient are finite numbers; False: the step was not taken."""

    @classmethod
    def of(cls, losses: Sequence[tuple[torch.Tensor, dict[str, torch.Tensor]]], norm: torch.Tensor) -> Self:
        """Read a step's numbers from the device.

        Parameters
        ----------
        losses
            Loss of each batch, and its parts by name.
        norm
            Norm of the gradient.
        """
        loss, parts = losses[0]
        if len(losses) > 1:
            loss = torch.stack([one for one, _ in losses]).mean()
            parts = {name: torch.stack([of_one[name] for _, of_one in losses]).mean() for name in parts}
        # all numbers in one transfer: each one waits for the device
        numbers = torch.stack([loss.float(), norm.float(), *(part.float() for part in parts.values())]).tolist()
        return cls(numbers[0], dict(zip(parts, numbers[2:], strict=True)), all(map(math.isfinite, numbers[:2])))


class Learner:
    """Network, running average and optimiser; everything that they remember goes through `tensors` and `restore`.

    Parameters
    ----------
    network
        With fresh weights, on the device.
    config
        Of the training.
    world
        The processes that train together.
    device
        Where the network lies.
    """

    def __init__(self, network: nn.Module, config: TrainingConfig, world: World, device: str) -> None:
        self.network = network
        self.average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.best: dict[str, torch.Tensor] = {}
        """The average's tensors at the best validation; empty before it."""
        self.start: dict[str, torch.Tensor] = {}
        """Weights of the model that the training starts from, where it may end halfway back to them; else empty."""
        self._frozen = _freeze(network) if config.freeze_encoder else []
        self.parallel = world.data_parallel(network, device)
        """The network whose gradients are averaged over all processes; in one process the network itself."""
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        """Those that are learnt."""
        self._optimiser = _optimiser(self.parameters, config, device)

    def prepare_step(self) -> None:
        """Clear the gradients, and switch to training what is not frozen."""
        self._optimiser.zero_grad(set_to_none=True)
        self.parallel.train()
        for part in self._frozen:
            part.eval()

    def optimiser_step(self, rate: float) -> None:
        """Change the weights by AdamW, with this learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the running average towards the present weights."""
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for kept, seen in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(seen)

    def clear_gradients(self) -> None:
        """Free the memory of a step that did not come to its end."""
        self._optimiser.zero_grad(set_to_none=True)

    def keep_best(self) -> None:
        """Remember the running average as the best weights so far."""
        self.best = {name: tensor.detach().clone() for name, tensor in self.average.state_dict().items()}

    def use_best(self) -> None:
        """Replace the running average by the best weights; no step may follow."""
        if self.best:
            self.average.load_state_dict(self.best)

    def start_from(self, weights: Mapping[str, Any], source: str, *, remember: bool = False) -> None:
        """Take over the weights of a model; remember them where they are wanted at the end.

        Raises
        ------
        AnlageError
            If they do not fit this network.
        """
        own = self.network.state_dict()
        given = {name: torch.as_tensor(array) for name, array in weights.items()}
        odd = sorted(name for name in own.keys() ^ given.keys())
        odd += sorted(n for n in own.keys() & given.keys() if own[n].shape != given[n].shape)
        if odd:
            shapes = [tuple(w[odd[0]].shape) if odd[0] in w else "absent" for w in (given, own)]
            raise AnlageError(
                f"The weights of {source} do not fit this training ({odd[0]}: {shapes[0]} there, {shapes[1]} here); choose "
                "the channels, frames and network settings that the model was trained with, or start without a model."
            )
        self.network.load_state_dict(given)
        self.average.load_state_dict(given)
        if remember:
            self.start = {name: tensor.detach().clone() for name, tensor in self.average.state_dict().items()}

    def interpolated(self, share: float) -> nn.Module:
        """A network part of the way from the weights that the training started from (0) to the learnt ones (1).

        From few examples a network learns much that holds for these alone; halfway, most of that is gone, and most of what it
        gained is there (Wortsman et al. 2022, arXiv:2109.01903).
        """
        mixed = copy.deepcopy(self.average)
        own = self.average.state_dict()
        mixed.load_state_dict(
            {
                n: torch.lerp(self.start[n].to(t.device), t, share) if t.is_floating_point() else t
                for n, t in own.items()
            }
        )
        return mixed

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything to remember, by name."""
        found = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        found |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        found |= {f"best.{k}": v for k, v in self.best.items()}
        found |= {f"start.{k}": v for k, v in self.start.items()}
        for name, parameter in self.network.named_parameters():
            state = self._optimiser.state[parameter]
            found |= {f"adamw.{moment}.{name}": state[moment] for moment in _MOMENTS if moment in state}
        return found

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go back to what `tensors` gave.

        Raises
        ------
        AnlageError
            If the tensors are of another network.
        """
        try:
            # copied into the tensors that are there: memory read from a file may be aligned otherwise, and sum otherwise
            self.network.load_state_dict(_with_prefix(tensors, "network."))
            self.average.load_state_dict(_with_prefix(tensors, "average."))
            for name, parameter in self.network.named_parameters():
                state = self._optimiser.state[parameter]
                for moment in state:
                    state[moment].copy_(tensors[f"adamw.{moment}.{name}"])
        except (KeyError, RuntimeError) as error:
            raise AnlageError(
                "The checkpoint is of another network than this run's settings make; it was changed from outside, "
                "or by another version of anlage. Delete it, and the one before it that lies beside it, to train this run from the start."
            ) from error
        own = self.average.state_dict()
        for kept, prefix in (("best", "best."), ("start", "start.")):
            found = _with_prefix(tensors, prefix)
            setattr(self, kept, {name: torch.empty_like(own[name]).copy_(tensor) for name, tensor in found.items()})


class AdamW(torch.optim.AdamW):
    """torch's AdamW without what torch puts around its methods for its compiler, which nothing here uses.

    At the first call that would load the compiler, which takes about as long as torch itself.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def _optimiser(parameters: Sequence[nn.Parameter], config: TrainingConfig, device: str) -> AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,
        fused=device != "mps",  # each step brings its rate
    )
    # made now, not in the first step: running out of memory in the middle of a step would leave half of them behind
    for parameter in parameters:
        optimiser.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }
    return optimiser


def _freeze(network: nn.Module) -> list[nn.Module]:
    networks = getattr(network, "members", [network])
    parts = [part for one in networks for name, part in one.named_children() if name in _ENCODER]
    if not parts:
        raise AnlageError(
            f"freeze_encoder=true has no meaning here: {type(network).__name__} has no encoder. Leave the setting out."
        )
    for part in parts:
        part.requires_grad_(requires_grad=False)
    return parts


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
