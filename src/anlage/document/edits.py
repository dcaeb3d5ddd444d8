"""All edits of a document: each has a text, a result and an inverse, and is written to the journal as JSON.

Arrays may be given as lists; they are checked and copied. An edit that contradicts the document raises `AnlageError`
and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from anlage.document.compound import Several
from anlage.document.edit import Edit, Paint
from anlage.document.link_edits import AddLinks, ChangeLinks, RemoveLinks, SetDivision
from anlage.document.nuclei_edits import AddNuclei, ChangeNuclei, DescribeNuclei, MoveNuclei, RemoveNuclei
from anlage.document.region_edits import AddRegion, ChangeRegion, RemoveRegion
from anlage.foreign import printable
from anlage.frozen import first_problem

__all__ = [
    "AddLinks",
    "AddNuclei",
    "AddRegion",
    "ChangeLinks",
    "ChangeNuclei",
    "ChangeRegion",
    "DescribeNuclei",
    "MoveNuclei",
    "Paint",
    "RemoveLinks",
    "RemoveNuclei",
    "RemoveRegion",
    "SetDivision",
    "Several",
    "decode",
    "encode",
]

_KINDS: Mapping[str, type[Any]] = {
    "add_nuclei": AddNuclei, "remove_nuclei": RemoveNuclei, "move_nuclei": MoveNuclei, "change_nuclei": ChangeNuclei,
    "describe_nuclei": DescribeNuclei, "change_links": ChangeLinks,
    "add_links": AddLinks, "remove_links": RemoveLinks, "set_division": SetDivision,
    "add_region": AddRegion, "change_region": ChangeRegion, "remove_region": RemoveRegion,
    "paint": Paint, "several": Several,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode(edit: Edit) -> dict[str, Any]:
    """An edit as plain JSON values."""
    name = _NAMES[type(edit)]
    if isinstance(edit, Several):
        return {"edit": name, "edits": [encode(one) for one in edit.edits], "text": edit.text}
    return {"edit": name, **_adapter(name).dump_python(edit, mode="json")}


def decode(record: Mapping[str, Any]) -> Edit:
    """The edit that `encode` wrote.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(record, Mapping):
        raise ValueError("it is no edit")
    fields = dict(record)
    name = fields.pop("edit", None)
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(f"there is no edit '{printable(str(name)[:40])}'")
    if name == _NAMES[Several] and isinstance(fields.get("edits"), list):
        fields["edits"] = [decode(one) for one in fields["edits"]]
    try:
        edit: Edit = _adapter(name).validate_python(fields)
    except ValidationError as error:
        raise ValueError(f"{name}: {first_problem(error)}") from error
    return edit


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_KINDS[name])
