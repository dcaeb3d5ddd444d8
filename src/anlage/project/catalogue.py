"""The catalogue of models: those that come with the program, those in the user's own model folder, and those of other folders and lists."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing

__all__ = ["keep_model", "listed_models", "model_folder", "models_in"]

_LARGEST = 1_000_000
"""Bytes; a longer list is none of ours."""


def model_folder() -> Path:
    """The user's own model folder: where ``ANLAGE_MODELS`` says, else ``~/anlage/models``. It need not exist."""
    given = os.environ.get("ANLAGE_MODELS")
    return Path(given) if given else Path.home() / "anlage" / "models"


def models_in(folder: Path) -> list[Path]:
    """Model files of a folder, by name; none where there is no such folder."""
    return sorted(path.resolve() for path in folder.glob("*.anlage") if path.is_file())


def keep_model(path: Path) -> Path:
    """Copy a model to the user's own folder; nothing that lies there is replaced.

    Raises
    ------
    AnlageError
        If another model of its name lies there, or the folder cannot be written.
    """
    place = model_folder() / path.name
    if place.exists():
        raise AnlageError(f"A model '{path.name}' lies in {place.parent} already; rename one of the two.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place, own) as temporary:
            shutil.copyfile(path, temporary)
    except OSError as error:
        raise AnlageError(
            f"The model cannot be copied to {place.parent} ({(error.strerror or str(error)).lower()})."
        ) from error
    return place


def listed_models(places: Iterable[Path]) -> list[Path]:
    """Model files of these places, each once, in the order given.

    Parameters
    ----------
    places
        Model files, folders of them, or lists: text files (.txt) with a model or folder in each line, as seen from the list; what
        follows # is a remark.

    Raises
    ------
    AnlageError
        If a place does not exist, or a list names one that does not.
    """
    found: list[Path] = []
    for place in places:
        if place.suffix == ".txt" and place.is_file():
            found += listed_models(_lines(place))
        elif place.is_dir():
            found += models_in(place)
        elif place.is_file():
            found.append(place.resolve())
        else:
            raise AnlageError(f"There is no model and no folder of models at '{place}'; check the path.")
    return list(dict.fromkeys(found))


def _lines(file: Path) -> list[Path]:
    """The places that a list names; a list names no other list, so that none can go in circles."""
    if file.stat().st_size > _LARGEST:
        raise AnlageError(f"'{file}' is too long for a list of models; give a text file with a path in each line.")
    texts = [line.partition("#")[0].strip() for line in file.read_text("utf-8", errors="replace").splitlines()]
    places = [file.parent / Path(text).expanduser() for text in texts if text and "\0" not in text]
    lists = [place for place in places if place.suffix == ".txt"]
    if lists:
        raise AnlageError(f"The list '{file}' names another list, '{lists[0]}'; name the models or their folders.")
    web = [text for text in texts if "://" in text]
    if web:
        raise AnlageError(
            f"The list '{file}' names '{web[0][:200]}', and nothing is fetched from the web; save the model and name its file."
        )
    return places
