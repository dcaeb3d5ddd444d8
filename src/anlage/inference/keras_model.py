"""Read miniML's Keras networks and compute them with torch.

Only numbers and the description of the layers are read (HDF5 and JSON); no Keras, no TensorFlow, and nothing is run. The
layers are those of miniML (O'Neill et al. 2025, eLife 13:RP98485): convolutions with batch normalisation and average
pooling, a bidirectional LSTM whose directions are added, and dense layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import border, check_size, printable
from anlage.inference.keras_config import (
    Activation,
    Convolution,
    Dense,
    Layer,
    Leaky,
    Normalisation,
    Pooling,
    Recurrent,
    described_layers,
    typed,
)  # fmt: skip
from anlage.io.kinds import FileKind, kind_of
from anlage.signals.signals import Signals

if TYPE_CHECKING:
    import torch

__all__ = ["ONSET", "KerasModel", "is_keras", "keras_content", "open_keras"]

ONSET = 0.4
"""Where the windows that a network of miniML says yes to hold the beginning of the event, as a part of the window: the middle of them."""

_MOST_AT_ONCE = 256
_MOST_SAMPLES_AT_ONCE = 256 * 1000
"""Windows, and samples of windows, that are computed at once: some hundred megabytes."""
_MOST_WEIGHTS = 50_000_000
_SKIPPED = ("InputLayer", "Dropout", "SpatialDropout1D")

Step = Callable[["torch.Tensor"], "torch.Tensor"]


def is_keras(path: str | Path) -> bool:
    """Whether a path is an HDF5 file that describes a Keras network."""
    return kind_of(path) is FileKind.KERAS


@dataclass(frozen=True, slots=True)
class KerasModel:
    """A network for windows of one signal.

    Parameters
    ----------
    path
        The file that it was read from.
    window
        Samples of a window; others are resampled to it.
    layers
        What is computed, in order, from (N, T, 1).
    """

    path: Path
    window: int
    layers: tuple[Step, ...]

    def probability(self, windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What the network says (not calibrated) of windows (N, T) that are on its scale, 0 to 1, and of its length."""
        import torch

        found = []
        n = max(1, min(_MOST_AT_ONCE, _MOST_SAMPLES_AT_ONCE // self.window))
        with torch.inference_mode():
            for at in range(0, len(windows), n):
                x = torch.from_numpy(windows[at : at + n].astype(np.float32))[..., None]
                for layer in self.layers:
                    x = layer(x)
                found.append(x[:, 0].numpy())
        return np.concatenate(found).astype(np.float64) if found else np.zeros(0)

    def score(self, signals: Signals, *, invert: bool = False) -> npt.NDArray[np.float64]:
        """Probability of an event for each window of any length: resampled, then its smallest value 0 and its largest 1.

        Raises
        ------
        AnlageError
            If there are several signals, or a sample is missing.
        """
        from scipy.signal import resample

        if len(signals.names) != 1:
            raise AnlageError(
                f"'{self.path.name}' looks at a single signal, but there are {', '.join(signals.names)}; choose one."
            )
        values = signals.values[:, 0] * (-1 if invert else 1)
        if not np.isfinite(values).all():
            raise AnlageError(
                f"'{self.path.name}' cannot look at windows with missing samples; fill them in, or train a network here."
            )
        if values.shape[1] != self.window:
            values = resample(values, self.window, axis=1)
        return self.probability(_scaled(values))

    def slide(self, trace: npt.NDArray[np.float64], stride: int) -> npt.NDArray[np.float64]:
        """Probability of an event in the window around each `stride`-th sample of a trace (T,), (P,); each on its own scale."""
        half = self.window // 2
        padded = np.pad(trace, (half, self.window), mode="reflect")
        starts = np.arange(0, len(trace), stride)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window)
        n = max(1, _MOST_SAMPLES_AT_ONCE // self.window)
        pieces = [self.probability(_scaled(windows[starts[at : at + n]])) for at in range(0, len(starts), n)]
        return np.concatenate(pieces)


def _scaled(windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each window (N, T) from its smallest value, 0, to its largest, 1."""
    low, high = windows.min(axis=1, keepdims=True), windows.max(axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = (windows - low) / np.maximum(high - low, 1e-12)
    return scaled


def open_keras(path: str | Path) -> KerasModel:
    """Read a network of miniML from its ``.h5`` file.

    Raises
    ------
    AnlageError
        If it is no such file, or it has layers that miniML's networks do not have.
    """
    path = Path(path)
    if not is_keras(path):
        raise AnlageError(f"'{path}' is no Keras network in HDF5; miniML's models are files like GC_lstm_model.h5.")
    what = f"The network '{path}'"
    with border(what):
        text, weights = keras_content(path, what)
    window, layers = described_layers(text, what)
    with border(what):
        made = [
            _layer(what, layer, weights.get(layer.name, {})) for layer in layers if layer.class_name not in _SKIPPED
        ]
        model = KerasModel(path, window, tuple(made))
        answer = model.probability(np.zeros((1, window)))
    if not np.isfinite(answer).all():
        raise AnlageError(f"{what} does not answer with a number; it is damaged, choose another file.")
    return model


Weights = Mapping[str, npt.NDArray[np.float32]]


def keras_content(path: Path, what: str) -> tuple[bytes, dict[str, dict[str, npt.NDArray[np.float32]]]]:
    """The description of the layers, and the weights of each layer by their full and their last names."""
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs["model_config"]
        group = file["model_weights"]
        found = {name: _arrays(group[name], what) for name in group if _lies_here(group, name, what)}
    by_name = {
        name: {key.rsplit("/", 1)[-1]: values for key, values in own.items()} | own for name, own in found.items()
    }
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "replace"), by_name


def _lies_here(group: Any, name: str, what: str) -> bool:
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise AnlageError(
            f"{what} keeps a part of itself in another file, which is not followed; copy all into one file."
        )
    return True


def _arrays(group: Any, what: str) -> dict[str, npt.NDArray[np.float32]]:
    """The numbers below a group, by their paths."""
    import h5py

    found: dict[str, npt.NDArray[np.float32]] = {}
    read = 0

    def take(name: str, item: Any) -> None:
        nonlocal read
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual:
            raise AnlageError(f"{what} keeps numbers in another file, which is not followed; copy all into one file.")
        if item.dtype.kind not in "iuf":
            raise AnlageError(f"{what} has weights that are no numbers ({item.dtype}); choose another file.")
        read += item.size
        check_size(read, _MOST_WEIGHTS, f"{what} has weights, whose number")
        found[name.removesuffix(":0")] = np.asarray(item, dtype=np.float32)

    if isinstance(group, h5py.Group):
        group.visititems(take)
    return found


def _layer(what: str, layer: Layer, weights: Weights) -> Step:
    makers: dict[str, tuple[type[Any], Callable[..., Step]]] = {
        "Conv1D": (Convolution, _convolution), "BatchNormalization": (Normalisation, _normalisation),
        "LeakyReLU": (Leaky, _leaky), "ReLU": (Leaky, _leaky), "AveragePooling1D": (Pooling, _pooling),
        "Bidirectional": (Recurrent, _recurrent), "Dense": (Dense, _dense),
    }  # fmt: skip
    if layer.class_name not in makers:
        named = printable(layer.class_name)
        raise AnlageError(f"{what} has a layer of the kind {named}, which miniML's networks do not have.")
    kind, make = makers[layer.class_name]
    return make(typed(kind, layer, what), weights)


def _convolution(config: Convolution, weights: Weights) -> Step:
    import torch
    from torch.nn import functional

    kernel = torch.from_numpy(weights["kernel"]).permute(2, 1, 0).contiguous()  # (out, in, samples)
    bias = torch.from_numpy(weights["bias"])
    pad = kernel.shape[2] - 1 if config.padding == "same" else 0

    def run(x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x.transpose(1, 2), (pad // 2, pad - pad // 2))
        return functional.conv1d(x, kernel, bias).transpose(1, 2)

    return run


def _normalisation(config: Normalisation, weights: Weights) -> Step:
    import torch

    scale = weights["gamma"] / np.sqrt(np.maximum(weights["moving_variance"], 0) + np.float32(config.epsilon))
    factor, offset = torch.from_numpy(scale), torch.from_numpy(weights["beta"] - weights["moving_mean"] * scale)
    return lambda x: x * factor + offset


def _leaky(config: Leaky, weights: Weights) -> Step:
    from torch.nn import functional

    return lambda x: functional.leaky_relu(x, config.slope)


def _pooling(config: Pooling, weights: Weights) -> Step:
    from torch.nn import functional

    (size,), (step,) = config.pool_size, config.strides
    return lambda x: functional.avg_pool1d(x.transpose(1, 2), size, step).transpose(1, 2)


def _recurrent(config: Recurrent, weights: Weights) -> Step:
    import torch

    units = config.layer.config.units
    ways = {
        ending: {k.rsplit("/", 1)[-1]: v for k, v in weights.items() if f"{name}_" in k}
        for name, ending in (("forward", ""), ("backward", "_reverse"))
    }
    size = ways[""]["kernel"].shape[0]
    for mine in ways.values():
        if mine["kernel"].shape != (size, 4 * units) or mine["recurrent_kernel"].shape != (units, 4 * units):
            raise ValueError(f"the weights of its LSTM are not those of {units} units")
    lstm = torch.nn.LSTM(size, units, batch_first=True, bidirectional=True)
    with torch.no_grad():  # input, forget, cell, output: the same order in both libraries
        for ending, mine in ways.items():
            getattr(lstm, f"weight_ih_l0{ending}").copy_(torch.from_numpy(mine["kernel"].T.copy()))
            getattr(lstm, f"weight_hh_l0{ending}").copy_(torch.from_numpy(mine["recurrent_kernel"].T.copy()))
            getattr(lstm, f"bias_ih_l0{ending}").copy_(torch.from_numpy(mine["bias"]))
            getattr(lstm, f"bias_hh_l0{ending}").zero_()

    def run(x: torch.Tensor) -> torch.Tensor:
        _, (last, _) = lstm(x)
        both: torch.Tensor = last[0] + last[1]
        return both

    return run


def _dense(config: Dense, weights: Weights) -> Step:
    import torch
    from torch.nn import functional

    kernel, bias = torch.from_numpy(weights["kernel"].T.copy()), torch.from_numpy(weights["bias"])
    if isinstance(config.activation, Activation):
        slope = config.activation.config.slope
        return lambda x: functional.leaky_relu(functional.linear(x, kernel, bias), slope)
    known: dict[str, Step] = {"sigmoid": torch.sigmoid, "linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
    after = known[config.activation]
    return lambda x: after(functional.linear(x, kernel, bias))
