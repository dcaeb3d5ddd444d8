"""The evaluation report: read a result and a truth from disk, and compute every score that applies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_serializer

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.detection import DetectionScore, score_detection
from anlage.evaluation.intervals import (
    Interval,
    as_intervals,
    detection_scores,
    segmentation_scores,
    sparse_scores,
    track_scores,
)
from anlage.evaluation.painted import (
    Kind,
    check_same_shape,
    open_classes,
    score_objects,
    score_painted_classes,
    segmentation_text,
)
from anlage.evaluation.pairing import can_pair_by_masks
from anlage.evaluation.segmentation import SegmentationScore
from anlage.evaluation.sparse import SPARSE_RADIUS_UM, SparseScore, score_sparse
from anlage.evaluation.text import detection_lines, frame_lines, sparse_lines, track_lines
from anlage.evaluation.tracks import TrackScore, score_tracks
from anlage.evaluation.worst import WorstObject, worst_lines, worst_of
from anlage.foreign import bare_name
from anlage.frozen import Frozen
from anlage.io import open_annotations, reading
from anlage.io.label_images import ctc_folder
from anlage.io.lazy import present_frames
from anlage.io.nuclei_files.nuclei import own_scale
from anlage.matching import MATCH_DIAMETERS, match_radius_um
from anlage.neighbours import typical_gap_um
from anlage.scores import Score
from anlage.timelapse import TimeLapse
from anlage.wording import plural

__all__ = ["DEFAULT_RADIUS_UM", "Report", "evaluate", "small_labels"]

DEFAULT_RADIUS_UM = match_radius_um(None)
"""About half a nucleus, where nobody says how large they are."""

_MOST_ROWS = 50
_ANY = Spacing(1, 1, 1)
"""Where masks are compared, no distance is measured."""
_NO_DISTANCES = (
    "The voxel size is unknown, so only outlines were scored; for distances between centres give it as --spacing Z,Y,X."
)


class Report(Frozen):
    """What `anlage evaluate` found."""

    result: str
    """What was scored."""
    truth: str
    """Against what."""
    spacing_um_zyx: tuple[float, float, float] | None
    """Voxel size in µm that positions were measured with; None where it is unknown and no position was."""
    ignored_smaller_than: int | None
    """Labels of the truth below this many voxels were neither wanted nor wrong; None where all counted."""
    detection: DetectionScore | None
    """How well nuclei were found; None where the values are classes, or label images have no voxel size."""
    as_in_training: DetectionScore | None = None
    """The same by the rule of trainings, within a part of the nucleus diameter; None where that is unknown, or a radius was given."""
    segmentation: SegmentationScore | None = None
    """How well they were outlined, or classes painted; None unless both sides are label images."""
    worst: tuple[WorstObject, ...] = ()
    """The objects of the truth that were outlined worst, with their places, the worst first."""
    tracking: TrackScore | None = None
    """How well nuclei were followed; None unless both have links, or masks for all nuclei."""
    sparse: SparseScore | None = None
    """The same, should only some nuclei have been followed in the truth; None unless both have links."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """What the scores rest on, by part and name: 'detection.f1', 'tracking.det'."""
    notes: tuple[str, ...]
    """What was assumed or left out, as sentences."""

    @field_serializer("result", "truth", "notes")
    def _without_folders(self, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """Files by their names alone: a report is passed on, and folders name people and computers."""
        if isinstance(value, str):
            return bare_name(value)
        for path in sorted((self.result, self.truth), key=len, reverse=True):
            value = tuple(note.replace(path, bare_name(path)) for note in value)
        return value

    def with_intervals(self) -> Self:
        """The same with what its scores rest on."""
        parts: dict[str, dict[str, Score | None]] = {}
        if self.detection is not None:
            parts["detection"] = detection_scores(self.detection)
        if self.as_in_training is not None:
            parts["as_in_training"] = detection_scores(self.as_in_training)
        if self.segmentation is not None:
            parts["segmentation"] = segmentation_scores(self.segmentation)
        if self.tracking is not None:
            parts["tracking"] = track_scores(self.tracking)
        if self.sparse is not None:
            parts["sparse"] = sparse_scores(self.sparse)
        found = {name: one for part, scores in parts.items() for name, one in as_intervals(scores, part).items()}
        return self.model_copy(update={"intervals": found})

    def to_text(self) -> str:
        """The report for people to read, with a line for every frame where there are 2 to 50."""
        lines = [f"{self.result} against {self.truth}"]
        if (d := self.detection) is not None:
            lines[0] += f", pairs within {d.radius_um:g} µm"
            lines += detection_lines(d)
        if self.as_in_training is not None:
            lines.append(_training_rule(self.as_in_training))
        if self.segmentation is not None:
            lines += segmentation_text(self.segmentation)
        lines += worst_lines(self.worst)
        if d is not None and 1 < len(d.frames) <= _MOST_ROWS:
            lines += ["", *frame_lines(d.frames)]
        if self.tracking is not None:
            lines += ["", *track_lines(self.tracking)]
        if self.sparse is not None:
            lines += ["", *sparse_lines(self.sparse)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def evaluate(  # noqa: PLR0913 - all that a user may say
    result: str | Path,
    truth: str | Path,
    *,
    spacing: Spacing | None = None,
    radius_um: float | None = None,
    ignore_smaller_than: int | None = None,
    expected_nuclei: int | None = None,
    kind: Kind = "auto",
    axes: str | None = None,
    interval_s: float | None = None,
) -> Report:
    """Score predicted nuclei, links, outlines or classes against a truth: whatever both sides have.

    Of a truth of points only the frames that hold some are scored, since elsewhere perhaps nobody looked; of a label
    image or a CTC folder every frame is.

    Parameters
    ----------
    result, truth
        Nuclei in voxels of the same image: a CSV, a GEFF, a CTC folder or label images.
    spacing
        Voxel size in µm; None takes what the files say, the truth's first.
    radius_um
        Greatest distance in µm between a prediction and the nucleus that it stands for; None is 5 µm, and 7 µm for the
        score of a sparse truth, or half of the distance between true nuclei where these lie nearer than that.
    ignore_smaller_than
        Nuclei whose label in the truth has fewer voxels are neither wanted nor wrong; tracks are scored with all.
    expected_nuclei
        About how many nuclei the movie holds in all frames together, marked or not, for the score of a sparse truth.
    kind
        What the values of label images stand for: ``instances``, ``classes``, or ``auto``, as the file says or, failing
        that, as they look: a few values that lie in several pieces each are classes.
    axes, interval_s
        Axes of label images, and time step in s, where the files do not say them or say them wrongly.

    Raises
    ------
    AnlageError
        If a file cannot be read, frames were taken for planes, one table lacks z, the voxel size is known from nowhere, or sizes are asked of a truth without labels.
    """
    classes = open_classes(result, truth, kind, axes=axes, spacing=spacing)
    if classes is not None:
        return _report_of_classes(result, truth, *classes)
    marked = open_annotations(truth, axes=axes, spacing=spacing, interval_s=interval_s)
    known = spacing or _own_spacing(truth, marked)
    # both are voxels of one image, so what the truth says of it also helps to read the result
    proposed = open_annotations(result, axes=axes, spacing=known, interval_s=interval_s)
    _check_planes(marked, proposed)
    _check_planes(proposed, marked)
    _check_labels(proposed, marked)
    _check_depth(proposed, marked, str(result), str(truth))
    _check_depth(marked, proposed, str(truth), str(result))
    claimed = _own_spacing(result, proposed)
    known = known or claimed
    outlines = score_objects(proposed, marked, ignore_smaller_than)
    gap_um = None if known is None else typical_gap_um(marked.frames, marked.positions[:, 1:] * known.um)
    radius = _reach(DEFAULT_RADIUS_UM, gap_um) if radius_um is None else radius_um
    painted = () if marked.labels is None else present_frames(marked.labels)
    masks = can_pair_by_masks(proposed, marked)
    linked = len(proposed.links) > 0 and len(marked.links) > 0
    tracking = sparse = None
    if masks or (linked and known is not None):
        tracking = score_tracks(proposed, marked, known or _ANY, radius, frames=painted, by_centres=not masks)
    if known is None and outlines is None:
        raise AnlageError(
            f"The voxel size is known neither from '{truth}' nor from '{result}'; give it in µm as --spacing Z,Y,X, "
            "for example --spacing 2,0.5,0.5."
        )
    score = trained = None
    notes = [*_readings(proposed, marked), *marked.notes, *proposed.notes]
    if known is None:
        notes.append(_NO_DISTANCES)
    else:
        ignore = None if ignore_smaller_than is None else small_labels(marked, ignore_smaller_than)
        score = score_detection(proposed, marked, known, radius, ignore=ignore, frames=painted)
        if radius_um is None:
            trained = _as_in_training(proposed, marked, known, gap_um, ignore, painted)
        if linked:
            near = _reach(SPARSE_RADIUS_UM, gap_um) if radius_um is None else radius_um
            sparse = score_sparse(proposed, marked, known, near, n_nuclei=expected_nuclei)
        notes += [*_notes(score, is_painted=bool(painted)), *_reach_notes(radius, radius_um, gap_um)]
        notes += _link_notes(proposed, marked, ignore_smaller_than if tracking is not None else None)
        notes += _value_notes(result, proposed, truth, marked)
    return Report(
        result=str(result),
        truth=str(truth),
        spacing_um_zyx=None if known is None else known.zyx,
        ignored_smaller_than=ignore_smaller_than,
        detection=score,
        as_in_training=trained,
        segmentation=outlines,
        worst=() if outlines is None else worst_of(proposed, marked, ignore_smaller_than),
        tracking=tracking,
        sparse=sparse,
        notes=tuple(notes),
    ).with_intervals()


def _reach(radius_um: float, gap_um: float | None) -> float:
    """A radius that nobody gave, or half way to the next nucleus where it would reach that one."""
    return radius_um if gap_um is None or radius_um < gap_um else gap_um / 2


def _reach_notes(radius_um: float, given_um: float | None, gap_um: float | None) -> list[str]:
    """What to say of a radius that reaches the next nucleus, or would have."""
    if gap_um is None:
        return []
    if given_um is not None and given_um >= gap_um:
        return [
            f"True nuclei lie {gap_um:.3g} µm from each other, so within {given_um:.3g} µm a prediction may stand for its neighbour: "
            f"the scores are too high; give a --radius-um of at most {gap_um / 2:.2g}."
        ]
    if given_um is None and radius_um < DEFAULT_RADIUS_UM:
        return [
            f"True nuclei lie {gap_um:.3g} µm from each other, so pairs were looked for within half of that instead of "
            f"{DEFAULT_RADIUS_UM:g} µm."
        ]
    return []


def _as_in_training(
    proposed: Annotations,
    marked: Annotations,
    spacing: Spacing,
    gap_um: float | None,
    ignore: npt.NDArray[np.bool_] | None,
    frames: Iterable[int],
) -> DetectionScore | None:
    """How well nuclei were found by the rule that trainings measure by; None where the diameter is unknown."""
    for table in (marked, proposed):
        known = table.radius_um[np.isfinite(table.radius_um) & (table.radius_um > 0)]
        if len(known):
            radius_um = match_radius_um(2 * float(np.median(known)), gap_um)
            return score_detection(proposed, marked, spacing, radius_um, ignore=ignore, frames=frames)
    return None


def _training_rule(score: DetectionScore) -> str:
    score_text = Score.of_counts("F1", score.tp, score.fp, score.fn, ("nucleus", "nuclei"))
    return f"as trainings measure  within {MATCH_DIAMETERS} diameters, here {score.radius_um:.3g} µm: {score_text}"


def small_labels(truth: Annotations, fewer_than: int) -> npt.NDArray[np.bool_]:
    """Which nuclei have a label of fewer voxels than that, (N,); nuclei without a label are not small.

    Raises
    ------
    AnlageError
        If the truth holds no labels, or the number is below 1.
    """
    if fewer_than < 1:
        raise AnlageError(f"Labels smaller than {fewer_than} voxels cannot be ignored; give a number of at least 1.")
    if truth.labels is None:
        raise AnlageError(
            f"Nuclei smaller than {fewer_than} voxels were to be ignored, but the truth has points without labels; "
            "give the label images as truth."
        )
    small = np.zeros(len(truth), dtype=bool)
    for t in np.unique(truth.frames):
        here = (truth.frames == t) & (truth.label > 0)
        values, counts = np.unique(truth.labels.frame(int(t)), return_counts=True)
        size = dict(zip(values.tolist(), counts.tolist(), strict=True))
        small[here] = [size.get(label, 0) < fewer_than for label in truth.label[here].tolist()]
    return small


def _report_of_classes(
    result: str | Path, truth: str | Path, found: TimeLapse, painted: TimeLapse, note: str
) -> Report:
    known = painted.spacing or found.spacing
    return Report(
        result=str(result),
        truth=str(truth),
        spacing_um_zyx=None if known is None else known.zyx,
        ignored_smaller_than=None,
        detection=None,
        segmentation=score_painted_classes(found, painted),
        notes=(reading(found), reading(painted), note),
    )


def _own_spacing(path: str | Path, table: Annotations) -> Spacing | None:
    """The voxel size that a file carries, if any."""
    if table.labels is not None:
        return table.labels.spacing
    return own_scale(path)[0]


def _link_notes(result: Annotations, truth: Annotations, ignored_smaller_than: int | None) -> list[str]:
    notes = []
    if len(truth.links) and not len(result.links):
        notes.append("The truth has links but the result has none, so links and divisions are not scored.")
    if ignored_smaller_than is not None:
        notes.append(f"Tracks are scored with all nuclei, those of fewer than {ignored_smaller_than} voxels too.")
    return notes


def _value_notes(result: str | Path, proposed: Annotations, truth: str | Path, marked: Annotations) -> list[str]:
    """Label images that no table of tracks goes with: their values alone say which nuclei are the same."""
    sides = (("result", result, proposed), ("truth", truth, marked))
    alone = [
        side for side, path, table in sides
        if table.labels is not None and len(table.links) and ctc_folder(Path(path)) is None
    ]  # fmt: skip
    if not alone or not (len(proposed.links) and len(marked.links)):
        return []
    return [
        f"Links of the {' and the '.join(alone)}: the same value in consecutive frames was taken as the same nucleus."
    ]


def _readings(*tables: Annotations) -> list[str]:
    """How label images were read."""
    return [reading(table.labels) for table in tables if table.labels is not None]


def _check_planes(labelled: Annotations, other: Annotations) -> None:
    """Refuse label images whose frames were taken for planes for want of better knowledge."""
    labels = labelled.labels
    if labels is None or labels.axes_from != "their count" or labels.n_frames > 1 or labels.is_flat or not len(other):
        return
    if other.frames.max() > 0 and not other.positions[:, 1].any():
        raise AnlageError(
            f"{reading(labels).rstrip('.')}, but the nuclei that it is compared with lie in a single plane of several frames; "
            "if it is a movie of one plane, say --axes tyx."
        )


def _check_labels(result: Annotations, truth: Annotations) -> None:
    if result.labels is not None and truth.labels is not None:
        check_same_shape(result.labels, truth.labels)


def _check_depth(flat: Annotations, deep: Annotations, flat_path: str, deep_path: str) -> None:
    """Refuse positions without z beside positions with z: nearly all would lie far apart."""
    has_depth = flat.labels is not None and not flat.labels.is_flat
    if has_depth or not len(flat) or flat.positions[:, 1].any():
        return
    planes = np.unique(np.rint(deep.positions[:, 1]))
    if len(planes) > 1:
        raise AnlageError(
            f"'{flat_path}' has no z (all nuclei lie at z = 0), but those of '{deep_path}' lie at z = {planes[0]:g} to "
            f"{planes[-1]:g}; both must be of the same image, so give them both with z or both without."
        )


def _notes(score: DetectionScore, *, is_painted: bool) -> list[str]:
    notes = []
    empty = [frame for frame in score.frames if frame.fp and not frame.n_truth]
    if is_painted and empty:
        shown = plural(len(empty), "frame of the truth's label image holds", "frames of the truth's label image hold")
        notes.append(f"{shown} no nucleus: the {sum(f.fp for f in empty)} predicted there count as wrong.")
    if score.n_truth + score.n_ignored == 0:
        notes.append("The truth holds no nuclei, so there is nothing to score against.")
    elif score.n_predicted_elsewhere:
        left_out = plural(score.n_predicted_elsewhere, "prediction is", "predictions are")
        kind = ("of the label image", "of the label image") if is_painted else ("that holds truth", "that hold truth")
        frames = plural(len(score.frames), f"frame {kind[0]} is", f"frames {kind[1]} are")
        notes.append(f"{left_out} left out: only the {frames} scored.")
    if score.n_ignored:
        small = plural(score.n_ignored, "nucleus of the truth was", "nuclei of the truth were")
        notes.append(f"{small} neither wanted nor wrong.")
    if score.n_truth and score.n_predicted and not score.tp:
        notes.append(
            f"No prediction lies within {score.radius_um:g} µm of a nucleus; "
            "check that both are in voxels of the same image and that the voxel size is right."
        )
    return notes
