"""One annotated cuboid: which frames and which box of a movie, by a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from suite_kinds import Movie

NEAR = 0.3
"""Whole frames whose nuclei are within this part of the number that is wanted are taken as they are."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What was annotated: every nucleus in some frames of a box."""

    frames: tuple[int, int]
    low: tuple[int, int, int]
    high: tuple[int, int, int]
    """Voxels z, y, x, the end not included."""
    nuclei: npt.NDArray[np.float64]
    """(N, 4) t, z, y, x"""


def piece(movie: Movie, wanted: int | None, seed: int) -> Piece:
    """The cuboid that a seed chooses with about so many nuclei; None: the whole movie.

    A smaller one lies within the larger one of the same seed.
    """
    n = [len(points) for points in movie.centres]
    if wanted is None:
        return whole(movie, 0, len(n))
    rng = np.random.default_rng([seed, 60])
    large = chosen(movie, max(wanted, 60), range(len(n)), rng)
    if wanted >= 60:
        return large
    frames = range(*large.frames)
    return chosen(
        movie, wanted, [max(frames, key=n.__getitem__)] if max(n[t] for t in frames) < wanted else frames, rng
    )


def chosen(movie: Movie, wanted: int, frames: range | list[int], rng: np.random.Generator) -> Piece:
    """Whole frames in a row, or a box in one of them."""
    n = [len(points) for points in movie.centres]
    rows = [(a, b) for a in frames for b in range(a + 1, frames[-1] + 2) if abs(sum(n[a:b]) - wanted) <= NEAR * wanted]
    rows += [(a, a) for a in frames if n[a] > (1 + NEAR) * wanted]
    if not rows:  # fewer than that in all
        return whole(movie, frames[0], frames[-1] + 1)
    low, high = rows[rng.integers(len(rows))]
    return whole(movie, low, high) if high > low else box(movie, low, wanted, rng)


def whole(movie: Movie, low: int, high: int) -> Piece:
    shape = (movie.image.shape[-3], *movie.image.shape[-2:])
    return Piece((low, high), (0, 0, 0), shape, in_box(movie, (low, high), (0, 0, 0), shape))


def box(movie: Movie, frame: int, wanted: int, rng: np.random.Generator) -> Piece:
    """A cube about a nucleus, as large as holds so many, cut off at the image's edge."""
    um = movie.spacing.um
    points = movie.centres[frame]
    centre = points[rng.integers(len(points))]
    reach = np.sort(np.abs((points - centre) * um).max(axis=1))
    half = reach[wanted - 1 : wanted + 1].mean() / um
    low = np.maximum(np.ceil(centre - half), 0).astype(int)
    high = np.minimum(np.floor(centre + half) + 1, movie.image.shape[-3:]).astype(int)
    if movie.flat:
        low[0], high[0] = 0, 1
    corners = tuple(low.tolist()), tuple(high.tolist())
    return Piece((frame, frame + 1), *corners, in_box(movie, (frame, frame + 1), *corners))


def in_box(
    movie: Movie, frames: tuple[int, int], low: tuple[int, int, int], high: tuple[int, int, int]
) -> npt.NDArray[np.float64]:
    every = np.concatenate([np.insert(movie.centres[t], 0, t, axis=1) for t in range(*frames)])
    inside = ((every[:, 1:] >= np.array(low) - 0.5) & (every[:, 1:] < np.array(high) - 0.5)).all(axis=1)
    return every[inside]
