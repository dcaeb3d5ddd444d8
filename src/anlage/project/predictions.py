"""The folder ``predictions/`` of a project: predictions of whole movies, finished or not.

::

    movie.anlage/predictions/NAME.json        what was asked for (Record); written before anything is predicted
                             NAME.geff        every candidate, once all frames are predicted
                             NAME.geff.parts/ frames that are finished, until then
                             NAME.zarr        of models that paint: the labels, and tiles in NAME.zarr.parts/ until then
"""

from __future__ import annotations

import datetime
import itertools
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.inference.frame_store import PredictionParts
from anlage.io import open_annotations, open_label_image
from anlage.io.atomic import own, replacing
from anlage.project.image_copy import ChildImage
from anlage.project.models import Choice
from anlage.project.preview_request import how
from anlage.project.proposals import ProposedNuclei, joined
from anlage.project.records import Chance, FrameNumber, Moment, keep_record, own_arguments, records, when
from anlage.project.thresholds import Thresholds
from anlage.shell import shell_line
from anlage.timelapse import TimeLapse
from anlage.wording import plural

__all__ = ["FOLDER", "PredictionRequest", "Record", "Result", "command_line", "load", "load_labels", "place", "results"]

FOLDER = "predictions"
_SCHEMA = 1
_LONGEST = 80
"""Letters of a model's name that go into the name of a file."""
_OPTIONS = frozenset(
    (
        "--all-candidates", "--axes", "--channels", "--device", "--diameter-um", "--frames", "--inside", "--interval",
        "--overwrite", "--smallest", "--spacing", "--threshold",
    )
)  # fmt: skip
"""Options of a prediction that is asked for here."""


class Record(BaseModel):
    """What was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = _SCHEMA
    created: Moment
    """When, ISO 8601."""
    model: str
    """What people call the model."""
    model_id: str
    """The origin of what it proposes."""
    threshold: Chance
    """The model's own threshold."""
    frames: tuple[FrameNumber, FrameNumber]
    """First frame, and the one after the last."""
    arguments: tuple[str, ...]
    """Arguments of the command line, beginning with ``predict``."""
    paints: Literal["", "instances", "classes"] = ""
    """What was painted, ``instances`` or ``classes``; empty: candidates were found."""


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """A movie to predict.

    Parameters
    ----------
    model
        Who predicts.
    frames
        First frame, and the one after the last.
    channels, diameter_um
        As in `Request`.
    device
        Where to compute: ``auto``, ``cpu``, ``cuda:0`` …
    thresholds
        Of a model that paints.
    """

    model: Choice
    frames: tuple[int, int]
    channels: tuple[int, ...] | None = None
    diameter_um: float | None = None
    device: str = "auto"
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class Result:
    """A prediction of a movie.

    Parameters
    ----------
    path
        Its table or its labels, which exist once it is finished.
    record
        What was asked for.
    """

    path: Path
    record: Record

    @classmethod
    def of(cls, path: Path, record: Record) -> Self:
        """The result that lies beside a record."""
        return cls(path.with_suffix(".zarr" if record.paints else ".geff"), record)

    @property
    def parts(self) -> PredictionParts:
        """The finished frames, while it is not finished itself."""
        return PredictionParts.beside(self.path)

    @property
    def arguments(self) -> list[str]:
        """Arguments of the command line. Raises AnlageError if the record's are not such as this program writes."""
        return own_arguments(self.record.arguments, "predict", _OPTIONS, self.path)

    @property
    def n_frames(self) -> int:
        return self.record.frames[1] - self.record.frames[0]

    @property
    def state(self) -> Literal["new", "running", "stopped", "finished"]:
        """How far it is."""
        if self.parts.is_running:
            return "running"
        if self.path.exists():
            return "finished"
        return "stopped" if self.parts.n_done else "new"

    @property
    def unit(self) -> str:
        """What is finished one after the other: frames, or tiles of them."""
        return "tile" if self.record.paints else "frame"

    @property
    def title(self) -> str:
        """In a line of a list."""
        first, last = self.record.frames[0], self.record.frames[1] - 1
        frames = f"frame {first}" if first == last else f"frames {first}–{last}"
        state = self.state
        n = self.parts.n_done
        far = "" if state == "finished" else f" · {state}, {plural(n, 'tile') if self.record.paints else n} done"
        return f"{self.record.model} · {frames} · {when(self.record.created)}{far}"


def place(folder: Path, order: PredictionRequest, given: ChildImage) -> Result:
    """Where a prediction goes, and what it will be asked: written down, and nothing else done yet."""
    now = datetime.datetime.now().astimezone()
    bare = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in order.model.name).strip("-.")[
        :_LONGEST
    ]
    name = f"{now:%Y-%m-%d}-{bare}-{secrets.token_hex(2)}"
    paints = order.model.paints
    out = folder / FOLDER / f"{name}{'.zarr' if paints else '.geff'}"
    model = order.model.argument
    out.parent.mkdir(parents=True, exist_ok=True)
    if order.model.training:  # the trainer replaces the file at its next validation
        with replacing(out.with_suffix(".anlage"), own) as temporary:
            shutil.copy(model, temporary)
        model = str(out.with_suffix(".anlage"))
    first, last = (given.frames[t] for t in (order.frames[0], order.frames[1] - 1))
    arguments = [
        "predict",
        model,
        str(given.path),
        "-o",
        str(out),
        "--frames",
        f"{first}:{last + 1}",
        *(order.thresholds.options if paints else ["--all-candidates"]),
    ]
    arguments += [*given.options, *how(order.channels, order.diameter_um, order.device)]
    record = Record(
        created=now.isoformat(timespec="seconds"), model=order.model.name, model_id=order.model.id,
        threshold=order.model.threshold, frames=order.frames, arguments=tuple(arguments), paints=paints,
    )  # fmt: skip
    keep_record(record, out)
    return Result(out, record)


def results(folder: Path) -> list[Result]:
    """The predictions of a project that have begun, newest first; what cannot be read is passed over."""
    found = [Result.of(path, record) for path, record in records(folder / FOLDER, Record)]
    return sorted(
        (result for result in found if result.state != "new"), key=lambda result: result.record.created, reverse=True
    )


def load(result: Result, image: TimeLapse) -> ProposedNuclei:
    """The candidates of a prediction, or of those of its frames that are finished.

    Raises
    ------
    AnlageError
        If there are none, they cannot be read, or they do not lie in this image.
    """
    if image.spacing is None:
        raise AnlageError(f"The voxel size of '{image.source}' is unknown; type it in µm on the Data tab.")
    record, parts = result.record, result.parts
    if result.path.exists():
        nuclei, frames = open_annotations(result.path), list(range(*record.frames))
    else:
        frames = list(parts.done)
        nuclei = joined([parts.read(t).nuclei for t in frames])
    if not frames:
        raise AnlageError(f"No frame of the prediction '{result.path.stem}' is finished yet; resume it.")
    boxes = tuple(_box(first, last, image) for first, last in _stretches(frames))
    last = np.array(image.shape_tzyx) - 0.5
    if frames[-1] >= image.n_frames or (nuclei.positions > last).any():
        raise AnlageError(
            f"The prediction '{result.path.stem}' reaches outside the image '{image.source}', whose shape (t, z, y, x) is "
            f"{image.shape_tzyx}: it is of another image."
        )
    radii = nuclei.radius_um[np.isfinite(nuclei.radius_um)]
    diameter_um = 2 * float(np.median(radii)) if len(radii) else 10.0 * float(image.spacing.x)
    return ProposedNuclei(record.model, record.model_id, nuclei, boxes, image.spacing, record.threshold, diameter_um)


def load_labels(result: Result, image: TimeLapse) -> TimeLapse:
    """The labels of a finished prediction, lazily.

    Raises
    ------
    AnlageError
        If they are not finished, cannot be read, or are not of this image.
    """
    if not result.path.exists():
        raise AnlageError(f"The prediction '{result.path.stem}' is not finished yet; resume it.")
    labels = open_label_image(result.path)
    if labels.shape_tzyx != image.shape_tzyx:
        raise AnlageError(
            f"The labels '{result.path.stem}' have the shape (t, z, y, x) {labels.shape_tzyx}, and the image has "
            f"{image.shape_tzyx}: they are of another image."
        )
    return labels


def command_line(arguments: Sequence[str]) -> str:
    """What to paste into a shell; it runs this very program."""
    beside = Path(sys.executable).with_name("anlage.exe" if os.name == "nt" else "anlage")
    found = shutil.which("anlage")
    is_ours = found is not None and Path(found).resolve() == beside.resolve()
    words = [*(["anlage"] if is_ours else [sys.executable, "-m", "anlage"]), *arguments]
    line: str = shell_line(words)
    return line


def _box(first: int, last: int, image: TimeLapse) -> Box:
    _, z, y, x = image.shape_tzyx
    return Box.of((first, 0, 0, 0), (last + 1, z, y, x))


def _stretches(frames: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each gapless stretch."""
    breaks = [i for i, (a, b) in enumerate(itertools.pairwise(frames)) if b != a + 1]
    starts, ends = [0, *(i + 1 for i in breaks)], [*breaks, len(frames) - 1]
    return [(frames[a], frames[b]) for a, b in zip(starts, ends, strict=True)]
