"""The parameters that every training has, and `RunConfig`, which a run begins with."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from anlage.errors import AnlageError
from anlage.foreign import parsed_json
from anlage.frozen import Finite, Frozen, Name, first_problem
from anlage.stored_paths import resolve_stored_path
from anlage.tasks import task_named
from anlage.tasks.task import Task

__all__ = [
    "MOST_AT_ONCE",
    "MOST_THREADS",
    "RUN_SCHEMA",
    "RunConfig",
    "StoreRef",
    "TrainingConfig",
    "assign",
    "read_config",
]

RUN_SCHEMA = 1
_LEARNING_RATE = 4e-3


MOST_AT_ONCE = 65536
"""Examples in a batch."""
MOST_THREADS = 1024
Count = Annotated[int, Field(ge=1, le=10**9)]


class TrainingConfig(Finite):
    """Parameters of every training, whatever it trains."""

    steps: Count | None = None
    """Optimiser steps. None: as many as `epochs` make or fit into `minutes`; where these are not set either, the task's own number, which `anlage train --help` lists."""
    epochs: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Instead of steps: how often each annotated example is seen, on average."""
    minutes: Annotated[float, Field(gt=0, le=1e7)] | None = None
    """Time limit in minutes for learning, with validation and calibration; preparing the data before is not counted. On a busy or slow machine it gives way to a least number of steps (60 to 120, by the task), with a note. With `steps` or `epochs` these decide, and the time only ends what takes longer. None: no limit."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Random seed: on the CPU the same seed and the same number of steps give the same weights, bit for bit."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Highest learning rate of AdamW, reached after the warm-up; it then falls along a cosine. None: 0.004 from fresh weights, of divisions 0.001; from a model's half of it, of events an eighth."""
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] = 1e-3
    """Weight decay of AdamW on convolution and matrix weights."""
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """A gentle beginning, so that what a model knows already is not shaken off: share of the steps over which the learning rate rises; where outlines are learnt over 20 steps at least, and divisions over 45, but no more than a quarter of all."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """A guard against leaps that a single odd example would cause: highest norm of the gradient; a longer one is shortened to it."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] | None = None
    """Examples in each step. None: chosen from the data and the free memory."""
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    """For little memory: batches whose gradients are averaged to one step, which is as good as a larger batch. 1 is right where the memory suffices."""
    validate_every: Count | None = None
    """Steps between two validations on held-out data. None: about twenty in all (of events eight); where `minutes` alone decide, fewer if one takes long."""
    patience: Count | None = 10
    """Stop early after so many validations in a row without a better score. None: never."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 20.0
    """Seconds between two checkpoints: a crash loses at most about so much time. It does not change the result."""
    checkpoint_steps: Count | None = None
    """Steps between two checkpoints, beside those by time. None: by time alone. It does not change the result."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """Decay, per step, of the running average of the weights, which is what is validated and kept."""
    augment: bool = True
    """Show every example in random variations (turned, scaled, mirrored, brighter, noisier)."""
    freeze_encoder: bool = False
    """Keep the encoder's weights as they are in the model that the training starts from."""
    fresh_weights: bool = False
    """Take from the model that the training starts from its architecture alone, with fresh weights: what shapes the network, and for events the signals and their scales."""
    tensorboard: bool = False
    """Also write the curves for TensorBoard, into the run's folder `tensorboard` (needs the package tensorboard)."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda:0, mps."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes of this computer that train one network together, each with a batch of its own and, where `device` is a graphics card, on a card of its own."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the matrix work. auto: bfloat16 where the hardware does it natively."""
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] | None = None
    """CPU threads. None: as many as torch chooses. Another number of threads gives slightly different weights."""


class StoreRef(Finite):
    """A store that a run trains on."""

    path: str
    """Absolute path."""
    relative: str = ""
    """Path from the run folder; it comes first, for projects that were moved or copied with their stores."""
    hash: str
    """The store's content hash when the run was made."""

    def place(self, folder: Path) -> Path:
        """Where the store is, for the run in this folder; where it was if it is gone."""
        return resolve_stored_path(folder, self.path, self.relative) or Path(self.path)

    @property
    def stem(self) -> str:
        """Its name without suffix, whichever system wrote the path."""
        return PureWindowsPath(self.path).stem


class RunConfig(Finite):
    """What a run begins with: ``run.json``. Never changed afterwards."""

    schema_version: Annotated[int, Field(ge=1, le=RUN_SCHEMA)] = RUN_SCHEMA
    name: Name
    """Name of the model that the run makes."""
    created: str
    """When the run was made, ISO 8601 in UTC."""
    versions: dict[str, str]
    """Versions of anlage, Python and torch when the run was made."""
    task: str
    stores: tuple[StoreRef, ...]
    training: TrainingConfig
    settings: dict[str, JsonValue]
    """The task's own configuration."""
    start_from: str | None = None
    """Path of the model whose weights the training starts from; None: fresh weights."""

    @property
    def from_weights(self) -> bool:
        """Whether the training starts from the weights of a model."""
        return self.start_from is not None and not self.training.fresh_weights

    @property
    def learning_rate(self) -> float:
        """Highest learning rate: as set, else gentler where a model's weights are to be kept in mind."""
        return self.training.learning_rate or (_LEARNING_RATE / 2 if self.from_weights else _LEARNING_RATE)


def read_config(folder: Path) -> RunConfig:
    """Read what a run folder begins with.

    Raises
    ------
    AnlageError
        If the folder is no run, or it was made by a newer version.
    """
    try:
        text = (folder / "run.json").read_bytes()
    except OSError:
        raise AnlageError(
            f"{folder} is no run: it has no run.json. Give the folder that `anlage train … -o RUN` made, or train anew."
        ) from None
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        raise AnlageError(_unreadable(folder, text, error)) from error


def assign(
    task: str,
    assignments: Sequence[str] = (),
    tasks: Mapping[str, Task] | None = None,
    base: Mapping[str, JsonValue] | None = None,
) -> tuple[TrainingConfig, Frozen]:
    """Configure a training by ``name=value`` texts.

    Parameters
    ----------
    task
        Name of the task.
    assignments
        Each ``name=value``; names of `TrainingConfig` and of the task's config together. Lists are written ``0,2``,
        absence ``none``.
    tasks
        The tasks there are, by name; None: those of `anlage.tasks`.
    base
        Settings of the model that the training starts from; those that shape the network are taken over from it.

    Raises
    ------
    AnlageError
        If a name is unknown (the nearest are named), a value is not possible, or it contradicts the model to start from.
    """
    about = task_named(task, tasks)
    config = about.config
    values: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise AnlageError(f"The setting '{text}' is not of the form name=value, for example steps=500.")
        owner = _owner(name, task, (TrainingConfig, config))
        values[name] = _parsed(owner, name, value.strip())
    training = {k: v for k, v in values.items() if k in TrainingConfig.model_fields}
    rest = {k: v for k, v in values.items() if k not in training}
    if base is not None:
        own = set(about.adapted) & set(rest)
        taken = {n: base[n] for n in about.inherited if n in base and n not in own}
        rest |= _inherited(config, taken, rest)
    return TrainingConfig(**training), about.with_defaults(_validated(config, rest))


def _unreadable(folder: Path, text: bytes, error: ValidationError) -> str:
    with contextlib.suppress(AnlageError):
        found = parsed_json(text, "run.json")
        version = found.get("schema_version") if isinstance(found, dict) else None
        if isinstance(version, int) and version > RUN_SCHEMA:
            return (
                f"The run {folder} was made by a newer anlage (schema {version}; this one reads up to {RUN_SCHEMA}); "
                "install the newer version."
            )
    return f"The run {folder} cannot be read: {first_problem(error)}. Make a new run."


def _inherited(config: type[Frozen], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that shape the network as the model has them; another choice is a contradiction."""
    try:
        there = config.model_validate(dict(theirs))
    except ValidationError as error:
        item = error.errors()[0]
        raise AnlageError(
            f"The model to start from has settings that this version of anlage does not know ({'.'.join(map(str, item['loc']))}: "
            f"{item['msg']}); train without starting from it."
        ) from error
    for name in theirs:
        had, wanted = (
            getattr(there, name),
            getattr(config.model_validate({name: ours[name]}) if name in ours else there, name),
        )
        if had != wanted:
            raise AnlageError(
                f"The setting {name}={_shown(wanted)} contradicts the model to start from, which was made with "
                f"{name}={_shown(had)}: leave the setting out, or train without --from."
            )
    return {name: getattr(there, name) for name in theirs}


def _shown(value: Any) -> str:
    """A value as it is written after --set."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def _owner(name: str, task: str, models: Sequence[type[Frozen]]) -> type[Frozen]:
    for model in models:
        if name in model.model_fields:
            return model
    known = sorted({field for model in models for field in model.model_fields})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
    raise AnlageError(f"There is no setting '{name}' for training {task}; {hint}")


def _parsed(model: type[Frozen], name: str, text: str) -> Any:
    """Value of a field written as text: the first reading of the text that the field takes."""
    readings: list[Any] = []
    if text.lower() in ("none", "null"):
        readings.append(None)
    with contextlib.suppress(AnlageError):
        readings.append(parsed_json(text.encode("utf-8", "replace"), "The value"))
    readings += [text, [part.strip() for part in text.split(",")]]
    problems = []
    for reading in readings:
        problem = _problem(model, name, reading)
        if problem is None:
            return reading
        problems.append(problem)
    about = (model.model_fields[name].description or "").split("\n")[0]
    raise AnlageError(f"The setting {name}={text} is not possible: {problems[0]}. {name}: {about}".rstrip(": "))


def _problem(model: type[Frozen], name: str, value: Any) -> str | None:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        for item in error.errors():
            if item["loc"][:1] == (name,):
                return item["msg"][:1].lower() + item["msg"][1:]
    return None


def _validated(model: type[Frozen], values: dict[str, Any]) -> Frozen:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        item = error.errors()[0]
        raise AnlageError(f"These settings do not go together: {item['msg']}.") from error
