"""Everything that a training needs to go on exactly, in one file.

safetensors: the weights, their running average, the best average, AdamW's moments; and, as JSON in the file's header, the
`Record`. Written to a temporary name and renamed, so there is always one whole checkpoint. No pickle.
"""

from __future__ import annotations

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

__all__ = ["Record", "load_checkpoint", "save_checkpoint"]

_KEY = "anlage"


class Record(Frozen):
    """Where a training stands, beside its tensors."""

    model_config = ConfigDict(**Frozen.model_config, ser_json_inf_nan="strings")

    schema_version: Literal[1] = 1
    step: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps done."""
    steps: int | None = None
    """Steps planned; None until the machine's speed is known."""
    validate_every: int | None = None
    """Steps between two looks at held-out data; None like `steps`."""
    batch_size: Annotated[int, Field(ge=1)]
    halved: bool = False
    """Whether the batch was halved because memory ran out."""
    seconds: float = 0.0
    """Time spent on the run so far, in all its processes."""
    learning_seconds: float | None = None
    """The same without preparing the data; None in a checkpoint of an earlier version."""
    skipped: int = 0
    """Steps in a row whose loss was not finite."""
    best_step: int | None = None
    """Step of the weights that are kept; score, loss, metrics and number of examples are those of their own look."""
    best_score: float = float("-inf")
    best_loss: float = float("inf")
    best_metrics: dict[str, float] = Field(default_factory=dict)
    best_n: int = 0
    highest_score: float | None = None
    """Highest score of any look: later weights may be kept whose score is a little lower by luck; None in a checkpoint of an
    earlier version, or before the first look."""
    looks_without_gain: int = 0
    validated_step: int | None = None
    """Step of the last look, so that none is made twice."""
    complete: bool = False
    """Whether only calibration and the model are left."""


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], record: Record) -> None:
    """Write, leaving either the old checkpoint or the new one, whole.

    Raises
    ------
    AnlageError
        If the disk is full; the old checkpoint is still there.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(whole, metadata={_KEY: record.model_dump_json()}))


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], Record] | None:
    """Read; None if there is none yet.

    Raises
    ------
    AnlageError
        If the file is no checkpoint of ours.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            record = Record.model_validate_json((file.metadata() or {}).get(_KEY, ""))
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118 (no mapping)
    except (SafetensorError, ValidationError) as error:
        raise AnlageError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}); delete it to train this run from the start."
        ) from error
