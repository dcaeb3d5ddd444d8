"""Write what comes from the code into docs/: ``make docs``.

command-line.md and parameters.md are written whole; in other pages, what stands between
``<!-- table MODULE.NAME -->`` and ``<!-- end -->`` is replaced by the fields of that class, or the keys of that table.
In ``src/anlage/__init__.py``, what type checkers read of the public names is written from their table.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

HERE = Path(__file__).parent
INTERFACE = HERE.parent / "src" / "anlage" / "__init__.py"
TYPED = re.compile(r"(if TYPE_CHECKING:  # written by `make docs`\n).*?(\nelse:\n)", re.DOTALL)
MARKED = re.compile(r"(<!-- table (?P<name>[\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_INTRODUCTION = """\
# Parameters

Everything that can be set. The same names serve the command line, `anlage train TASK … --set name=value …`, the form in napari, and
`run.json`. A value of `none` means what the text says of *None*.

*Written by `make docs` from the code; change it there.*
"""

_COMMANDS = """\
# Command line

Everything but looking works without a screen. `anlage COMMAND --help` says the same as this page. Options and files may stand in any
order. Every command ends with 0 only if it succeeded; a problem is one sentence on stderr.

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
    written = {HERE / "parameters.md": parameters(), HERE / "command-line.md": command_line()}
    for path in sorted(HERE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if MARKED.search(text):
            written[path] = MARKED.sub(_replacement, text)
    written[INTERFACE] = typed_names(INTERFACE.read_text(encoding="utf-8"))
    return written


def typed_names(text: str) -> str:
    """The public interface, with each name imported from its home where a type checker reads it."""
    import anlage

    lines = [f"    from anlage.{home} import {name} as {name}" for name, home in anlage._HOME.items()]  # noqa: SLF001
    lines.sort(key=_import_order)
    return TYPED.sub(lambda match: match[1] + "\n".join(lines) + match[2], text)


def _import_order(line: str) -> tuple[str, int, str]:
    """As ruff sorts imports: by module, then constants, classes, functions."""
    _, home, _, name, *_ = line.split()
    return home, 0 if name.isupper() else 1 if name[0].isupper() else 2, name.lower()


def parameters() -> str:
    """The page of everything that a user can set."""
    from anlage.tasks import TASKS
    from anlage.training.config import TrainingConfig

    parts = [_INTRODUCTION, "## Every training", table(TrainingConfig)]
    for name, task in TASKS.items():
        parts += [f"## `{name}`", f"{task.title}.", table(task.config)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def command_line() -> str:
    """The page of every command, from its own parser."""
    from anlage.cli import COMMANDS
    from anlage.cli.arguments import Parser

    rows = ["| command | what it does |", "| --- | --- |"]
    rows += [f"| [`{name}`](#anlage-{name}) | {_cell(summary)} |" for name, (_, summary) in COMMANDS.items()]
    parts = [_COMMANDS, "\n".join(rows)]
    for name, (module, summary) in COMMANDS.items():
        parser = Parser(name, summary)
        getattr(importlib.import_module(module), f"configure_{name}")(parser)
        parts += _command(parser)
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _command(parser: argparse.ArgumentParser) -> list[str]:
    """One command: what it does, its options, its examples."""
    blocks = {block.split("\n")[0].split()[0]: block for block in (parser.epilog or "").split("\n\n")}
    examples = next((blocks.pop(word) for word in ("example:", "examples:") if word in blocks), "")
    paragraphs = [" ".join(part.split("\n")) for part in (parser.description or "").split("\n\n")]
    shown = "\n".join(line.strip() for line in examples.split("\n")[1:])
    codes = [f"Exit codes:\n\n```\n{_dedented(text)}\n```" for word, text in blocks.items() if word == "exit"]
    settings = ["What `--set` takes stands in [parameters](parameters.md)."] if "settings" in blocks else []
    parts = [f"## `{parser.prog}`", *paragraphs, f"```\n{shown}\n```" if shown else ""]
    for group in parser._action_groups:  # noqa: SLF001 - argparse has no other way to its groups
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
        actions = [action for action in actions if action.dest != "help"]
        if actions:
            title = group.title if group.title not in ("positional arguments", "options") else ""
            rows = ["| option | meaning |" if actions[0].option_strings else "| argument | meaning |", "| --- | --- |"]
            rows += [f"| {_called(action)} | {_cell(action.help or '')} |" for action in actions]
            parts += [f"{title[0].upper()}{title[1:]}:" if title else "", "\n".join(rows)]
    return [*parts, *settings, *codes]


def _called(action: argparse.Action) -> str:
    """An option or argument as it is typed."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{value or action.dest} …`" if action.nargs in ("+", "*") else f"`{value or action.dest}`"
    value = f" {value}" if value and action.nargs != 0 else ""
    *short, long = action.option_strings
    names = ", ".join([*(f"`{name}`" for name in short), f"`{long}{value}`"])
    return _cell(names + (" (needed)" if action.required else ""))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("%%", "%").replace("|", "\\|")


def _dedented(block: str) -> str:
    return "\n".join(line.strip() for line in block.split("\n")[1:])


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


def keys(bound: Sequence[Any]) -> str:
    """Keys as a Markdown table; each is a record with `shown` and `does`, or (key, shown, does)."""
    rows = [key[1:3] if isinstance(key, tuple) else (key.shown, key.does) for key in bound]
    return (
        "\n".join(["| key | what it does |", "| --- | --- |", *(f"| **{k}** | {_cell(does)} |" for k, does in rows)])
        + "\n"
    )


def _replacement(match: re.Match[str]) -> str:
    module, _, name = match["name"].rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return f"{match[1]}\n{keys(found) if isinstance(found, tuple) else table(found)}\n{match[3]}"


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
    if isinstance(annotation, type) and issubclass(annotation, enum.StrEnum):
        return " or ".join(f"`{value}`" for value in annotation)
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
