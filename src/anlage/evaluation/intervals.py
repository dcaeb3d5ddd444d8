"""95 % confidence intervals of the scores of a report, with the number of examples behind each."""

from __future__ import annotations

from anlage.evaluation.detection import DetectionScore
from anlage.evaluation.divisions import DivisionScore
from anlage.evaluation.segmentation import SegmentationScore, ThresholdScore
from anlage.evaluation.sparse import SparseScore
from anlage.evaluation.tracks import TrackScore
from anlage.frozen import Frozen
from anlage.scores import Score

__all__ = [
    "Interval", "as_intervals", "beside", "detection_scores", "segmentation_scores", "sparse_scores", "track_scores",
]  # fmt: skip


class Interval(Frozen):
    """What a score rests on; see `anlage.scores` for how it is found."""

    n: int
    """Examples: nuclei, links, divisions, tracks or objects."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of it."""


def as_intervals(scores: dict[str, Score | None], prefix: str) -> dict[str, Interval]:
    """Those of the scores that rest on anything, by name."""
    return {
        f"{prefix}.{name}": Interval(n=score.n, low=score.low, high=score.high)
        for name, score in scores.items()
        if score is not None and score.n
    }


def beside(score: Score | None) -> str:
    """The interval of a score, to stand behind it; nothing where there is none."""
    return "" if score is None or not score.n else f" ({score.interval} of {score.n})"


def detection_scores(d: DetectionScore) -> dict[str, Score | None]:
    """Of how nuclei were found."""
    return {
        "precision": Score.of_share("precision", d.tp, d.tp + d.fp),
        "recall": Score.of_share("recall", d.tp, d.tp + d.fn),
        "f1": Score.of_counts("F1", d.tp, d.fp, d.fn),
    }


def division_score(d: DivisionScore) -> Score:
    """F1 of divisions."""
    return Score.of_counts("F1", d.tp, d.fp, d.fn)


def track_scores(t: TrackScore) -> dict[str, Score | None]:
    """Of how nuclei were followed: DET and TRA rest on nuclei, LNK and links on links, CT on tracks, BC on divisions."""
    exact, near = t.divisions
    n_divisions = near.tp + near.fn
    return {
        "det": _mean("DET", t.det, t.n_truth),
        "tra": _mean("TRA", t.tra, t.n_truth),
        "lnk": _mean("LNK", t.lnk, t.n_links_truth),
        "link_precision": _mean("precision of links", t.link_precision, t.n_links_result),
        "link_recall": _mean("recall of links", t.link_recall, t.n_links_truth),
        "link_f1": _f1("F1 of links", t.link_f1, t.n_links_truth, t.n_links_result),
        "division_f1": division_score(near),
        "division_f1_exact": division_score(exact),
        "complete_tracks": _f1("CT", t.complete_tracks, t.n_tracks_truth, t.n_tracks_result),
        **{f"branching.{i}": _mean(f"BC({i})", b, n_divisions) for i, b in enumerate(t.branching)},
    }


def segmentation_scores(s: SegmentationScore) -> dict[str, Score | None]:
    """Of how objects were outlined; of classes there is none, since voxels beside each other are no examples of their own."""
    if not s.thresholds:
        return {}
    at = {one.iou: one for one in s.thresholds}
    union = s.n_truth + s.n_predicted - at[0.5].tp
    return {
        "ap50": _ap("AP", at[0.5]),
        "ap75": _ap("AP", at[0.75]),
        "mean_ap": _mean("mean AP", s.mean_ap, union),
        "pq": _mean("PQ", s.pq, union),
        "seg": _mean("SEG", s.seg, s.n_truth),
        "dice": _mean("Dice", s.dice, s.n_truth),
    }


def sparse_scores(s: SparseScore) -> dict[str, Score | None]:
    """Of how tracks fit where only some nuclei were followed."""
    return {
        "edge_jaccard": Score.of_share("Jaccard", s.edge_tp, s.edge_tp + s.edge_fp + s.edge_fn),
        "division_jaccard": Score.of_share("Jaccard", s.division_tp, s.division_tp + s.division_fp + s.division_fn),
    }


def _ap(label: str, one: ThresholdScore) -> Score:
    return Score.of_share(label, one.tp, one.tp + one.fp + one.fn)


def _mean(label: str, value: float | None, n: int) -> Score | None:
    """Of a mean of n values between 0 and 1; what is below 0 counts as 0."""
    return None if value is None or n <= 0 else Score.of_share(label, min(1.0, max(0.0, value)) * n, n)


def _f1(label: str, value: float | None, n_truth: int, n_result: int) -> Score | None:
    """Of F1 where only the numbers of both sides are known."""
    if value is None or n_truth + n_result <= 0:
        return None
    tp = value * (n_truth + n_result) / 2
    return Score.of_counts(label, tp, max(0.0, n_result - tp), max(0.0, n_truth - tp))
