"""Lineages of a synthetic embryo with planted tracking errors, to try the review on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.synthetic.nuclei import new_nucleus, next_frame, relax
from anlage.synthetic.stage import Optics, Stage

__all__ = ["Planted", "plant", "planted_lineages"]

Planted = list[tuple[str, frozenset[int]]]
"""Kind of each planted error, and the ids of the nuclei that it concerns."""
SPACING = Spacing(2.0, 0.5, 0.5)
SHAPE = (30, 40, 240, 240)
APART_UM, APART_FRAMES = 20.0, 4
"""Planted errors are farther from one another than this, in space or in time."""
JUMP_UM = 6.0
MOST_TRIES = 20_000


def planted_lineages(
    seed: int, n_nuclei: int = 90, noise_um: float = 0.3, shape_tzyx: tuple[int, int, int, int] = SHAPE
) -> Annotations:
    """Nuclei of a synthetic embryo as a good detector finds them, without an image: true links, centres a little off.

    Parameters
    ----------
    seed
        The same seed gives the same lineages.
    n_nuclei
        In the first frame.
    noise_um
        Standard deviation of the centres along each axis, µm.
    shape_tzyx
        Frames and voxels of 2 × 0.5 × 0.5 µm.
    """
    n_frames, *shape = shape_tzyx
    stage = Stage((shape[0], shape[1], shape[2]), SPACING, Optics(), 8.0, np.random.default_rng(seed))
    nuclei = [new_nucleus(stage, track) for track in range(1, n_nuclei + 1)]
    relax(nuclei, stage, rounds=60)
    nuclei[0].countdown = 3
    everyone = [(0, nucleus) for nucleus in nuclei]
    for t in range(1, n_frames):
        nuclei = next_frame(nuclei, stage)
        everyone += [(t, nucleus) for nucleus in nuclei]
    ids = {(t, n.track): row for row, (t, n) in enumerate(everyone, start=1)}
    mothers = [ids.get((t - 1, n.track)) or ids.get((t - 1, n.mother)) for t, n in everyone]
    um = np.array([n.centre for _, n in everyone]) + stage.rng.normal(0, noise_um, (len(everyone), 3))
    positions = np.column_stack([[t for t, _ in everyone], np.clip(um / SPACING.um, 0, np.array(shape) - 1)])
    return Annotations.of(
        positions,
        links=[(mother, row) for row, mother in enumerate(mothers, start=1) if mother],
        radius_um=[n.true_radius(flat=False) for _, n in everyone],
    )


def plant(
    truth: Annotations, seed: int, each: int = 4, spacing: Spacing = SPACING, apart_um: float = APART_UM
) -> tuple[Annotations, Planted]:
    """Plant swaps, missing links, false divisions, missing nuclei and jumps, far from one another.

    Parameters
    ----------
    truth
        True tracks with ids 1 … N.
    seed
        The same seed plants the same.
    each
        How many of each kind.
    spacing
        Voxel size in µm.
    apart_um
        Errors within four frames of one another are at least so far apart, µm.

    Raises
    ------
    AnlageError
        If there is no room for so many.
    """
    garden = _Garden(truth, np.random.default_rng(seed), spacing, apart_um)
    for _ in range(each):
        garden.swap()
        garden.cut()
        garden.steal()
        garden.lose()
        garden.push()
    return garden.spoilt_tracks(), garden.planted


class _Garden:
    """Tracks while they are spoilt."""

    def __init__(self, truth: Annotations, rng: np.random.Generator, spacing: Spacing, apart_um: float) -> None:
        self.truth, self.rng, self.um, self.apart_um = truth, rng, spacing.um, apart_um
        self.at_um: npt.NDArray[np.float64] = truth.positions[:, 1:] * spacing.um
        self.positions = truth.positions.copy()
        self.mother = {int(b): int(a) for a, b in truth.links}
        self.later: dict[int, list[int]] = {}
        for b, a in self.mother.items():
            self.later.setdefault(a, []).append(b)
        self.true = dict(self.mother)
        self.gone: set[int] = set()
        self.spoilt: list[int] = []
        self.planted: Planted = []

    def swap(self) -> None:
        """Exchange two neighbours' tracks."""
        a, b = self._place()
        other = self._neighbour(b)
        self.mother[b], self.mother[other] = self.mother[other], a
        self._note("swap", a, b, other, self.mother[b])

    def cut(self) -> None:
        """Leave out a link."""
        a, b = self._place()
        del self.mother[b]
        self._note("missing link", a, b)

    def steal(self) -> None:
        """Let a nucleus divide into its own next and its neighbour's."""
        a, b = self._place()
        stolen = self._neighbour(b)
        self._note("false division", a, b, stolen, self.mother[stolen])
        self.mother[stolen] = a

    def lose(self) -> None:
        """Leave out a nucleus."""
        a, b = self._place()
        self.gone.add(b)
        self._note("missing nucleus", a, b, *self.later[b])

    def push(self) -> None:
        """Put a nucleus elsewhere."""
        a, b = self._place()
        way = self.rng.normal(size=3)
        self.positions[b - 1, 1:] += JUMP_UM * way / np.linalg.norm(way) / self.um
        self._note("jump", a, b, *self.later[b])

    def spoilt_tracks(self) -> Annotations:
        """The spoilt tracks."""
        kept = [(a, b) for b, a in sorted(self.mother.items()) if not {a, b} & self.gone]
        tracks = Annotations.of(self.positions, ids=self.truth.ids, links=kept, radius_um=self.truth.radius_um)
        return tracks.select(~np.isin(tracks.ids, list(self.gone)))

    def _note(self, kind: str, *ids: int) -> None:
        self.planted.append((kind, frozenset(ids)))

    def _place(self) -> tuple[int, int]:
        """A nucleus in the middle of an undivided track and the next, far from what was spoilt before."""
        frames = self.truth.frames
        last = int(frames.max())
        for _ in range(MOST_TRIES):
            a = int(self.rng.choice(self.truth.ids))
            t = int(frames[a - 1])
            after = self.later.get(a, [])
            if len(after) != 1 or not 3 < t < last - 4 or a not in self.true:
                continue
            plain = len(self.later.get(after[0], [])) == 1 and len(self.later[self.true[a]]) == 1
            if plain and all(self._far(a, b) or abs(t - frames[b - 1]) > APART_FRAMES for b in self.spoilt):
                self.spoilt.append(a)
                return a, after[0]
        raise AnlageError(
            f"There is no room for more than {len(self.spoilt)} errors that lie {self.apart_um:g} µm or {APART_FRAMES} frames apart; "
            "plant fewer, or nearer to one another."
        )

    def _far(self, a: int, b: int) -> bool:
        return bool(np.linalg.norm(self.at_um[a - 1] - self.at_um[b - 1]) > self.apart_um)

    def _neighbour(self, b: int) -> int:
        """The nearest nucleus of the same frame that came of no division."""
        same = (np.flatnonzero(self.truth.frames == self.truth.frames[b - 1]) + 1).tolist()
        same = [c for c in same if c != b and c in self.true and len(self.later[self.true[c]]) == 1]
        return min(same, key=lambda c: float(np.linalg.norm(self.at_um[c - 1] - self.at_um[b - 1])))
