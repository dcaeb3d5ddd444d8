"""What was asked for, written beside what comes of it: ``NAME.json`` beside ``NAME.geff``. Knows no Qt."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

__all__ = ["keep_record", "records", "when"]

Kind = TypeVar("Kind", bound=BaseModel)


def keep_record(record: BaseModel, out: Path) -> None:
    """Write a record beside its result `out`, whole or not at all."""
    part = out.with_name(f".part-{out.stem}.json")
    part.write_text(record.model_dump_json(indent=2), encoding="utf-8")
    part.replace(out.with_suffix(".json"))


def records(folder: Path, kind: type[Kind]) -> Iterator[tuple[Path, Kind]]:
    """The results of a folder and what was asked for; what cannot be read is passed over."""
    for path in folder.glob("[!.]*.json"):
        try:
            record = kind.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue  # made by a newer version, or damaged
        yield path.with_suffix(".geff"), record


def when(created: str) -> str:
    """A time in ISO 8601, short, for people."""
    return datetime.datetime.fromisoformat(created).strftime("%d %b %H:%M")
