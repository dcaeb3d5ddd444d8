"""The kinds of image of the suite: which movie is annotated, and which are development and test.

Nothing is chosen on a test image: recipes, thresholds and constants are compared on `development` alone, whose embryos, crops and
frames are others. The annotated movie is neither.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from degrade import HARDER, degrade

from anlage.axes import Spacing
from anlage.synthetic import Optics, SyntheticMovie, embryo
from anlage.synthetic.variety import variety

Points = npt.NDArray[np.float64]

PARTS = ("development", "test")


@dataclass(frozen=True, slots=True)
class Movie:
    """Some frames of one image, and where the nuclei are in them."""

    name: str
    image: npt.NDArray[np.generic]
    """(t, z, y, x) or (t, c, z, y, x)"""
    spacing: Spacing
    centres: tuple[Points, ...]
    """(N, 3) voxels z, y, x, for each frame."""
    labels: tuple[npt.NDArray[np.integer], ...] = ()
    """Of each frame, where the kind is also scored on labels of plausible shape; on all planes of the original."""
    first: int = 0
    step: int = 1
    """Which planes of the original are shown: every `step`-th, from `first`."""

    @property
    def flat(self) -> bool:
        return self.image.shape[-3] == 1

    @property
    def axes(self) -> str:
        return "t" + ("c" if self.image.ndim == 5 else "") + ("" if self.flat else "z") + "yx"

    def written(self, work: Path) -> Path:
        """The movie as a TIFF in this folder; written once, whoever else asks for it meanwhile."""
        path = work / "movies" / f"{self.name}.tif"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            tifffile.imwrite(part, self.image.squeeze(-3) if self.flat else self.image, photometric="minisblack")
            part.replace(path)
        return path

    @property
    def reading(self) -> tuple[str, ...]:
        """How the file is read, as options of the commands."""
        s = self.spacing
        return ("--spacing", f"{s.z:g},{s.y:g},{s.x:g}", "--axes", self.axes)


@dataclass(frozen=True, slots=True)
class Material:
    """One part of a kind: a movie to annotate, and movies to be scored on."""

    learn: Callable[[], Movie]
    tests: Callable[[], list[Movie]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of image."""

    name: str
    what: str
    material: Callable[[Path, str, int], Material]
    """From the folder of the data, the part and the seed."""
    diameter_um: float
    """Median of the labels (disc or ball of equal size), where there are any; it is never given to the program."""
    radii_um: tuple[float, ...] = (5.0, 3.0)
    marker: str | None = None
    """The channel that shows nuclei, for what needs no training; networks learn from all."""
    learns_as: str = ""
    """The kind whose network is used, where it is not this one's own."""


# --- real images


def hela(data: Path, part: str, seed: int) -> Material:
    del seed  # which cuboid is annotated depends on it, not which frames may be
    folder = data / "ctc-hela02"
    frames = {"development": (9, 11), "test": (17, 19)}[part]
    return Material(
        lambda: flat_film("hela-learn", tifffile.imread(folder / "image.tif"), folder, range(4)),
        lambda: [flat_film(f"hela-{part}", tifffile.imread(folder / "image.tif"), folder, frames)],
    )


def mitocheck(data: Path, part: str, seed: int) -> Material:
    del seed
    folder = data / "mitocheck-movie-2dt"
    frames = {"development": (12, 14, 16), "test": (25, 27, 29)}[part]

    def film() -> npt.NDArray[np.generic]:
        return np.stack([tifffile.imread(path) for path in sorted((folder / "images").glob("*.tif"))])

    return Material(
        lambda: flat_film("mitocheck-learn", film(), folder, range(6)),
        lambda: [flat_film(f"mitocheck-{part}", film(), folder, frames)],
    )


def flat_film(name: str, image: npt.NDArray[np.generic], folder: Path, frames: tuple[int, ...] | range) -> Movie:
    table = pd.read_csv(folder / "lineage.csv")
    centres = tuple(listed(table[table.t == t].assign(z=0.0)) for t in frames)
    return Movie(name, image[list(frames)][:, None], Spacing(1.0, 0.645, 0.645), centres)


def drosophila(data: Path, part: str, seed: int) -> Material:
    del seed
    folder = data / "tgmm-mini-drosophila"

    def film(name: str, frames: tuple[int, ...] | range) -> Movie:
        table = pd.read_csv(folder / "tracks_silver.csv")
        image = np.stack([tifffile.imread(folder / "images" / f"t{t:03d}.tif") for t in frames])
        return Movie(name, image, Spacing(2.0, 0.4, 0.4), tuple(listed(table[table.t == t]) for t in frames))

    frames = {"development": (11, 12), "test": (20, 22)}[part]
    return Material(lambda: film("drosophila-learn", range(2)), lambda: [film(f"drosophila-{part}", frames)])


def listed(table: pd.DataFrame) -> Points:
    return table[["z", "y", "x"]].to_numpy(float)


def ovule(data: Path, part: str, seed: int) -> Material:
    """One crop to the other; while developing, the upper half of the first to its lower half."""
    del seed

    def crop(name: str, number: int, planes: slice) -> Movie:
        with h5py.File(data / "go-nuclear-ovule-mini" / f"{number}_mini.h5") as file:
            image, labels = file["raw"][planes], file["label"][planes]
        return Movie(name, image[None], Spacing(0.2837, 0.127, 0.127), (centroids(labels),))

    if part == "development":
        return Material(
            lambda: crop("ovule-upper", 1135, slice(50)), lambda: [crop("ovule-lower", 1135, slice(50, None))]
        )
    return Material(lambda: crop("ovule-learn", 1135, slice(None)), lambda: [crop("ovule-test", 1136, slice(None))])


CELLS = {
    "learn": ("jan_204_snap_0_0_18", "june25_503_snap_0_1_55", "october26_100_snap_1_3_32"),
    "development": ("Aligned_After_NK_1_MMStack_5-Pos_000_000_tile_0_0_1", "feb24_400_snap_2_0_54"),
    "test": ("110_snap_0_3_32", "Aligned_after_1_MMStack_6-Pos_000_001_2_2_70", "november22_402_snap_2_0_41"),
}
CHANNELS = ("brightfield_channel", "dead_nuclei_channel", "live_nuclei_channel")


def celldetective(data: Path, part: str, seed: int) -> Material:
    """Tumour cells among the smaller nuclei of lymphocytes, which were not labelled."""
    del seed
    return Material(
        lambda: together([field(data, name) for name in CELLS["learn"]]),
        lambda: [field(data, name) for name in CELLS[part]],
    )


def field(data: Path, name: str) -> Movie:
    """One field of view, the three channels that all have."""
    stem = data / "celldetective" / "mcf7_nuclei_pairs" / name
    order = json.loads(stem.with_suffix(".json").read_text())["channels"]
    image = tifffile.imread(stem.with_suffix(".tif"))[[order.index(channel) for channel in CHANNELS]]
    centres = centroids(tifffile.imread(f"{stem}_labelled.tif")[None])
    return Movie(
        f"celldetective-{name.split('_MM')[0]}", image[None, :, None], Spacing(1.0, 0.3112, 0.3112), (centres,)
    )


def together(fields: list[Movie]) -> Movie:
    """Fields as frames of one movie, each channel of each brought to the same brightness: they were exposed differently."""
    images = []
    for one in fields:
        low, high = np.percentile(one.image, [1, 99.8], axis=(-2, -1), keepdims=True)
        images.append(np.clip(1e4 * (one.image - low) / (high - low), 0, 65535).astype(np.uint16))
    centres = tuple(one.centres[0] for one in fields)
    return Movie("celldetective-learn", np.concatenate(images), fields[0].spacing, centres)


def centroids(labels: npt.NDArray[np.integer]) -> Points:
    """(N, 3) mean voxel of each label."""
    at, value = np.argwhere(labels > 0), labels[labels > 0]
    names, which, size = np.unique(value, return_inverse=True, return_counts=True)
    return np.stack([np.bincount(which, at[:, axis], len(names)) / size for axis in range(3)], axis=1)


# --- mouse embryos, as they are and made harder

EMBRYOS = ("01", "02")
"""Of which a part is annotated. Emb08 is left out: its labels join and smear nuclei."""
TESTED = ("04", "07")
TIMES = ("t301", "t351", "t401", "t451", "t501")


def mouse(harder: str, learnt: str = "same") -> Callable[[Path, str, int], Material]:
    """Embryos degraded in a way, or not (""); `learnt` says in which way the annotated one is."""

    def material(data: Path, part: str, seed: int) -> Material:
        own = EMBRYOS[seed % 2]
        others = TESTED if part == "test" else (EMBRYOS[(seed + 1) % 2],)
        return Material(
            lambda: stacks(data, own, TIMES, harder if learnt == "same" else learnt),
            lambda: [stacks(data, other, TIMES[1:4], harder) for other in others],
        )

    return material


def stacks(data: Path, number: str, times: tuple[str, ...], harder: str) -> Movie:
    """Stacks of an embryo as a movie."""
    spacing = Spacing(1.75, 0.8, 0.8)
    folder = data / "bbbc050-mouse-embryo"
    names = [f"train_Emb{number}_{time}.tif" for time in times]
    labels = tuple(tifffile.imread(folder / "labels" / name) for name in names)
    images = [tifffile.imread(folder / "images" / name) for name in names]
    name = f"{harder or 'bbbc050'}-{number}-{'-'.join(time[1:] for time in times)}"
    truth = tuple(centroids(one) for one in labels)
    if not harder:
        return Movie(name, np.stack(images), spacing, truth, labels)
    seeds = [10 * int(number) + TIMES.index(time) for time in times]
    made = [degrade(image, spacing.um, harder, seed) for image, seed in zip(images, seeds, strict=True)]
    first, step = made[0].first, made[0].step
    truth = tuple((points - [first, 0, 0]) / [step, 1, 1] for points in truth)
    return Movie(name, np.stack([one.image for one in made]), Spacing(*made[0].spacing_um), truth, labels, first, step)


# --- synthetic embryos


def synthetic(movie: Callable[[int], Movie], n: int) -> Callable[[Path, str, int], Material]:
    """Embryos that differ by their seeds: from 100 on annotated, from 200 on development, from 300 on test."""

    def material(data: Path, part: str, seed: int) -> Material:
        del data
        low = {"development": 200, "test": 300}[part]
        return Material(lambda: movie(100 + seed), lambda: [movie(low + i) for i in range(n)])

    return material


def frames_of(made: SyntheticMovie, name: str, frames: tuple[int, ...]) -> Movie:
    image = np.stack([np.asarray(made.image.frame(t))[0] for t in frames])
    at = made.truth.positions
    return Movie(name, image, made.spacing, tuple(at[at[:, 0] == t, 1:] for t in frames))


def varied(seed: int) -> Movie:
    """One frame of an embryo like those that the starter learnt from, each of a look of its own."""
    return frames_of(next(variety(1, seed=2000 + seed)), f"variety-{seed}", (0,))


def crowded(seed: int) -> Movie:
    """Nuclei that fill half of a dim embryo."""
    optics = Optics(photons=25, background=4, dimming_um=40, n_fragments=6, brightness_spread=0.4, haze=0.15)
    made = embryo(seed, 1, (20, 120, 120), n_nuclei=105, elongation=0.2, optics=optics)
    return frames_of(made, f"crowded-{seed}", (0,))


def mitotic(seed: int) -> Movie:
    """Many nuclei in division, plates and young daughters, in few planes and ten photons."""
    optics = Optics(photons=10, background=3, read_noise=1, n_fragments=8, brightness_spread=0.4)
    spacing = Spacing(3.0, 0.5, 0.5)
    made = embryo(seed, 10, (14, 120, 120), spacing=spacing, n_nuclei=45, division_rate=0.2, vivid=True, optics=optics)
    return frames_of(made, f"mitotic-{seed}", (6, 9))


_WAYS = {
    "debris": "with bright debris",
    "texture": "with coarse chromatin",
    "haze": "in haze",
    "ph6": "of six photons",
    "ph2": "of two photons",
    "membrane": "as dark holes",
    "z3": "of every third plane",
    "z5": "of every fifth plane",
}
KINDS = {
    kind.name: kind
    for kind in (
        Kind("hela", "HeLa cells, later frames", hela, 18.1, (4.0, 2.0)),
        Kind("mitocheck", "Mitocheck, later frames", mitocheck, 8.6, (4.0, 2.0)),
        Kind("celldetective", "tumour cells among lymphocytes, 3 channels, other fields", celldetective, 13.7, (4.0, 2.0), "2"),
        Kind("drosophila", "Drosophila, later frames", drosophila, 7.0, (4.0, 2.5)),
        Kind("ovule", "ovule, another crop", ovule, 3.1, (1.5, 1.0)),
        Kind("bbbc050", "mouse embryos", mouse(""), 16.0, (5.0, 3.0, 2.0)),
        *(
            Kind(way, f"mouse embryos {_WAYS[way]}", mouse(way), 16.0, (5.0, 3.0, 2.0))
            for way in HARDER
        ),
        *(
            Kind(f"bleached{n}", f"mouse embryos of {word} photons, learnt on bright ones", mouse(f"ph{n}", ""), 16.0, (5.0, 3.0, 2.0), learns_as="bbbc050")
            for n, word in ((6, "six"), (2, "two"))
        ),
        Kind("variety", "synthetic, every one of another look", synthetic(varied, 4), 10.0),
        Kind("crowded", "synthetic, crowded and dim", synthetic(crowded, 2), 8.0, (3.0, 1.5)),
        Kind("mitotic", "synthetic, many divisions", synthetic(mitotic, 2), 8.0, (3.0, 1.5)),
    )
}  # fmt: skip
