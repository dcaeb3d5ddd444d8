"""The document's table of nuclei: columns sorted by id, and the operations of edits on them.

Each operation returns a new table and leaves the old one as it was, so a table is a snapshot that costs nothing. The
same nuclei always give the same bytes, whatever the order in which they came: that is what makes undo exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations, State
from anlage.errors import AnlageError
from anlage.foreign import LARGEST_ID, MOST_DIAMETER_UM

__all__ = ["COLUMNS", "LINK_PROBABILITY", "MOST_ID", "Ids", "Table"]

Ids = npt.NDArray[np.int64]

MOST_ID = LARGEST_ID
COLUMNS: dict[str, tuple[Any, Any]] = {
    "radius_um": (np.nan, np.float64), "label": (0, np.int64), "probability": (np.nan, np.float64),
    "state": (State.ACCEPTED, np.int8), "origin": (HUMAN, np.str_),
}  # fmt: skip
"""One value a nucleus: what it is where nothing is said, and its type."""
_EXACT = 2**53
"""Up to here a float holds whole numbers exactly."""
LINK_PROBABILITY = "link_probability"
"""Property of a daughter: the probability of the link to her mother. Links of a human have none: they are certain."""


@dataclass(frozen=True, slots=True)
class Table:
    """Nuclei and links.

    Parameters
    ----------
    ids
        (N,) in rising order, > 0.
    positions
        (N, 4): t, z, y, x in voxels; t is a whole number.
    mother
        (N,) id of the nucleus in an earlier frame that a link leads from; 0: none.
    columns
        Those of `COLUMNS`, (N,) each.
    properties
        Further columns: float64 with NaN, or text with "", where a nucleus has no value. None is wholly empty.
    """

    ids: Ids
    positions: npt.NDArray[np.float64]
    mother: Ids
    columns: Mapping[str, npt.NDArray[Any]]
    properties: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column in (self.ids, self.positions, self.mother, *self.columns.values(), *self.properties.values()):
            column.flags.writeable = False

    @classmethod
    def of(
        cls,
        ids: npt.ArrayLike,
        positions: npt.ArrayLike,
        columns: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Self:
        """Nuclei without links; a column given as one value holds for all, one that is not given takes its default.

        Raises
        ------
        AnlageError
            If an id is used twice or is not above 0, a position is no place, or a column has another length.
        """
        found = np.array(ids, dtype=np.int64).reshape(-1)
        n = len(found)
        order = np.argsort(found, kind="stable")
        where = np.array(positions, dtype=np.float64).reshape(-1, 4)
        if len(where) != n:
            raise AnlageError(f"There are {n} ids but {len(where)} positions; give one (t, z, y, x) for each nucleus.")
        made = {
            name: spread((columns or {}).get(name, default), n, dtype, name)[order]
            for name, (default, dtype) in COLUMNS.items()
        }
        made["radius_um"][~(made["radius_um"] > 0)] = np.nan
        check_columns(made)
        made["origin"] = narrow(made["origin"])
        table = cls(
            found[order], where[order], np.zeros(n, dtype=np.int64), made,
            _filled({name: typed(values, n, name)[order] for name, values in (properties or {}).items()}),
        )  # fmt: skip
        _check_ids(table.ids)
        return table

    @classmethod
    def from_annotations(cls, annotations: Annotations) -> Self:
        """The nuclei and links of a table without contradictions."""
        columns = {name: getattr(annotations, name) for name in COLUMNS}
        one_each = {name: v for name, v in annotations.properties.items() if v.ndim == 1}
        one_each.pop(LINK_PROBABILITY, None)
        table = cls.of(annotations.ids, annotations.positions, columns, one_each)
        probability = annotations.link_properties.get("probability")
        return table.linked(annotations.links, probability) if len(annotations.links) else table

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def frames(self) -> Ids:
        """(N,) the frame of each nucleus."""
        return np.rint(self.positions[:, 0]).astype(np.int64)

    @property
    def links(self) -> Ids:
        """(M, 2) mother, daughter; sorted by daughter."""
        rows = np.flatnonzero(self.mother)
        return np.column_stack([self.mother[rows], self.ids[rows]])

    def link_probability(self, daughters: Ids) -> npt.NDArray[np.float64]:
        """Probability of the link to each of these nuclei; NaN where a human made it, or there is none."""
        column = self.properties.get(LINK_PROBABILITY)
        rows = self.rows(daughters)
        return np.full(len(rows), np.nan) if column is None else np.array(column[rows], dtype=np.float64)

    def has(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which ids there are."""
        place = np.searchsorted(self.ids, ids)
        known: npt.NDArray[np.bool_] = np.zeros(np.shape(ids), dtype=bool)
        inside = place < len(self.ids)
        known[inside] = self.ids[place[inside]] == ids[inside]
        return known

    def rows(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Row of each id.

        Raises
        ------
        AnlageError
            If one does not exist.
        """
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        known = self.has(wanted)
        if not known.all():
            raise AnlageError(f"There is no nucleus {wanted[~known][0]}; it may have been removed.")
        return np.searchsorted(self.ids, wanted)

    def daughters(self, ids: Ids) -> Ids:
        """Ids of all nuclei that a link leads to from one of these."""
        return self.ids[np.isin(self.mother, ids)] if len(ids) else ids

    def taken(self, rows: npt.NDArray[Any]) -> Self:
        """Some rows, without links."""
        return replace(
            self, ids=self.ids[rows], positions=self.positions[rows], mother=np.zeros(len(self.ids[rows]), np.int64),
            columns={name: column[rows] for name, column in self.columns.items()},
            properties=_filled(
                {name: column[rows] for name, column in self.properties.items() if name != LINK_PROBABILITY}
            ),
        )  # fmt: skip

    def merged(self, new: Table) -> Self:
        """With the rows of another table, whose links are left behind.

        Raises
        ------
        AnlageError
            If an id exists already, or a property holds numbers here and text there.
        """
        double = new.ids[self.has(new.ids)]
        if len(double):
            raise AnlageError(f"There is a nucleus {double[0]} already; take a new id.")
        at = np.searchsorted(self.ids, new.ids)
        return replace(
            self,
            ids=np.insert(self.ids, at, new.ids),
            positions=np.insert(self.positions, at, new.positions, axis=0),
            mother=np.insert(self.mother, at, 0),
            columns={name: joined(column, at, new.columns[name]) for name, column in self.columns.items()},
            properties={
                name: joined(*_alike(name, self.properties, len(self), new.properties, len(new), at))
                for name in sorted({*self.properties, *new.properties})
            },
        )

    def without(self, rows: npt.NDArray[np.int64]) -> Self:
        """Without these rows, and without the links that touch them."""
        mother = np.where(np.isin(self.mother, self.ids[rows]), 0, self.mother)
        columns = {name: np.delete(column, rows) for name, column in self.columns.items()}
        columns["origin"] = narrow(columns["origin"])
        properties = self._with_probability(np.flatnonzero(mother != self.mother), None)
        return replace(
            self, ids=np.delete(self.ids, rows), positions=np.delete(self.positions, rows, axis=0),
            mother=np.delete(mother, rows), columns=columns,
            properties=_filled({name: np.delete(column, rows) for name, column in properties.items()}),
        )  # fmt: skip

    def moved(self, ids: Ids, positions: npt.NDArray[np.float64]) -> Self:
        """With these nuclei elsewhere.

        Raises
        ------
        AnlageError
            If a link would lead back in time.
        """
        rows = self.rows(ids)
        everywhere = self.positions.copy()
        everywhere[rows] = positions
        table = replace(self, positions=everywhere)
        if (everywhere[rows, 0] != self.positions[rows, 0]).any():
            daughters = np.union1d(ids[self.mother[rows] > 0], self.daughters(ids))
            _check_forward(table, table.mother[table.rows(daughters)], daughters)
        return table

    def changed(self, ids: Ids, values: Mapping[str, npt.NDArray[Any]]) -> Self:
        """With other values in some of `COLUMNS`."""
        rows = self.rows(ids)
        columns = dict(self.columns)
        for name, new in values.items():
            column = columns[name].astype(np.result_type(columns[name], new)) if name == "origin" else columns[name]
            column = column.copy()
            column[rows] = new
            columns[name] = narrow(column) if name == "origin" else column
        return replace(self, columns=columns)

    def described(self, ids: Ids, values: Mapping[str, npt.NDArray[Any]]) -> Self:
        """With other values in some properties, which are made where there are none."""
        rows = self.rows(ids)
        properties = dict(self.properties)
        for name, new in values.items():
            column = properties.get(name, np.full(len(self), "" if new.dtype.kind == "U" else np.nan))
            if column.dtype.kind != new.dtype.kind:
                raise AnlageError(f"The property '{name}' holds {'text' if column.dtype.kind == 'U' else 'numbers'}.")
            column = np.array(column, dtype=np.result_type(column, new))
            column[rows] = new
            properties[name] = column
        return replace(self, properties=_filled(properties))

    def weighed(self, daughters: Ids, probability: npt.NDArray[np.float64]) -> Self:
        """With other probabilities of the links to these nuclei; NaN is certain."""
        return replace(self, properties=self._with_probability(self.rows(daughters), probability))

    def _with_probability(
        self, rows: npt.NDArray[np.int64], probability: npt.NDArray[np.float64] | None
    ) -> Mapping[str, npt.NDArray[Any]]:
        """The properties, with this probability of the links to these rows; None: there is nothing to say of them."""
        column = self.properties.get(LINK_PROBABILITY)
        if column is None and (probability is None or not np.isfinite(probability).any()):
            return self.properties
        changed = np.full(len(self), np.nan) if column is None else np.array(column, dtype=np.float64)
        changed[rows] = np.nan if probability is None else probability
        return _filled({**self.properties, LINK_PROBABILITY: changed})

    def linked(self, pairs: Ids, probability: npt.NDArray[np.float64] | None = None) -> Self:
        """With these links (M, 2), mother and daughter, and their probabilities; None: a human's.

        Raises
        ------
        AnlageError
            If a nucleus does not exist, would get a second mother or a third daughter, or a link leads back in time.
        """
        mothers, daughters = pairs[:, 0], pairs[:, 1]
        rows = self.rows(daughters)
        _check_forward(self, mothers, daughters)
        taken = np.flatnonzero(self.mother[rows])
        if len(taken):
            raise AnlageError(
                f"Nucleus {daughters[taken[0]]} has a mother already, nucleus {self.mother[rows[taken[0]]]}; remove that "
                "link first."
            )
        values, counts = np.unique(daughters, return_counts=True)
        if (counts > 1).any():
            raise AnlageError(f"Nucleus {values[counts > 1][0]} would get two mothers; a nucleus has one at most.")
        linked = self.mother.copy()
        linked[rows] = mothers
        table = replace(self, mother=linked, properties=self._with_probability(rows, probability))
        _check_daughters(table, mothers)
        return table

    def unlinked(self, pairs: Ids) -> Self:
        """Without these links.

        Raises
        ------
        AnlageError
            If there is no such link.
        """
        rows = self.rows(pairs[:, 1])
        absent = np.flatnonzero(self.mother[rows] != pairs[:, 0])
        if len(absent):
            mother, daughter = pairs[absent[0]]
            raise AnlageError(
                f"There is no link from nucleus {mother} to nucleus {daughter}; it may have been removed."
            )
        mothers = self.mother.copy()
        mothers[rows] = 0
        return replace(self, mother=mothers, properties=self._with_probability(rows, None))


def check_columns(columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse radii, probabilities and states that are none.

    Raises
    ------
    AnlageError
        If there is one.
    """
    limits = {"radius_um": (0.0, MOST_DIAMETER_UM), "probability": (0.0, 1.0), "label": (0, 2**32 - 1)}
    for name, (low, high) in limits.items():
        column = columns.get(name)
        if column is not None and len(wrong := column[(column < low) | (column > high)]):
            raise AnlageError(
                f"The {name.removesuffix('_um')} {wrong[0]:g} of a nucleus is not from {low:g} to {high:g}."
            )
    state = columns.get("state")
    if state is not None and not np.isin(state, [int(s) for s in State]).all():
        raise AnlageError(f"The state {state.max()} is none of 0 (proposed), 1 (accepted), 2 (rejected).")


def spread(value: Any, n: int, dtype: Any, name: str) -> npt.NDArray[Any]:
    """A fresh column of n values from one value or n."""
    given = _cast(value, dtype, name)
    if given.ndim > 1 or (given.ndim == 1 and len(given) not in (1, n)):
        raise AnlageError(f"The column '{name}' has {given.size} values for {n} nuclei; give one, or one for each.")
    return np.array(np.broadcast_to(given, (n,)))


def _cast(value: Any, dtype: Any, name: str) -> npt.NDArray[Any]:
    """Values of a type that holds them; whole numbers are not cut."""
    try:
        given = np.asarray(value)
        if np.dtype(dtype).kind == "i" and given.size:
            most = MOST_ID if given.dtype.kind in "biu" else _EXACT
            low, high = max(np.iinfo(dtype).min, -most), min(np.iinfo(dtype).max, most)
            inside = (given >= low) & (given <= high)
            if not inside.all() or (given.dtype.kind == "f" and (given != np.rint(given)).any()):
                raise ValueError(f"not whole numbers up to {high:,}")
        return given.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise AnlageError(f"The column '{name}' does not hold what it should ({error}).") from error


def typed(values: Any, n: int, name: str) -> npt.NDArray[Any]:
    """A property as float64 or text; None is a missing value. Truth values become 0 and 1.

    Whole numbers that a number with a point does not hold are kept as text.
    """
    given = np.asarray(values)
    if given.dtype.kind in "iu" and given.size and max(abs(int(given.min())), abs(int(given.max()))) > _EXACT:
        given = given.astype(np.str_)
    if given.dtype.kind == "O":
        is_text = any(isinstance(v, str) for v in given.reshape(-1))
        given = np.array([("" if is_text else np.nan) if v is None else v for v in given.reshape(-1)])
    column = spread(given, n, np.str_ if given.dtype.kind in "US" else np.float64, name)
    return narrow(column) if column.dtype.kind == "U" else column


def narrow(text: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Text in the narrowest type that holds it, so that equal columns are equal bytes."""
    width = text.dtype.itemsize // 4
    if width <= 1 or not len(text):
        return text.astype("<U1") if not len(text) else text
    used = np.flatnonzero(np.ascontiguousarray(text).view(np.uint32).reshape(len(text), width).any(axis=0))
    needed = int(used[-1]) + 1 if len(used) else 1
    return text if needed == width else text.astype(f"<U{needed}")


def joined(column: npt.NDArray[Any], at: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column with new values put in before the rows `at`."""
    return np.insert(column.astype(np.result_type(column, new), copy=False), at, new)


def is_missing(column: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a property has no value."""
    missing: npt.NDArray[np.bool_] = column == "" if column.dtype.kind == "U" else np.isnan(column)
    return missing


def _filled(properties: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Those properties that hold anything, in their narrowest type and in the order of their names."""
    kept = {name: column for name, column in sorted(properties.items()) if not is_missing(column).all()}
    return {name: narrow(column) if column.dtype.kind == "U" else column for name, column in kept.items()}


def _alike(
    name: str,
    ours: Mapping[str, npt.NDArray[Any]],
    n_ours: int,
    new: Mapping[str, npt.NDArray[Any]],
    n_new: int,
    at: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Both columns of a property, made up of missing values where one side has none."""
    pattern = ours.get(name, new.get(name))
    empty: Any = np.full(1, "" if pattern is not None and pattern.dtype.kind == "U" else np.nan)
    first, second = ours.get(name, np.repeat(empty, n_ours)), new.get(name, np.repeat(empty, n_new))
    if first.dtype.kind != second.dtype.kind:
        words = {"U": "text", "f": "numbers"}
        raise AnlageError(
            f"The property '{name}' holds {words[first.dtype.kind]} in this project and {words[second.dtype.kind]} in "
            "what is added; rename one of them."
        )
    return first, at, second


def _check_ids(ids: Ids) -> None:
    if len(ids) and ids[0] <= 0:
        raise AnlageError(f"The id {ids[0]} is not above 0; ids are whole numbers from 1.")
    double = np.flatnonzero(np.diff(ids) == 0)
    if len(double):
        raise AnlageError(f"The id {ids[double[0]]} is given to two nuclei; each needs its own.")


def _check_forward(table: Table, mothers: Ids, daughters: Ids) -> None:
    t_from, t_to = (table.positions[table.rows(ids), 0] for ids in (mothers, daughters))
    wrong = np.flatnonzero(t_to <= t_from)
    if len(wrong):
        i = wrong[0]
        raise AnlageError(
            f"The link from nucleus {mothers[i]} (frame {t_from[i]:g}) to nucleus {daughters[i]} (frame {t_to[i]:g}) "
            "does not go forward in time; link to a later frame."
        )


def _check_daughters(table: Table, mothers: Ids) -> None:
    values, counts = np.unique(table.mother[np.isin(table.mother, mothers)], return_counts=True)
    if (counts > 2).any():
        mother = values[counts > 2][0]
        listed = ", ".join(str(i) for i in table.ids[table.mother == mother])
        raise AnlageError(
            f"Nucleus {mother} would have {counts[counts > 2][0]} daughters ({listed}); a nucleus divides into two: "
            "remove a link first."
        )
