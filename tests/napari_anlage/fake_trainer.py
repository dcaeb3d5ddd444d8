"""Stands in for ``python -m anlage``: speaks the same event file and writes the same outputs, without torch.

``resume RUN`` reports 40 steps in about a second, obeys ``stop``, goes on where it was, dies without a word if
``die`` lies in the folder, and takes its time while ``slow`` does. ``predict … -o OUT --frames a:b`` finds one nucleus in
each frame, and a faint one beside it; with ``--maps``, or labels to write, balls around them.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anlage import Annotations, Run, State, TimeLapse, open_image, write_annotations
from anlage.training.progress import EventLog, Finished, Note, Resumed, Started, Step, Stopped, Validated

if TYPE_CHECKING:
    from anlage.inference.pieces import TileMaps

STEPS = 40


def resume(path: Path) -> None:
    run = Run.open(path)
    mark = path / "fake-step"
    with run.lock(), EventLog(run.events_path) as log:
        log.write(Started(time=time.time(), pid=1, version="0"))
        first = int(mark.read_text()) if mark.exists() else 0
        if first:
            log.write(Resumed(step=first))
        log.write(Note(text="A sentence for the user."))
        for step in range(first + 1, STEPS + 1):
            time.sleep(0.5 if (path / "slow").exists() else 0.03)
            log.write(
                Step(step=step, steps=STEPS, loss=1 / step, parts={}, learning_rate=1e-3, steps_per_s=30.0,
                     seconds=step / 30, eta_s=(STEPS - step) / 30)
            )  # fmt: skip
            if step % 10 == 0:
                log.write(
                    Validated(step=step, loss=1.2 / step, score=1 - 1 / step, metrics={}, best=True, seconds=step / 30)
                )
            if (path / "die").exists():
                sys.stderr.write("torch.cuda.OutOfMemoryError: CUDA out of memory\n")
                sys.exit(1)
            if run.stop_path.exists():
                mark.write_text(str(step))
                log.write(Stopped(step=step, model=None, seconds=1.0))
                return
        run.target_path.write_bytes(b"no real model")
        log.write(Finished(step=STEPS, model=run.target_path.name, metrics={"f1": 0.9}, seconds=1.3))


def predict(arguments: list[str]) -> None:
    """One nucleus in each frame, at its brightest voxel, and a faint one beside it."""
    options = {name: value for name, value in itertools.pairwise(arguments) if name.startswith("-")}
    if "--diameter-um" in options and float(options["--diameter-um"]) > 100:
        sys.stderr.write("The nucleus diameter 999 µm is larger than the image.\n")
        sys.exit(2)
    image = open_image(arguments[1])
    low, high = (int(end) for end in options["--frames"].split(":"))
    spans = options.get("--region", ",".join(f"0:{n}" for n in image.shape_tzyx[1:])).split(",")
    start, stop = zip(*(map(int, span.split(":")) for span in spans), strict=True)
    z, y, x = (slice(a, b) for a, b in zip(start, stop, strict=True))
    positions = []
    for t in range(low, high):
        pixels = image.frame(t)[0][z, y, x]
        brightest = np.array(np.unravel_index(pixels.argmax(), pixels.shape)) + start
        positions += [(t, *brightest), (t, *np.maximum(brightest - (0, 9, 0), 0))]
    found = Annotations.of(
        positions, probability=np.tile([0.75, 0.1], high - low), radius_um=2.5, state=State.PROPOSED, origin="fake"
    )
    faintest = 0.02 if "--all-candidates" in arguments or options["-o"].endswith(".zarr") else 0.5
    found = found.select(found.probability >= faintest)
    if options["-o"].endswith(".zarr"):
        paint(image, found, (start, stop), options, maps="--maps" in arguments)
        return
    from anlage import DenseMap, Prediction, PredictionParts  # as below: loaded by those alone who need it

    parts = PredictionParts.beside(options["-o"])
    with parts.alone():
        parts.stop_path.unlink(missing_ok=True)
        for t in range(low, high):
            if t in parts.done:
                continue
            time.sleep(float(os.environ.get("FAKE_FRAME_SECONDS", "0.02")))
            if parts.stop_path.exists():
                sys.exit(3)
            heat = image.frame(t)[0][z, y, x].astype(np.float32)
            dense = DenseMap(heat / heat.max(), (1.0, 1.0, 1.0), tuple(float(a) for a in start))
            parts.keep(
                Prediction(t, found.select(found.frames == t), "fake", dense, ("A sentence (--with advice).",), 5.0)
            )
            sys.stdout.write(json.dumps({"kind": "frame", "done": len(parts.done), "total": high - low}) + "\n")
            sys.stdout.flush()
    if "--parts-only" not in arguments:
        write_annotations(options["-o"], found)
        parts.discard()


def paint(image: TimeLapse, found: Annotations, ends: tuple, options: dict[str, str], *, maps: bool) -> None:
    """Balls of 1.5 µm or so around the nuclei, whose rim is unsure; the faint one is as probable as told."""
    from anlage import LabelMaps, labels_of
    from anlage.inference.maps import MapsAbout, write_maps
    from anlage.io.label_writing import LabelWriter

    about = MapsAbout(
        model="fake", head="instances", frame=0, region=tuple(zip(*ends, strict=True)), spacing_um_zyx=image.spacing.zyx,
        flat=image.is_flat, diameter_um=5.0, cell_diameters_zyx=tuple(s / 5 for s in image.spacing.zyx), threshold=0.5,
        inside=0.5, smallest=0.5, notes=("A sentence (--with advice).",),
    )  # fmt: skip
    frames = np.unique(found.frames)
    chosen = {
        name: float(options[f"--{name}"]) for name in ("threshold", "inside", "smallest") if f"--{name}" in options
    }
    writer = LabelWriter(Path(options["-o"]), image, "tzyx", np.dtype(np.uint16), scratch=Path(options["-o"]).parent)
    everything = [
        LabelMaps(about.model_copy(update={"frame": int(t)}), (_balls(found.select(found.frames == t), ends, image),))
        for t in frames
    ]
    if maps:
        write_maps(Path(options["-o"]), everything[0].about, everything[0].tiles)
        return
    with writer:
        for one in everything:
            part = labels_of(one, **chosen)
            writer.put(one.about.frame, part.box, part.labels)
            time.sleep(float(os.environ.get("FAKE_FRAME_SECONDS", "0.02")))
            sys.stdout.write(json.dumps({"kind": "frame", "done": 1, "total": len(everything)}) + "\n")
            sys.stdout.flush()


def _balls(nuclei: Annotations, ends: tuple, image: TimeLapse) -> TileMaps:
    """The maps of a frame: a cell is a voxel."""
    from anlage import Box
    from anlage.inference.pieces import TileMaps

    start, stop = ends
    box = Box((0, 1), *zip(start, stop, strict=True))
    at = tuple(np.arange(a, b, dtype=float) for a, b in zip(start, stop, strict=True))
    where = np.stack(np.meshgrid(*at, indexing="ij"))
    seeds = nuclei.positions[:, 1:]
    steps = seeds.T[:, None, None, None] - where[..., None]
    gap = np.linalg.norm(steps * np.array(image.spacing.zyx)[:, None, None, None, None], axis=0)
    nearest = gap.argmin(axis=-1)
    votes = np.take_along_axis(steps, nearest[None, ..., None], axis=-1)[..., 0]
    fine = np.concatenate([3 * (1.5 - gap.min(axis=-1))[None], votes])
    names = np.arange(1, len(seeds) + 1)
    return TileMaps(box, fine, at, seeds, names, names > 0, seeds, nuclei.probability)


if __name__ == "__main__":
    command, rest = sys.argv[4], sys.argv[5:]  # python -u -m anlage COMMAND …
    if command == "resume":
        resume(Path(rest[0]))
    else:
        predict(rest)
