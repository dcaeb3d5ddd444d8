"""Print scores as text."""

from __future__ import annotations

from anlage.evaluation.detection import DetectionScore, FrameScore
from anlage.evaluation.intervals import beside, detection_scores, sparse_scores, track_scores
from anlage.evaluation.sparse import SparseScore
from anlage.evaluation.tracks import TrackScore
from anlage.scores import Score

__all__ = ["detection_lines", "frame_lines", "sparse_lines", "track_lines"]


def detection_lines(score: DetectionScore) -> list[str]:
    """How well nuclei were found."""
    d, certain = score, detection_scores(score)
    return [
        f"nuclei in the truth  {d.n_truth}",
        f"predicted            {d.n_predicted}",
        f"found                {d.tp}   missed {d.fn}   wrong {d.fp}",
        f"precision            {_share(d.precision)}{beside(certain['precision'])}",
        f"recall               {_share(d.recall)}{beside(certain['recall'])}",
        f"F1                   {_number(d.f1, 3)}{_interval(d)}",
        f"centre error         median {_number(d.median_error_um, 2)} µm, mean {_number(d.mean_error_um, 2)} µm",
    ]


def frame_lines(frames: tuple[FrameScore, ...]) -> list[str]:
    """A table with a row for each frame; F1 with its 95 % interval."""
    rows = [f"{'frame':>6} {'truth':>6} {'found':>6} {'missed':>7} {'wrong':>6} {'F1':>6} {'95 %':>12} {'error µm':>9}"]
    for f in frames:
        interval = Score.of_counts("F1", f.tp, f.fp, f.fn).interval if f.f1 is not None else "–"
        rows.append(
            f"{f.frame:>6} {f.n_truth:>6} {f.tp:>6} {f.fn:>7} {f.fp:>6} {_number(f.f1, 3):>6} {interval:>12} "
            f"{_number(f.median_error_um, 2):>9}"
        )
    return rows


def track_lines(score: TrackScore) -> list[str]:
    """How well nuclei were followed."""
    e, (exact, near) = score.errors, score.divisions
    certain = track_scores(score)
    how = "their masks" if score.radius_um is None else f"their centres, within {score.radius_um:g} µm"
    return [
        f"tracks, nuclei recognised by {how}",
        f"DET, TRA, LNK        {_number(score.det, 4)}, {_number(score.tra, 4)}, {_number(score.lnk, 4)}",
        f"  95 % intervals     {', '.join(beside(certain[name]).strip(' ()') or '–' for name in ('det', 'tra', 'lnk'))}",
        f"nuclei               missed {e.missed}   false {e.false}   not split {e.splits}",
        f"links                {score.n_links_truth} in the truth   missing {e.missing_links}   "
        f"redundant {e.redundant_links}   wrong meaning {e.wrong_meaning}   F1 {_number(score.link_f1, 4)}{beside(certain['link_f1'])}",
        f"divisions ± 1 frame  {near.tp + near.fn} in the truth   found {near.tp}   missed {near.fn}   "
        f"wrong {near.fp}   F1 {_number(near.f1, 3)}{beside(certain['division_f1'])}",
        f"divisions, exact     found {exact.tp}   missed {exact.fn}   wrong {exact.fp}   F1 {_number(exact.f1, 3)}{beside(certain['division_f1_exact'])}",
        f"complete tracks, CT  {_number(score.complete_tracks, 3)}{beside(certain['complete_tracks'])} ({score.n_tracks_truth} in the truth, "
        f"{score.n_tracks_result} in the result)",
        "branching, BC(0) …   "
        + ", ".join(f"{_number(b, 3)}{beside(certain[f'branching.{i}'])}" for i, b in enumerate(score.branching)),
    ]


def sparse_lines(score: SparseScore) -> list[str]:
    """How well tracks fit, should only some nuclei have been followed in the truth."""
    s, certain = score, sparse_scores(score)
    return [
        f"if only some nuclei were followed in the truth: pairs within {s.radius_um:g} µm",
        f"links                right {s.edge_tp}   contradicted {s.edge_fp}   missing {s.edge_fn}   "
        f"Jaccard {_number(s.edge_jaccard, 4)}{beside(certain['edge_jaccard'])}",
        f"divisions            right {s.division_tp}   contradicted {s.division_fp}   missing {s.division_fn}   "
        f"Jaccard {_number(s.division_jaccard, 3)}{beside(certain['division_jaccard'])}",
        f"score                {_number(s.score, 4)}" + ("" if s.n_nuclei else " (say --expected-nuclei N for it)"),
    ]


def _interval(score: DetectionScore) -> str:
    if score.f1_low is None or score.f1_high is None:
        return ""
    return f" (95 % interval {score.f1_low:.3f} to {score.f1_high:.3f} from the counts alone)"


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1%}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
