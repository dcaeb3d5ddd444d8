"""The training data of a run: the annotation, its regions, and the stores made of them. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from anlage import (
    TASKS,
    AnlageError,
    Annotations,
    Box,
    Combine,
    Readiness,
    Region,
    Run,
    State,
    TimeLapse,
    Use,
    build_store,
    region_inputs,
)
from anlage.wording import plural
from napari_anlage.session.session import Session

__all__ = ["TrainingRequest", "carry_out", "readiness"]


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training that the user asked for.

    Parameters
    ----------
    task
        Kind of network.
    settings
        What was set, each as ``name=value``.
    regions
        Where to learn and to validate.
    image, channels, combine, diameter_um
        The image that was chosen at that moment, which of its channels are used and how, and the nucleus diameter in µm.
    annotations
        Gives the annotation of that moment; where it is read from a layer that may take long, and is done in a thread.
    source
        Where the annotation comes from, for the record.
    start_from
        Model whose weights to begin with, or ``"usual"``; None for fresh ones. See `Run.create`.
    context
        Frames to keep before and after the annotated ones, for networks that look at neighbouring frames.
    """

    task: str
    settings: tuple[str, ...]
    regions: tuple[Region, ...]
    image: TimeLapse
    annotations: Callable[[], Annotations]
    channels: tuple[int, ...] | None = None
    combine: Combine = "separate"
    diameter_um: float | None = None
    source: str = ""
    start_from: str | Path | None = None
    context: int = 0

    @classmethod
    def of(
        cls, session: Session, task: str, settings: Sequence[str], start_from: str | Path | None, context: int
    ) -> Self:
        """To learn from what the session holds now; called on the GUI thread."""
        return cls(
            task, tuple(settings), session.regions, session.scaled_image(), session.reading(), session.channels,
            session.combine, session.diameter_um, _source(session), start_from, context,
        )  # fmt: skip


def readiness(session: Session) -> dict[str, Readiness]:
    """What each kind of network has to learn from; what is in the way of all of them is what each lacks."""
    try:
        session.scaled_image()
        nuclei = session.annotations()
    except AnlageError as error:
        return dict.fromkeys(TASKS, Readiness("nothing to learn from yet", lack=str(error)))
    regions = session.regions
    learnt = [region.core for region in regions if region.use != Use.VALIDATION]
    if regions and not learnt:
        lack = "Every region is for validation, so there is nothing to learn from; mark one for training on the Annotate tab."
        return dict.fromkeys(TASKS, Readiness(plural(len(regions), "region"), lack=lack))
    held = [region.core for region in regions if region.use == Use.VALIDATION]
    return {name: _with_held_out(task.readiness(nuclei, learnt), nuclei, held) for name, task in TASKS.items()}


def carry_out(order: TrainingRequest, paths: tuple[Path, Path], report: Callable[[float, str], None]) -> Run:
    """Write the stores and make the run; takes a while, so it is called in a thread.

    There is one store for each use that regions have, and one more where some are sparse: sparse regions train sparse.

    Parameters
    ----------
    order
        What to train.
    paths
        Where the store (with several, their names are made from it) and the run go.
    report
        Told how much of the stores is written, 0 to 1.
    """
    store, run = paths
    groups = region_inputs(order.annotations(), order.regions)
    if not groups:
        raise AnlageError("The regions hold no nucleus; move their walls on the Annotate tab.")
    store.parent.mkdir(parents=True, exist_ok=True)
    built = []
    for i, group in enumerate(groups):
        path = store if len(groups) == 1 else store.with_name(f"{store.stem}-{group.name}{store.suffix}")
        one = build_store(
            path, order.image, group.annotations, channels=order.channels, combine=order.combine, cuboid=group.cuboids,
            sparse=group.sparse, use=group.use.value, context_frames=order.context, diameter_um=order.diameter_um,
            annotations_source=order.source, progress=_Rarely(report, i, len(groups)),
        )  # fmt: skip
        built.append(one.path)
    return Run.create(run, order.task, built, order.settings, start_from=order.start_from)


def _source(session: Session) -> str:
    """Where the annotation comes from, for the record."""
    project = session.project
    if session.uses_document and project is not None:
        return str(project.folder)
    return str(session.nuclei_layer.name)


def _with_held_out(ready: Readiness, nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """Add what is kept for validation."""
    if not boxes:
        return ready
    inside = np.zeros(len(nuclei), dtype=bool)
    for box in boxes:
        inside |= box.contains(nuclei.positions)
    n = int((inside & (nuclei.state != State.REJECTED)).sum())
    return replace(ready, has=f"{ready.has}; {n} held out in {plural(len(boxes), 'region')}")


class _Rarely:
    """Passes progress on when a percent more is done."""

    def __init__(self, report: Callable[[float, str], None], part: int, parts: int) -> None:
        self._report, self._last = report, -1
        self._part, self._parts = part, parts

    def __call__(self, done: int, total: int) -> None:
        percent = round(100 * (self._part + done / max(total, 1)) / self._parts)
        if percent != self._last:
            self._last = percent
            self._report(percent / 100, "")
