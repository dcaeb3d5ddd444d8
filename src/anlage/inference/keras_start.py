"""A network of miniML as the start of a training: its weights in the architecture that can be trained."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.calibration import Calibration
from anlage.card import Card
from anlage.errors import AnlageError
from anlage.foreign import border
from anlage.inference.keras_config import (
    Activation,
    Convolution,
    Dense,
    Layer,
    Leaky,
    Normalisation,
    Pooling,
    described_layers,
    typed,
)
from anlage.inference.keras_model import ONSET, is_keras, keras_content, open_keras
from anlage.installed import versions
from anlage.model import Model, load_model, read_card
from anlage.tasks.events.config import EventsConfig, EventsPlan, RecurrentShape
from anlage.tasks.events.scale import SignalScale
from anlage.tasks.task import Evidence

__all__ = ["card_to_start_from", "model_to_start_from"]

_STRIDES = 30
_ORDER = ("Conv1D", "BatchNormalization", "LeakyReLU", "ReLU", "AveragePooling1D", "Bidirectional", "Dense")

Arrays = dict[str, npt.NDArray[Any]]


def card_to_start_from(path: str | Path) -> Card:
    """The card of a model, or of what a network of miniML is as one."""
    return model_to_start_from(path).card if is_keras(path) else read_card(Path(path))


def model_to_start_from(path: str | Path, task: str | None = None) -> Model:
    """A model to start a training from: a file of this program, or a Keras network of miniML.

    Raises
    ------
    AnlageError
        If it is damaged, for another task, or its layers are not those of miniML in their order.
    """
    path = Path(path)
    if not is_keras(path):
        return load_model(path, task=task)
    if task not in (None, "events"):
        raise AnlageError(f"'{path}' is a network of miniML, which finds events; no training of {task} starts from it.")
    open_keras(path)  # all of it is checked there
    return _read(path)


@dataclass(frozen=True, slots=True)
class _KerasStart(Model):
    """Its weights are those of the Keras file, the same for every network that learns beside the others."""

    member: Arrays

    def weights(self) -> Arrays:
        n = int(self.card.config["members"])
        return {f"members.{i}.{name}": values.copy() for i in range(n) for name, values in self.member.items()}


def _read(path: Path) -> Model:
    what = f"The network '{path}'"
    with border(what):
        text, weights = keras_content(path, what)
    window, layers = described_layers(text, what)
    known = [layer for layer in layers if layer.class_name in _ORDER]
    with border(what):
        shape, member = _convolutions(known, weights, what)
        member |= _head(known, weights, what)
    plan = EventsPlan(
        kind="repeated", event="", scales=(SignalScale(name="signal", how="none"),), window=window,
        stride=max(1, window // _STRIDES), dilations=(1,), longest=window, interval_s=None, onset=ONSET, direction=0,
        recurrent=RecurrentShape(
            convolutions=shape, units=member["lstm.weight_hh_l0"].shape[1], hidden=len(member["hidden.bias"]), slope=_slope(known, what)
        ),
    )  # fmt: skip
    card = Card(
        name=path.stem, task="events", created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), version=versions(["anlage"]).get("anlage", ""),
        channels=("signal",), plan=plan.model_dump(mode="json"), config=EventsConfig(normalise=("none",)).model_dump(mode="json"),
        trained_on=(), evidence=Evidence(held_out="nothing of it is known", n_positive=0, metrics={}, threshold=0.5, calibration=Calibration(), ece=None),
    )  # fmt: skip
    return _KerasStart(card, path, member)


def _slope(layers: list[Layer], what: str) -> float:
    found = next((layer for layer in layers if layer.class_name in ("LeakyReLU", "ReLU")), None)
    return 0.3 if found is None else float(typed(Leaky, found, what).slope)


def _convolutions(
    layers: list[Layer], weights: Mapping[str, Any], what: str
) -> tuple[tuple[tuple[int, int, int], ...], Arrays]:
    """Channels, kernel and pooling of each, and their weights."""
    shapes: list[tuple[int, int, int]] = []
    member: Arrays = {}
    for layer in layers:
        own, at = weights.get(layer.name, {}), f"encoder.{len(shapes) - 1}"
        if layer.class_name == "Conv1D":
            if typed(Convolution, layer, what).padding != "same":
                raise AnlageError(
                    f"{what} has convolutions without padding, which cannot be trained here; choose another."
                )
            kernel = own["kernel"].transpose(2, 1, 0)
            at = f"encoder.{len(shapes)}"
            shapes.append((kernel.shape[0], kernel.shape[2], 1))
            member |= {f"{at}.look.weight": kernel, f"{at}.look.bias": own["bias"]}
            member |= {
                f"{at}.gain": np.ones((len(kernel), 1), np.float32),
                f"{at}.offset": np.zeros((len(kernel), 1), np.float32),
            }
        elif layer.class_name == "BatchNormalization" and shapes:
            epsilon = np.float32(typed(Normalisation, layer, what).epsilon)
            gain = own["gamma"] / np.sqrt(np.maximum(own["moving_variance"], 0) + epsilon)
            member |= {f"{at}.gain": gain[:, None], f"{at}.offset": (own["beta"] - own["moving_mean"] * gain)[:, None]}
        elif layer.class_name == "AveragePooling1D" and shapes:
            shapes[-1] = (*shapes[-1][:2], int(typed(Pooling, layer, what).pool_size[0]))
    return tuple(shapes), member


def _head(layers: list[Layer], weights: Mapping[str, Any], what: str) -> Arrays:
    """Weights of the LSTM and of the two dense layers behind it."""
    recurrent = [layer for layer in layers if layer.class_name == "Bidirectional"]
    dense = [layer for layer in layers if layer.class_name == "Dense"]
    if (
        len(recurrent) != 1
        or len(dense) != 2
        or not isinstance(typed(Dense, dense[0], what).activation, Activation | str)
    ):
        raise AnlageError(f"{what} has not the one LSTM and two dense layers of miniML, so no training starts from it.")
    member: Arrays = {}
    own = weights[recurrent[0].name]
    for way, ending in (("forward", ""), ("backward", "_reverse")):
        mine = {key.rsplit("/", 1)[-1]: values for key, values in own.items() if f"{way}_" in key}
        member[f"lstm.weight_ih_l0{ending}"] = mine["kernel"].T
        member[f"lstm.weight_hh_l0{ending}"] = mine["recurrent_kernel"].T
        member[f"lstm.bias_ih_l0{ending}"] = mine["bias"]
        member[f"lstm.bias_hh_l0{ending}"] = np.zeros_like(mine["bias"])
    for name, layer in zip(("hidden", "out"), dense, strict=True):
        member[f"{name}.weight"], member[f"{name}.bias"] = weights[layer.name]["kernel"].T, weights[layer.name]["bias"]
    return {name: np.ascontiguousarray(values) for name, values in member.items()}
