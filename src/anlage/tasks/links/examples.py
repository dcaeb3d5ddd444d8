"""Examples of the links task: a few frames of a film, varied as a detector would, and what is known of their links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from anlage.tasks.links.config import LinksConfig, LinksPlan
from anlage.tasks.links.shown import Sample, ShownFilm, TrainingFilm, Variation
from anlage.tasks.links.truth import Lineage
from anlage.tasks.task import Setting

__all__ = ["LinkExamples", "padded"]

MOST_PER_FRAME = 150
"""Nuclei of a frame that an example shows at most, those around one of them."""
MOST_SHOWN = 12_000
"""Nuclei of a film that are described at once; of a longer one, a stretch."""
SHOWN = 4
"""Films that are shown with every stride: the fewer there are, the more often each, every time varied otherwise."""
DIVIDING_SHARE = 0.4
"""Share of examples drawn around a division."""
BASE_SHARE = 0.2
"""Share of examples that show every frame in any case: these are nearly always right."""

Rows = npt.NDArray[np.int64]


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
    _shown: dict[tuple[int, int], tuple[ShownFilm, ...]] = field(init=False, repr=False)
    """By stride and time: the films that hold a link then."""
    _targets: dict[tuple[int, int], tuple[Rows, Rows]] = field(init=False, repr=False)
    """… and what examples are drawn around: nuclei with a known link onwards, and those that divide."""

    def __post_init__(self) -> None:
        times = max(1, round(SHOWN / len(self.train))) if self.setting.augment else 1
        strides = dict.fromkeys(self.config.strides)
        shown = {(stride, time): self._show(stride, time) for stride in strides for time in range(times)}
        shown = {key: films for key, films in shown.items() if films}
        targets = {
            key: tuple(_targets(films, dividing=is_so) for is_so in (False, True)) for key, films in shown.items()
        }
        object.__setattr__(self, "_shown", shown)
        object.__setattr__(self, "_targets", targets)

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.setting.seed, step])
        batch = padded([self._sample(rng) for _ in range(batch_size)])
        return {name: tensor.to(self.setting.device) for name, tensor in batch.items()}

    def _show(self, stride: int, time: int) -> tuple[ShownFilm, ...]:
        """Every film once, from another first frame and varied otherwise each time."""
        films = []
        for number, film in enumerate(self.train):
            rng = np.random.default_rng([self.setting.seed, stride, time, number])
            rows = _some(film.rows, film.lineages[stride], rng)
            as_found = (time + number) % 2 > 0  # half of them as a detector might have found them
            variation = self._variation(rng, noisy=as_found)
            if len(rows):
                films.append(
                    ShownFilm.of(film, film.lineages[stride], rows, self.plan, self.config, variation, rng)
                )  # fmt: skip
        return tuple(film for film in films if film.known.is_link.any())

    def _sample(self, rng: np.random.Generator) -> Sample:
        strides = sorted({stride for stride, _ in self._shown})
        stride = strides[0] if rng.random() < BASE_SHARE else strides[rng.integers(len(strides))]
        keys = [key for key in self._shown if key[0] == stride]
        key = keys[int(rng.integers(len(keys)))]
        linked, dividing = self._targets[key]
        targets = dividing if len(dividing) and rng.random() < DIVIDING_SHARE else linked
        part, node = targets[int(rng.integers(len(targets)))].tolist()
        film: ShownFilm = self._shown[key][part]
        # the nucleus and what it is linked to both lie in the window
        first = int(film.shown.frames[node]) - int(rng.integers(0, self.config.window - 1))
        inside = (film.shown.frames >= first) & (film.shown.frames < first + self.config.window)
        nodes = _nearest(np.flatnonzero(inside), film, film.shown.points_um[node])
        return film.sample(nodes, rng if self.setting.augment else None)

    def _variation(self, rng: np.random.Generator, *, noisy: bool) -> Variation | None:
        if not self.setting.augment:
            return None
        mirror = (bool(rng.random() < 0.5), bool(rng.random() < 0.5), False)  # the other way round is a turn more
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


def _some(rows: Rows, lineage: Lineage, rng: np.random.Generator) -> Rows:
    """Nuclei of frames so far apart, from one of the first frames on; of many, those of a stretch."""
    frames = lineage.frames[rows]
    first = (int(frames.min()) if len(frames) else 0) + int(rng.integers(lineage.stride))
    rows = rows[(frames - first) % lineage.stride == 0]
    if len(rows) <= MOST_SHOWN:
        return rows
    rows = rows[np.argsort(lineage.frames[rows], kind="stable")]
    start = int(rng.integers(len(rows) - MOST_SHOWN + 1))
    frames = lineage.frames[rows]
    chosen = (frames >= frames[start]) & (frames <= frames[start + MOST_SHOWN - 1])
    return np.sort(rows[chosen])


def _targets(films: Sequence[ShownFilm], *, dividing: bool) -> Rows:
    """(n, 2) film and point of each nucleus that examples are drawn around: with a known link onwards, or dividing."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for number, film in enumerate(films):
        linked = np.unique(film.candidates.pairs[film.known.is_link, 0])
        nodes = np.flatnonzero(film.known.divides) if dividing else linked
        found.append(np.column_stack([np.full(len(nodes), number), nodes]))
    return np.concatenate(found)


def _nearest(nodes: Rows, film: ShownFilm, centre_um: npt.NDArray[np.float64]) -> Rows:
    """Of each frame the nuclei nearest to a place, as many as an example shows."""
    distance = np.linalg.norm(film.shown.points_um[nodes] - centre_um, axis=1)
    order = np.lexsort((distance, film.shown.frames[nodes]))
    frames = film.shown.frames[nodes][order]
    place = np.arange(len(nodes)) - np.searchsorted(frames, frames)
    return np.sort(nodes[order[place < MOST_PER_FRAME]])
