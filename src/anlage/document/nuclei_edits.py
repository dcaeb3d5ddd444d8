"""Edits of nuclei: add, remove, move, change."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from anlage.annotations import HUMAN, Annotations, State
from anlage.document.edit import Content, Kind, Outcome
from anlage.document.fields import (
    STRICT,
    Column,
    Ids,
    Pairs,
    Positions,
    Properties,
    as_pairs,
    check_once,
    check_places,
    count,
)
from anlage.document.table import COLUMNS, LINK_PROBABILITY, Table, check_columns, spread, typed
from anlage.errors import AnlageError

__all__ = ["AddNuclei", "ChangeNuclei", "DescribeNuclei", "MoveNuclei", "RemoveNuclei"]

_CHANGES = {
    "radius_um": "radius", "state": "state", "label": "label", "probability": "probability", "origin": "origin",
}  # fmt: skip
_STATES = {0: "propose", 1: "accept", 2: "reject"}


@dataclass(frozen=True, config=STRICT)
class AddNuclei:
    """Add nuclei, with links that each touch at least one of them.

    Parameters
    ----------
    ids
        (N,) new ids, from `Document.new_ids`.
    positions
        (N, 4): t, z, y, x in voxels; t is a whole number.
    radius_um, label, probability, state, origin
        One value, or one for each nucleus; as in `Annotations`.
    properties
        Further columns by name: numbers or text; None where a nucleus has no value.
    links
        (M, 2) mother, daughter.
    link_probability
        That the links are right, one value or (M,); NaN: a human says so.
    """

    ids: Ids
    positions: Positions
    radius_um: Column = np.nan
    label: Column = 0
    probability: Column = np.nan
    state: Column = int(State.ACCEPTED)
    origin: Column = HUMAN
    properties: Properties = Field(default_factory=dict)
    links: Pairs = ()
    link_probability: Column = np.nan

    @classmethod
    def of(cls, annotations: Annotations) -> Self:
        """All nuclei and links of a table; its painted labels are left out."""
        table = Table.from_annotations(annotations.linked(as_pairs(())))
        return cls.rows(table, annotations.links, annotations.link_properties.get("probability", np.nan))

    @classmethod
    def rows(cls, table: Table, links: npt.ArrayLike = (), probability: npt.ArrayLike = np.nan) -> Self:
        """The nuclei of a table, with these links and their probabilities."""
        return cls(
            table.ids, table.positions, **table.columns, properties=table.properties, links=links,
            link_probability=probability,
        )  # fmt: skip

    @property
    def text(self) -> str:
        return f"add {count(len(self.ids))}"

    def done(self, content: Content) -> Outcome:
        check_places(self.positions, content.shape_tzyx, self.ids)
        columns = {name: getattr(self, name) for name in ("radius_um", "label", "probability", "state", "origin")}
        new = Table.of(self.ids, self.positions, columns, self.properties)
        links = as_pairs(self.links)
        strange = links[~np.isin(links, self.ids).any(axis=1)]
        if len(strange):
            raise AnlageError(
                f"The link {strange[0, 0]} → {strange[0, 1]} touches none of the added nuclei; add it alone."
            )
        chance = spread(self.link_probability, len(links), np.float64, "link_probability")
        table = content.nuclei.merged(new).linked(links, chance)
        kinds: frozenset[Kind] = frozenset({"nuclei", "links"} if len(links) else {"nuclei"})
        touched = np.union1d(new.ids, links)
        return Outcome(replace(content, nuclei=table), RemoveNuclei(new.ids), kinds, touched)


@dataclass(frozen=True, config=STRICT)
class RemoveNuclei:
    """Remove nuclei, and the links that touch them."""

    ids: Ids

    @property
    def text(self) -> str:
        return f"remove {count(len(self.ids))}"

    def done(self, content: Content) -> Outcome:
        ids = np.unique(self.ids)
        rows = content.nuclei.rows(ids)
        daughters = content.nuclei.daughters(ids)
        with_mother = np.union1d(ids[content.nuclei.mother[rows] > 0], daughters)
        links = np.column_stack([content.nuclei.mother[content.nuclei.rows(with_mother)], with_mother])
        kinds: frozenset[Kind] = frozenset({"nuclei", "links"} if len(links) else {"nuclei"})
        back = AddNuclei.rows(content.nuclei.taken(rows), links, content.nuclei.link_probability(with_mother))
        touched = np.union1d(ids, links)
        return Outcome(replace(content, nuclei=content.nuclei.without(rows)), back, kinds, touched)


@dataclass(frozen=True, config=STRICT)
class MoveNuclei:
    """Put nuclei elsewhere: positions (N, 4) t, z, y, x in voxels."""

    ids: Ids
    positions: Positions

    @property
    def text(self) -> str:
        return f"move {count(len(self.ids))}"

    def done(self, content: Content) -> Outcome:
        check_places(self.positions, content.shape_tzyx, self.ids)
        check_once(self.ids)
        before = content.nuclei.positions[content.nuclei.rows(self.ids)]
        table = content.nuclei.moved(self.ids, self.positions)
        return Outcome(replace(content, nuclei=table), MoveNuclei(self.ids, before), frozenset({"nuclei"}), self.ids)


@dataclass(frozen=True, config=STRICT)
class ChangeNuclei:
    """Give nuclei another radius (µm), state, label, probability or origin: one value, or one for each.

    What is None stays. A radius that is not above 0 means unknown, as NaN does.
    """

    ids: Ids
    radius_um: Column = None
    state: Column = None
    label: Column = None
    probability: Column = None
    origin: Column = None

    @property
    def text(self) -> str:
        given = [name for name in _CHANGES if getattr(self, name) is not None]
        what = count(len(self.ids))
        if given == ["state"] and len(states := np.unique(self.state)) == 1:
            return f"{_STATES.get(int(states[0]), 'change')} {what}"
        return f"change the {_CHANGES[given[0]]} of {what}" if len(given) == 1 else f"change {what}"

    def done(self, content: Content) -> Outcome:
        check_once(self.ids)
        n = len(self.ids)
        values = {
            name: spread(given, n, COLUMNS[name][1], name)
            for name in _CHANGES
            if (given := getattr(self, name)) is not None
        }
        if "radius_um" in values:
            values["radius_um"][~(values["radius_um"] > 0)] = np.nan
        check_columns(values)
        rows = content.nuclei.rows(self.ids)
        before = {name: content.nuclei.columns[name][rows] for name in values}
        table = content.nuclei.changed(self.ids, values)
        back = ChangeNuclei(self.ids, **before)
        return Outcome(replace(content, nuclei=table), back, frozenset({"nuclei"}), self.ids)


@dataclass(frozen=True, config=STRICT)
class DescribeNuclei:
    """Give nuclei other values in further columns, as of `Annotations.properties`.

    Parameters
    ----------
    ids
        (N,).
    properties
        By name, one value or (N,): numbers or text; None where a nucleus has no value.
    """

    ids: Ids
    properties: Properties

    @property
    def text(self) -> str:
        return f"describe {count(len(self.ids))}"

    def done(self, content: Content) -> Outcome:
        check_once(self.ids)
        table = content.nuclei
        rows = table.rows(self.ids)
        values = {name: typed(column, len(self.ids), name) for name, column in self.properties.items()}
        if LINK_PROBABILITY in values:
            raise AnlageError("The probability of a link is changed with ChangeLinks, not as a property of a nucleus.")
        before = {
            name: table.properties[name][rows]
            if name in table.properties
            else np.full(len(rows), "" if column.dtype.kind == "U" else np.nan)
            for name, column in values.items()
        }
        back = DescribeNuclei(self.ids, before)
        return Outcome(
            replace(content, nuclei=table.described(self.ids, values)), back, frozenset({"nuclei"}), self.ids
        )
