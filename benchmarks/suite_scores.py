"""Scores of the suite: F1 within radii and the distance of centres, with 95 % intervals by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from plausible import plausible_counts
from suite_kinds import Kind, Movie

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.evaluation import score_detection
from anlage.io import open_annotations
from anlage.matching import MATCH_DIAMETERS, match

Counts = npt.NDArray[np.int64]
"""(F, 3) right, wrong and missed in each image."""

MICRON = Spacing(1.0, 1.0, 1.0)
N_DRAWS = 2000
FEW_IMAGES = 5
"""Of fewer, how much they differ from each other says little."""


def score(kind: Kind, movies: list[Movie], tables: list[Path]) -> dict[str, Any]:
    """What was found in the movies of a kind, against the truth.

    Returns
    -------
    dict
        `f1` and `plausible` by radius in µm, `error_um`: each a value with its 95 % interval. `images`: right, wrong and missed
        of every image at the first radius, so that two ways can be compared on the same images.
    """
    found = [frames_of(open_annotations(table), movie) for movie, table in zip(movies, tables, strict=True)]
    own = round(MATCH_DIAMETERS * kind.diameter_um, 2)
    spread = np.random.default_rng(0)
    truth_um = in_microns([p for m in movies for p in m.centres], [m.spacing for m in movies for _ in m.centres])
    found_um = in_microns([p for f in found for p in f], [m.spacing for m in movies for _ in m.centres])
    counts = {radius: images(found_um, truth_um, radius) for radius in (*kind.radii_um, own)}
    distances = [match(f, t, kind.radii_um[0])[1] for f, t in zip(found_um, truth_um, strict=True)]
    result: dict[str, Any] = {
        "f1": {f"{radius:g}": with_interval(c, spread) for radius, c in counts.items()},
        "own_radius_um": own,
        "error_um": error(distances, spread),
        "images": counts[kind.radii_um[0]].tolist(),
        "n_truth": sum(map(len, truth_um)),
    }
    if movies[0].labels:
        shaped = plausible(kind, movies, found)
        result["plausible"] = {f"{r:g}": with_interval(shaped[:, i], spread) for i, r in enumerate(kind.radii_um)}
        result["plausible_images"] = shaped[:, 0].tolist()
    return result


def frames_of(nuclei: Annotations, movie: Movie) -> list[npt.NDArray[np.float64]]:
    """(N, 3) voxels for each frame."""
    return [nuclei.positions[nuclei.frames == t, 1:] for t in range(len(movie.centres))]


def in_microns(frames: list[npt.NDArray[np.float64]], spacings: list[Spacing]) -> list[npt.NDArray[np.float64]]:
    return [points * spacing.um for points, spacing in zip(frames, spacings, strict=True)]


def images(
    found_um: list[npt.NDArray[np.float64]], truth_um: list[npt.NDArray[np.float64]], radius_um: float
) -> Counts:
    """Right, wrong and missed in each image, as the program's own evaluation counts them."""
    every = range(len(truth_um))
    report = score_detection(as_movie(found_um), as_movie(truth_um), MICRON, radius_um, frames=every)
    return np.array([(frame.tp, frame.fp, frame.fn) for frame in report.frames])


def as_movie(frames: list[npt.NDArray[np.float64]]) -> Annotations:
    return Annotations.of(np.concatenate([np.insert(points, 0, t, axis=1) for t, points in enumerate(frames)]))


def plausible(kind: Kind, movies: list[Movie], found: list[list[npt.NDArray[np.float64]]]) -> npt.NDArray[np.int64]:
    """(F, R, 3) the same on labels of plausible shape, in voxels of the original stack."""
    counts = []
    for movie, frames in zip(movies, found, strict=True):
        spacing_um = movie.spacing.um / [movie.step, 1, 1]
        for points, truth, labels in zip(frames, movie.centres, movie.labels, strict=True):
            p, q = (x * [movie.step, 1, 1] + [movie.first, 0, 0] for x in (points, truth))
            counts.append(plausible_counts(p, q, labels, spacing_um, kind.radii_um))
    return np.stack(counts)


def with_interval(counts: Counts, rng: np.random.Generator) -> list[float]:
    """F1 over all images, and its interval."""
    low, high = np.percentile(f1(drawn(counts, rng)), [2.5, 97.5])
    return [round(float(x), 4) for x in (f1(counts.sum(axis=0)), low, high)]


def drawn(counts: Counts, rng: np.random.Generator) -> Counts:
    """(D, 3) sums over as many images drawn at random; where these are few, the nuclei of each are drawn anew as well."""
    chosen = counts[rng.integers(len(counts), size=(N_DRAWS, len(counts)))]
    if len(counts) < FEW_IMAGES:
        n = chosen.sum(axis=-1)
        chosen = rng.multinomial(n, chosen / np.maximum(n, 1)[..., None])
    return chosen.sum(axis=1)


def f1(counts: Counts) -> npt.NDArray[np.float64]:
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    return 2 * right / np.maximum(2 * right + wrong + missed, 1)


def error(distances: list[npt.NDArray[np.float64]], rng: np.random.Generator) -> list[float] | None:
    """Median distance of the pairs in µm, and its interval, drawn in the same way; None where nothing was found."""
    every = np.concatenate(distances)
    if not len(every):
        return None
    medians = []
    for row in rng.integers(len(distances), size=(N_DRAWS // 10, len(distances))):
        groups = [distances[i] for i in row]
        if len(distances) < FEW_IMAGES:
            groups = [rng.choice(group, len(group)) if len(group) else group for group in groups]
        if len(together := np.concatenate(groups)):
            medians.append(np.median(together))
    low, high = np.percentile(medians, [2.5, 97.5])
    return [round(float(x), 3) for x in (np.median(every), low, high)]


def gain(one: Counts, other: Counts) -> list[float]:
    """F1 of one way less that of the other on the same images, with its interval by image where they are not few."""
    value = float(f1(one.sum(axis=0)) - f1(other.sum(axis=0)))
    if len(one) < FEW_IMAGES:
        return [round(value, 4)]
    rows = np.random.default_rng(0).integers(len(one), size=(N_DRAWS, len(one)))
    low, high = np.percentile(f1(one[rows].sum(axis=1)) - f1(other[rows].sum(axis=1)), [2.5, 97.5])
    return [round(value, 4), round(float(low), 4), round(float(high), 4)]
