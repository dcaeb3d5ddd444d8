"""``anlage track``: link nuclei into tracks and lineages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.cli.arguments import Parser, add_reading, device_option, micrometres, open_with_options, writer
from anlage.cli.describe import open_for_use
from anlage.cli.interruption import until_halted
from anlage.cli.prediction_output import ProgressReporter, progress_reporter
from anlage.cli.scale import SPACING_SOURCES, open_scaled
from anlage.cli.train import model_of
from anlage.errors import AnlageError
from anlage.inference import CLASSICAL, FAINTEST, STARTERS, predict, predict_classical
from anlage.inference.frame_store import PredictionParts
from anlage.io import write_annotations
from anlage.io.atomic import check_apart, replacing
from anlage.io.kinds import FileKind, kind_of
from anlage.io.nuclei_files.nuclei import graph_output
from anlage.model import read_card
from anlage.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from anlage.model import Model
    from anlage.timelapse import TimeLapse
    from anlage.tracking.track import Tracking

__all__: list[str] = []

_POINTS_ALONE = "-"
_CODES = """\
The file OUT.parts/stop, SIGTERM and Ctrl-C end it within 3 s; what was written then is said. With --progress json stdout holds one
JSON object a line: kind (started, note, frame, writing, finished or stopped), text, done, total, and where it applies frame,
nuclei, seconds_left.

exit codes:
  0    the output is there
  2    something is wrong, which is said
  3    ended by the file OUT.parts/stop
  130  ended by Ctrl-C (SIGINT), 143 by SIGTERM"""


def configure_track(parser: Parser) -> None:
    parser.explain(
        "Links nuclei over time, with divisions, and writes with each link how probable it is. The name of OUT says the\n"
        "format: .geff, .csv (with parent_id and link_probability), .xml (TrackMate), .aut (OrganoidTracker), or a folder (no\n"
        "suffix, or .ctc) of the Cell Tracking Challenge. Detections keep their ids; those that are rather false are left out,\n"
        "unless they have no probability.",
        "anlage track movie.ome.zarr -o tracks.geff --nuclei run/run.anlage",
        "anlage track movie.ome.zarr -o tracks.csv --nuclei found.csv --links links.anlage --divisions divisions.anlage",
        "anlage track - -o tracks.csv --nuclei points.csv --spacing 2,0.5,0.5",
    )
    parser.epilog = f"{parser.epilog}\n\n{_CODES}"
    parser.add_argument(
        "image", metavar="IMAGE", help="OME-Zarr, TIFF, a folder of TIFFs, or - where there are points only"
    )
    parser.add_output(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        kind="nuclei",
        help="tracks to write: .geff, .csv, .xml, .aut or a folder",
    )
    parser.add_argument(
        "--nuclei", metavar="MODEL|DETECTIONS", required=True,
        help="a nuclei model (or `starter`, `classical`), or a table of nuclei: CSV, GEFF, CTC folder or label images",
    )  # fmt: skip
    parser.add_argument(
        "--divisions", metavar="MODEL", help="a divisions model (default: divisions follow from the links)"
    )
    parser.add_argument(
        "--links", metavar="MODEL", help="a links model (default: links are judged by distance and common movement)"
    )
    parser.add_argument("--greedy", action="store_true", help="the best link first: a preview within seconds")
    parser.add_argument("--no-gaps", action="store_true", help="no links over a frame in which a nucleus was missed")
    parser.add_argument(
        "--radius-um", type=micrometres, metavar="R", help="greatest distance in µm of a link from where it is expected"
    )
    parser.add_argument(
        "--keep-links", action="store_true", help="links that the detections have already are certain and stay"
    )
    parser.add_output(
        "--json",
        metavar="REPORT",
        kind="report",
        help="also write the report of counts and certainty to this JSON file",
    )
    parser.add_output(
        "--scores", metavar="FILE", kind="scores",
        help="also write what was known of every candidate to this .npz file, so that a review decides by the same probabilities",
    )  # fmt: skip
    parser.add_argument(
        "--progress", choices=("bar", "json"), default="bar", help="for people, or for a program (default: bar)"
    )
    device_option(parser)
    add_reading(parser, "the image or the detections are")


def run_track(options: argparse.Namespace) -> int:
    with progress_reporter(options.progress) as reporter:
        output = Path(options.output)
        _check_place(output, options)
        parts = PredictionParts.beside(output)
        with parts.alone():

            def say_where() -> None:
                reporter.end("stopped", f"Stopped. {options.written.sentence()}")

            return until_halted(parts.stop_path, say_where, lambda: _track(output, options, reporter))


def _check_place(output: Path, options: argparse.Namespace) -> None:
    """Refuse, before anything is computed, an output that cannot be or would replace what is not ours."""
    graph_output(output)
    if options.scores is not None and Path(options.scores).suffix.lower() != ".npz":
        raise AnlageError(f"--scores writes an .npz file, and '{options.scores}' is none; choose another name.")
    for source in (options.image, options.nuclei):
        if source != _POINTS_ALONE:
            check_apart(output, source)


def _track(output: Path, options: argparse.Namespace, reporter: ProgressReporter) -> None:
    from anlage.tracking.scores import write_track_scores
    from anlage.tracking.track import track

    image = None if options.image == _POINTS_ALONE else open_with_options(options.image, options)
    models = {name: _model(getattr(options, name), name) for name in ("links", "divisions")}
    is_model = _is_model(options.nuclei)
    if image is None and is_model:
        raise AnlageError(
            f"'{options.nuclei}' is a model, which needs an image to find nuclei in; give the image in place of '-', or a "
            "table of nuclei for --nuclei."
        )
    if image is not None and is_model:
        image = _with_spacing(image, options)
        reporter.start(2 * image.n_frames, 0)
        nuclei, spacing, interval_s = _found(image, options, reporter), image.spacing, image.interval_s
    else:
        nuclei, spacing, interval_s = open_scaled(options.nuclei, options, image)
        for note in nuclei.notes:
            reporter.note(note)
    if spacing is None:
        raise AnlageError(
            f"The voxel size is known neither from '{options.image}' nor from '{options.nuclei}', and movement is judged in µm; "
            f"give it with --spacing Z,Y,X {SPACING_SOURCES}."
        )
    if not is_model:
        reporter.start(len(nuclei.annotated_frames), 0)
    result = track(
        nuclei, spacing, image=image, links=models["links"], divisions=models["divisions"], settings=_settings(options),
        accepted=nuclei.links if options.keep_links else None, on_progress=_frame_counter(reporter, nuclei),
        should_stop=lambda: False,  # what computes then leaves room for signals
    )  # fmt: skip
    for note in result.report.notes:
        reporter.note(note)
    reporter.end("writing", f"Writing {output}.")
    write_annotations(
        output,
        result.tracks,
        spacing=spacing,
        interval_s=interval_s,
        shape_tzyx=None if image is None else image.shape_tzyx,
        by=writer(options),
    )
    _write_report(result, options)
    if options.scores is not None:
        write_track_scores(options.scores, result, writer(options))
    reporter.end("finished", f"{result.report.to_text()}\nWritten to {output}.", len(result.tracks))


def _settings(options: argparse.Namespace) -> TrackingSettings:
    """What was set explicitly; what was not is left to the model of links."""
    explicit: dict[str, object] = {}
    if options.greedy:
        explicit["method"] = "greedy"
    if options.no_gaps:
        explicit["gaps"] = False
    if options.radius_um is not None:
        explicit["radius_um"] = options.radius_um
    return TrackingSettings.model_validate(explicit)


def _write_report(result: Tracking, options: argparse.Namespace) -> None:
    if options.json is None:
        return
    by = writer(options).of("report")
    report = {**result.report.model_dump(mode="json"), "written_by": by.mark}
    with replacing(options.json, by) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _frame_counter(reporter: ProgressReporter, nuclei: Annotations) -> Any:
    """A function of (frames decided, frames in all) that reports each frame once."""
    frames, counts = np.unique(nuclei.frames, return_counts=True)
    reported = 0

    def report(done: int, total: int) -> None:
        nonlocal reported
        while reported < min(done, total, len(frames)):
            reporter.frame(int(frames[reported]), int(counts[reported]))
            reported += 1

    return report


def _is_model(text: str) -> bool:
    if not Path(text).exists():
        return text in (CLASSICAL, *STARTERS) or text.lower().endswith(".anlage")
    return kind_of(text) in (FileKind.MODEL, FileKind.RUN)


def _model(text: str | None, task: str) -> Model | None:
    return None if text is None else open_for_use(model_of(text), task)


def _with_spacing(image: TimeLapse, options: argparse.Namespace) -> TimeLapse:
    """The image with a voxel size, if need be the model's, which is said."""
    if image.spacing is not None or options.nuclei == CLASSICAL:
        return image
    known = read_card(model_of(options.nuclei, flat=image.is_flat)).spacing_um_zyx
    if known is None:
        return image
    assumed = Spacing(*known)
    print(
        f"The image's voxel size is unknown; the model's is assumed: {assumed}. If it is wrong, give --spacing Z,Y,X."
    )
    return image.assuming(assumed)


def _found(image: TimeLapse, options: argparse.Namespace, reporter: ProgressReporter) -> Annotations:
    """All candidates for nuclei that a model sees: which of them are nuclei, the tracks decide."""
    if options.nuclei == CLASSICAL:
        predictions = predict_classical(image)
    else:
        model = open_for_use(model_of(options.nuclei, flat=image.is_flat), "nuclei", "centres")
        predictions = predict(model, image, threshold=FAINTEST, device=options.device)
    parts = []
    for prediction in predictions:
        for note in prediction.notes:
            reporter.note(note)
        parts.append(prediction.nuclei)
        reporter.frame(prediction.frame, len(prediction.nuclei))
    names = ("positions", "radius_um", "label", "probability", "state", "origin")
    columns: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in parts]) for name in names}
    return Annotations.of(columns.pop("positions"), **columns)
