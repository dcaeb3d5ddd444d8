"""Datasets of strangers' HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anlage.errors import AnlageError
from anlage.foreign import border

__all__ = ["own_dataset"]


def own_dataset(file: Any, name: str, place: Path) -> Any:
    """A dataset of the file itself: a link to another file is not followed.

    Parameters
    ----------
    file
        The open file of h5py.
    name
        Of the dataset.
    place
        The file, for messages.

    Raises
    ------
    AnlageError
        If there is none, or its values lie in another file.
    """
    import h5py

    with border(f"'{place}'"):
        link, part = file.get(name, getlink=True), file[name]
    if isinstance(link, h5py.ExternalLink) or part.file.filename != file.filename or part.is_virtual or part.external:
        raise AnlageError(
            f"'{name}' of '{place}' lies in another file, where nothing is read; export it again as one file."
        )
    return part
