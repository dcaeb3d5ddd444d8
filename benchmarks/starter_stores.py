"""Stores of real images for the starter, of the data whose licence lets weights that have seen them be passed on.

    python benchmarks/starter_stores.py OUT --data ../shared/data [--flat] [--without KIND …]

Volumes: two embryos of BBBC050, an ovule crop, Drosophila up to frame 12, and one stack of cultured cells. Planes (`--flat`): Mitocheck
up to frame 16, and the projection of that stack. None of them is a test image of the suite (suite.py). `--without` leaves a kind out, to
see how a starter does on a kind that it has not seen.

A starter knows no micrometres: `predict` scales an image by the diameter that it measures. So each image is measured here in the same
way, and its voxels are given the size at which its nuclei would measure 8.7, 10 or 11.5 µm, in turn. A store is one stack or a few frames;
as every store is drawn from equally often, their number is the weight of a kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from suite_kinds import TIMES, centroids, listed

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.dataset.intensity import measure_intensity
from anlage.inference.region import apparent_diameter
from anlage.timelapse import TimeLapse

SIZES_UM = (10.0, 8.7, 11.5)
FRAMES_OF_A_STORE = 3
CLEAR_PLANES = 18
"""Of Drosophila: deeper there is haze, in which the automatic tracks go on though no nucleus is seen."""
LAST = {"drosophila": 12, "mitocheck": 16}
"""Later frames are for tests."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Film:
    """Some frames of one image, (t, z, y, x), and where the nuclei are in each (N, 3) voxels."""

    name: str
    image: npt.NDArray[np.generic]
    spacing: Spacing
    centres: tuple[Points, ...]
    planes: int | None = None
    """How many of the planes are annotated; None: all."""


def groups(last: int) -> list[range]:
    """The frames up to the last, a few at a time."""
    return [range(t, min(t + FRAMES_OF_A_STORE, last + 1)) for t in range(0, last + 1, FRAMES_OF_A_STORE)]


def mouse(data: Path) -> Iterator[Film]:
    folder = data / "bbbc050-mouse-embryo"
    for number in ("01", "02"):
        for time in TIMES:
            image, labels = (
                tifffile.imread(folder / part / f"train_Emb{number}_{time}.tif") for part in ("images", "labels")
            )
            name = f"BBBC050 Emb{number} {time}"
            yield Film(name, image[None], Spacing(1.75, 0.8, 0.8), (centroids(labels),))


def ovule(data: Path) -> Iterator[Film]:
    """The crop twice in each half, at two sizes."""
    with h5py.File(data / "go-nuclear-ovule-mini" / "1135_mini.h5") as file:
        raw, labels = file["raw"][:], file["label"][:]
    for half in (slice(0, 50), slice(50, 100), slice(0, 50), slice(50, 100)):
        name = f"GoNuclear ovule 1135 planes {half.start}-{half.stop}"
        yield Film(name, raw[None, half], Spacing(0.2837, 0.127, 0.127), (centroids(labels[half]),))


def drosophila(data: Path) -> Iterator[Film]:
    folder = data / "tgmm-mini-drosophila"
    table = pd.read_csv(folder / "tracks_silver.csv")
    for frames in groups(LAST["drosophila"]):
        image = np.stack([tifffile.imread(folder / "images" / f"t{t:03d}.tif") for t in frames])
        centres = tuple(listed(table[table.t == t]) for t in frames)
        name = f"TGMM mini Drosophila {frames[0]}-{frames[-1]}"
        yield Film(name, image, Spacing(2.0, 0.4, 0.4), centres, CLEAR_PLANES)


def cells3d(data: Path) -> Iterator[Film]:
    image, labels = _cells3d(data)
    for _ in range(2):
        yield Film("cells3d", image[None], Spacing(0.29, 0.26, 0.26), (centroids(labels),))


def cells3d_projected(data: Path) -> Iterator[Film]:
    image, labels = (array.max(axis=0, keepdims=True) for array in _cells3d(data))
    for _ in range(2):
        yield Film("cells3d projected", image[None], Spacing(1.0, 0.26, 0.26), (centroids(labels),))


def _cells3d(data: Path) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.integer]]:
    folder = data / "cells3d-nuclei"
    return tifffile.imread(folder / "nuclei.tif"), tifffile.imread(folder / "nuclei_label.tif")


def mitocheck(data: Path) -> Iterator[Film]:
    folder = data / "mitocheck-movie-2dt"
    table = pd.read_csv(folder / "lineage.csv").assign(z=0.0)
    for frames in groups(LAST["mitocheck"]):
        image = np.stack([tifffile.imread(folder / "images" / f"t{t:03d}.tif") for t in frames])
        centres = tuple(listed(table[table.t == t]) for t in frames)
        yield Film(f"Mitocheck {frames[0]}-{frames[-1]}", image[:, None], Spacing(1.0, 0.645, 0.645), centres)


VOLUMES = {"bbbc050": mouse, "ovule": ovule, "drosophila": drosophila, "cells3d": cells3d}
PLANES = {"mitocheck": mitocheck, "cells3d": cells3d_projected}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--without", nargs="+", default=[], choices=sorted({*VOLUMES, *PLANES}))
    options = parser.parse_args()
    for kind, films in (PLANES if options.flat else VOLUMES).items():
        if kind not in options.without:
            for number, film in enumerate(films(options.data)):
                store = options.out / f"{kind}-{number:02d}.zarr"
                build(film, store, SIZES_UM[number % len(SIZES_UM)])
                print(store)


def build(film: Film, store: Path, size_um: float) -> None:
    """The film as a store in which its nuclei measure so much."""
    image = TimeLapse.of(film.image[:, None], "tczyx", channels=("nuclei",), spacing=film.spacing, source=film.name)
    frames = range(image.n_frames)
    measured_um = apparent_diameter(image, measure_intensity(image), film.spacing, frames)
    if measured_um is None:
        raise SystemExit(f"No nucleus could be measured in {film.name}.")
    scaled = Spacing(*(size_um / measured_um * film.spacing.um))
    image = TimeLapse.of(film.image[:, None], "tczyx", channels=("nuclei",), spacing=scaled, source=film.name)
    positions = np.concatenate([np.insert(c, 0, t, axis=1) for t, c in zip(frames, film.centres, strict=True)])
    n_frames, depth, height, width = image.shape_tzyx
    known = Box((0, n_frames), (0, film.planes or depth), (0, height), (0, width))
    build_store(
        store,
        image,
        Annotations.of(positions),
        cuboid=known,
        diameter_um=size_um,
        annotations_source="known",
        overwrite=True,
    )


if __name__ == "__main__":
    main()
