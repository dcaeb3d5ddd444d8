"""Events on signals: the figures of docs/lab-book/events.md.

::

    python benchmarks/events.py windows few once trace transfer keras --data ../shared/data --out /tmp/events-bench [--steps 600]

Each part prints what it measured. Recordings, movies and traces that are scored are never learnt from, nor is anything
chosen on them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from anlage.cli import main
from anlage.evaluation.events import evaluate_events, evaluate_windows
from anlage.inference.signal_events import probability_along
from anlage.inference.trace_events import trace_events
from anlage.io.signal_files.event_tables import read_events
from anlage.io.signal_files.signals import write_signals
from anlage.model import load_model
from anlage.signals.event_proposals import propose_by_template, windows_around
from anlage.signals.events import Events
from anlage.synthetic.signals import stepped_tracks, trace_of_events

Clock = tuple[float, float]


def human(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unique windows, scores and recordings; unclear windows left out, the longer ones cut."""
    x, y, r = [], [], []
    for path in sorted((data / "miniml" / "human_L23_scored").glob("*/*.h5")):
        with h5py.File(path) as file:
            x.append(file["events"][:, :750])
            y.append(file["scores"][:])
        r.append(np.full(len(x[-1]), int(path.name.split("_")[0])))
    windows, scores, recordings = np.concatenate(x), np.concatenate(y), np.concatenate(r)
    _, first = np.unique(windows.round(6), axis=0, return_index=True)
    kept = np.sort(first)
    kept = kept[scores[kept] < 2]
    return windows[kept], scores[kept], recordings[kept]


def folds(recordings: np.ndarray, n: int = 5) -> np.ndarray:
    """A fold for each window: whole recordings, the largest first into the emptiest fold."""
    names, counts = np.unique(recordings, return_counts=True)
    load, fold = np.zeros(n), {}
    for i in np.argsort(-counts, kind="stable"):
        fold[names[i]] = int(load.argmin())
        load[fold[names[i]]] += counts[i]
    return np.array([fold[r] for r in recordings])


def write_windows(path: Path, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["events"], file["scores"], file["recording"] = x, y, r
    return path


def run(*arguments: object) -> None:
    """A command, as typed; what it prints is shown only if it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main([str(a) for a in arguments])
    if code:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{said.getvalue()}")


def train(out: Path, name: str, files: list[Path], *options: str) -> tuple[Path, Clock]:
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    wall, cpu = time.perf_counter(), time.process_time()
    run("train", "events", *files, "-o", folder, *options)
    return folder, (time.perf_counter() - wall, time.process_time() - cpu)


def scored(out: Path, model: Path, file: Path) -> np.ndarray:
    run("predict", model, file, "-o", out / "told.csv")
    return pd.read_csv(out / "told.csv")["probability"].to_numpy()


def windows(data: Path, out: Path, settings: list[str], only: list[int] | None = None) -> None:
    """Five folds grouped by recording, or some of them."""
    x, y, r = human(data)
    fold, rows, clock = folds(r), [], np.zeros(2)
    for k in only or range(5):
        learn = write_windows(out / "learn.h5", x[fold != k], y[fold != k], r[fold != k])
        test = write_windows(out / "test.h5", x[fold == k], y[fold == k], r[fold == k])
        model, took = train(out, f"fold{k}", [learn], *settings)
        report = evaluate_windows(scored(out, model, test), y[fold == k])
        clock += took
        rows.append((report.f1, report.auc, report.accuracy, report.ece))
        print(
            f"  fold {k}: F1 {report.f1:.3f}, AUC {report.auc:.4f}, accuracy {report.accuracy:.3f}, {took[1]:.0f} s CPU",
            flush=True,
        )
    f1, auc, accuracy, ece = np.mean(rows, axis=0)
    print(
        f"windows: {len(y)} of 13 recordings, {len(rows)} of 5 folds by recording: mean F1 {f1:.3f}, AUC {auc:.4f}, accuracy {accuracy:.3f}, "
        f"calibration error {ece:.3f}; {clock[0]:.0f} s wall, {clock[1]:.0f} s CPU for these folds"
    )


def few(data: Path, out: Path, settings: list[str]) -> None:
    """From 100 scored windows alone, tested on the recordings of which none was seen."""
    x, y, r = human(data)
    fold, rows = folds(r), []
    for k in range(5):
        rng = np.random.default_rng(k)
        chosen = rng.choice(np.flatnonzero(fold != k), 100, replace=False)
        learn = write_windows(out / "learn.h5", x[chosen], y[chosen], r[chosen])
        test = write_windows(out / "test.h5", x[fold == k], y[fold == k], r[fold == k])
        model, took = train(out, f"few{k}", [learn], *settings)
        report = evaluate_windows(scored(out, model, test), y[fold == k])
        rows.append((report.f1, report.auc))
        print(f"  fold {k}: F1 {report.f1:.3f}, AUC {report.auc:.4f}, {took[1]:.0f} s CPU", flush=True)
    f1, auc = np.mean(rows, axis=0)
    print(f"few: from 100 windows, 5 draws and folds: mean F1 {f1:.3f}, AUC {auc:.4f}")


def once(data: Path, out: Path, settings: list[str]) -> None:
    """Tracks with one step: 300 to learn from, 1,000 to test, three pairs of seeds."""
    for seed in range(3):
        write_signals(out / "learn.csv", stepped_tracks(300, seed=seed), event="")
        test = stepped_tracks(1000, seed=100 + seed)
        write_signals(out / "test.csv", test.scored(np.full(1000, -1), np.full(1000, np.nan)))
        model, took = train(out, f"once{seed}", [out / "learn.csv"], *settings)
        run("predict", model, out / "test.csv", "-o", out / "told.csv")
        report = evaluate_events(read_events(out / "told.csv"), Events.of_signals(test))
        print(
            f"once, seeds {seed}: accuracy {report.accuracy:.4f}, time error median {report.median_error_frames:.2f}, mean "
            f"{report.mean_error_frames:.2f} frames, calibration error {report.ece:.3f}; {took[0]:.0f} s wall, {took[1]:.0f} s CPU",
            flush=True,
        )


def trace(data: Path, out: Path, settings: list[str]) -> None:
    """A simulated recording of 30 s at 50 kHz: learnt from three others, proposed by template and scored by the truth."""
    window, files = 600, []
    for seed in range(3):
        made = trace_of_events(30, seed=seed)
        found = propose_by_template(made.signals.values[0, 0], window, direction=-1)
        near = np.abs(found.samples[:, None] - made.onsets[None]).min(axis=1) < window / 8
        cut, _ = windows_around(made.signals, 0, found.samples, window, near.astype(np.int64))
        write_signals(out / f"windows{seed}.h5", cut)
        files.append(out / f"windows{seed}.h5")
    run_folder, took = train(out, "trace", files, *settings)
    model = load_model(run_folder / "trace.anlage")
    tp = fp = fn = 0
    for seed in (100, 101, 102):
        made = trace_of_events(30, seed=seed)
        cpu, wall = time.process_time(), time.perf_counter()
        told = trace_events(model, made.signals)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        seen = time.process_time()
        probability_along(model, made.signals.values[0])
        seen = time.process_time() - seen
        truth = Events(np.ones(len(made.onsets), dtype=np.int64), "repeated", np.zeros(len(made.onsets), dtype=np.int64), made.onsets, np.full(len(made.onsets), np.nan), 2e-5)  # fmt: skip
        report = evaluate_events(told, truth, tolerance_frames=100)
        tp, fp, fn = tp + report.tp, fp + report.fp, fn + report.fn
        print(
            f"  trace {seed}: {report.tp} of {len(made.onsets)} found, {report.fp} wrong, median SNR {np.median(made.amplitudes):.1f}, time "
            f"error {report.median_error_frames:.1f} samples; 75,000 windows: network {seen:.2f} s CPU, everything {cpu:.2f} s CPU ({wall:.1f} s wall)",
            flush=True,
        )
    print(
        f"trace: precision {tp / max(tp + fp, 1):.3f}, recall {tp / max(tp + fn, 1):.3f} at 0.5; training {took[1]:.0f} s CPU"
    )


def transfer(data: Path, out: Path, settings: list[str], only: list[int] | None = None) -> None:
    """50 windows of a recording that a model of the other twelve has not seen: from that model, and from scratch, as long."""
    x, y, r = human(data)
    enough = [
        int(k) for k in np.unique(r) if (r == k).sum() >= 70 and 10 <= (y[r == k] == 1).sum() <= (r == k).sum() - 10
    ]
    small, rows = ["batch_size=32"], []
    for target in only or enough:
        own_out = out / f"transfer{target}"
        own_out.mkdir(exist_ok=True)
        learn = write_windows(own_out / "learn.h5", x[r != target], y[r != target], r[r != target])
        base, _ = train(own_out, "base", [learn], "--set", "steps=200", *small)
        rng = np.random.default_rng(target)
        mine = rng.permutation(np.flatnonzero(r == target))
        own = write_windows(own_out / "own.h5", x[mine[:50]], y[mine[:50]], r[mine[:50]])
        test = write_windows(own_out / "test.h5", x[mine[50:]], y[mine[50:]], r[mine[50:]])
        truth = y[mine[50:]]
        scores = [evaluate_windows(scored(own_out, base, test), truth)]
        for name, options in (("from", ("--from", base)), ("scratch", ())):
            model, _ = train(own_out, name, [own], *map(str, options), "--set", "steps=100", *small, *settings[1:])
            scores.append(evaluate_windows(scored(own_out, model, test), truth))
        rows.append([(s.f1, s.auc or np.nan) for s in scores])
        told = ", ".join(f"{n} F1 {s.f1:.3f} AUC {s.auc:.3f}" for n, s in zip(_WAYS, scores, strict=True))
        print(f"  recording {target}, {len(truth)} windows to test: {told}", flush=True)
    _tell_transfer(np.array(rows))


def keras(data: Path, out: Path, settings: list[str], only: list[int] | None = None) -> None:
    """50 windows of a new recording, from miniML's network of granule cells: miniML's own recipe, and ours."""
    from anlage.inference.keras_model import open_keras
    from anlage.signals.signals import Signals

    start = data / "miniml" / "models" / "GC_lstm_model.h5"
    network, rows = open_keras(start), []
    x, y, r = human(data)
    enough = [
        int(k) for k in np.unique(r) if (r == k).sum() >= 70 and 10 <= (y[r == k] == 1).sum() <= (r == k).sum() - 10
    ]
    for target in only or enough:
        own_out = out / f"keras{target}"
        own_out.mkdir(exist_ok=True)
        mine = np.random.default_rng(target).permutation(np.flatnonzero(r == target))
        own = write_windows(own_out / "own.h5", x[mine[:50]], y[mine[:50]], r[mine[:50]])
        test = write_windows(own_out / "test.h5", x[mine[50:]], y[mine[50:]], r[mine[50:]])
        truth, seen = y[mine[50:]], x[mine[50:]]
        told = [
            network.score(Signals.of(seen, kind="repeated")),
            miniml_recipe(start, x[mine[:50]], y[mine[:50]], seen),
        ]
        for name, more in (("free", []), ("frozen", ["freeze_encoder=true"])):
            chosen = ["batch_size=32", *settings[1:], *more]
            model, took = train(own_out, name, [own], "--from", str(start), "--set", *chosen)
            told.append(scored(own_out, model, test))
        reports = [evaluate_windows(one, truth) for one in told]
        rows.append([(s.f1, s.auc or np.nan) for s in reports])
        words = ", ".join(f"{n} F1 {s.f1:.3f} AUC {s.auc:.3f}" for n, s in zip(_STARTS, reports, strict=True))
        print(f"  recording {target}, {len(truth)} windows to test: {words}; {took[1]:.0f} s CPU", flush=True)
    for i, way in enumerate(_STARTS):
        f1, auc = np.array(rows)[:, i].mean(axis=0)
        print(f"keras, {way}: F1 {f1:.3f}, AUC {auc:.3f} over {len(rows)} recordings")


def miniml_recipe(start: Path, x: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """What miniML's transfer learning says of windows: convolutions held, LSTM and dense layers learnt, dropout 0.5, batch 64,
    at most 100 epochs, the weights of the least loss on a quarter held out, with patience 12; at 1e-3, the rate of its transfer
    that was measured best (the 2e-8 that it prints learns nothing)."""
    import torch
    from scipy.signal import resample
    from torch.nn.functional import binary_cross_entropy_with_logits

    from anlage.inference.keras_start import model_to_start_from
    from anlage.networks.recurrent import RecurrentNetwork

    torch.manual_seed(0)
    model = model_to_start_from(start)
    plan = model.card.typed_plan
    shape = plan.recurrent
    net = RecurrentNetwork(plan.window, plan.stride, shape.convolutions, shape.units, shape.hidden, slope=shape.slope, dropout=0.5)  # fmt: skip
    weights = {k.removeprefix("members.0."): torch.from_numpy(v) for k, v in model.weights().items() if k.startswith("members.0.")}  # fmt: skip
    net.load_state_dict(weights)
    net.encoder.requires_grad_(requires_grad=False)
    seen, unseen = (torch.from_numpy(resample(w, plan.window, axis=1).astype(np.float32))[:, None] for w in (x, test))
    truth = torch.from_numpy(y.astype(np.float32))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    held, learnt = order[: len(x) // 4], order[len(x) // 4 :]
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3, amsgrad=True)
    best, kept, waited = np.inf, net.state_dict(), 0
    for _ in range(100):
        net.train()
        for rows in learnt[torch.randperm(len(learnt))].split(64):
            optimiser.zero_grad()
            logits = net(seen[rows], torch.ones_like(seen[rows])).track[:, 0]
            binary_cross_entropy_with_logits(logits, truth[rows]).backward()
            optimiser.step()
        net.eval()
        with torch.inference_mode():
            loss = float(binary_cross_entropy_with_logits(net(seen[held], torch.ones_like(seen[held])).track[:, 0], truth[held]))  # fmt: skip
        waited = 0 if loss < best else waited + 1
        if loss < best:
            best, kept = loss, {name: tensor.clone() for name, tensor in net.state_dict().items()}
        if waited >= 12:
            break
    net.load_state_dict(kept)
    with torch.inference_mode():
        return torch.sigmoid(net(unseen, torch.ones_like(unseen)).track[:, 0]).numpy().astype(np.float64)


_STARTS = ("as it is", "miniML's recipe", "from it", "from it, convolutions held")
_SOME = ("windows", "transfer", "keras")
"""Parts of which some folds or recordings can be run alone."""
_WAYS = ("as it is", "from it", "scratch")


def _tell_transfer(rows: np.ndarray) -> None:
    """Mean and spread over recordings, and in how many of them the model helps."""
    for i, way in enumerate(_WAYS):
        (f1, auc), (f1_sd, auc_sd) = rows[:, i].mean(axis=0), rows[:, i].std(axis=0)
        print(f"transfer, {way}: F1 {f1:.3f} ± {f1_sd:.3f}, AUC {auc:.3f} ± {auc_sd:.3f} over {len(rows)} recordings")
    for j, score in enumerate(("F1", "AUC")):
        gain = rows[:, 1, j] - rows[:, 2, j]
        more, same = int((gain > 1e-9).sum()), int((np.abs(gain) <= 1e-9).sum())
        print(
            f"  from the model against scratch, {score}: {gain.mean():+.3f}; better in {more}, alike in {same} of {len(gain)}"
        )


PARTS = {"windows": windows, "few": few, "once": once, "trace": trace, "transfer": transfer, "keras": keras}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--steps", type=int, help="optimiser steps, on a machine that is too busy for times to mean anything"
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the training")
    parser.add_argument(
        "--folds", type=int, nargs="+", help="of the part windows: these alone, so that some run at once"
    )
    parser.add_argument("--recordings", type=int, nargs="+", help="of the part transfer: these alone")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = [*([] if options.steps is None else [f"steps={options.steps}"]), *options.set]
    chosen = ["--set", *settings] if settings else []
    for part in options.parts:
        more = (
            {"only": {"transfer": options.recordings, "keras": options.recordings, "windows": options.folds}[part]}
            if part in _SOME
            else {}
        )
        PARTS[part](options.data, options.out, chosen, **more)
