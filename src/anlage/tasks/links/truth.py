"""What annotation says of candidates: which are links, which are not, and of which nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.candidates import Candidates

__all__ = ["KnownLinks", "Lineage", "judge", "parents_of"]

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def parents_of(nuclei: Annotations) -> Rows:
    """(N,) row of the mother of each nucleus, −1 where none is linked; see `Annotations.sure` for those that are known."""
    order = np.argsort(nuclei.ids, kind="stable")
    mothers, later = (order[np.searchsorted(nuclei.ids[order], nuclei.links[:, side])] for side in (0, 1))
    parents = np.full(len(nuclei), -1, dtype=np.int64)
    parents[later] = mothers
    return parents


@dataclass(frozen=True, slots=True)
class Lineage:
    """The annotated nuclei of a film with their ancestry, as it is seen when only every `stride`-th frame is taken.

    Parameters
    ----------
    stride
        Frames between two that are taken.
    frames
        (N,) frames of the film.
    points_um, radius_um
        (N, 3) positions and (N,) radii in µm; NaN where unknown.
    real
        (N,) False for what was rejected: no nucleus, though something resembled one.
    once, twice
        (N,) row of the ancestor one and two strides earlier; −1 where there is none at just that frame.
    has_mother
        (N,) whether ancestry is known at least one stride back.
    has_daughter
        (N,) whether it is an ancestor of something one or two strides later.
    open_once, open_twice
        (N,) whether nobody knows how many descendants it has one and two strides later: a network proposed a further one, and
        no human looked.
    """

    stride: int
    frames: Rows
    points_um: npt.NDArray[np.float64]
    radius_um: npt.NDArray[np.float64]
    real: Mask
    once: Rows
    twice: Rows
    has_mother: Mask
    has_daughter: Mask
    open_once: Mask
    open_twice: Mask

    @classmethod
    def of(cls, nuclei: Annotations, spacing: Spacing, stride: int = 1) -> Self:
        """Read annotated nuclei; links that skip frames are ancestry too, a network's that nobody accepted are not."""
        parents, frames = parents_of(nuclei.sure()), nuclei.frames
        once, reaches = _ancestors(frames, parents, stride)
        twice, _ = _ancestors(frames, parents, 2 * stride)
        rows = np.arange(len(nuclei))
        return cls(
            stride, frames, nuclei.positions[:, 1:] * spacing.um, nuclei.radius_um, nuclei.state != State.REJECTED,
            once, twice, reaches, np.isin(rows, once) | np.isin(rows, twice),
            _with_proposals(nuclei, stride, once), _with_proposals(nuclei, 2 * stride, twice),
        )  # fmt: skip

    @property
    def dividing(self) -> Rows:
        """Rows of nuclei with at least two descendants one stride later."""
        mothers, counts = np.unique(self.once[self.once >= 0], return_counts=True)
        found: Rows = mothers[counts > 1]
        return found


def _with_proposals(nuclei: Annotations, back: int, known: Rows) -> Mask:
    """(N,) nuclei that have further descendants so many frames later, if a network's links are right."""
    if nuclei.sure_links.all():
        return np.zeros(len(nuclei), dtype=bool)
    every, _ = _ancestors(nuclei.frames, parents_of(nuclei), back)
    return np.isin(np.arange(len(nuclei)), every[every != known])


def _ancestors(frames: Rows, parents: Rows, back: int) -> tuple[Rows, Mask]:
    """(N,) the ancestor exactly so many frames earlier, or −1; (N,) whether ancestry reaches so far."""
    at = np.arange(len(frames))
    for _ in range(back):
        further = (frames[at] > frames - back) & (parents[at] >= 0)
        at = np.where(further, parents[at], at)
    exact = frames[at] == frames - back
    return np.where(exact, at, -1), frames[at] <= frames - back


@dataclass(frozen=True, slots=True)
class KnownLinks:
    """What is known of candidates and nuclei.

    Parameters
    ----------
    is_link, link_known
        (E,) whether a candidate is a link, and whether that is known.
    divides, divides_known
        (N,) the same of a nucleus having two links onwards.
    """

    is_link: Mask
    link_known: Mask
    divides: Mask
    divides_known: Mask


def judge(lineage: Lineage, rows: Rows, candidates: Candidates) -> KnownLinks:
    """Judge candidates among some of the nuclei.

    A candidate is known to be wrong only where one of its nuclei is linked to another, or is no nucleus; what nobody has
    linked says nothing, and neither does a link that a network proposed and nobody accepted.

    Parameters
    ----------
    lineage
        The annotation.
    rows
        (n,) which of its nuclei there are, in the order of the candidates' rows; −1 for points that are no nucleus.
    candidates
        Candidates among them, with steps counted in strides.
    """
    earlier, later = rows[candidates.pairs.T]
    n = len(lineage.frames)
    present = np.zeros(n + 1, dtype=bool)  # the last stands for no nucleus
    present[rows] = True
    present[n] = False
    # every table gets a last entry that answers for −1
    once, twice = np.append(lineage.once, -1), np.append(lineage.twice, -1)
    has_mother = np.append(lineage.has_mother, False)
    real = np.append(lineage.real, False)
    complete = np.append(lineage.has_daughter & ~lineage.open_once, False)
    complete_twice = complete & ~np.append(lineage.open_twice, False)
    both = real[earlier] & real[later]
    straight = (candidates.steps == 1) & (once[later] == earlier)
    over = (candidates.steps == 2) & (twice[later] == earlier) & ~present[once[later]]
    is_link = both & (straight | over)
    link_known = is_link | ~both | has_mother[later]
    link_known |= np.where(candidates.steps == 1, complete[earlier], complete_twice[earlier])
    onwards = np.bincount(candidates.pairs[is_link, 0], minlength=len(rows))
    daughters = np.bincount(lineage.once[lineage.once >= 0], minlength=n + 1)[rows]
    divides = onwards > 1
    # a division of which one daughter was not found is neither
    divides_known = ~real[rows] | (complete[rows] & (daughters < 2)) | divides
    return KnownLinks(is_link, link_known, divides, divides_known)
