"""Everything that a training needs to go on exactly, in one file.

safetensors: the weights, their running average, the best average, AdamW's moments; and, as JSON in the file's header, the
`TrainingState`, and a checksum of both. Written to a temporary name and renamed, so there is always one whole checkpoint; the one before
it is kept beside it, for the case that a disk has spoilt the newest. No pickle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.training.files import write_whole

__all__ = ["TrainingState", "load_checkpoint", "newest_checkpoint", "previous_of", "save_checkpoint"]

_KEY, _SUM = "anlage", "sha256"
_DAMAGE = (SafetensorError, ValidationError, OSError, RuntimeError, KeyError, AttributeError, TypeError, ValueError)
"""What reading a damaged checkpoint raises, in its library or here."""
_MOST_STEPS = 10**9

Checkpoint = tuple[dict[str, torch.Tensor], "TrainingState"]
Steps = Annotated[int, Field(ge=0, le=_MOST_STEPS)]


class TrainingState(Frozen):
    """Where a training stands, beside its tensors. The names of the fields are those in the file."""

    model_config = ConfigDict(**Frozen.model_config, ser_json_inf_nan="strings")

    schema_version: Literal[1] = 1
    step: Steps = 0
    """Optimiser steps done."""
    steps: Steps | None = None
    """Steps planned; None until the machine's speed is known."""
    validate_every: Annotated[int, Field(ge=1, le=_MOST_STEPS)] | None = None
    """Steps between two validations; None like `steps`."""
    batch_size: Annotated[int, Field(ge=1, le=10**6)]
    halved: bool = False
    """Whether the batch was halved because memory ran out."""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Time spent on the run so far, in all its processes."""
    learning_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The same without preparing the data; None in a checkpoint of an earlier version."""
    skipped: Steps = 0
    """Steps in a row whose loss was not finite."""
    best_step: Steps | None = None
    """Step of the weights that are kept; score, loss, metrics and number of examples are of their own validation."""
    best_score: float = float("-inf")
    best_loss: float = float("inf")
    best_metrics: dict[str, float] = Field(default_factory=dict)
    best_n: Annotated[int, Field(ge=0)] = 0
    highest_score: float | None = None
    """Highest score of any validation: later weights may be kept whose score is a little lower by luck; None in a checkpoint of an
    earlier version, or before the first validation."""
    looks_without_gain: Steps = 0
    """Validations in a row without a better score."""
    validated_step: Steps | None = None
    """Step of the last validation, so that none is made twice."""
    complete: bool = False
    """Whether only calibration and the model are left."""

    @property
    def all_steps_made(self) -> bool:
        return self.steps is not None and self.step >= self.steps

    @property
    def highest(self) -> float:
        """Highest score of any validation."""
        return self.best_score if self.highest_score is None else self.highest_score


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the newest is kept."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], state: TrainingState) -> None:
    """Write, leaving either the old checkpoint or the new one, whole; the old one is kept as `previous_of`.

    Raises
    ------
    AnlageError
        If the disk is full; the old checkpoint is still there.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = state.model_dump_json()
    data = save(whole, metadata={_KEY: text, _SUM: _checksum(whole, text)})
    write_whole(path, data, keep=previous_of(path))


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read; None if there is none yet.

    Raises
    ------
    AnlageError
        If the file is no checkpoint of ours, or its content is not what was written.
    """
    if not path.exists():
        return None
    try:
        return _read(path)
    except _DAMAGE as error:
        raise AnlageError(
            f"The checkpoint {path} cannot be read ({_reason(error)}); delete it to train this run from the start."
        ) from error


def newest_checkpoint(path: Path) -> tuple[Checkpoint, str] | None:
    """The newest checkpoint that can be read, and a sentence where it is the one before the newest; None if there is none yet.

    That one then takes the place of the newest, so that the next to be written does not push it out.

    Raises
    ------
    AnlageError
        If there is one, but none that can be read.
    """
    before = previous_of(path)
    if path.is_dir():
        raise AnlageError(f"{path} is a folder, where the checkpoint should be; remove it, then resume.")
    try:
        found = load_checkpoint(path)
    except AnlageError as error:
        reason = error.__cause__
        if not before.is_file():
            raise
        why = f"The newest checkpoint {path} is damaged ({_reason(reason)})"
    else:
        if found is not None:
            return found, ""
        if not before.is_file():
            return None
        why = f"The newest checkpoint {path} is missing"
    try:
        older = _read(before)
    except _DAMAGE as error:
        raise AnlageError(
            f"{why}, and the one before it, {before}, cannot be read either ({_reason(error)}); delete both to train this run from "
            "the start."
        ) from error
    before.replace(path)
    return older, f"{why}; the training goes on from the one before it, of step {older[1].step}."


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        text = about.get(_KEY, "")
        state = TrainingState.model_validate_json(text)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if _SUM not in about:
        raise ValueError("it has no checksum, as those of earlier versions, so damage would not be noticed")
    if about[_SUM] != _checksum(tensors, text):
        raise ValueError("its checksum is not that of its content")
    return tensors, state


def _checksum(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    """Of the state and all tensors: names, types, shapes and values."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _reason(error: BaseException | None) -> str:
    return str(error) if type(error) is ValueError else type(error).__name__
