"""Write the tables of docs/ that come from the code: ``make docs``.

parameters.md is written whole; in other pages, what stands between ``<!-- table MODULE.CLASS -->`` and ``<!-- end -->``
is replaced by the fields of that class.
"""

from __future__ import annotations

import importlib
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

HERE = Path(__file__).parent
MARKED = re.compile(r"(<!-- table (?P<name>[\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_INTRODUCTION = """\
# Parameters

Everything that can be set. The same names serve the command line, `anlage train TASK … --set name=value …`, the form in napari, and
`run.json`. A value of `none` means what the text says of *None*.

*Written by `make docs` from the code; change it there.*
"""

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "none"}
_SIGNS = {
    annotated_types.Ge: ("≥", "ge"),
    annotated_types.Gt: (">", "gt"),
    annotated_types.Le: ("≤", "le"),
    annotated_types.Lt: ("<", "lt"),
}


def pages() -> dict[Path, str]:
    """Each page that is generated, wholly or in part, and its text."""
    written = {HERE / "parameters.md": parameters()}
    for path in sorted(HERE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if MARKED.search(text):
            written[path] = MARKED.sub(_replacement, text)
    return written


def parameters() -> str:
    """The page of everything that a user can set."""
    from anlage.tasks import TASKS
    from anlage.training.config import TrainingConfig

    parts = [_INTRODUCTION, "## Every training", table(TrainingConfig)]
    for name, task in TASKS.items():
        parts += [f"## `{name}`", f"{task.title}.", table(task.config)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def table(model: type[BaseModel]) -> str:
    """The fields of a model as a Markdown table."""
    can_be_set = any(not field.is_required() for field in model.model_fields.values())
    head = ["name", "value", "default", "meaning"] if can_be_set else ["name", "value", "meaning"]
    rows = [head, ["---"] * len(head)]
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        default = [_default(field)] if can_be_set else []
        rows.append([f"`{name}`", _kind(field.annotation, field.metadata), *default, meaning])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


def _replacement(match: re.Match[str]) -> str:
    module, _, name = match["name"].rpartition(".")
    return f"{match[1]}\n{table(getattr(importlib.import_module(module), name))}\n{match[3]}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(f"{item}" for item in value) or "empty"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value}" if value != "" else "empty"


def _kind(annotation: Any, metadata: Any = ()) -> str:
    """A type in a reader's words, with its bounds."""
    if hasattr(annotation, "__metadata__"):
        return _kind(annotation.__origin__, annotation.__metadata__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        words = " or ".join(f"`{value}`" for value in arguments)
    elif origin in (Union, types.UnionType):
        words = " or ".join(dict.fromkeys(_kind(a) for a in arguments))
    elif origin is tuple:
        items = [_kind(a) for a in arguments if a is not Ellipsis]
        many = Ellipsis in arguments or len(items) == 1
        words = (
            f"{items[0]}s, listed"
            if many and items[0].endswith("number")
            else f"list of {items[0]}"
            if many
            else f"{len(items)} × {items[0]}"
        )
    elif origin is dict:
        words = "record"
    else:
        words = _WORDS.get(annotation) or _class_word(annotation)
    return words + _bounds(metadata)


def _class_word(annotation: Any) -> str:
    name = getattr(annotation, "__name__", str(annotation))
    return {"Box": "`t0:t1,z0:z1,y0:y1,x0:x1`", "JsonValue": "anything", "Any": "anything"}.get(name, f"*{name}*")


def _bounds(metadata: Any) -> str:
    """Bounds in words: 'from 0 to 1', '> 0'."""
    # Field(ge=…) keeps its bounds as items of its own
    parts = [part for item in metadata for part in (getattr(item, "metadata", None) or [item])]
    found = {type(part): _number(getattr(part, _SIGNS[type(part)][1])) for part in parts if type(part) in _SIGNS}
    if set(found) == {annotated_types.Ge, annotated_types.Le}:
        return f" from {found[annotated_types.Ge]} to {found[annotated_types.Le]}"
    return ",".join(f" {_SIGNS[kind][0]} {value}" for kind, value in found.items())


def _number(value: Any) -> str:
    return f"{value}" if isinstance(value, int) else f"{value:g}"


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
