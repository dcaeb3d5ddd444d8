"""From images to divisions and deaths: synthetic embryos, every step by command, nothing told of the tracks.

::

    python benchmarks/embryo_events.py WORK [--nuclei starter|classical] [--learn 3] [--test 3] [--steps 400]

Movies are rendered with divisions and deaths; nuclei found (`anlage predict`), linked (`anlage track`) and measured (`anlage signals`).
On the tracks of some embryos an event is scored where it was planted, as somebody would who looks at the movie; a network learns each
kind of event from them, and finds it in embryos that it never saw. There the events found are compared with those planted, by place and time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anlage import Annotations, Events, Signals, SyntheticMovie, embryo, open_annotations, write_events, write_signals
from anlage.cli import main as anlage
from anlage.evaluation.event_places import evaluate_placed_events, match_placed_events
from anlage.evaluation.tracks import score_tracks
from anlage.io import write_image
from anlage.io.signal_files.event_tables import read_events
from anlage.io.signal_files.signals import open_signals

EVENTS = ("division", "death")
FRAMES, SHAPE, NUCLEI = 30, (16, 112, 112), 32
REACH_UM = 5.0
"""An event found so near to one that was planted, at most a frame early or late, is that one."""


def film(seed: int, frames: int = FRAMES, shape: tuple[int, int, int] = SHAPE, nuclei: int = NUCLEI) -> SyntheticMovie:
    return embryo(seed, frames, shape, n_nuclei=nuclei, vivid=True, division_rate=0.015, death_rate=0.012)


def planted(movie: SyntheticMovie, event: str) -> Events:
    """What happened, where and when."""
    ids = movie.divisions if event == "division" else movie.deaths
    at = movie.truth.positions[ids - 1]
    return Events(
        ids, "once", np.zeros(len(ids), dtype=np.int64), at[:, 0], np.full(len(ids), np.nan), 300.0,
        dict(zip("tzyx", at.T, strict=True)),
    )  # fmt: skip


def scored(signals: Signals, truth: Events, um: npt.NDArray[np.float64]) -> Signals:
    """Tracks with the events that were planted on them: those whose nucleus is where the event is, in its frame."""
    classes, times = np.ones(len(signals), dtype=np.int64), np.full(len(signals), np.nan)
    places = signals.places
    assert places is not None
    row, column = np.nonzero(np.isfinite(places).all(axis=1))
    here = column.astype(float) + signals.first_frame, places[row, :, column] * um
    there = truth.frames, np.stack([truth.properties[axis] for axis in "zyx"], axis=1) * um
    for e in range(len(truth)):
        now = np.flatnonzero(here[0] == there[0][e])
        one = (there[0][e : e + 1], there[1][e : e + 1])
        near = match_placed_events((here[0][now], here[1][now]), one, radius_um=REACH_UM, frames=1)
        if len(near):
            track = row[now[near[0, 0]]]
            classes[track], times[track] = 0, there[0][e]
    return signals.scored(classes, times)


def run(*arguments: object) -> None:
    """A command, as typed; what it prints is shown only if it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = anlage([str(a) for a in arguments])
    if code:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{said.getvalue()}")


def measured(work: Path, name: str, movie: SyntheticMovie, nuclei: str) -> Path:
    """Signals of a movie of which only the pixels are known."""
    image, found, tracks, signals = (
        work / f"{name}{end}" for end in (".ome.zarr", ".csv", "-tracks.geff", "-signals.csv")
    )
    if not signals.exists():
        write_image(image, movie.image.read(), spacing=movie.spacing, interval_s=300, channels=["nuclei"])
        run("predict", nuclei, image, "-o", found, "--diameter-um", 8)
        run("track", image, "-o", tracks, "--nuclei", found)
        run("signals", image, tracks, "-o", signals, "--radius-um", 4)
    return signals


def in_words(name: str, movie: SyntheticMovie, tracks: Annotations) -> str:
    report = score_tracks(tracks, movie.truth, movie.spacing)
    return (
        f"  {name}: {len(movie.truth)} nuclei, {len(movie.divisions)} divisions, {len(movie.deaths)} deaths; tracks: DET {report.det:.3f}, "
        f"TRA {report.tra:.3f}, LNK {report.lnk:.3f}, division F1 {report.division_f1 or 0:.2f}"
    )


def chain(
    work: Path, learn: list[SyntheticMovie], test: list[SyntheticMovie], nuclei: str, settings: list[str]
) -> dict[str, tuple[int, int, int]]:
    """Everything; gives (found, wrong, missed) of each kind of event, over the movies to test."""
    work.mkdir(parents=True, exist_ok=True)
    films = {f"learn{i}": movie for i, movie in enumerate(learn)} | {f"test{i}": movie for i, movie in enumerate(test)}
    files = {name: measured(work, name, movie, nuclei) for name, movie in films.items()}
    for name, movie in films.items():
        print(in_words(name, movie, open_annotations(work / f"{name}-tracks.geff", spacing=movie.spacing)), flush=True)
    totals = {}
    for event in EVENTS:
        stores = []
        for name in (n for n in films if n.startswith("learn")):
            stores.append(work / f"{name}-{event}.csv")
            answers = scored(open_signals(files[name]), planted(films[name], event), films[name].spacing.um)
            write_signals(stores[-1], answers, event=event)
        shutil.rmtree(work / event, ignore_errors=True)
        run("train", "events", *stores, "-o", work / event, "--set", f"event={event}", *settings)
        totals[event] = _score(work, event, {n: films[n] for n in films if n.startswith("test")}, files)
    return totals


def _score(work: Path, event: str, films: dict[str, SyntheticMovie], files: dict[str, Path]) -> tuple[int, int, int]:
    total, errors = np.zeros(3, dtype=int), []
    for name, movie in films.items():
        out = work / f"{name}-{event}-found.csv"
        run("predict", work / event, files[name], "-o", out)
        write_events(work / f"{name}-{event}-planted.csv", planted(movie, event))
        report = evaluate_placed_events(read_events(out), planted(movie, event), movie.spacing, radius_um=REACH_UM)
        total += report.tp, report.fp, report.fn
        errors.append(report.mean_error_frames or 0.0)
        on_tracks = scored(open_signals(files[name]), planted(movie, event), movie.spacing.um)
        print(
            f"  {name}, {event}: {report.tp} found, {report.fp} wrong, {report.fn} missed; {(on_tracks.scores == 0).sum()} of "
            f"{len(planted(movie, event))} lie on a track at all",
            flush=True,
        )
    tp, fp, fn = (int(v) for v in total)
    print(
        f"{event}: precision {tp / max(tp + fp, 1):.3f}, recall {tp / max(tp + fn, 1):.3f} within one frame and {REACH_UM:g} µm "
        f"({tp} found, {fp} wrong, {fn} missed); error in time of those found {np.mean(errors):.2f} frames",
        flush=True,
    )
    return tp, fp, fn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--nuclei", default="starter", help="who finds the nuclei: starter, classical, or a model")
    parser.add_argument("--learn", type=int, default=3, help="embryos to learn from")
    parser.add_argument("--test", type=int, default=3, help="embryos to test")
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    learn, test = ([film(first + i) for i in range(n)] for first, n in ((11, options.learn), (101, options.test)))
    chain(options.work, learn, test, options.nuclei, [f"steps={options.steps}"])


if __name__ == "__main__":
    main()
