"""The hard suite: what annotating pays, on many kinds of image, beside what needs no training and beside a peer.

    python benchmarks/suite.py WORK --data ../shared/data [--kind hela debris …] [--nuclei 0 12 60 all] [--seed 0]
        [--part test | development] [--set KEY=VALUE …] [--peer] [--jobs 1]

For each kind of image: with no annotated nucleus the blob detector and the starter; then networks trained on one cuboid of about 12
and 60 nuclei, and on the whole annotated movie, each by the commands that a user types (`build`, `train nuclei`, `predict`), without
a diameter. Scored on other embryos, crops, fields or far later frames: F1 within radii that suit the kind and within 0.35 nucleus
diameters, median distance, and seconds of CPU of building and training on one thread. Intervals (95 %) are bootstrapped over the
images of the test; where these are fewer than five, over the nuclei in each as well. `--seed` decides which cuboid is annotated and
is the training's own seed.

Results go to WORK/suite.json one by one, and what is there is not run again: broken off, the same command goes on. At the end the
table of all that is there is printed. Trainings take the program's own number of steps. Results of another version of the program
belong in another WORK.

To choose a recipe, look at the development images alone, which are others than those of the test, for example

    python benchmarks/suite.py WORK --data ../shared/data --kind debris --nuclei 60 --part development --set steps=120 learning_rate=0.001

The settings are those of `anlage train --set`. A recipe is a set of results and runs of its own in the same WORK. `--starter MODEL`
takes another starter, for the rows at 0 and as the start of each training.

`--peer` adds MONAI's BasicUNet, trained the plain way (see peer.py) for as many seconds of CPU as build and train took. MONAI is no
dependency: `pip install --no-deps --target FOLDER monai`, then `PYTHONPATH=FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command import RefusedError, timed
from suite_cuboid import Piece, piece
from suite_kinds import KINDS, PARTS, Kind, Material, Movie
from suite_scores import score
from suite_table import print_table

SIZES = ("0", "12", "60", "all")
PEER = Path(__file__).with_name("peer.py")


@dataclass(slots=True)
class Results:
    """WORK/suite.json, which several kinds write to at once."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def add(self, row: dict[str, Any], run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a row, run if it is not there yet."""
        key = " | ".join(str(value) for value in row.values())
        with self.lock:
            if key in (known := self.read()):
                return known[key]
        made = {**row, **run()}
        with self.lock:
            whole = self.path.with_suffix(".part")
            whole.write_text(json.dumps({**self.read(), key: made}, indent=1))
            whole.replace(self.path)
        print(key, made.get("f1", made.get("refused")), f"{made.get('cpu_s', 0):.0f} s", flush=True)
        return made


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.peer:
        check_peer()
    results = Results(options.work / "suite.json")
    groups: dict[str, list[Kind]] = {}
    for name in options.kind:
        groups.setdefault(KINDS[name].learns_as or name, []).append(KINDS[name])
    with ThreadPoolExecutor(options.jobs) as pool:  # kinds of one network one after the other
        list(pool.map(lambda kinds: [measure(options, results, kind) for kind in kinds], groups.values()))
    print_table(results.read())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="NAME")
    parser.add_argument("--nuclei", nargs="+", choices=SIZES, default=["0", "12", "60"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, default="test")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of every training")
    parser.add_argument("--starter", default="starter", help="another starter")
    parser.add_argument("--cuboid", choices=("auto", "given"), default="auto", help="given: say which box is annotated")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="kinds at a time, one thread each")
    return parser.parse_args()


def check_peer() -> None:
    found = subprocess.run([sys.executable, "-c", "import monai"], capture_output=True, check=False)
    if found.returncode:
        sys.exit("MONAI is not installed: pip install --no-deps --target FOLDER monai, then set PYTHONPATH=FOLDER.")


def measure(options: argparse.Namespace, results: Results, kind: Kind) -> None:
    """All rows of a kind."""
    material = kind.material(options.data, options.part, options.seed)
    bench = Bench(options, kind, material)
    for nuclei in options.nuclei:
        if nuclei == "0":
            results.add(bench.row("blobs", nuclei), lambda: bench.untrained("classical"))
            results.add(bench.row("starter", nuclei), lambda: bench.untrained(options.starter))
            continue
        results.add(bench.row("trained", nuclei), lambda n=nuclei: bench.trained(n))
        if options.peer:
            results.add(bench.row("peer", nuclei), lambda n=nuclei: bench.peer(n))


@dataclass(slots=True)
class Bench:
    """The ways to find nuclei in the movies of one kind."""

    options: argparse.Namespace
    kind: Kind
    material: Material
    _learn: Movie | None = None
    _tests: list[Movie] | None = None

    @property
    def learn(self) -> Movie:
        self._learn = self._learn or self.material.learn()
        return self._learn

    @property
    def tests(self) -> list[Movie]:
        self._tests = self._tests or self.material.tests()
        return self._tests

    @property
    def recipe(self) -> str:
        """What a network hangs on beside kind, piece and seed."""
        other = [] if self.options.starter == "starter" else [f"from {Path(self.options.starter).stem}"]
        given = [] if self.options.cuboid == "auto" else ["cuboid given"]
        return ", ".join([*self.options.set, *other, *given]) or "as it comes"

    def row(self, way: str, nuclei: str) -> dict[str, Any]:
        """What a result is told apart by."""
        fixed = nuclei == "0" and self.options.part == "test"
        about = {"kind": self.kind.name, "part": self.options.part, "seed": "any" if fixed else self.options.seed}
        if nuclei == "0":
            return {**about, "way": way, "nuclei": nuclei, "recipe": "" if way == "blobs" else self.options.starter}
        return {**about, "way": way, "nuclei": nuclei, "recipe": self.recipe}

    # --- ways

    def untrained(self, model: str) -> dict[str, Any]:
        channels = () if self.kind.marker is None else ("--channels", self.kind.marker)
        return self.found(
            lambda movie, out: timed("-m", "anlage", "predict", model, *self.asked(movie, out), *channels)
        )

    def trained(self, nuclei: str) -> dict[str, Any]:
        try:
            n_annotated, seconds, run = self.network(nuclei)
        except RefusedError as why:
            return {"refused": str(why)}
        result = self.found(lambda movie, out: timed("-m", "anlage", "predict", run, *self.asked(movie, out)))
        return {**result, "n_annotated": n_annotated, "cpu_s": seconds}

    def peer(self, nuclei: str) -> dict[str, Any]:
        """The same piece, for as many seconds of CPU as ours took."""
        try:
            n_annotated, seconds, run = self.network(nuclei)
        except RefusedError as why:
            return {"refused": str(why)}
        weights = run.with_name(f"{run.name}-peer.pt")
        made = self.annotate(nuclei)
        box = (*made.frames, *made.low, *made.high)
        about = ("--diameter-um", self.kind.diameter_um, "--spacing", *self.learn.spacing.um)
        used = timed(
            PEER, "train", self.learn.written(self.options.work), self.csv(nuclei), weights,
            "--box", *box, *about, "--seconds", seconds, "--seed", self.options.seed,
        )  # fmt: skip
        result = self.found(
            lambda movie, out: timed(
                PEER, "predict", weights, movie.written(self.options.work), out, "--spacing", *movie.spacing.um
            )
        )
        return {**result, "n_annotated": n_annotated, "cpu_s": used}

    def found(self, predict: Callable[[Movie, Path], float]) -> dict[str, Any]:
        """Scores of what a command finds in every test movie."""
        tables, seconds = [], 0.0
        for movie in self.tests:
            out = self.options.work / "found" / f"{threading.get_ident()}-{movie.name}.csv"
            out.parent.mkdir(exist_ok=True)
            out.unlink(missing_ok=True)
            try:
                seconds += predict(movie, out)
            except RefusedError as why:
                return {"refused": str(why)}
            tables.append(out)
        return {**score(self.kind, self.tests, tables), "predict_cpu_s": round(seconds, 1), "commit": commit()}

    def asked(self, movie: Movie, out: Path) -> tuple[object, ...]:
        return (movie.written(self.options.work), "-o", out, *movie.reading)

    # --- files

    def annotate(self, nuclei: str) -> Piece:
        return piece(self.learn, None if nuclei == "all" else int(nuclei), self.options.seed)

    def csv(self, nuclei: str) -> Path:
        """The annotated nuclei as a table."""
        path = self.options.work / "nuclei" / f"{self.learn.name}-{nuclei}-{self.options.seed}.csv"
        path.parent.mkdir(exist_ok=True)
        lines = [
            f"{i},{int(t)},{z:.3f},{y:.3f},{x:.3f}" for i, (t, z, y, x) in enumerate(self.annotate(nuclei).nuclei, 1)
        ]
        path.write_text("\n".join(["id,t,z,y,x", *lines]) + "\n")
        return path

    def network(self, nuclei: str) -> tuple[int, float, Path]:
        """Nuclei, seconds of CPU, and the run of the network that learnt from a piece; trained if it is not there yet."""
        name = f"{self.learn.name}-{nuclei}-{self.options.seed}-{self.recipe}".translate(str.maketrans(" =,/", "____"))
        run, store = (self.options.work / "runs" / f"{name}{end}" for end in ("", ".zarr"))
        done = run.with_name(f"{name}.json")
        if not done.exists():
            for old in (run, store):
                shutil.rmtree(old, ignore_errors=True)
            run.parent.mkdir(exist_ok=True)
            made = self.annotate(nuclei)
            ends = zip((made.frames[0], *made.low), (made.frames[1], *made.high), strict=True)
            box = () if self.options.cuboid == "auto" else ("--cuboid", ",".join(f"{a}:{b}" for a, b in ends))
            source = (self.learn.written(self.options.work), self.csv(nuclei))
            seconds = timed("-m", "anlage", "build", *source, "-o", store, *self.learn.reading, *box)
            settings = [f"seed={self.options.seed}", *self.options.set]
            start = () if self.options.starter == "starter" else ("--from", self.options.starter)
            seconds += timed(
                "-m", "anlage", "train", "nuclei", store, "-o", run, *start, "--device", "cpu",
                *(word for setting in settings for word in ("--set", setting)),
            )  # fmt: skip
            done.write_text(json.dumps([len(made.nuclei), round(seconds, 1)]))
        n_annotated, seconds = json.loads(done.read_text())
        return n_annotated, seconds, run


def commit() -> str:
    """The version of the program that was measured."""
    here = Path(__file__).parent
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


if __name__ == "__main__":
    main()
