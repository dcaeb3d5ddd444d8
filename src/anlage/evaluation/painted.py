"""Label images on both sides of an evaluation: whether they hold instances or classes, and which scores apply."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.intervals import beside, segmentation_scores
from anlage.evaluation.segmentation import SegmentationScore, score_classes, score_segmentation
from anlage.io.label_images import CLASSES, kind_of_labels, open_labels
from anlage.io.lazy import present_frames
from anlage.io.nuclei_files.nuclei import are_label_images
from anlage.labels import are_classes
from anlage.timelapse import TimeLapse

__all__ = ["Kind", "check_same_shape", "open_classes", "score_objects", "score_painted_classes", "segmentation_text"]

Kind = Literal["auto", "instances", "classes"]
"""What the values of label images stand for: objects, classes of voxels, or as they look."""


def open_classes(
    result: str | Path, truth: str | Path, kind: Kind, *, axes: str | None = None, spacing: Spacing | None = None
) -> tuple[TimeLapse, TimeLapse, str] | None:
    """Both label images where their values are classes, and a sentence that says who says so; None where they are not.

    Raises
    ------
    AnlageError
        If classes were asked for, but one of the two is no label image.
    """
    paths = [Path(result), Path(truth)]
    if kind == "instances" or not all(are_label_images(path) for path in paths):
        if kind == CLASSES:
            raise AnlageError("Classes are scored on label images; give two, as TIFF or zarr, or leave out --kind.")
        return None
    said = any(kind_of_labels(path) == CLASSES for path in paths)
    found, painted = (open_labels(path, axes=axes, spacing=spacing) for path in paths)
    if kind == CLASSES:
        note = "The values were taken for classes, as told."
    elif said:
        note = "The values are classes, as the file says."
    elif _are_class_like(painted) or _are_class_like(found):
        note = (
            "The values were taken for classes of voxels, because they are few and lie in several pieces; "
            "if they are objects, say --kind instances."
        )
    else:
        return None
    check_same_shape(found, painted)
    return found, painted, note


def score_painted_classes(predicted: TimeLapse, truth: TimeLapse) -> SegmentationScore:
    """Dice of each class, in the frames that lie on disk."""
    return score_classes(predicted, truth, frames=present_frames(truth))


def score_objects(
    predicted: Annotations, truth: Annotations, ignore_smaller_than: int | None
) -> SegmentationScore | None:
    """Scores of the outlines, where both sides are painted; None where one is not."""
    if predicted.labels is None or truth.labels is None or predicted.labels.shape_tzyx != truth.labels.shape_tzyx:
        return None
    return score_segmentation(
        predicted.labels, truth.labels, ignore_smaller_than=ignore_smaller_than, frames=present_frames(truth.labels)
    )


def check_same_shape(result: TimeLapse, truth: TimeLapse) -> None:
    """Refuse label images of different images.

    Raises
    ------
    AnlageError
        If planes differ in number or shape.
    """
    a, b = result.shape_tzyx, truth.shape_tzyx
    if a[1:] != b[1:]:
        raise AnlageError(
            f"The result's labels have the shape {a} (t, z, y, x) but the truth's {b}; they must show the same image."
        )


def segmentation_text(score: SegmentationScore) -> list[str]:
    """The scores as lines for people to read."""
    if score.classes:
        rows = [f"{'class':>6} {'truth':>12} {'result':>12} {'Dice':>6}   (voxels)"]
        rows += [f"{c.value:>6} {c.n_truth:>12} {c.n_predicted:>12} {c.dice:>6.3f}" for c in score.classes]
        return [
            *rows,
            f"mean Dice            {_number(score.dice)}",
            "note: Voxels beside each other resemble each other, so their number says little of how certain a Dice is.",
        ]
    certain = {name: beside(one) for name, one in segmentation_scores(score).items()}
    return [
        f"objects              {score.n_truth} in the truth, {score.n_predicted} in the result",
        f"AP at IoU 0.5        {_number(score.ap50)}{certain.get('ap50', '')}   0.75: {_number(score.ap75)}"
        f"{certain.get('ap75', '')}   mean of 0.5 to 0.9: {_number(score.mean_ap)}{certain.get('mean_ap', '')}",
        f"panoptic quality     {_number(score.pq)}{certain.get('pq', '')}",
        f"SEG                  {_number(score.seg)}{certain.get('seg', '')}",
        f"Dice of all painted  {_number(score.dice)}{certain.get('dice', '')}",
    ]


def _are_class_like(labels: TimeLapse) -> bool:
    """By the first frame that holds anything."""
    for t in range(labels.n_frames):
        frame = labels.frame(t)[0]
        if frame.any():
            return are_classes(frame)
    return False


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
