"""Costs of the tracking problem: the negative log odds of each probability."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.calibration import logit
from anlage.candidates import Candidates, neighbour_distances_um
from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows
from anlage.tracking.settings import TrackingSettings

__all__ = ["cost_of", "near_border", "problem_of"]

_SUREST = 1e-6
"""Probabilities are kept this far from 0 and 1: no network is surer."""


def cost_of(probability: npt.ArrayLike) -> Floats:
    """−log(p / (1 − p)), finite."""
    return -logit(probability, _SUREST)


def problem_of(  # noqa: PLR0913 - what a problem is made of
    frames: Rows,
    points_um: Floats,
    candidates: Candidates,
    link_probability: Floats,
    *,
    node_probability: Floats,
    division_probability: Floats | None = None,
    extent_um: Floats | None = None,
    settings: TrackingSettings | None = None,
) -> LinkingProblem:
    """Costs of tracks through these nuclei.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    points_um
        (N, 3) positions (z, y, x) in µm.
    candidates, link_probability
        Links that may be, and (E,) their calibrated probabilities.
    node_probability
        (N,) calibrated probability that it is a nucleus; NaN for a certain one.
    division_probability
        (N,) calibrated probability that this is a mother's last frame; NaN where nothing is known.
    extent_um
        (2, 3) lowest and highest corner (z, y, x) of the image in µm; by default of the nuclei.
    settings
        How probable beginnings, ends and divisions are.
    """
    settings = settings or TrackingSettings()
    n = len(frames)
    rim = near_border(frames, points_um, extent_um, settings.border_distances)
    begins = settings.appear_probability + (settings.border_probability - settings.appear_probability) * rim
    ends = settings.end_probability + (settings.border_probability - settings.end_probability) * rim
    first, last = (int(frames.min()), int(frames.max())) if n else (0, 0)
    division = np.full(n, settings.division_probability)
    if division_probability is not None:
        division = np.where(np.isfinite(division_probability), division_probability, division)
    must = ~np.isfinite(node_probability)
    return LinkingProblem(
        frames=frames.astype(np.int64),
        pairs=candidates.pairs.astype(np.int64).reshape(-1, 2),
        node=np.where(must, 0.0, cost_of(np.where(must, 0.5, node_probability))),
        edge=cost_of(link_probability),
        appear=np.where(frames == first, 0.0, cost_of(begins)),
        end=np.where(frames == last, 0.0, cost_of(ends)),
        division=cost_of(division),
        must=must,
        clamp=np.zeros(len(candidates), dtype=np.int8),
    )


def near_border(frames: Rows, points_um: Floats, extent_um: Floats | None, distances: float) -> Floats:
    """(N,) 1 on the image's border, 0 from so many neighbour distances inwards; an axis without extent has no border."""
    if not len(frames) or distances <= 0:
        return np.zeros(len(frames))
    low, high = (points_um.min(axis=0), points_um.max(axis=0)) if extent_um is None else np.asarray(extent_um)
    depth = distances * neighbour_distances_um(frames, points_um)
    has_border: Mask = high - low > 1e-9
    if not has_border.any():
        return np.zeros(len(frames))
    inward = np.minimum(points_um - low, high - points_um)[:, has_border].min(axis=1)
    rim: Floats = np.nan_to_num(np.clip(1 - inward / depth, 0, 1))
    return rim
