"""Open arrays and groups of zarr folders; the only way in which the program does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anlage.errors import AnlageError
from anlage.foreign import border, read_json
from anlage.io.zarr_files.array_description import ArrayLayout, checked_layout

if TYPE_CHECKING:
    import zarr

__all__ = ["ZarrNode", "is_zarr", "members", "open_array", "open_group", "read_node"]

_MARKERS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


@dataclass(frozen=True, slots=True)
class ZarrNode:
    """What lies in a folder of a zarr: a group, or an array, which has a layout."""

    path: Path
    attributes: Mapping[str, Any]
    layout: ArrayLayout | None


def is_zarr(path: Path) -> bool:
    """Whether the folder is a zarr array or group."""
    return path.is_dir() and any((path / name).exists() for name in _MARKERS)


def read_node(path: Path) -> ZarrNode:
    """Read and check what a folder of a zarr says of itself, without opening it.

    Raises
    ------
    AnlageError
        If it is no zarr, or what it says is damaged or names a type or codec that is not read.
    """
    if (found := _json(path / "zarr.json")) is not None:
        version = found.get("zarr_format")
        if found.get("node_type") != "group" or version != 3:
            return ZarrNode(path, _attributes(found.get("attributes")), checked_layout(found, path))
        return ZarrNode(path, _attributes(found.get("attributes")), None)
    attributes = _attributes(_json(path / ".zattrs"))
    if (found := _json(path / ".zarray")) is not None:
        return ZarrNode(path, attributes, checked_layout(found, path))
    if not is_zarr(path):
        raise AnlageError(f"'{path}' is no zarr: it has neither zarr.json nor .zgroup nor .zarray.")
    return ZarrNode(path, attributes, None)


def members(path: Path) -> tuple[str, ...]:
    """Names of the arrays and groups directly below a group, in order."""
    return tuple(sorted(place.name for place in path.iterdir() if is_zarr(place)))


def open_array(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Array[Any]:
    """Open an array of numbers.

    Raises
    ------
    AnlageError
        If there is none, or its types, codecs and sizes are not those that are read.
    """
    import zarr
    import zarr.errors

    from anlage.io.zarr_files.checked_folder import CheckedFolder

    layout = read_node(path).layout
    if layout is None:
        raise AnlageError(f"'{path}' is a group of a zarr where an array is needed.")
    if layout.is_text:
        raise AnlageError(f"The array '{path}' holds text where numbers are needed.")
    with border(f"The zarr '{path}'", zarr.errors.BaseZarrError):
        store = CheckedFolder(path, read_only=mode == "r")
        return zarr.open_array(store, mode=mode, zarr_format=layout.zarr_format)


def open_group(path: Path) -> zarr.Group:
    """Open a group to read its arrays, text included.

    Raises
    ------
    AnlageError
        If there is none; for an array in it, when that is asked for.
    """
    import zarr
    import zarr.errors

    from anlage.io.zarr_files.checked_folder import CheckedFolder

    read_node(path)
    with border(f"The zarr '{path}'", zarr.errors.BaseZarrError):
        return zarr.open_group(CheckedFolder(path, read_only=True), mode="r", use_consolidated=False)


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is no such file."""
    try:
        found = read_json(path, f"'{path}'", nan=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AnlageError(f"'{path}' cannot be read ({error.strerror or error}); copy it again.") from error
    if not isinstance(found, dict):
        raise AnlageError(f"'{path}' holds no JSON object; it is damaged: copy it again.")
    return found


def _attributes(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
