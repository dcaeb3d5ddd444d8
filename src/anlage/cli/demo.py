"""``anlage demo``: annotate, train and predict on an embryo whose truth is known, synthetic or real."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import anlage
from anlage.cli import run_command
from anlage.cli.arguments import Parser, positive
from anlage.cli.demo_movie import BY, DIAMETER_UM, SEED, DemoMovie, real_movie, synthetic_movie, write_movie
from anlage.cli.doctor import FOR_THE_VIEWER, NEEDED, QT, display
from anlage.cli.train import model_of
from anlage.cli.written import Written
from anlage.dataset.store import ATTRIBUTE
from anlage.errors import AnlageError
from anlage.installed import install, versions
from anlage.io import open_annotations, open_image
from anlage.io.atomic import replacing, root_attributes
from anlage.io.seals import holds_nothing, is_written_by
from anlage.scores import Score
from anlage.shell import command
from anlage.synthetic import pair

if TYPE_CHECKING:
    from anlage.evaluation import DetectionScore

__all__ = ["Stopwatch"]

PAIR_DIAMETERS = 0.8
TRAINING_MINUTES = 1.75
TRAINING_STEPS = 80
SETTINGS: tuple[str, ...] = ()
"""As every training begins: from the starter, so that few steps are enough."""
_LATEST_S = 130.0
"""Training ends so many seconds after the start, so that the whole stays under 3 minutes."""
_MARK = ".anlage-demo"
_REPORT = "report.json"
_MADE = (
    "image.ome.zarr", "truth.csv", "truth_unseen.csv", "annotations.csv", "training.zarr", "run", "found.csv",
    "classical.csv", "heatmap.zarr", _REPORT, "result.png", "slices.png", "training.png",
)  # fmt: skip


def configure_demo(parser: Parser) -> None:
    parser.explain(
        "Takes an embryo, annotates a part of it, trains a network, finds the nuclei in frames that the network never\n"
        "saw and compares with the truth. Writes every file of that way, pictures and report.json, and opens napari.",
        "anlage demo -o demo",
        "anlage demo --real -o demo-real",
        "anlage demo -o demo --no-viewer",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="anlage-demo", help="folder for everything (default: anlage-demo)"
    )
    parser.add_overwrite()
    parser.add_argument(
        "--real",
        action="store_true",
        help="a real mouse embryo, which comes with the program (default: a synthetic one)",
    )
    parser.add_argument("--no-viewer", action="store_true", help="do not open the result in napari")
    # for the tests, and for machines that share their cores
    parser.add_argument("--minutes", type=positive, default=TRAINING_MINUTES, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)


def run_demo(options: argparse.Namespace) -> int:
    watch = Stopwatch()
    folder = Path(options.output)
    options.written = Written(folders=[folder])
    _make_room(folder, overwrite=options.overwrite)
    with watch("render", "Get the movie"):
        movie = real_movie() if options.real else synthetic_movie()
        print(f"{movie.sentence}.")
        write_movie(folder, movie)
    with watch("build", f"Cut out what was annotated: frames 0 to {movie.annotated[-1]}, a part of the image"):
        _command("build", folder / "image.ome.zarr", folder / "annotations.csv", "-o", folder / "training.zarr")
    minutes = max(0.1, min(options.minutes, (_LATEST_S - watch.total) / 60))
    length = (
        [f"minutes={minutes:.2f}", f"steps={TRAINING_STEPS}"] if options.steps is None else [f"steps={options.steps}"]
    )
    with watch("train", "Train a network on it"):
        _command(
            "train",
            "nuclei",
            folder / "training.zarr",
            "-o",
            folder / "run",
            "--set",
            *length,
            f"seed={SEED}",
            *SETTINGS,
        )
    with watch("predict", f"Find the nuclei in {movie.unseen_name}, which the network never saw"):
        _command(
            "predict", folder / "run", folder / "image.ome.zarr", "-o", folder / "found.csv", *movie.asked,
            "--heatmap", folder / "heatmap.zarr",
        )  # fmt: skip
    with watch("classical", "The same without training, for comparison"):
        _command("predict", "classical", folder / "image.ome.zarr", "-o", folder / "classical.csv", *movie.asked)
    with watch("evaluate", f"Compare both with the truth; a centre counts within {movie.radius_um:g} µm"):
        score, classical = (_score(folder, name, movie) for name in ("found.csv", "classical.csv"))
        pairs = _touching_pairs(folder) if movie.promised_f1 else []
    with watch("pictures", "Draw pictures"):
        _draw(folder, movie)
    _write_report(folder, watch, movie, (score, classical), pairs)
    _conclude(movie, score, classical, pairs, watch)
    problem = _shortfall(folder, score, classical, movie.promised_f1)
    if problem is not None:
        print(problem, file=sys.stderr, flush=True)
    _show_the_way(folder, real=options.real)
    if not options.no_viewer:
        _open_viewer(folder)
    return 0 if problem is None else 1


class Stopwatch:
    """Seconds of each stage of a job."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @property
    def total(self) -> float:
        return time.perf_counter() - self._began

    @contextlib.contextmanager
    def __call__(self, stage: str, sentence: str) -> Iterator[None]:
        """Announce a stage and measure what is inside."""
        print(f"\n— {sentence}.", flush=True)
        began = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - began, 2)


def _make_room(folder: Path, *, overwrite: bool = False) -> None:
    """Make the folder, or empty it of an earlier demo; anything else in it is left alone, and what was changed refused."""
    if folder.exists() and not folder.is_dir():
        raise AnlageError(f"{folder} is a file; choose a folder for the demo with -o DIR.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise AnlageError(f"{folder} is not empty; choose another folder for the demo with -o DIR.")
    there = [name for name in _MADE if name != _REPORT and (folder / name).exists()]  # nobody corrects a report
    changed = [name for name in there if not _is_ours(folder / name)]
    if changed and not overwrite:
        raise AnlageError(
            f"'{folder / changed[0]}' was changed since the demo wrote it, so it is not replaced; choose another folder with -o "
            "DIR, or say that it may be replaced with --overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    for name in _MADE:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether one of the commands of a demo wrote this, and nobody changed it."""
    is_store_or_run = (path / "run.json").is_file() or ATTRIBUTE in root_attributes(path)
    return is_store_or_run or holds_nothing(path) or is_written_by(path)


def _command(*words: str | Path) -> None:
    """Run one of the other commands, as a user would."""
    arguments = [str(word) for word in words]
    print(f"$ {command(*arguments)}", flush=True)
    code = run_command(arguments)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise AnlageError(f"The demo ended early: its step '{arguments[0]}' was stopped (exit code {code}).")


def _score(folder: Path, name: str, movie: DemoMovie) -> DetectionScore:
    from anlage.evaluation import evaluate

    report = evaluate(folder / name, folder / "truth_unseen.csv", spacing=movie.spacing, radius_um=movie.radius_um)
    print(f"{report.to_text()}\n")
    if report.detection is None:  # points against points always have one
        raise AnlageError(f"'{name}' holds no points to score; run the demo again.")
    return report.detection


def _touching_pairs(folder: Path) -> list[dict[str, Any]]:
    """Whether the network separates two touching nuclei, side by side in each direction."""
    from anlage.evaluation import score_detection
    from anlage.inference import predict
    from anlage.model import load_model

    model = load_model(model_of(folder / "run"))
    found = []
    for axis in "zyx":
        scene = pair(PAIR_DIAMETERS, axis=axis, diameter_um=DIAMETER_UM)
        nuclei = next(iter(predict(model, scene.image, diameter_um=DIAMETER_UM))).nuclei
        score = score_detection(nuclei, scene.truth, scene.spacing, DIAMETER_UM / 2 * PAIR_DIAMETERS)
        found.append(
            {
                "axis": axis, "distance_diameters": PAIR_DIAMETERS, "separated": score.tp == 2 and score.fp == 0,
                "median_error_um": score.median_error_um,
            }
        )  # fmt: skip
    return found


def _draw(folder: Path, movie: DemoMovie) -> None:
    from anlage.pictures.results import Scene, draw_result, draw_slices, draw_training
    from anlage.training.run import Run

    frame = movie.unseen[-1]
    found = open_annotations(folder / "found.csv")
    scene = Scene(
        image=movie.image.frame(frame)[0],
        heatmap=open_image(folder / "heatmap.zarr").frame(frame)[0],
        truth=movie.truth.positions[movie.truth.frames == frame, 1:],
        found=found.positions[found.frames == frame, 1:],
        spacing=movie.spacing,
    )
    title = [f"frame {frame}; the network never saw {movie.unseen_name}", *wrap(movie.attribution, 96)]
    draw_result(folder / "result.png", scene, "\n".join(title), BY)
    draw_slices(folder / "slices.png", scene, BY)
    draw_training(folder / "training.png", Run.open(folder / "run").events()[0], BY)


def _write_report(
    folder: Path,
    watch: Stopwatch,
    movie: DemoMovie,
    scores: tuple[DetectionScore, DetectionScore],
    pairs: list[dict[str, Any]],
) -> None:
    score, classical = scores
    report = {
        "seed": SEED,
        "attribution": movie.attribution,
        "frames": {"annotated": list(movie.annotated), "scored": list(movie.unseen)},
        "detection": score.model_dump(mode="json"),
        "classical": classical.model_dump(mode="json"),
        "promised_f1": movie.promised_f1,
        "touching_pairs": pairs,
        "seconds": {**watch.seconds, "total": round(watch.total, 2)},
        "versions": {"anlage": anlage.__version__, "python": sys.version.split()[0], **versions(NEEDED)},
        "written_by": BY.of("report").mark,
    }
    by = BY.of("report")
    with replacing(folder / _REPORT, by) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _conclude(
    movie: DemoMovie, score: DetectionScore, classical: DetectionScore, pairs: list[dict[str, Any]], watch: Stopwatch
) -> None:
    apart = [pair["axis"] for pair in pairs if pair["separated"]]
    print(
        f"\nDone in {watch.total:.0f} s. In {movie.unseen_name}, which it never saw, the network finds {score.tp} of {score.n_truth} nuclei with "
        f"{score.fp} wrong: {_score_text(score)}; without training {_score_text(classical)}."
    )
    if pairs:
        print(f"Touching pairs told apart along: {', '.join(apart) or 'none of z, y, x'}.")


def _show_the_way(folder: Path, *, real: bool) -> None:
    """Where the picture is, and what to try next."""
    there = _program("anlage").removesuffix("anlage")
    other = there + (command("demo", "-o", "demo") if real else command("demo", "--real", "-o", "demo-real"))
    print(
        f"\nThe picture is {folder / 'result.png'}; everything else is beside it in {folder}.\n"
        "Try next:\n"
        f"  1. {'a synthetic embryo, whose truth is known exactly' if real else 'the same on a real mouse embryo'}:  {other}\n"
        f"  2. the network on a movie of yours:  {there}{command('predict', folder / 'run', 'MOVIE.tif', '-o', 'nuclei.csv')}\n"
        f"  3. mark and train by hand: in {_program('napari')}, Plugins ▸ anlage, then File ▸ Open Sample ▸ anlage",
        flush=True,
    )


def _program(name: str) -> str:
    """How a program of this environment is called: by its name where the shell finds it, else by its path."""
    if shutil.which(name) is not None:
        return name
    place = Path(sys.executable).with_name(name)
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def _shortfall(folder: Path, score: DetectionScore, classical: DetectionScore, promised: float | None) -> str | None:
    """What is wrong with the result, as a sentence; None where it is as promised."""
    from anlage.model import read_card

    f1, without = score.f1 or 0.0, classical.f1 or 0.0
    if promised is None or f1 >= max(promised, without):
        return None
    least = f"the {promised} that it should reach" if f1 < promised else f"without training ({without:.3f})"
    card = read_card(model_of(folder / "run"))
    return (
        f"The demo did not come to what it should: its network finds less than {least}, {_score_text(score)}, after {card.steps_done} steps; "
        "if the computer was busy with other things, run it again when it is not, else `anlage doctor` may say what it lacks."
    )


def _score_text(score: DetectionScore) -> str:
    return str(Score.of_counts("F1", score.tp, score.fp, score.fn, ("nucleus", "nuclei")))


def _open_viewer(folder: Path) -> None:
    """Show the result in napari, in a process of its own, where there is napari and a screen."""
    if display() is None:
        print("There is no screen here, so napari was not opened.")
        return
    found = versions((*FOR_THE_VIEWER, *QT))
    absent = [package for package in FOR_THE_VIEWER if package not in found]
    absent += [] if any(binding in found for binding in QT) else [QT[0]]
    if absent:
        print(f"napari was not opened: {', '.join(absent)} must be installed for that. Run:\n  {install(absent)}")
        return
    print("Opening napari …", flush=True)
    shown = subprocess.run([sys.executable, "-m", "napari_anlage.demo", str(folder.resolve())], check=False)
    if shown.returncode:
        print(f"napari could not show it (exit code {shown.returncode}); `anlage doctor` says what it lacks.")
