"""Predict link probabilities: with a trained network, or without one from distance and motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.candidates import Candidates, Motion, find_candidates
from anlage.dataset.intensity import measure_intensity
from anlage.errors import AnlageError
from anlage.inference.loading import channels_of, check_depth, network_of
from anlage.model import Model
from anlage.tasks.links.crops import cut
from anlage.tasks.links.following import follow
from anlage.tasks.links.graph import Film, LinkGraph, describe
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    import torch

    from anlage.tasks.links.config import CropPlan

__all__ = ["LinkScores", "link_scores", "score_links"]

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_MOST_AT_ONCE = 150_000
"""Candidates that the network scores in one go: about 1 GiB."""
_AROUND = 4
"""Frames before and after those that are scored in one go: as far as messages and the points around a nucleus reach."""
_CROPS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class LinkScores:
    """What is likely in a film.

    Parameters
    ----------
    candidates
        Candidates for links, as rows of the table of nuclei.
    links
        (E,) calibrated probability of each candidate to be right.
    divides
        (N,) probability of each nucleus that two of its candidates are its daughters.
    """

    candidates: Candidates
    links: Numbers
    divides: Numbers


def score_links(
    model: Model | None,
    nuclei: Annotations,
    spacing: Spacing,
    image: TimeLapse | None = None,
    candidates: Candidates | None = None,
) -> tuple[Candidates, Numbers]:
    """Give every candidate for a link its probability; see `link_scores`.

    Returns
    -------
    candidates
        Those that were given or found.
    probability
        (E,) calibrated probability of each, between 0 and 1.
    """
    scores = link_scores(model, nuclei, spacing, image, candidates)
    return scores.candidates, scores.links


def link_scores(
    model: Model | None,
    nuclei: Annotations,
    spacing: Spacing,
    image: TimeLapse | None = None,
    candidates: Candidates | None = None,
    *,
    device: str = "auto",
) -> LinkScores:
    """Score candidates for links, and nuclei for divisions.

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
        Candidates as rows of `nuclei`; by default found here, with the model's search radius, which is told in
        nearest-neighbour distances of this film.
    device
        Where to compute.

    Raises
    ------
    AnlageError
        If the model looks at the image and there is none, or it does not fit.
    """
    rows = np.flatnonzero(nuclei.state != State.REJECTED)
    shown = nuclei.select(rows) if len(rows) < len(nuclei) else nuclei
    given = None if candidates is None else _renumbered(candidates, rows, len(nuclei))
    if model is None:
        found = _untrained(shown, spacing, given)
    else:
        found = _trained(model, shown, spacing, image, given, device)
    divides = np.zeros(len(nuclei))
    divides[rows] = found.divides
    if candidates is None:
        return LinkScores(replace(found.candidates, pairs=rows[found.candidates.pairs]), found.links, divides)
    links = np.zeros(len(candidates))
    links[np.isin(candidates.pairs, rows).all(axis=1)] = found.links
    return LinkScores(candidates, links, divides)


def _renumbered(candidates: Candidates, rows: Rows, n: int) -> Candidates:
    """Those among some of the nuclei, as rows of these alone."""
    number = np.full(n, -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    pairs = number[candidates.pairs]
    kept = (pairs >= 0).all(axis=1)
    return Candidates(pairs[kept], candidates.steps[kept])


def _untrained(nuclei: Annotations, spacing: Spacing, given: Candidates | None) -> LinkScores:
    frames, points_um = nuclei.frames, nuclei.positions[:, 1:] * spacing.um

    def find(ahead: Motion, over: Motion) -> Candidates:
        return find_candidates(frames, points_um, motion=ahead, over=over) if given is None else given

    found = follow(frames, points_um, find)
    return LinkScores(found.candidates, found.plausible.links, found.plausible.divides)


def _trained(
    model: Model, nuclei: Annotations, spacing: Spacing, image: TimeLapse | None, given: Candidates | None, device: str
) -> LinkScores:
    import torch

    from anlage.networks.device import choose_device

    chosen = choose_device(device)
    network, plan = network_of(model, chosen)
    film = Film.of(nuclei.frames, nuclei.positions[:, 1:] * spacing.um, nuclei.radius_um)

    def find(one: Film) -> Candidates:
        return one.candidates(plan.radius, plan.spread, most=int(model.card.config["most"])) if given is None else given

    film, followed = film.followed(find) if plan.history else (film, None)
    candidates = find(film) if followed is None else followed.candidates
    look = None
    if plan.look is not None:
        look = _look_codes(model, network, plan.look, nuclei, spacing, image, chosen)
    graph = describe(film, candidates, followed)
    links, divides = np.zeros(len(candidates)), np.zeros(len(nuclei))
    with torch.inference_mode():
        for rows, kept_rows, edges, kept_edges in _stretches(film.frames, candidates.pairs):
            seen = {name: tensor.to(chosen) for name, tensor in _part(graph, rows, edges, look).items()}
            scored, parting = network(seen)
            links[edges[kept_edges]] = scored.float().cpu().numpy()[kept_edges]
            divides[rows[kept_rows]] = parting.float().cpu().numpy()[kept_rows]
    return LinkScores(candidates, model.card.evidence.calibration.apply(links), 1 / (1 + np.exp(-divides)))


def _stretches(frames: Rows, pairs: Rows) -> Iterator[tuple[Rows, npt.NDArray[np.bool_], Rows, npt.NDArray[np.bool_]]]:
    """Frames to score in one go: their nuclei and candidates with those around them, and which of these to keep."""
    if not len(frames):
        return
    of_pair = frames[pairs[:, 0]]
    present = np.unique(frames)
    counts = np.searchsorted(np.sort(of_pair), present, side="right")
    number = counts // _MOST_AT_ONCE
    for stretch in np.unique(number):
        own = present[number == stretch]
        first, last = own[0], own[-1]
        rows = np.flatnonzero((frames >= first - _AROUND) & (frames <= last + _AROUND))
        inside = np.isin(pairs, rows).all(axis=1)
        edges = np.flatnonzero(inside)
        kept_edges = (of_pair[edges] >= first) & (of_pair[edges] <= last)
        yield rows, (frames[rows] >= first) & (frames[rows] <= last), edges, kept_edges


def _part(graph: LinkGraph, rows: Rows, edges: Rows, look: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Some nuclei of a graph and the candidates among them."""
    import torch

    pairs = np.searchsorted(rows, graph.pairs[edges])
    part = {
        "nearby": graph.nearby[rows], "node": graph.node[rows], "prior_divides": graph.prior_divides[rows],
        "pairs": pairs, "edge": graph.edge[edges], "prior": graph.prior[edges],
    }  # fmt: skip
    tensors = {name: torch.from_numpy(array) for name, array in part.items()}
    return tensors if look is None else tensors | {"look": look[torch.from_numpy(rows)]}


def _look_codes(
    model: Model,
    network: torch.nn.Module,
    look: CropPlan,
    nuclei: Annotations,
    spacing: Spacing,
    image: TimeLapse | None,
    device: str,
) -> torch.Tensor:
    """(N, F) what each nucleus looks like; every frame is read once, every nucleus encoded once."""
    import torch

    if image is None:
        raise AnlageError(
            f"The links model '{model.card.name}' looks at the image around the nuclei: give the image, or a model that was "
            "trained on points alone (--set image=false), or none."
        )
    last = int(nuclei.frames.max(initial=-1))
    if last >= image.n_frames:
        raise AnlageError(
            f"There are nuclei in frame {last}, but '{image.source}' has {image.n_frames} frames: give the image they were "
            "found in."
        )
    channels, _ = channels_of(model, image, None)
    check_depth(look.grid, image)
    brightness = model.card.brightness
    intensity = measure_intensity(image, channels, brightness.combine, brightness.percentiles)
    known = nuclei.radius_um[np.isfinite(nuclei.radius_um)]
    diameter = 2 * float(np.median(known)) if len(known) else look.diameter_um
    placement = look.grid.place(spacing, diameter, image.shape_tzyx[1:])
    glance = network.glance
    seen = torch.zeros((len(nuclei), glance.n_out))  # type: ignore[union-attr, arg-type]
    with torch.inference_mode():
        for t in np.unique(nuclei.frames):
            rows = np.flatnonzero(nuclei.frames == t)
            frame = placement.resample(torch.from_numpy(intensity.frame(image, int(t)))).numpy()
            places = placement.to_working(nuclei.positions[rows, 1:])
            for some in np.array_split(np.arange(len(rows)), -(-len(rows) // _CROPS_AT_ONCE)):
                crops = torch.from_numpy(cut(frame, places[some], look.crop_zyx)).to(device)
                seen[rows[some]] = glance(crops).float().cpu()  # type: ignore[operator]
    return seen
