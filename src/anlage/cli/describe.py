"""Lines that several commands print about annotations, cuboids, voxel sizes and models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import print_painted_labels
from anlage.errors import AnlageError
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.annotations import Annotations
    from anlage.cuboid import Cuboid
    from anlage.model import Model
    from anlage.timelapse import TimeLapse

__all__ = ["open_for_use", "other_voxels", "print_annotations", "print_cuboids", "verdict_lines"]


def verdict_lines(path: Path) -> str:
    """What is known of a model, and the judgement, as lines; of one that cannot be read, why."""
    from anlage.model import read_card

    try:
        verdict = read_card(path).verdict
    except AnlageError as error:
        return str(error)
    lines = [f"Verdict: {verdict.headline}", *verdict.reasons, *([verdict.advice] if verdict.advice else [])]
    return "\n".join([f"On held-out data: {verdict.score}.", *lines] if verdict.score else lines)


def open_for_use(path: Path, task: str | None = None, head: str | None = None) -> Model:
    """Load a model, and say so if it is not known to be good."""
    from anlage.model import load_model

    model = load_model(path, task=task, head=head)
    verdict = model.card.verdict
    if not verdict.is_good:
        print(f"Note: {verdict.text}")
    return model


def other_voxels(labels: TimeLapse, image: TimeLapse) -> str | None:
    """A sentence where labels claim another voxel size than their image, whose own counts."""
    if labels.spacing is None or image.spacing is None or labels.spacing.is_like(image.spacing):
        return None
    return f"Note: the labels say voxels of {labels.spacing}, the image {image.spacing}; the image's count."


def print_annotations(annotations: Annotations) -> None:
    """Say how much was annotated."""
    frames = annotations.annotated_frames
    where = f" (frames {frames[0]} to {frames[-1]})" if len(frames) > 1 else f" (frame {frames[0]})" if frames else ""
    print(
        f"Annotations: {len(annotations)} nuclei in {plural(len(frames), 'frame')}{where}, "
        f"{len(annotations.links)} links, {len(annotations.divisions)} divisions"
        f"{', with labels' if annotations.labels is not None else ''}."
    )
    for note in annotations.notes:
        print(note)
    print_painted_labels(annotations)


def print_cuboids(cuboids: Sequence[Cuboid]) -> None:
    """Say where annotation was found to be complete; what is doubtful about it is noted in the store."""
    for cuboid in cuboids:
        print(f"Annotated cuboid (t, z, y, x): {cuboid.core}; with a margin of unknown voxels: {cuboid.box}.")
        cut = f"; nuclei are cut by its walls {', '.join(map(str, cuboid.cut_walls))}" if cuboid.cut_walls else ""
        print(f"  {cuboid.n_nuclei} nuclei in {len(cuboid.frames)} frames{cut}.")
