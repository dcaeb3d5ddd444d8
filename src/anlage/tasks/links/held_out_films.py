"""Held-out films as detectors might have found them, scored: what the probabilities of tracks are fitted to."""

from __future__ import annotations

import numpy as np
import torch

from anlage.calibration import Calibration
from anlage.tasks.links.examples import LinkExamples, padded
from anlage.tasks.links.loss import flattened
from anlage.tasks.links.shown import Sample, ShownFilm, TrainingFilm, Variation
from anlage.tasks.task import HeldOutFilm

__all__ = ["held_out_films"]

MISSED, FALSE = 0.1, 0.1
"""Shares of nuclei that a detector misses and makes up: on a film without errors no link of a track is wrong, and nothing is learnt."""
AROUND = 3000
"""A short film is found several times, until there are so many nuclei."""
MOST_TIMES = 6


def held_out_films(network: torch.nn.Module, examples: LinkExamples, calibration: Calibration) -> list[HeldOutFilm]:
    """Held-out films as found by a detector that misses nuclei and makes some up, each time others.

    Parameters
    ----------
    network
        The finished network.
    examples
        Its examples.
    calibration
        What makes probabilities of its answers.
    """
    rng = np.random.default_rng(0)
    total = sum(len(film.rows) for film in examples.held)
    times = int(np.clip(AROUND // max(total, 1), 1, MOST_TIMES))
    return [
        _answered(network, one, calibration, examples.setting.device)
        for film in examples.held
        for _ in range(times)
        for one in _found(film, examples, rng)
        if one.known.link_known.any()
    ]


def _found(film: TrainingFilm, examples: LinkExamples, rng: np.random.Generator) -> list[Sample]:
    by = Variation(jitter=examples.config.jitter / 2, dropped=MISSED, false=FALSE)
    shown = ShownFilm.of(film, film.lineages[1], film.rows, examples.plan, examples.config, by, rng)
    return shown.stretches()


def _answered(network: torch.nn.Module, one: Sample, calibration: Calibration, device: str) -> HeldOutFilm:
    graph = {name: tensor.to(device) for name, tensor in flattened(padded([one])).items()}
    with torch.no_grad():
        links, divides = (answer.float().cpu().numpy().astype(np.float64) for answer in network(graph))
    return HeldOutFilm(
        one.shown.frames, one.shown.points_um, one.share_real, one.candidates, calibration.apply(links),
        1 / (1 + np.exp(-divides)), one.known.is_link, one.known.link_known,
    )  # fmt: skip
