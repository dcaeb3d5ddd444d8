"""Networks of miniML, read from their Keras files and computed with torch.

Only numbers and the description of the layers are read (HDF5 and JSON); no Keras, no TensorFlow, and nothing is run. The
layers are those of miniML (O'Neill et al. 2025, eLife 13:RP98485): convolutions with batch normalisation and average
pooling, a bidirectional LSTM whose directions are added, and dense layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals import Signals

if TYPE_CHECKING:
    import torch

__all__ = ["KerasModel", "is_keras", "open_keras"]

_AT_ONCE = 256
_ALPHA = 0.3
_SKIPPED = ("InputLayer", "Dropout", "SpatialDropout1D")

Layer = Callable[["torch.Tensor"], "torch.Tensor"]


def is_keras(path: str | Path) -> bool:
    """Whether a path is an HDF5 file that describes a Keras network."""
    import h5py

    path = Path(path)
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    try:
        with h5py.File(path, "r") as file:
            return "model_config" in file.attrs and "model_weights" in file
    except OSError:
        return False


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
    layers: tuple[Layer, ...]

    def probability(self, windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What the network says (not calibrated) of windows (N, T) that are on its scale, 0 to 1, and of its length."""
        import torch

        found = []
        with torch.inference_mode():
            for at in range(0, len(windows), _AT_ONCE):
                x = torch.from_numpy(windows[at : at + _AT_ONCE].astype(np.float32))[..., None]
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
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        return self.probability((values - low) / np.maximum(high - low, 1e-12))


def open_keras(path: str | Path) -> KerasModel:
    """Read a network of miniML from its ``.h5`` file.

    Raises
    ------
    AnlageError
        If it is no such file, or it has layers that miniML's networks do not have.
    """
    import h5py

    path = Path(path)
    if not is_keras(path):
        raise AnlageError(f"'{path}' is no Keras network in HDF5; miniML's models are files like GC_lstm_model.h5.")
    try:
        with h5py.File(path, "r") as file:
            described = json.loads(file.attrs["model_config"])
            weights = {
                name: {key.rsplit("/", 1)[-1]: values for key, values in _arrays(group).items()} | _arrays(group)
                for name, group in file["model_weights"].items()
            }
        layers = described["config"]["layers"]
        shape = layers[0]["config"].get("batch_input_shape") or layers[0]["config"]["batch_shape"]
        made = [
            _layer(path, layer, weights.get(layer["config"]["name"], {}))
            for layer in layers
            if layer["class_name"] not in _SKIPPED
        ]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise AnlageError(f"'{path}' is no network of miniML, or it is damaged ({error}).") from error
    return KerasModel(path, int(shape[1]), tuple(made))


def _arrays(group: Any) -> dict[str, npt.NDArray[np.float32]]:
    import h5py

    found: dict[str, npt.NDArray[np.float32]] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name.removesuffix(":0")] = np.asarray(item, dtype=np.float32)

    group.visititems(take)
    return found


def _layer(path: Path, layer: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    kind, config = layer["class_name"], layer["config"]
    makers: dict[str, Callable[..., Layer]] = {
        "Conv1D": _convolution, "BatchNormalization": _normalisation, "LeakyReLU": _leaky, "AveragePooling1D": _pooling,
        "Bidirectional": _recurrent, "Dense": _dense, "ReLU": _leaky,
    }  # fmt: skip
    if kind not in makers:
        raise AnlageError(f"'{path}' has a layer of the kind {kind}, which miniML's networks do not have.")
    return makers[kind](config, weights)


def _convolution(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    import torch
    from torch.nn import functional

    kernel = torch.from_numpy(weights["kernel"]).permute(2, 1, 0).contiguous()  # (out, in, samples)
    bias = torch.from_numpy(weights["bias"])
    same = config["padding"] == "same"

    def run(x: torch.Tensor) -> torch.Tensor:
        pad = kernel.shape[2] - 1 if same else 0
        x = functional.pad(x.transpose(1, 2), (pad // 2, pad - pad // 2))
        return functional.conv1d(x, kernel, bias).transpose(1, 2)

    return run


def _normalisation(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    import torch

    scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + config["epsilon"])
    factor, offset = torch.from_numpy(scale), torch.from_numpy(weights["beta"] - weights["moving_mean"] * scale)
    return lambda x: x * factor + offset


def _leaky(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    from torch.nn import functional

    slope = float(config.get("alpha", config.get("negative_slope", _ALPHA)))
    return lambda x: functional.leaky_relu(x, slope)


def _pooling(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    from torch.nn import functional

    (size,), (step,) = config["pool_size"], config["strides"]
    return lambda x: functional.avg_pool1d(x.transpose(1, 2), size, step).transpose(1, 2)


def _recurrent(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    import torch

    cell = config["layer"]["config"]
    if config["layer"]["class_name"] != "LSTM" or config["merge_mode"] != "sum" or cell.get("return_sequences"):
        raise ValueError("only a bidirectional LSTM whose directions are added is known")
    units = int(cell["units"])
    size = next(v for k, v in weights.items() if "forward" in k and k.endswith("/kernel")).shape[0]
    lstm = torch.nn.LSTM(size, units, batch_first=True, bidirectional=True)
    order = np.concatenate([np.arange(units) + g * units for g in (0, 1, 2, 3)])  # input, forget, cell, output in both
    with torch.no_grad():
        for name, ending in (("forward", ""), ("backward", "_reverse")):
            mine = {k.rsplit("/", 1)[-1]: v for k, v in weights.items() if f"{name}_" in k}
            getattr(lstm, f"weight_ih_l0{ending}").copy_(torch.from_numpy(mine["kernel"].T[order]))
            getattr(lstm, f"weight_hh_l0{ending}").copy_(torch.from_numpy(mine["recurrent_kernel"].T[order]))
            getattr(lstm, f"bias_ih_l0{ending}").copy_(torch.from_numpy(mine["bias"][order]))
            getattr(lstm, f"bias_hh_l0{ending}").zero_()

    def run(x: torch.Tensor) -> torch.Tensor:
        _, (last, _) = lstm(x)
        both: torch.Tensor = last[0] + last[1]
        return both

    return run


def _dense(config: Mapping[str, Any], weights: Mapping[str, npt.NDArray[np.float32]]) -> Layer:
    import torch
    from torch.nn import functional

    kernel, bias = torch.from_numpy(weights["kernel"].T.copy()), torch.from_numpy(weights["bias"])
    activation = config["activation"]
    if isinstance(activation, dict):
        slope = float(activation["config"].get("alpha", activation["config"].get("negative_slope", _ALPHA)))
        return lambda x: functional.leaky_relu(functional.linear(x, kernel, bias), slope)
    known: dict[str, Layer] = {"sigmoid": torch.sigmoid, "linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
    after = known[activation]
    return lambda x: after(functional.linear(x, kernel, bias))
