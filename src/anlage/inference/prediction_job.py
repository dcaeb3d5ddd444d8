"""What a prediction predicts, and with what and how: the same for all processes that share it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from anlage.frozen import Finite

__all__ = ["AgreedScale", "PredictionJob"]

_SCHEMA = 1


class PredictionJob(Finite):
    """What is predicted, with what and how: finished frames of another job are never mixed in."""

    schema_version: Annotated[int, Ge(1), Le(_SCHEMA)] = _SCHEMA
    version: str
    """Version of anlage."""
    model: str
    """Model by name and the beginning of its weights' hash."""
    movie: str
    """Hash of the image's shape and some of its planes."""
    image: str
    """Where the image was read from."""
    spacing_um_zyx: tuple[float, float, float] | None
    """Voxel size in µm."""
    frames: tuple[int, int]
    """First frame, and the one after the last."""
    region: str | None = None
    """Part of each frame in voxels; None: all."""
    channels: tuple[int, ...] | None = None
    """Channels of the image that were chosen; None: those of the model."""
    diameter_um: float | None = None
    """Nucleus diameter in µm that was given; None: measured."""
    threshold: float | None = None
    """Lowest probability that is reported; None: the model's own."""
    heatmap: bool = False
    """Whether maps are kept."""
    labels: bool = False
    """Whether label images are made, of tiles."""
    inside: float | None = None
    """Probability from which a voxel belongs to an object; None: the model's own."""
    turns: int = 1
    """Mirrored and turned copies that are averaged."""
    memory_gb: float | None = None
    """Memory (GiB) of a process, by which frames are cut into tiles; None where they are not."""

    @property
    def digest(self) -> str:
        """The same for all jobs that do not differ."""
        same = self.model_copy(update={"image": ""}).model_dump_json()
        return hashlib.sha256(same.encode()).hexdigest()[:16]

    def differs(self, earlier: PredictionJob) -> str | None:
        """What is not the same in another job, in words; None if nothing that matters is."""
        for name in type(self).model_fields:
            now, then = getattr(self, name), getattr(earlier, name)
            if name != "image" and now != then:
                return f"{name.removesuffix('_zyx').replace('_', ' ')} {_shown(then)} instead of {_shown(now)}"
        return None


class AgreedScale(Finite):
    """What the first process measured in the image, and all others take over: else each might see it a little differently."""

    schema_version: Annotated[int, Ge(1), Le(_SCHEMA)] = _SCHEMA
    diameter_um: Annotated[float, Gt(0)]
    """Nucleus diameter in µm by which the image is scaled."""
    n_units: Annotated[int, Ge(1)]
    """Frames, or tiles of frames, into which the prediction is cut."""
    notes: tuple[str, ...] = ()
    """What was assumed, as sentences."""


def _shown(value: Any) -> str:
    """A value of a job, in a sentence."""
    if value is None:
        return "not given"
    return (
        str(value)[:40]
        if isinstance(value, str)
        else ",".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value}"
    )
