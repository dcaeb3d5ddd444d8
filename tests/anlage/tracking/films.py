"""Problems of tracking with a known shape, made in an instant."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from anlage.tracking.problem import LinkingProblem


def film(
    seed: int, n_frames: int, per_frame: int, *, false: float = 0.1, missing: float = 0.1, restless: float = 1.0,
    most: int = 4, certain: bool = False,
) -> LinkingProblem:  # fmt: skip
    """Nuclei that drift in a box, divide and vanish; some are missed, some are false; costs by distance, with noise."""
    rng = np.random.default_rng(seed)
    side = per_frame ** (1 / 3)
    p = rng.random((per_frame, 3)) * side
    frames, points = [], []
    for t in range(n_frames):
        seen = rng.random(len(p)) >= missing
        extra = rng.random((int(len(p) * false), 3)) * side
        frames.append(np.full(int(seen.sum()) + len(extra), t))
        points.append(np.concatenate([p[seen], extra]))
        p = np.clip(p + rng.normal(0, 0.12 * restless, p.shape), 0, side)
        divides = rng.random(len(p)) < 0.01
        shift = rng.normal(0, 0.15, (int(divides.sum()), 3))
        p = np.concatenate([p[~divides & (rng.random(len(p)) > 0.008)], p[divides] + shift, p[divides] - shift])
    f, q = np.concatenate(frames), np.concatenate(points)
    pairs = np.concatenate([_near(f, q, step, most, 0.7 * restless**0.5) for step in (1, 2)])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    distance = np.linalg.norm(np.diff(q[pairs], axis=1)[:, 0], axis=1) / (0.19 * restless)
    step = np.diff(f[pairs], axis=1)[:, 0]
    n = len(f)
    return LinkingProblem(
        frames=f.astype(np.int64), pairs=pairs, node=-2.0 - rng.normal(0, 1.5, n),
        edge=0.9 * distance**2 - 3.5 + 2.0 * (step - 1) + rng.normal(0, 0.5, len(pairs)),
        appear=np.where(f == 0, 0.0, 4.0), end=np.where(f == n_frames - 1, 0.0, 4.0), division=3.0 + rng.normal(0, 1, n),
        must=np.full(n, certain), clamp=np.zeros(len(pairs), np.int8),
    )  # fmt: skip


def _near(f: np.ndarray, q: np.ndarray, step: int, most: int, radius: float) -> np.ndarray:
    found = []
    for t in range(int(f.max()) + 1 - step):
        a, b = np.flatnonzero(f == t), np.flatnonzero(f == t + step)
        distance, near = cKDTree(q[b]).query(q[a], k=most, distance_upper_bound=radius)
        row, place = np.nonzero(np.isfinite(distance))
        found.append(np.column_stack([a[row], b[near[row, place]]]))
    return np.concatenate(found)
