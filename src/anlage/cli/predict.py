"""``anlage predict``: find nuclei in an image with a trained model or the classical detector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

import anlage
from anlage.axes import Box, Spacing
from anlage.cli.arguments import (
    Parser,
    add_reading,
    channel_list,
    check_free,
    device_option,
    diameter,
    heatmap_path,
    not_negative,
    open_with_options,
    positive,
    prediction_path,
    probability,
    span,
    spans_zyx,
    writer,
)
from anlage.cli.build import require_spacing
from anlage.cli.describe import open_for_use
from anlage.cli.nuclei_output import GOES_ON, HEATMAP, count_sentence, write_heatmap, write_table
from anlage.cli.predict_divisions import predict_divisions
from anlage.cli.predict_events import add_events, is_event_model, predict_events
from anlage.cli.predict_labels import check_model, is_labels, predict_labels
from anlage.cli.predict_maps import predict_maps
from anlage.cli.prediction_output import ProgressReporter, progress_reporter
from anlage.cli.sharing.shared_prediction import add_sharing, predict_shared
from anlage.cli.train import model_of
from anlage.dataset.fingerprint import hash_movie
from anlage.errors import AnlageError
from anlage.inference import CLASSICAL, FAINTEST, OUTLINER, STARTER
from anlage.inference.classical import prepare_classical
from anlage.inference.frame_store import PredictionParts
from anlage.inference.network import prepare_network
from anlage.inference.prediction_job import AgreedScale, PredictionJob
from anlage.inference.sharing import Finder, FrameUnits, Units, agreed
from anlage.io.atomic import check_apart
from anlage.model import read_card

if TYPE_CHECKING:
    from anlage.model import Model
    from anlage.timelapse import TimeLapse

__all__: list[str] = []

FinderFor = Callable[[float | None], Finder]
"""Makes ready to find nuclei of a diameter in µm (None: measured)."""

_CODES = """\
A prediction keeps each finished frame in OUT.parts until the output is there. Broken off, in whatever way, the same
command goes on where it was; with other options it begins anew. Run at the same time in several terminals, or on several
computers that see the same folder, it is shared: each process takes frames that no other has, those of a process that died
too; who finds nothing free waits, and the one that is done last writes the output. With other options it is refused while
others are at work. The file OUT.parts/stop ends all of them, SIGTERM and Ctrl-C the one that gets them, within 3 s. With --progress json stdout holds one JSON object a line: kind (started, note, frame, writing, finished or stopped),
text, done, total, and where it applies frame, nuclei, seconds_left.

exit codes:
  0    the output is there
  2    something is wrong, which is said; finished frames are kept
  3    ended by the file OUT.parts/stop
  130  ended by Ctrl-C (SIGINT), 143 by SIGTERM"""


def configure_predict(parser: Parser) -> None:
    parser.explain(
        "Writes a table id,t,z,y,x,probability in voxels of the image. The image may have another voxel size, and other\n"
        "nuclei, than the model's training images: it is rescaled so that its nuclei are as large as those.",
        "anlage predict run/run.anlage movie.ome.zarr -o found.csv",
        "anlage predict run/run.anlage movie.ome.zarr -o found.csv --frames 0:10 --heatmap heat.zarr",
        "anlage predict starter movie.ome.zarr -o found.csv",
        "anlage predict divisions/divisions.anlage movie.ome.zarr --nuclei found.csv -o scored.csv",
        "anlage predict classical movie.tif -o found.csv --spacing 2,0.5,0.5 --diameter-um 8",
        "anlage predict run/run.anlage movie.ome.zarr -o found.csv --on slurm --workers 8 --gpus 1 --hours 4",
    )
    parser.epilog = f"{parser.epilog}\n\n{_CODES}"
    parser.again = GOES_ON
    parser.add_argument(
        "model", metavar="MODEL",
        help="a model file, the run folder that holds it, `starter` (the network that comes with the program, for first "
        "proposals) or `classical` (no network)",
    )  # fmt: skip
    parser.add_argument(
        "image",
        metavar="IMAGE",
        help="OME-Zarr, TIFF, or a folder with one TIFF a frame; of a model of events, a file of signals",
    )
    parser.add_output(
        "-o",
        "--output",
        type=prediction_path,
        metavar="OUT",
        required=True,
        help="what to write: a table, .csv or .geff; of models that outline or classify also labels, .zarr or .tif",
    )
    parser.add_argument(
        "--nuclei", metavar="NUCLEI",
        help="for a divisions model: where the nuclei are (CSV, GEFF, CTC folder or labels); they are written again with a "
        "column `division_probability`",
    )  # fmt: skip
    parser.add_argument(
        "--frames", type=span, metavar="a:b", help="from frame a up to, not including, b (default: all)"
    )
    parser.add_argument("--region", type=spans_zyx, metavar="z0:z1,y0:y1,x0:x1", help="part of the image, in voxels")
    parser.add_argument(
        "--diameter-um", type=diameter, metavar="D", help="nucleus diameter here in µm (default: measured in the image)"
    )
    floor = parser.add_mutually_exclusive_group()
    floor.add_argument(
        "--threshold", type=probability, metavar="P", help="report from this probability on (default: the model's own)"
    )
    floor.add_argument(
        "--all-candidates", action="store_true",
        help="report every candidate from a probability of 0.02 on: filtered later, the table is the same as with a threshold",
    )  # fmt: skip
    parser.add_output(
        "--heatmap", type=heatmap_path, metavar="OUT.zarr", kind=HEATMAP,
        help="also write the network's map, on the image's own voxels",
    )  # fmt: skip
    parser.add_argument(
        "--channels", type=channel_list, metavar="0,2",
        help="channels of the image to look at, one for each input of the model and in its order (default: as in training)",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", help="go on with this prediction, which was broken off; refuse to begin anew"
    )
    parser.add_argument(
        "--progress", choices=("bar", "json"), default="bar", help="for people, or for a program (default: bar)"
    )
    parser.add_argument(
        "--parts-only", action="store_true",
        help="leave the finished frames, the maps with them, in OUT.parts and write neither table nor heat-map: for a program "
        "that reads them there",
    )  # fmt: skip
    _configure_labels(parser)
    device_option(parser)
    add_reading(parser)
    add_sharing(parser)
    add_events(parser)


def _configure_labels(parser: Parser) -> None:
    group = parser.add_argument_group("labels (.zarr or .tif)")
    group.add_argument(
        "--inside", type=probability, metavar="P",
        help="a voxel belongs to an object from this probability on (default: the model's own)",
    )  # fmt: skip
    group.add_argument(
        "--turns",
        type=int,
        choices=(1, 4, 8, 16),
        default=1,
        help="average over so many mirrored and turned copies: a little better, as many times slower (default: 1)",
    )
    group.add_argument(
        "--smallest", type=not_negative, metavar="V",
        help="leave out objects smaller than this, in µm³ (single planes: µm²; default: 3 %% of a typical one; 0 keeps all)",
    )  # fmt: skip
    group.add_argument(
        "--memory-gb",
        type=positive,
        metavar="GB",
        help="memory that may be taken: less makes smaller tiles (default: 1.6)",
    )
    group.add_argument(
        "--maps", action="store_true",
        help="write what the network says of one frame instead of labels, so that thresholds can be tuned without it: for a "
        "program that reads them (`anlage.open_maps`, `anlage.labels_of`)",
    )  # fmt: skip


def run_predict(options: argparse.Namespace) -> int:
    if is_event_model(options.model):
        return predict_events(options)

    with progress_reporter(options.progress) as reporter:
        scoring = _scoring_model(options)
        if scoring is not None:
            return predict_divisions(scoring, options, reporter)
        _check_places(options)
        image = open_with_options(options.image, options)
        frames, region = _part(image, options)
        if is_labels(options.output):
            model = _model(image, options)
            write = predict_maps if options.maps else predict_labels
            return write(options, model, _with_spacing(image, model), frames, region, reporter)
        return _predict_nuclei(options, image, frames, region, reporter)


def _predict_nuclei(
    options: argparse.Namespace, image: TimeLapse, frames: range, region: Box | None, reporter: ProgressReporter
) -> int:
    image, name, finder_for = _finder(image, frames, region, options)
    parts = PredictionParts.beside(options.output)
    units = FrameUnits(parts, frames)

    def described(finder: Finder) -> AgreedScale:
        return AgreedScale(diameter_um=finder.diameter_um, n_units=len(frames), notes=finder.notes)

    def prepare() -> Units:
        scale = parts.scale
        if not options.collect and units.missing():
            finder, scale = agreed(parts, options.diameter_um, finder_for, described)
            units.finder = finder
        units.notes = () if scale is None else scale.notes
        for note in units.notes:
            reporter.note(note)
        return units

    def write() -> None:
        _write(options, parts, image, reporter)

    job = _job(image, name, frames, options)
    return predict_shared(options, parts, job, reporter, prepare=prepare, write=write)


def _scoring_model(options: argparse.Namespace) -> Model | None:
    """The model, if it is one of divisions, which are looked for among nuclei that somebody found; else None."""
    if options.model not in (CLASSICAL, STARTER, OUTLINER):
        path = model_of(options.model)
        if path.is_file() and read_card(path).task == "divisions":
            return open_for_use(path)
    if options.nuclei is not None:
        raise AnlageError(
            f"--nuclei has no meaning for '{options.model}', which finds nuclei itself: leave it out, or choose a divisions "
            "model."
        )
    return None


def _check_places(options: argparse.Namespace) -> None:
    """Refuse, before anything is computed, outputs that would replace what is not theirs to replace."""
    if options.maps and options.output.suffix.lower() != ".zarr":
        raise AnlageError(f"Maps are written to .zarr, not to '{options.output.name}'; choose such a name.")
    kind = "nuclei" if not is_labels(options.output) else "maps" if options.maps else "labels"
    check_free(options.output, options, kind)
    outputs = [options.output, *([] if options.heatmap is None else [options.heatmap])]
    for output in outputs:
        check_apart(output, options.image)
    if options.heatmap is not None:
        check_apart(options.heatmap, options.output)


def _part(image: TimeLapse, options: argparse.Namespace) -> tuple[range, Box | None]:
    """Frames and region that were asked for, checked against the image."""
    low, high = options.frames or (0, None)
    frames = range(low or 0, image.n_frames if high is None else high)
    if frames.stop > image.n_frames or not frames:
        raise AnlageError(
            f"Frames {frames.start}:{frames.stop} were asked for, but {image.source} has the frames 0:{image.n_frames}."
        )
    if options.region is None:
        return frames, None
    box = Box((frames.start, frames.stop), *options.region)
    if box.intersection(Box.whole(image.shape_tzyx)) != box:
        shown = ",".join(f"0:{n}" for n in image.shape_tzyx[1:])
        raise AnlageError(f"The region reaches outside {image.source}, which has {shown} voxels (z, y, x).")
    return frames, box


def _finder(
    image: TimeLapse, frames: range, region: Box | None, options: argparse.Namespace
) -> tuple[TimeLapse, str, FinderFor]:
    """The image with a voxel size, the name of who predicts, and what makes it ready for a nucleus diameter."""
    common = {
        "frames": frames, "region": region, "channels": options.channels, "threshold": _threshold(options),
        "heatmap": options.heatmap is not None,
    }  # fmt: skip
    if options.model == CLASSICAL:
        require_spacing(image, options.image)
        print("Classical detector: bright blobs of one size; a trained model is better, this one is at once.")
        return image, CLASSICAL, lambda um: prepare_classical(image, diameter_um=um, **common)
    model = _model(image, options)
    image = _with_spacing(image, model)
    return (
        image,
        model.id,
        lambda um: prepare_network(model, image, diameter_um=um, device=options.device, **common),
    )


def _model(image: TimeLapse, options: argparse.Namespace) -> Model:
    if options.model == CLASSICAL:
        raise AnlageError(
            "The classical detector finds centres and paints no labels: write a table (.csv or .geff), or train with "
            "head=instances."
        )
    model = open_for_use(model_of(options.model, flat=image.is_flat), "nuclei")
    check_model(model, options.output)
    print(f"Model {model.card.name}: finds {model.card.finds}.")
    return model


def _with_spacing(image: TimeLapse, model: Model) -> TimeLapse:
    """The image with a voxel size: its own, else the model's, which is said."""
    if image.spacing is not None:
        return image
    assumed = Spacing(*model.card.voxel_um_zyx)
    print(
        f"The image's voxel size is unknown; the model's is assumed: {assumed}. If it is wrong, give --spacing Z,Y,X."
    )
    return image.assuming(assumed)


def _threshold(options: argparse.Namespace) -> float | None:
    threshold: float | None = FAINTEST if options.all_candidates else options.threshold
    return threshold


def _job(image: TimeLapse, model: str, frames: range, options: argparse.Namespace) -> PredictionJob:
    return PredictionJob(
        version=anlage.__version__,
        model=model,
        movie=hash_movie(image),
        image=str(options.image),
        spacing_um_zyx=None if image.spacing is None else image.spacing.zyx,
        frames=(frames.start, frames.stop),
        region=None if options.region is None else ",".join(f"{low}:{high}" for low, high in options.region),
        channels=options.channels,
        diameter_um=options.diameter_um,
        threshold=_threshold(options),
        heatmap=options.heatmap is not None,
    )


def _write(options: argparse.Namespace, parts: PredictionParts, image: TimeLapse, reporter: ProgressReporter) -> None:
    """Make the outputs of the finished frames. The table, which is what matters, comes even where the map fails."""
    reporter.end("writing", f"Writing {options.output}.")
    problem = None
    try:
        if options.heatmap is not None:
            write_heatmap(options.heatmap, parts, image, writer(options), fades=options.region is not None)
    except (AnlageError, OSError, MemoryError) as error:
        problem = error
    counts = write_table(options.output, parts, image, writer(options))
    said = count_sentence(counts, options.output)
    if problem is not None:
        reporter.note(said)
        raise problem
    reporter.end("finished", said, sum(counts.values()))
