"""Does "annotate here next" pay? Nuclei that have to be annotated with its suggestions, and with places chosen by chance.

    python benchmarks/annotate_next.py WORK --data ../shared/data [--kind hela celldetective …] [--seeds 5] [--rounds 3]
        [--part test | development]

One cuboid of 4 × 6 × 6 nucleus diameters is annotated by chance, and a network trained (by the commands' own functions, the program's
own steps). Then, round by round, one cuboid more: the one in which the network that is there is least sure (`least_sure`), the one in
which network and blob detector contradict each other most (`find_places`, as the dock's *Find places worth annotating*), or one around
a nucleus drawn by chance; every nucleus in it is marked, and the network trained anew. Scored after each round on the kind's other images (see suite.py), with the network of all annotated nuclei as the mark: how many
nuclei until 95 % of its F1? All ways begin with the same cuboid. Results go to WORK/annotate_next.json one by one, and what is there
is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from command import timed
from suite_kinds import KINDS, PARTS, Kind, Movie
from suite_scores import score

from anlage import Annotations, Box, least_sure, open_image
from anlage.annotations import State
from anlage.cuboid import Cuboid
from anlage.dataset.build import build_store
from anlage.inference import FAINTEST, predict
from anlage.inference.annotate_next import SIZE_DIAMETERS
from anlage.io import write_annotations
from anlage.model import load_model
from anlage.prediction import Prediction
from anlage.project.next_places import PlaceRequest, find_places
from anlage.project.proposals import ProposedNuclei
from anlage.timelapse import TimeLapse

ENOUGH = 0.95
WAYS = ("suggested", "disagreement", "chance")


@dataclass(frozen=True, slots=True)
class Pool:
    """What can be annotated, and what is scored."""

    kind: Kind
    movie: Movie
    tests: list[Movie]
    work: Path

    @property
    def shape(self) -> tuple[int, int, int, int]:
        t, *zyx = (self.movie.image.shape[0], *self.movie.image.shape[-3:])
        return (t, *zyx)  # type: ignore[return-value]

    def box(self, at_tzyx: npt.NDArray[np.float64]) -> Box:
        """The cuboid around a nucleus, inside the image."""
        shape = np.array(self.shape[1:])
        edges = np.minimum(
            np.maximum(1, np.rint(np.array(SIZE_DIAMETERS) * self.kind.diameter_um / self.movie.spacing.um)), shape
        )
        low = np.clip(np.rint(at_tzyx[1:] - (edges - 1) / 2), 0, shape - edges)
        return Box.of([at_tzyx[0], *low], [at_tzyx[0] + 1, *(low + edges)])

    @property
    def nuclei(self) -> npt.NDArray[np.float64]:
        """(N, 4) t, z, y, x of every nucleus."""
        return np.concatenate([np.insert(points, 0, t, axis=1) for t, points in enumerate(self.movie.centres)])

    def inside(self, boxes: list[Box]) -> npt.NDArray[np.float64]:
        return self.nuclei[np.any([box.contains(self.nuclei) for box in boxes], axis=0)]

    def trained(self, name: str, boxes: list[Box], seed: int) -> Path:
        """The run of the network that learnt from these cuboids."""
        run, store = self.work / "runs" / name, self.work / "runs" / f"{name}.zarr"
        if not (run / "done").exists():
            for old in (run, store):
                shutil.rmtree(old, ignore_errors=True)
            image = open_image(self.movie.written(self.work), axes=self.movie.axes, spacing=self.movie.spacing)
            build_store(store, image, Annotations.of(self.inside(boxes)), cuboid=[self.complete(box) for box in boxes])
            timed("-m", "anlage", "train", "nuclei", store, "-o", run, "--device", "cpu", "--set", f"seed={seed}")
            (run / "done").touch()
            shutil.rmtree(store)
        return run

    def complete(self, box: Box) -> Cuboid:
        """A cuboid in which every nucleus is marked."""
        return Cuboid(box, box, len(self.inside([box])), (box.t[0],))

    def f1(self, run: Path) -> float:
        """F1 on the images that nothing was learnt from."""
        tables = []
        for movie in self.tests:
            image = open_image(movie.written(self.work), axes=movie.axes, spacing=movie.spacing)
            found = predict(load_model(model_of(run)), image, device="cpu")
            tables.append(self.work / f"{run.name}-{movie.name}.csv")
            write_annotations(tables[-1], together(found), spacing=movie.spacing)
        result = score(self.kind, self.tests, tables)
        return float(result["f1"][f"{self.kind.radii_um[0]:g}"][0])

    def suggestion(self, run: Path, annotated: list[Box], *, against_blobs: bool) -> Box | None:
        """Where the network is least sure, or contradicts the blob detector most (as the dock's button), outside what is annotated."""
        model = load_model(model_of(run))
        image = open_image(self.movie.written(self.work), axes=self.movie.axes, spacing=self.movie.spacing)
        predictions = list(predict(model, image, threshold=FAINTEST, device="cpu"))
        card, nuclei = model.card, together(predictions)
        if not against_blobs:
            size = [edge * self.kind.diameter_um for edge in SIZE_DIAMETERS]
            places = least_sure(
                nuclei, self.shape, self.movie.spacing, card.evidence.threshold, n=1, size_um=size, exclude=annotated
            )
            return places[0].box if places else None
        diameter_um = float(predictions[0].diameter_um or self.kind.diameter_um)
        found = ProposedNuclei(
            "network",
            run.name,
            nuclei,
            (Box.whole(self.shape),),
            self.movie.spacing,
            card.evidence.threshold,
            diameter_um,
        )
        request = PlaceRequest(self.marked(image), found, diameter_um, Annotations.of([]), tuple(annotated), 1)
        seen = find_places(request, lambda done, of: True)
        return seen.places[0].box if seen is not None and seen.places else None

    def marked(self, image: TimeLapse) -> TimeLapse:
        """The image with its channel of nuclei alone."""
        if self.kind.marker is None:
            return image
        data, c = np.asarray(image.data), int(self.kind.marker)
        return replace(image, data=np.take(data, [c], axis=image.axes.index("c")), channels=(image.channels[c],))

    def by_chance(self, rng: np.random.Generator, annotated: list[Box]) -> Box:
        """Around a nucleus that is not annotated yet."""
        left = (
            self.nuclei[~np.any([box.contains(self.nuclei) for box in annotated], axis=0)] if annotated else self.nuclei
        )
        return self.box(left[rng.integers(len(left))])


def together(found: Iterable[Prediction]) -> Annotations:
    """The nuclei of all frames, not judged by anybody."""
    parts = [p.nuclei for p in found]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("probability", "radius_um")}
    return Annotations.of(np.concatenate([part.positions for part in parts]), state=State.PROPOSED, **columns)


def model_of(run: Path) -> Path:
    return next(run.glob("*.anlage"))


def measure(pool: Pool, seed: int, rounds: int, known: dict[str, list[float]], save: Callable[[], object]) -> None:
    """All rounds of both ways."""
    name = pool.kind.name
    whole = f"{name} all {seed}"
    if whole not in known:
        boxes = [Box.of([t, 0, 0, 0], [t + 1, *pool.shape[1:]]) for t in range(pool.shape[0])]
        known[whole] = [len(pool.nuclei), pool.f1(pool.trained(whole.replace(" ", "-"), boxes, seed))]
        save()
    for way in WAYS:
        rng = np.random.default_rng([seed, 1])
        boxes = [pool.by_chance(rng, [])]
        for number in range(rounds + 1):
            key = f"{name} {way} {seed} {number}"
            first = f"{name}-first-{seed}" if number == 0 else key.replace(" ", "-")
            run = pool.trained(first, boxes, seed)
            if key not in known:
                known[key] = [len(pool.inside(boxes)), pool.f1(run)]
                save()
                print(key, known[key], flush=True)
            place = None if way == "chance" else pool.suggestion(run, boxes, against_blobs=way == "disagreement")
            boxes.append(place or pool.by_chance(rng, boxes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=["hela", "celldetective", "drosophila"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, default="test")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / "annotate_next.json"
    known: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}
    for name in options.kind:
        material = KINDS[name].material(options.data, options.part, 0)
        pool = Pool(KINDS[name], material.learn(), material.tests(), options.work)
        for seed in range(options.seeds):
            measure(pool, seed, options.rounds, known, lambda: path.write_text(json.dumps(known, indent=1)))
        table(known, name, options.seeds, options.rounds)


def table(known: dict[str, list[float]], name: str, seeds: int, rounds: int) -> None:
    """Nuclei and F1 after each round, and how many nuclei until enough."""
    whole = float(np.mean([known[f"{name} all {seed}"][1] for seed in range(seeds)]))
    print(
        f"\n{name}: F1 {whole:.3f} with all {known[f'{name} all 0'][0]} nuclei; {ENOUGH:.0%} of that is {ENOUGH * whole:.3f}\n"
    )
    print(
        "| | " + " | ".join(f"round {n}: nuclei, F1" for n in range(rounds + 1)) + " | nuclei until enough, by seed |"
    )
    print("|---|" + "---|" * (rounds + 2))
    for way in WAYS:
        rows = np.array([[known[f"{name} {way} {seed} {n}"] for n in range(rounds + 1)] for seed in range(seeds)])
        enough = [next((int(n) for n, f1 in row if f1 >= ENOUGH * whole), None) for row in rows]
        cells = " | ".join(f"{n:.0f}, {f1:.3f}" for n, f1 in rows.mean(axis=0))
        print(
            f"| {way} | {cells} | {', '.join(f'over {row[-1, 0]:.0f}' if e is None else str(e) for e, row in zip(enough, rows, strict=True))} |"
        )


if __name__ == "__main__":
    main()
