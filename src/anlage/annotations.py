"""Annotations: a table of nuclei with their links and labels, marked by a human or proposed by a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, PROBABILITIES, RADII_UM, Range
from anlage.issues import Issue
from anlage.labels import check_painted, measure_labels, n_pieces, radius
from anlage.timelapse import TimeLapse

__all__ = ["HUMAN", "Annotations", "State", "track_numbers"]

HUMAN = "human"
"""Origin of what a person marked; anything else is a model's id."""


class State(IntEnum):
    """Where a nucleus stands between network and human."""

    PROPOSED = 0
    ACCEPTED = 1
    REJECTED = 2
    """Looked at and found wrong: explicit background."""


_RANGES = {
    "probability": PROBABILITIES,
    "division_probability": PROBABILITIES,
    "radius_um": RADII_UM,
    "state": Range(min(State), max(State)),
}


@dataclass(frozen=True, slots=True)
class Annotations:
    """Nuclei over time with their links; a prediction is the same table with probabilities.

    Parameters
    ----------
    ids
        (N,) int64, unique, > 0.
    positions
        (N, 4) float64: t, z, y, x in voxels; t is a whole number.
    links
        (M, 2) int64: id of the earlier nucleus (mother), id of the later one. Two links from one id are a division.
    radius_um
        (N,) float64 in µm; NaN where unknown.
    label
        (N,) int64: the value of the nucleus in `labels` at its frame; 0 where it has none.
    probability
        (N,) float64: calibrated probability that it is a nucleus; NaN for a human's.
    state
        (N,) int8 of `State`.
    origin
        (N,) str: ``"human"`` or the id of the model that proposed it.
    properties
        Further columns, (N,) each, kept from file to file.
    link_properties
        Columns of the links, (M,) each; ``probability`` is the calibrated probability that the link is right, NaN for a
        human's.
    labels
        Painted labels as a lazy image (t, 1, z, y, x), 0 = background; None where nothing was painted.
    notes
        Sentences: what was assumed, left out or contradicted when they were read.
    left_out
        What was left out when they were read, each with its place; `notes` sums it up.
    """

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.float64]
    links: npt.NDArray[np.int64]
    radius_um: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    state: npt.NDArray[np.int8]
    origin: npt.NDArray[np.str_]
    properties: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    link_properties: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    labels: TimeLapse | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[Issue, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.ids)
        columns: dict[str, npt.NDArray[Any]] = {
            "positions": self.positions, "radius_um": self.radius_um, "label": self.label,
            "probability": self.probability, "state": self.state, "origin": self.origin, **self.properties,
        }  # fmt: skip
        for name, column in columns.items():
            if len(column) != n:
                raise AnlageError(f"The column '{name}' has {len(column)} rows but there are {n} nuclei.")
        if self.positions.shape != (n, 4) or self.links.ndim != 2 or self.links.shape[1] != 2:
            raise AnlageError(
                f"Positions must be (N, 4) and links (M, 2), not {self.positions.shape} and {self.links.shape}."
            )
        for name, column in self.link_properties.items():
            if len(column) != len(self.links):
                raise AnlageError(
                    f"The links' column '{name}' has {len(column)} rows but there are {len(self.links)} links."
                )
        self._check_ranges()

    @classmethod
    def of(
        cls,
        positions: npt.ArrayLike,
        *,
        ids: npt.ArrayLike | None = None,
        links: npt.ArrayLike | None = None,
        labels: TimeLapse | None = None,
        notes: tuple[str, ...] = (),
        properties: Mapping[str, npt.NDArray[Any]] | None = None,
        link_properties: Mapping[str, npt.NDArray[Any]] | None = None,
        **columns: Any,
    ) -> Self:
        """Build from positions (N, 4) in voxels (t, z, y, x); what is not given takes its default.

        Ids count from 1, radii and probabilities are unknown, the state is accepted and the origin human. A column
        given as a single value holds for every row. Radii that are not above 0 stand for unknown ones: many programs
        write 0 or -1 where nothing was measured.
        """
        p = np.array(positions, dtype=np.float64).reshape(-1, 4)
        n = len(p)
        defaults: dict[str, tuple[Any, Any]] = {
            "radius_um": (np.nan, np.float64), "label": (0, np.int64), "probability": (np.nan, np.float64),
            "state": (State.ACCEPTED, np.int8), "origin": (HUMAN, np.str_),
        }  # fmt: skip
        unknown = set(columns) - set(defaults)
        if unknown:
            raise TypeError(f"no such column: {sorted(unknown)}")
        _check_whole(columns)
        made: dict[str, Any] = {
            name: np.array(np.broadcast_to(np.asarray(columns.get(name, value), dtype=dtype), (n,)))
            for name, (value, dtype) in defaults.items()
        }
        made["radius_um"][~(made["radius_um"] > 0)] = np.nan
        return cls(
            ids=np.arange(1, n + 1, dtype=np.int64) if ids is None else np.array(ids, dtype=np.int64),
            positions=p,
            links=np.zeros((0, 2), dtype=np.int64) if links is None else np.array(links, dtype=np.int64).reshape(-1, 2),
            properties=dict(properties or {}),
            link_properties=dict(link_properties or {}),
            labels=labels,
            notes=notes,
            **made,
        )

    @classmethod
    def from_labels(cls, labels: TimeLapse, spacing: Spacing | None = None, *, over_gaps: bool = False) -> Self:
        """One nucleus for each label value and frame, at the centroid of its voxels.

        The same value in consecutive frames is the same nucleus: a link.

        Parameters
        ----------
        labels
            (t, 1, z, y, x), whole numbers, 0 = background. Read frame by frame.
        spacing
            Voxel size in µm; None leaves the radii (of the ball, in 2D the disc, of the same size) unknown.
        over_gaps
            Link a value also over frames that lack it.

        Raises
        ------
        AnlageError
            If there are several channels, values that are not whole numbers ≥ 0, or a single value that stands for
            several nuclei: a mask.
        """
        if labels.n_channels != 1:
            raise AnlageError(
                f"The labels '{labels.source}' have {labels.n_channels} channels; give a single channel of whole numbers."
            )
        if labels.dtype.kind not in "bui":
            raise AnlageError(
                f"The labels '{labels.source}' are of type {labels.dtype}; they must be whole numbers, for example uint16."
            )
        spacing = spacing or labels.spacing
        t_parts, centres_parts, sizes_parts = [], [], []
        values_parts: list[npt.NDArray[np.int64]] = []
        _, z, y, x = labels.shape_tzyx
        only: set[int] = set()
        apart: tuple[int, int] | None = None
        for t in range(labels.n_frames):
            frame = labels.read(Box((t, t + 1), (0, z), (0, y), (0, x)))[0, 0]
            values, sizes, centres = measure_labels(frame, labels.source)
            if len(values) and not any(map(len, values_parts)):  # the first frame that holds anything tells
                check_painted(frame, t, labels.source)
            only.update(values[:2].tolist())
            # tracks that a table tells apart are no mask
            if len(only) == len(values) == 1 and apart is None and not over_gaps and (n := n_pieces(frame)) > 1:
                apart = (t, n)
            t_parts.append(np.full(len(values), t))
            values_parts.append(values)
            centres_parts.append(centres)
            sizes_parts.append(sizes)
        if apart is not None and len(only) == 1:
            raise AnlageError(
                f"'{labels.source}' is a mask, not labels: its only value besides 0 is {only.pop()}, which in frame "
                f"{apart[0]} has {apart[1]} separate pieces; give each nucleus a number of its own, with "
                "skimage.measure.label frame by frame or by painting in napari (the key M takes a new label)."
            )
        frames, values = np.concatenate(t_parts), np.concatenate(values_parts)
        sizes = np.concatenate(sizes_parts)
        return cls.of(
            np.column_stack([frames, np.concatenate(centres_parts)]),
            links=_same_value(frames, values, over_gaps=over_gaps),
            label=values,
            radius_um=np.nan if spacing is None else radius(sizes, spacing, is_flat=labels.is_flat),
            labels=labels,
        )

    def _check_ranges(self) -> None:
        """Refuse what no nucleus or link can have, with the first that has it."""
        for name, known in _RANGES.items():
            values = self.properties.get(name) if name == "division_probability" else getattr(self, name)
            if values is None or values.dtype.kind not in "iuf":
                continue
            for row in np.flatnonzero(known.outside(values))[:1]:
                raise AnlageError(f"The nucleus {self.ids[row]} has {values[row]:g} for {name}, which {known}")
        chance = self.link_properties.get("probability")
        if chance is None or chance.dtype.kind not in "iuf":
            return
        for row in np.flatnonzero(PROBABILITIES.outside(chance))[:1]:
            a, b = self.links[row]
            raise AnlageError(f"The link {a} → {b} has {chance[row]:g} for probability, which {PROBABILITIES}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def frames(self) -> npt.NDArray[np.int64]:
        """(N,) the frame of each nucleus."""
        return np.rint(self.positions[:, 0]).astype(np.int64)

    @property
    def annotated_frames(self) -> tuple[int, ...]:
        """Frames with at least one nucleus that was not rejected, in order."""
        return tuple(int(t) for t in np.unique(self.frames[self.state != State.REJECTED]))

    @property
    def divisions(self) -> npt.NDArray[np.int64]:
        """(D, 3) mother and her two daughters, by id."""
        mothers, counts = np.unique(self.links[:, 0], return_counts=True)
        rows = [(m, *sorted(self.links[self.links[:, 0] == m, 1])[:2]) for m in mothers[counts >= 2]]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    @property
    def sure_links(self) -> npt.NDArray[np.bool_]:
        """(M,) links of a human, made or accepted; the others are a network's proposals that nobody accepted."""
        probability = self.link_properties.get("probability")
        if probability is None:
            return np.ones(len(self.links), dtype=bool)
        return np.isnan(np.asarray(probability, dtype=np.float64))

    def sure(self) -> Self:
        """The same nuclei with the links of a human alone."""
        kept = self.sure_links
        return self.linked(self.links[kept], {name: column[kept] for name, column in self.link_properties.items()})

    def select(self, rows: npt.NDArray[Any]) -> Self:
        """Some of the nuclei (a mask or row numbers), with the links among them."""
        ids = self.ids[rows]
        kept = np.isin(self.links, ids).all(axis=1)
        return replace(
            self, ids=ids, positions=self.positions[rows], links=self.links[kept], radius_um=self.radius_um[rows],
            label=self.label[rows], probability=self.probability[rows], state=self.state[rows], origin=self.origin[rows],
            properties={name: column[rows] for name, column in self.properties.items()},
            link_properties={name: column[kept] for name, column in self.link_properties.items()},
        )  # fmt: skip

    def linked(
        self, links: npt.NDArray[np.int64], link_properties: Mapping[str, npt.NDArray[Any]] | None = None
    ) -> Self:
        """The same nuclei with other links (M, 2) and the columns of these."""
        return replace(self, links=links, link_properties=dict(link_properties or {}))

    def shifted(self, offset_tzyx: npt.ArrayLike) -> Self:
        """The same nuclei seen from another origin: positions plus an offset (t, z, y, x) in voxels; no labels."""
        return replace(self, positions=self.positions + np.asarray(offset_tzyx, dtype=np.float64), labels=None)


def _check_whole(columns: Mapping[str, Any]) -> None:
    """Refuse states and labels that would become others as the whole numbers that they are kept as."""
    for name, known in (("state", _RANGES["state"]), ("label", Range(-LARGEST_ID, LARGEST_ID))):
        values = np.asarray(columns.get(name, 0)).reshape(-1)
        bad = known.outside(values) | (values != np.rint(values) if values.dtype.kind == "f" else values > known.high)
        for value in values[bad][:1]:
            raise AnlageError(f"The {name} {value!s} is none: it must be a whole number and {known}.")


def _same_value(
    frames: npt.NDArray[np.int64], values: npt.NDArray[np.int64], *, over_gaps: bool
) -> npt.NDArray[np.int64]:
    """Links (M, 2) between rows of the same value, by id (row + 1)."""
    order = np.lexsort((frames, values))
    earlier, later = order[:-1], order[1:]
    linked = values[earlier] == values[later]
    if not over_gaps:
        linked &= frames[later] - frames[earlier] == 1
    links: npt.NDArray[np.int64] = np.column_stack([earlier[linked], later[linked]]) + 1
    return links[np.argsort(links[:, 1], kind="stable")]


def track_numbers(n: int, links: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(N,) numbers of tracks, which end at divisions, and of lineages, which do not, counted from 0.

    Parameters
    ----------
    n
        Nuclei.
    links
        (M, 2) rows: earlier, later.
    """
    from scipy.sparse import coo_matrix  # not loaded with every annotation
    from scipy.sparse.csgraph import connected_components

    def components(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        numbers: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
        return numbers

    onwards = np.bincount(links[:, 0], minlength=n)
    return components(links[onwards[links[:, 0]] == 1]), components(links)
