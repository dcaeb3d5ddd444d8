"""Examples of the links task: a few frames of a film, varied as a detector would, and what is known of their links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from anlage.candidates import Candidates, neighbour_distances_um
from anlage.tasks.links.config import LinksConfig, LinksPlan
from anlage.tasks.links.crops import Crops, mirrored
from anlage.tasks.links.graph import Film, LinkGraph, describe
from anlage.tasks.links.truth import KnownLinks, Lineage, judge
from anlage.tasks.task import Setting

__all__ = ["LinkExamples", "Sample", "TrainingFilm", "Variation", "padded", "sample"]

MOST_PER_FRAME = 150
"""Nuclei of a frame that an example shows at most, those around one of them."""
DIVIDING_SHARE = 0.4
"""Share of examples drawn around a division."""
NOISY_SHARE = 0.4
"""Share of examples shown as a detector might have found them."""
BASE_SHARE = 0.5
"""Share of examples with every frame."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingFilm:
    """The part of a store that is learnt from, or validated on.

    Parameters
    ----------
    lineages
        Its nuclei as each stride sees them.
    rows
        Which of the nuclei belong to the part.
    sparse_um
        Nucleus diameter in µm where only some nuclei were marked; None where all were.
    crops
        The image around each nucleus; None where the network sees points alone.
    """

    lineages: Mapping[int, Lineage]
    rows: Rows
    sparse_um: float | None
    crops: Crops | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A few frames as the network sees them, with what is known of them."""

    shown: Film
    candidates: Candidates
    share_real: float
    """Share of the points shown that are nuclei."""
    graph: LinkGraph
    known: KnownLinks
    crops: npt.NDArray[np.float32] | None
    n_true: int
    """Links that are among the nuclei, whether found as candidates or not."""
    n_found: int
    """Those that are candidates."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How an example differs from the annotation."""

    angle: float = 0.0
    mirror: tuple[bool, bool, bool] = (False, False, False)
    quarters: int = 0
    jitter: float = 0.0
    dropped: float = 0.0
    false: float = 0.0
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class LinkExamples:
    """Prepared data of one run; see `anlage.tasks.task.Examples`."""

    plan: LinksPlan
    config: LinksConfig
    batch_size: int
    notes: tuple[str, ...]
    train: tuple[TrainingFilm, ...]
    validation: tuple[Sample, ...]
    held_out: str
    n_held_out: int
    held: tuple[TrainingFilm, ...]
    """What is held out, where that is not learnt from."""
    setting: Setting
    _linked: dict[int, Rows] = field(init=False, repr=False)
    _dividing: dict[int, Rows] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_linked", {s: _targets(self.train, s, dividing=False) for s in self.config.strides})
        object.__setattr__(self, "_dividing", {s: _targets(self.train, s, dividing=True) for s in self.config.strides})

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.setting.seed, step])
        batch = padded([self._sample(rng) for _ in range(batch_size)])
        return {name: tensor.to(self.setting.device) for name, tensor in batch.items()}

    def _sample(self, rng: np.random.Generator) -> Sample:
        strides = [s for s in self.config.strides if len(self._linked[s])]
        stride = strides[0] if rng.random() < BASE_SHARE else strides[rng.integers(len(strides))]
        targets = self._dividing[stride] if rng.random() < DIVIDING_SHARE else self._linked[stride]
        targets = targets if len(targets) else self._linked[stride]
        part, row = targets[rng.integers(len(targets))]
        film = self.train[part]
        lineage = film.lineages[stride]
        # the nucleus and its mother or daughter both lie in the window
        first = int(lineage.frames[row]) - stride * int(rng.integers(1, self.config.window))
        frames = first + stride * np.arange(self.config.window)
        rows = film.rows[np.isin(lineage.frames[film.rows], frames)]
        rows = _nearest(rows, lineage, lineage.points_um[row])
        return sample(film, lineage, rows, self.plan, self.config, self._variation(rng), rng)

    def _variation(self, rng: np.random.Generator) -> Variation:
        if not self.setting.augment:
            return Variation()
        mirror = (bool(rng.random() < 0.5), bool(rng.random() < 0.5), False)  # the other way round is a turn more
        noisy = rng.random() < NOISY_SHARE
        return Variation(
            # pixels are turned by right angles only, points by any
            angle=0.0 if self.plan.look is not None else float(rng.uniform(0, 2 * np.pi)),
            mirror=mirror,
            quarters=int(rng.integers(4)) if self.plan.look is not None else 0,
            jitter=float(rng.uniform(0, self.config.jitter)) if noisy else 0.0,
            dropped=float(rng.uniform(0, self.config.dropped)) if noisy else 0.0,
            false=float(rng.uniform(0, self.config.dropped)) if noisy else 0.0,
            scale=tuple(np.exp(rng.uniform(-0.1, 0.1, 3)).tolist()),
        )


def sample(
    film: TrainingFilm,
    lineage: Lineage,
    rows: Rows,
    plan: LinksPlan,
    config: LinksConfig,
    variation: Variation | None = None,
    rng: np.random.Generator | None = None,
) -> Sample:
    """Show some of a film's nuclei as the network sees them.

    Parameters
    ----------
    film, lineage
        The film, as one stride sees it.
    rows
        Nuclei of the frames to show.
    plan, config
        Of the run.
    variation, rng
        How to vary them; None: as they are annotated.
    """
    varied, rng = variation or Variation(), rng or np.random.default_rng(0)
    rows, points_um = _varied_points(lineage, rows, varied, rng)
    # a false point stands beside the nucleus that it was made from, which lends it frame and radius
    real = np.where(rows >= 0, rows, -rows - 2)
    frames = lineage.frames[real]
    shown = Film.of((frames - frames.min()) // lineage.stride, points_um, lineage.radius_um[real], film.sparse_um)
    candidates = shown.candidates(plan.radius, plan.spread, most=config.most)
    known = judge(lineage, np.maximum(rows, -1), candidates)
    ancestors = lineage.once[rows[rows >= 0]]
    n_true = int(np.isin(ancestors[ancestors >= 0], rows).sum())
    straight = known.is_link & (candidates.steps == 1)
    crops = None
    if film.crops is not None:
        crops = film.crops.read(real, rng if variation else None)
        crops = mirrored(crops, varied.mirror, varied.quarters)
    share_real = float(((rows >= 0) & lineage.real[real]).mean()) if len(rows) else 1.0
    graph = describe(shown, candidates)
    return Sample(shown, candidates, share_real, graph, known, crops, n_true, int(straight.sum()))


def padded(samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """A batch: every tensor begins with one entry for each sample; what is shorter is filled up with zeros."""
    columns: list[dict[str, npt.NDArray[np.generic]]] = []
    for one in samples:
        graph, known = one.graph, one.known
        columns.append(
            {
                "nearby": graph.nearby, "node": graph.node, "prior_divides": graph.prior_divides,
                "divides": known.divides, "divides_known": known.divides_known,
                "pairs": graph.pairs, "edge": graph.edge, "prior": graph.prior,
                "is_link": known.is_link, "link_known": known.link_known,
                "edge_there": np.ones(len(graph.pairs), dtype=bool),
            }
            | ({} if one.crops is None else {"crops": one.crops})
        )  # fmt: skip
    return {name: torch.from_numpy(_stacked([one[name] for one in columns])) for name in columns[0]}


def _stacked(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    longest = max(map(len, arrays))
    return np.stack([np.pad(a, [(0, longest - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in arrays])


def _targets(films: Sequence[TrainingFilm], stride: int, *, dividing: bool) -> Rows:
    """(n, 2) film and row of each nucleus that examples are drawn around: with a known mother, or dividing."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for number, film in enumerate(films):
        lineage = film.lineages[stride]
        inside = np.zeros(len(lineage.frames), dtype=bool)
        inside[film.rows] = True
        linked = lineage.once >= 0
        linked[linked] &= inside[lineage.once[linked]]
        linked &= inside
        if dividing:  # its daughters are linked, so they are drawn
            linked &= np.isin(lineage.once, lineage.dividing)
        rows = np.flatnonzero(linked)
        found.append(np.column_stack([np.full(len(rows), number), rows]))
    return np.concatenate(found)


def _nearest(rows: Rows, lineage: Lineage, centre_um: npt.NDArray[np.float64]) -> Rows:
    """Of each frame the nuclei nearest to a place, as many as an example shows."""
    distance = np.linalg.norm(lineage.points_um[rows] - centre_um, axis=1)
    order = np.lexsort((distance, lineage.frames[rows]))
    frames = lineage.frames[rows][order]
    place = np.arange(len(rows)) - np.searchsorted(frames, frames)
    return np.sort(rows[order[place < MOST_PER_FRAME]])


def _varied_points(
    lineage: Lineage, rows: Rows, by: Variation, rng: np.random.Generator
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Rows and places of what a detector might have found; a false point near nucleus r has row −r − 2."""
    kept = rows[rng.random(len(rows)) >= by.dropped]
    rows = kept if len(kept) else rows
    points = lineage.points_um[rows]
    middle = points.mean(axis=0)
    if by.jitter or by.false:
        spacing = _typical_distance(lineage.frames[rows], points)
        copied = np.flatnonzero(rng.random(len(rows)) < by.false)
        away = rng.normal(size=(len(copied), 3)) * (np.ptp(points, axis=0) > 0)
        away *= (
            spacing
            * rng.uniform(0.3, 1.2, (len(copied), 1))
            / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        )
        moved = points + rng.normal(size=points.shape) * by.jitter * spacing * (np.ptp(points, axis=0) > 0)
        rows = np.concatenate([rows, -rows[copied] - 2])
        points = np.concatenate([moved, points[copied] + away])
    sine, cosine = np.sin(by.angle + by.quarters * np.pi / 2), np.cos(by.angle + by.quarters * np.pi / 2)
    sign = np.where(by.mirror, -1.0, 1.0)
    turned = (points - middle) * sign * by.scale
    plane = turned[:, 1:] @ np.array([[cosine, -sine], [sine, cosine]])
    return rows, np.column_stack([turned[:, 0], plane])


def _typical_distance(frames: Rows, points_um: npt.NDArray[np.float64]) -> float:
    found = neighbour_distances_um(frames, points_um)
    return float(np.median(found)) if np.isfinite(found).all() else 1.0
