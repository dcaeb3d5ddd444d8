"""A film as the network is shown it: as annotated, or varied as a detector would; described once, and cut into samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.candidates import Candidates, neighbour_distances_um
from anlage.tasks.links.config import LinksConfig, LinksPlan
from anlage.tasks.links.crops import Crops, mirrored
from anlage.tasks.links.graph import Film, LinkGraph, describe
from anlage.tasks.links.truth import KnownLinks, Lineage, judge

__all__ = ["Sample", "ShownFilm", "TrainingFilm", "Variation"]

MOST = 3000
"""Most nuclei of a sample of a whole film; of a longer one, evenly spaced stretches are taken."""
STRETCH = 8
"""Frames of a stretch."""

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


@dataclass(frozen=True, slots=True)
class ShownFilm:
    """A film as it is shown, described as a whole: how old a nucleus is does not stand in the frames around it.

    Parameters
    ----------
    film, lineage, rows
        What is shown: rows of the lineage; −r − 2 for a false point beside row r.
    variation
        How it was varied; None where it was not.
    shown, candidates, graph, known
        The points, their candidates, what the network is told of them, and what is known.
    """

    film: TrainingFilm
    lineage: Lineage
    rows: Rows
    variation: Variation | None
    shown: Film
    candidates: Candidates
    graph: LinkGraph
    known: KnownLinks

    @classmethod
    def of(
        cls,
        film: TrainingFilm,
        lineage: Lineage,
        rows: Rows,
        plan: LinksPlan,
        config: LinksConfig,
        variation: Variation | None,
        rng: np.random.Generator,
    ) -> Self:
        """Show some of a film's nuclei.

        Parameters
        ----------
        film, lineage
            The film, as one stride sees it.
        rows
            Nuclei of the frames to show, `stride` apart.
        plan, config
            Of the run.
        variation, rng
            How to vary them; None: as they are annotated.
        """
        rows, points_um = _varied_points(lineage, rows, variation or Variation(), rng)
        # a false point stands beside the nucleus that it was made from, which lends it frame and radius
        real = np.where(rows >= 0, rows, -rows - 2)
        frames = lineage.frames[real]
        shown = Film.of((frames - frames.min()) // lineage.stride, points_um, lineage.radius_um[real], film.sparse_um)

        def find(one: Film) -> Candidates:
            return one.candidates(plan.radius, plan.spread, most=config.most)

        followed = None
        if plan.history:
            shown, followed = shown.followed(find)
        candidates = find(shown) if followed is None else followed.candidates
        known = judge(lineage, np.maximum(rows, -1), candidates)
        graph = describe(shown, candidates, followed)
        return cls(film, lineage, rows, variation, shown, candidates, graph, known)

    def sample(self, nodes: Rows, rng: np.random.Generator | None = None) -> Sample:
        """Some of the points (ascending) and the candidates among them, with the image around each.

        Parameters
        ----------
        nodes
            Which points.
        rng
            Moves the image's crops a little, as detected centres are; None: not.
        """
        number = np.full(len(self.rows), -1, dtype=np.int64)
        number[nodes] = np.arange(len(nodes))
        pairs = number[self.candidates.pairs]
        edges = np.flatnonzero((pairs >= 0).all(axis=1))
        candidates = Candidates(pairs[edges], self.candidates.steps[edges])
        graph, known = self.graph, self.known
        rows = self.rows[nodes]
        real = np.where(rows >= 0, rows, -rows - 2)
        ancestors = self.lineage.once[rows[rows >= 0]]
        varied, crops = self.variation or Variation(), None
        if self.film.crops is not None:
            crops = mirrored(self.film.crops.read(real, rng), varied.mirror, varied.quarters)
        is_link = known.is_link[edges]
        return Sample(
            shown=self.shown.part(nodes), candidates=candidates,
            share_real=float(((rows >= 0) & self.lineage.real[real]).mean()) if len(rows) else 1.0,
            graph=LinkGraph(
                graph.nearby[nodes], graph.node[nodes], candidates.pairs, graph.edge[edges], graph.prior[edges],
                graph.prior_divides[nodes],
            ),
            known=KnownLinks(is_link, known.link_known[edges], known.divides[nodes], known.divides_known[nodes]),
            crops=crops,
            n_true=int(np.isin(ancestors[ancestors >= 0], rows).sum()),
            n_found=int((is_link & (candidates.steps == 1)).sum()),
        )  # fmt: skip

    def stretches(self) -> list[Sample]:
        """The whole film, or evenly spaced stretches of it where it is long."""
        frames, every = self.shown.frames, np.arange(len(self.rows))
        if len(every) <= MOST:
            return [self.sample(every)]
        n = len(np.unique(frames)) // STRETCH
        wanted = max(1, min(n, int(MOST / len(every) * n)))
        starts = np.unique(np.linspace(frames.min(), frames.max() + 1 - STRETCH, wanted).astype(int))
        return [self.sample(every[(frames >= start) & (frames < start + STRETCH)]) for start in starts]


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
