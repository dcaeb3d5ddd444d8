"""A project in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anlage.annotations import State
from anlage.document.document import Document
from anlage.document.regions import Region, Use
from anlage.project.folder import LABELS
from anlage.project.reading import peek
from anlage.project.settings import ProjectSettings

__all__ = ["project_summary"]

_USES = {
    Use.AUTO: "trained on or held out as the training decides",
    Use.TRAIN: "always trained on",
    Use.VALIDATION: "always held out for validation",
}


def project_summary(folder: str | Path) -> str:
    """Describe a project, which may be open elsewhere; nothing on disk is changed.

    Raises
    ------
    AnlageError
        If it is no project, or cannot be read.
    """
    place = Path(folder).expanduser()
    document, found = peek(place)
    lines = [
        f"Project {place.resolve().name}, made {found.file.created}",
        *_image(found.file.settings),
        _nuclei(document, has_labels=document.painted is not None or (place / LABELS).is_dir()),
        *(_region(region, document) for region in document.regions),
        *_folders(place),
    ]
    n = sum(1 for record in found.journal.records if not {"past", "future"} & set(record))
    if n:
        lines.append(f"{_count(n, 'change')} since it was last saved, all in the journal")
    if found.journal.note:
        lines.append(f"Note: {found.journal.note}")
    return "\n".join(lines)


def _image(settings: ProjectSettings) -> Iterator[str]:
    if settings.shape_tzyx is not None:
        t, z, y, x = settings.shape_tzyx
        size = f"{_count(t, 'frame')} of {z} × {y} × {x} voxels (z, y, x)"
    else:
        size = "size unknown"
    yield f"Image {settings.image or 'not on disk'}: {size}"
    voxel = "voxel size unknown" if settings.spacing is None else f"Voxel {settings.spacing}"
    step = "time between frames unknown" if settings.interval_s is None else f"{settings.interval_s:g} s between frames"
    channels = "all channels" if settings.channels is None else f"channels {', '.join(map(str, settings.channels))}"
    yield f"{voxel}; {step}; {channels}{', summed' if settings.combine == 'sum' else ''}"


def _nuclei(document: Document, *, has_labels: bool) -> str:
    nuclei = document.nuclei
    states = [
        f"{n} {word}"
        for state, word in ((State.PROPOSED, "proposed"), (State.REJECTED, "rejected"))
        if (n := int((nuclei.state == state).sum()))
    ]
    states_text = f" ({', '.join(states)})" if states else ""
    frames = len(np.unique(nuclei.frames))
    painted = "; labels are painted" if has_labels else ""
    return (
        f"{_count(len(nuclei), 'nucleus', 'nuclei')}{states_text} in {_count(frames, 'frame')}, {_count(len(nuclei.links), 'link')}, "
        f"{_count(len(nuclei.divisions), 'division')}{painted}"
    )


def _region(region: Region, document: Document) -> str:
    n = int((region.core.contains(document.nuclei.positions) & (document.nuclei.state != State.REJECTED)).sum())
    kind = "complete" if region.complete else "sparse"
    held = _count(n, "nucleus", "nuclei")
    return f"Region '{region.name}': {region.box} (t, z, y, x), {kind}, {held}, {_USES[region.use]}"


def _folders(place: Path) -> Iterator[str]:
    from anlage.project.trainings import runs_in

    runs = runs_in(place / "runs")
    if runs:
        yield f"{_count(len(runs), 'run')}, the newest {runs[0].name}: {runs[0].state}"
    stores = len(list(place.glob("stores/*.zarr")))
    models = len(list(place.glob("models/*.anlage")))
    if stores or models:
        yield f"{_count(stores, 'store')}, {_count(models, 'kept model')}"


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
