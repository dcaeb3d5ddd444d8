"""How likely each link is: with a trained network, or without one from distances and the common movement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.candidates import Candidates, find_candidates
from anlage.model import Model
from anlage.tasks.link_motion import plausible_links
from anlage.timelapse import TimeLapse

__all__ = ["score_links"]


def score_links(
    model: Model | None,
    nuclei: Annotations,
    spacing: Spacing,
    image: TimeLapse | None = None,
    candidates: Candidates | None = None,
) -> tuple[Candidates, npt.NDArray[np.float64]]:
    """Give every candidate for a link its probability.

    Parameters
    ----------
    model
        A links model; None for the model without training, which knows distances and the common movement and fits
        its spread and rates to this film.
    nuclei
        The nuclei of a film; rejected ones have no candidates. Their own links are not looked at.
    spacing
        Voxel size in µm.
    image
        The film, for a model that looks at pixels.
    candidates
        Candidates as rows of `nuclei`; by default found here, with the model's search radius.

    Returns
    -------
    candidates
        Those that were given or found.
    probability
        (E,) calibrated probability of each, between 0 and 1.
    """
    frames, points_um = nuclei.frames, nuclei.positions[:, 1:] * spacing.um
    if candidates is None:
        candidates = _found(nuclei, frames, points_um)
    return candidates, plausible_links(frames, points_um, candidates)


def _found(nuclei: Annotations, frames: npt.NDArray[np.int64], points_um: npt.NDArray[np.float64]) -> Candidates:
    """Candidates among the nuclei that were not rejected, as rows of the whole table."""
    rows = np.flatnonzero(nuclei.state != State.REJECTED)
    found = find_candidates(frames[rows], points_um[rows])
    return replace(found, pairs=rows[found.pairs])
