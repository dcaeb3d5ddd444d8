"""Small sequences with every kind of mistake, as masks with links, and as folders of the Cell Tracking Challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage.annotations import Annotations
from anlage.timelapse import TimeLapse

CELL, SLOTS, T = 12, 7, 10


@dataclass
class Movie:
    """Nuclei in slots of a grid: slot and frame of each by id, and links. Painted as squares, possibly several each."""

    where: dict[int, tuple[int, int]] = field(default_factory=dict)
    links: set[tuple[int, int]] = field(default_factory=set)
    part: dict[int, slice] = field(default_factory=dict)
    """Columns of its square that a nucleus paints, where not all."""
    also: dict[int, int] = field(default_factory=dict)
    """A slot that it paints besides its own."""

    def copy(self) -> Movie:
        return Movie(dict(self.where), set(self.links), dict(self.part), dict(self.also))

    def add(self, t: int, slot: int) -> int:
        new = max(self.where, default=0) + 1
        self.where[new] = (t, slot)
        return new

    def remove(self, nucleus: int) -> None:
        del self.where[nucleus]
        self.links = {link for link in self.links if nucleus not in link}

    def after(self, nucleus: int) -> list[int]:
        return sorted(b for a, b in self.links if a == nucleus)

    def before(self, nucleus: int) -> list[int]:
        return [a for a, b in self.links if b == nucleus]

    def annotations(self) -> Annotations:
        ids = np.array(sorted(self.where))
        masks = np.zeros((T, SLOTS * CELL, SLOTS * CELL), np.uint16)
        for nucleus in ids:
            t, slot = self.where[nucleus]
            for s in {slot, self.also.get(nucleus, slot)}:
                y, x = (s // SLOTS) * CELL + 2, (s % SLOTS) * CELL + 2
                masks[t, y : y + 8, x : x + 8][:, self.part.get(nucleus, slice(None))] = nucleus
        centres = [np.argwhere(masks[self.where[i][0]] == i).mean(axis=0) for i in ids]
        return Annotations.of(
            [(self.where[i][0], 0, *centre) for i, centre in zip(ids, centres, strict=True)],
            ids=ids, label=ids, links=sorted(self.links), labels=TimeLapse.of(masks, "tyx", source="drawn"),
        )  # fmt: skip


def random_movie(rng: np.random.Generator) -> Movie:
    """Six nuclei that live, die, appear and divide."""
    movie = Movie()
    alive = [movie.add(0, int(slot)) for slot in rng.choice(SLOTS**2, 6, replace=False)]
    for t in range(1, T):
        free = list(rng.permutation(sorted(set(range(SLOTS**2)) - {movie.where[i][1] for i in alive})))
        following = []
        for nucleus in alive:
            chance = rng.random()
            for slot in [movie.where[nucleus][1], free.pop()][: 0 if chance < 0.04 else 2 if chance < 0.18 else 1]:
                following.append(movie.add(t, int(slot)))
                movie.links.add((nucleus, following[-1]))
        if rng.random() < 0.2 or not following:
            following.append(movie.add(t, int(free.pop())))
        alive = following[:14]
        for extra in following[14:]:
            movie.remove(extra)
    return movie


def with_mistakes(truth: Movie, rng: np.random.Generator, *, plain: bool = False) -> Movie:
    """Six mistakes; plain ones leave no gaps and no mask that covers two nuclei."""
    movie, kinds = truth.copy(), PLAIN if plain else [*PLAIN, _gap, _merged]
    for _ in range(6):
        kinds[int(rng.integers(len(kinds)))](movie, rng)
    return movie


def _one(movie: Movie, rng: np.random.Generator) -> int:
    return int(rng.choice(sorted(movie.where)))


def _free(movie: Movie, t: int, rng: np.random.Generator) -> int:
    taken = {slot for i, (u, slot) in movie.where.items() if u == t}
    taken |= {slot for i, slot in movie.also.items() if i in movie.where and movie.where[i][0] == t}
    return int(rng.choice(sorted(set(range(SLOTS**2)) - taken)))


def _missed(movie: Movie, rng: np.random.Generator) -> None:
    if len(movie.where) > 5:
        movie.remove(_one(movie, rng))


def _gap(movie: Movie, rng: np.random.Generator) -> None:
    nucleus = _one(movie, rng)
    before, after = movie.before(nucleus), movie.after(nucleus)
    if len(before) == 1 and after:
        movie.remove(nucleus)
        if len(movie.after(before[0])) + len(after) <= 2:
            movie.links |= {(before[0], later) for later in after}


def _false(movie: Movie, rng: np.random.Generator) -> None:
    nucleus = _one(movie, rng)
    t = movie.where[nucleus][0]
    if t + 1 < T and len(movie.after(nucleus)) < 2:
        movie.links.add((nucleus, movie.add(t + 1, _free(movie, t + 1, rng))))
    else:
        movie.add(t, _free(movie, t, rng))


def _merged(movie: Movie, rng: np.random.Generator) -> None:
    nucleus = _one(movie, rng)
    t, _ = movie.where[nucleus]
    others = [i for i, (u, _) in movie.where.items() if u == t and i != nucleus and i not in movie.also]
    if others and nucleus not in movie.also:
        other = int(rng.choice(others))
        movie.also[nucleus] = movie.where[other][1]
        movie.remove(other)


def _split(movie: Movie, rng: np.random.Generator) -> None:
    nucleus = _one(movie, rng)
    if nucleus not in movie.part:
        cut = int(rng.integers(2, 7))
        movie.part[nucleus] = slice(0, cut)
        movie.part[movie.add(*movie.where[nucleus])] = slice(cut, 8)


def _swapped(movie: Movie, rng: np.random.Generator) -> None:
    links = sorted(movie.links)
    if links:
        a, b = links[int(rng.integers(len(links)))]
        same = [
            (c, d) for c, d in links if (movie.where[c][0], movie.where[d][0]) == (movie.where[a][0], movie.where[b][0])
        ]
        c, d = same[int(rng.integers(len(same)))]
        movie.links = movie.links - {(a, b), (c, d)} | {(a, d), (c, b)}


def _lost_link(movie: Movie, rng: np.random.Generator) -> None:
    if movie.links:
        movie.links.discard(sorted(movie.links)[int(rng.integers(len(movie.links)))])


def _late(movie: Movie, rng: np.random.Generator) -> None:
    for mother in rng.permutation(sorted({a for a, _ in movie.links})).tolist():
        daughters = movie.after(mother)
        if len(daughters) == 2 and all(len(movie.after(d)) == 1 for d in daughters):
            later = movie.after(daughters[1])[0]
            movie.remove(daughters[1])
            movie.links.add((daughters[0], later))
            return


def _early(movie: Movie, rng: np.random.Generator) -> None:
    for mother in rng.permutation(sorted({a for a, _ in movie.links})).tolist():
        daughters, before = movie.after(mother), movie.before(mother)
        if len(daughters) == 2 and before and len(movie.after(before[0])) == 1:
            t = movie.where[mother][0]
            twin = movie.add(t, _free(movie, t, rng))
            movie.links = movie.links - {(mother, daughters[1])} | {(before[0], twin), (twin, daughters[1])}
            return


PLAIN = [_missed, _false, _split, _swapped, _lost_link, _late, _early]


def write_ctc(folder: Path, nuclei: Annotations, *, is_truth: bool) -> None:
    """Masks and table as the Cell Tracking Challenge has them; written without any of our own code for it."""
    before = {int(b): int(a) for a, b in nuclei.links}
    n_after = {int(a): int((nuclei.links[:, 0] == a).sum()) for a in nuclei.ids}
    frame = dict(zip(nuclei.ids.tolist(), nuclei.frames.tolist(), strict=True))
    track: dict[int, int] = {}
    rows: dict[int, list[int]] = {}
    for i in sorted(frame, key=lambda i: (frame[i], i)):
        mother = before.get(i)
        if mother is not None and n_after[mother] == 1 and frame[i] - frame[mother] == 1:
            track[i] = track[mother]
            rows[track[i]][2] = frame[i]
        else:
            track[i] = len(rows) + 1
            rows[track[i]] = [track[i], frame[i], frame[i], 0 if mother is None else track[mother]]
    folder = folder / "TRA" if is_truth else folder
    folder.mkdir(parents=True)
    names = "man_track{:03}.tif" if is_truth else "mask{:03}.tif"
    for t in range(nuclei.labels.n_frames):
        lookup = np.zeros(int(nuclei.label.max()) + 1, np.uint16)
        here = nuclei.frames == t
        lookup[nuclei.label[here]] = [track[i] for i in nuclei.ids[here].tolist()]
        tifffile.imwrite(folder / names.format(t), lookup[nuclei.labels.frame(t)[0, 0]])
    table = "\n".join(" ".join(map(str, row)) for row in rows.values())
    (folder / ("man_track.txt" if is_truth else "res_track.txt")).write_text(table + "\n")


@pytest.fixture
def pair_of_movies() -> Callable[..., tuple[Annotations, Annotations]]:
    """A result with mistakes and its truth, by a seed."""

    def make(seed: int, *, plain: bool = False) -> tuple[Annotations, Annotations]:
        rng = np.random.default_rng(seed)
        truth = random_movie(rng)
        return with_mistakes(truth, rng, plain=plain).annotations(), truth.annotations()

    return make


@pytest.fixture
def ctc_writer() -> Callable[..., None]:
    return write_ctc
