"""The preview request: predict what is in view by the command line in a child process, and read the result.

Torch is never loaded here. The child is asked for every candidate down to a faint one, or for what its network says of
every voxel, so that thresholds need no child.
"""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.inference.frame_store import PredictionParts
from anlage.inference.maps import LabelMaps, open_maps
from anlage.prediction import DenseMap
from anlage.project.image_copy import ChildImage, frames_for_child
from anlage.project.models import Choice
from anlage.project.proposals import ProposedNuclei
from anlage.timelapse import TimeLapse

__all__ = ["PaintedPreview", "Preview", "Request", "prepare", "receive"]

_FOUND, _MAPS = "found.geff", "maps.zarr"


@dataclass(frozen=True, slots=True)
class Request:
    """What to predict.

    Parameters
    ----------
    image
        The image, its voxel size known.
    box
        Which part of which frame.
    model
        Who predicts.
    channels
        Channels of the image to look at; None: all for the classical detector, those of its card for a model.
    diameter_um
        Nucleus diameter here in µm; None: measured.
    heatmap
        Whether the map is wanted too.
    file
        The file behind the image's layer, where there is one.
    device
        Where to compute: ``auto``, ``cpu``, ``cuda:0`` …
    """

    image: TimeLapse
    box: Box
    model: Choice
    channels: tuple[int, ...] | None = None
    diameter_um: float | None = None
    heatmap: bool = True
    file: Path | None = None
    device: str = "auto"

    @property
    def frame(self) -> int:
        return int(self.box.t[0])

    @property
    def is_whole_frame(self) -> bool:
        return bool(self.box.shape[1:] == self.image.shape_tzyx[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """What came back: the candidates, the map behind them, which frame it is of, and what was assumed, in sentences."""

    candidates: ProposedNuclei
    frame: int
    heatmap: DenseMap | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PaintedPreview:
    """What came back of a model that paints: what its network says, from which labels are made, and what was assumed."""

    model: Choice
    maps: LabelMaps
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> int:
        return int(self.maps.about.frame)


def prepare(request: Request, folder: Path) -> tuple[list[str], ChildImage]:
    """Hand the image over and give the arguments of the command line."""
    card, model = request.model.card, request.model.argument
    if request.model.training:  # a copy: the trainer replaces the file at its next validation
        model = str(shutil.copy(model, folder / "model.anlage"))
    offsets = () if card is None else tuple(int(offset) for offset in card.config.get("frames", ()))
    given = frames_for_child(request.image, request.frame, offsets, request.file, folder / "image.ome.zarr")
    here = given.frames[request.frame]
    paints = bool(request.model.paints)
    out = folder / (_MAPS if paints else _FOUND)
    arguments = ["predict", model, str(given.path), "-o", str(out), "--frames", f"{here}:{here + 1}"]
    arguments += ["--maps"] if paints else ["--all-candidates", "--parts-only"]
    arguments += ["--progress", "json", *given.options]
    if not request.is_whole_frame:
        arguments += ["--region", ",".join(f"{low}:{high}" for low, high in request.box.ranges[1:])]
    arguments += how(request.channels, request.diameter_um, request.device)
    if request.heatmap and not paints:
        arguments += ["--heatmap", str(folder / "heatmap.zarr")]
    return arguments, given


def how(channels: tuple[int, ...] | None, diameter_um: float | None, device: str) -> list[str]:
    """The options of the command line that say how to look at the image, and where to compute."""
    options = [] if channels is None else ["--channels", ",".join(map(str, channels))]
    options += [] if diameter_um is None else ["--diameter-um", f"{diameter_um:g}"]
    return options if device == "auto" else [*options, "--device", device]


def receive(request: Request, given: ChildImage, folder: Path) -> Preview | PaintedPreview:
    """Read what the child left, in frames and voxels of the whole image."""
    here = given.frames[request.frame]
    if request.model.paints:
        maps = open_maps(folder / _MAPS)
        about = maps.about.model_copy(update={"frame": request.frame})
        return PaintedPreview(request.model, replace(maps, about=about), tuple(map(_bare, about.notes)))
    found = PredictionParts.beside(folder / _FOUND).read(here)
    nuclei = found.nuclei.shifted((request.frame - here, 0, 0, 0))
    candidates = candidates_of(nuclei, request.model, (request.box,), request.image, found.diameter_um)
    return Preview(candidates, request.frame, found.heatmap, tuple(map(_bare, found.notes)))


def candidates_of(
    found: Annotations, model: Choice, boxes: tuple[Box, ...], image: TimeLapse, diameter_um: float
) -> ProposedNuclei:
    """What the command line found, as candidates of this model.

    Raises
    ------
    AnlageError
        If the voxel size is unknown.
    """
    if image.spacing is None:
        raise AnlageError(f"The voxel size of '{image.source}' is unknown; type it in µm on the Data tab.")
    size = diameter_um if math.isfinite(diameter_um) else model.diameter_um or 10.0 * float(image.spacing.x)
    return ProposedNuclei(model.name, model.id, found, boxes, image.spacing, model.threshold, size)


def _bare(note: str) -> str:
    """A sentence of the command line without its advice on options: the dock has fields for them."""
    return re.sub(r" \(--[^()]*\)", "", re.sub(r"; --[^.;]*", "", note))
