"""The layer configuration in miniML's Keras files, checked and without running anything from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from anlage.errors import AnlageError
from anlage.foreign import check_size, parsed_json, printable
from anlage.frozen import Finite, Frozen, first_problem

__all__ = [
    "MOST_SAMPLES", "Activation", "Convolution", "Dense", "Layer", "Leaky", "Normalisation", "Pooling", "Recurrent",
    "described_layers", "typed",
]  # fmt: skip

MOST_SAMPLES = 20_000
"""Of a window; miniML's have 600."""
_MOST_UNITS = 4096
_MOST_LAYERS = 200
_SLOPE = 0.3
"""Keras' own, where a leaky layer says nothing."""

Slope = Annotated[float, Field(ge=-10, le=10)]


class _Described(Finite):
    """A part of the description; Keras says more than is looked at."""

    model_config = ConfigDict(**{**Frozen.model_config, "extra": "ignore"})


class Convolution(_Described):
    """A convolution over samples."""

    padding: Literal["same", "valid"]
    strides: tuple[Literal[1]] = (1,)
    dilation_rate: tuple[Literal[1]] = (1,)
    groups: Literal[1] = 1
    activation: Literal["linear"] = "linear"


class Normalisation(_Described):
    """A batch normalisation."""

    epsilon: Annotated[float, Field(ge=1e-12, le=1)]


class Leaky(_Described):
    """A leaky activation."""

    alpha: Slope | None = None
    negative_slope: Slope | None = None

    @property
    def slope(self) -> float:
        given = self.negative_slope if self.alpha is None else self.alpha
        return _SLOPE if given is None else given


class Pooling(_Described):
    """The mean of neighbouring samples."""

    pool_size: tuple[Annotated[int, Field(ge=1, le=MOST_SAMPLES)]]
    strides: tuple[Annotated[int, Field(ge=1, le=MOST_SAMPLES)]]
    padding: Literal["valid"] = "valid"


class Cell(_Described):
    """What an LSTM computes."""

    units: Annotated[int, Field(ge=1, le=_MOST_UNITS)]
    return_sequences: Literal[False] = False


class Recurrence(_Described):
    """One direction of a recurrent layer."""

    class_name: Literal["LSTM"]
    config: Cell


class Recurrent(_Described):
    """A bidirectional LSTM whose directions are added."""

    layer: Recurrence
    merge_mode: Literal["sum"]


class Activation(_Described):
    """A leaky activation that is an object of its own."""

    class_name: Literal["LeakyReLU", "ReLU"]
    config: Leaky


class Dense(_Described):
    """A dense layer and its activation."""

    activation: Literal["sigmoid", "linear", "relu", "tanh"] | Activation


class Layer(_Described):
    """One layer."""

    class_name: Annotated[str, Field(max_length=200)]
    config: dict[str, Any]

    @property
    def name(self) -> str:
        """Under which the file keeps its weights."""
        return str(self.config.get("name", ""))


class _Layers(_Described):
    layers: Annotated[tuple[Layer, ...], Field(min_length=2, max_length=_MOST_LAYERS)]


class _Network(_Described):
    config: _Layers


class _Shape(_Described):
    batch_input_shape: tuple[None, int, Literal[1]] | None = None
    batch_shape: tuple[None, int, Literal[1]] | None = None


def described_layers(text: bytes, what: str) -> tuple[int, tuple[Layer, ...]]:
    """Samples of a window, and the layers behind the input.

    Parameters
    ----------
    text
        JSON, as Keras writes it.
    what
        The file, for the message: ``"The network 'GC.h5'"``.

    Raises
    ------
    AnlageError
        If it is not the description of such a network, or its window is longer than any.
    """
    found = parsed_json(text, what)
    try:
        layers = _Network.model_validate(found).config.layers
        shape = _Shape.model_validate(layers[0].config)
    except ValidationError as error:
        raise AnlageError(f"{what} is none of miniML: {first_problem(error)}; choose another file.") from error
    given = shape.batch_input_shape or shape.batch_shape
    if given is None:
        raise AnlageError(f"{what} does not say how long its windows are; choose another file.")
    check_size(given[1], MOST_SAMPLES, f"{what} looks at windows whose number of samples")
    if given[1] < 1:
        raise AnlageError(f"{what} looks at windows of {given[1]} samples; choose another file.")
    return given[1], layers


def typed(kind: type[_Described], layer: Layer, what: str) -> Any:
    """The configuration of a layer as its own record. Raises AnlageError if it is not one."""
    try:
        return kind.model_validate(layer.config)
    except ValidationError as error:
        name = printable(layer.class_name)
        raise AnlageError(
            f"{what} has a layer {name} that miniML's networks do not have ({first_problem(error)}); choose another file."
        ) from error
