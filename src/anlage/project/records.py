"""Records of what was asked for, written beside the result: ``NAME.json`` beside ``NAME.geff``."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing

__all__ = ["Chance", "FrameNumber", "Moment", "keep_record", "own_arguments", "records", "when"]

Kind = TypeVar("Kind", bound=BaseModel)

_MOST_BYTES = 2**20
"""Of a record, which has some hundred."""


def _moment(created: str) -> str:
    datetime.datetime.fromisoformat(created)
    return created


Moment = Annotated[str, AfterValidator(_moment)]
"""A time in ISO 8601."""
Chance = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
FrameNumber = Annotated[int, Field(ge=0, le=1_000_000)]


def keep_record(record: BaseModel, out: Path) -> None:
    """Write a record beside its result `out`, whole or not at all.

    Raises
    ------
    AnlageError
        If the disk is full, or the place cannot be written to.
    """
    with replacing(out.with_suffix(".json"), own) as temporary:
        temporary.write_text(record.model_dump_json(indent=2), encoding="utf-8")


def records(folder: Path, kind: type[Kind]) -> Iterator[tuple[Path, Kind]]:
    """The results of a folder and what was asked for; what cannot be read is passed over."""
    for path in folder.glob("[!.]*.json"):
        try:
            if path.stat().st_size > _MOST_BYTES:
                continue
            record = kind.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue  # made by a newer version, or damaged
        yield path.with_suffix(".geff"), record


def own_arguments(arguments: Sequence[str], command: str, options: frozenset[str], out: Path) -> list[str]:
    """Arguments of a record, which a stranger may have written, as they are run: they write to `out` and nowhere else.

    Parameters
    ----------
    arguments
        As the record has them.
    command
        The command that they begin with.
    options
        Those that such a record may hold, beside ``-o``.
    out
        The result of the record, wherever the project lies now.

    Raises
    ------
    AnlageError
        If they are of another command, or hold another option.
    """
    strange = [word for word in arguments[1:] if word.startswith("-") and word not in options and word != "-o"]
    places = [at for at, word in enumerate(arguments) if word == "-o"]
    if list(arguments[:1]) != [command] or strange or len(places) != 1 or places[0] + 1 >= len(arguments):
        raise AnlageError(
            f"What was asked for '{out.stem}' is not what this program asks ({' '.join([*arguments[:1], *strange])[:80]}), so it is "
            "not run; begin anew."
        )
    run = list(arguments)
    run[places[0] + 1] = str(out)
    return run


def when(created: str) -> str:
    """A time in ISO 8601, short, for people."""
    return datetime.datetime.fromisoformat(created).strftime("%d %b %H:%M")
