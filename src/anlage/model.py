"""The model file: card.json, card.md, weights.safetensors and preview.png in an uncompressed zip.

A model may come from a stranger, so nothing else is opened: no pickle, no other member, nothing compressed, no path.
The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from anlage.card import SCHEMA_VERSION, Card
from anlage.errors import AnlageError
from anlage.foreign import parsed_json, printable
from anlage.frozen import first_problem
from anlage.io.atomic import own, replacing
from anlage.io.seals import Writer

__all__ = ["SUFFIX", "Model", "load_model", "read_card", "save_model"]

SUFFIX = ".anlage"

_MEBIBYTE = 2**20
_CARD, _TEXT, _WEIGHTS, _PREVIEW = "card.json", "card.md", "weights.safetensors", "preview.png"
_LARGEST = {_CARD: 4 * _MEBIBYTE, _TEXT: 4 * _MEBIBYTE, _WEIGHTS: 2048 * _MEBIBYTE, _PREVIEW: 32 * _MEBIBYTE}
"""Members of a model file, and the most bytes that each may have."""

_NUMBERS = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int64))
"""Types of weights; whole numbers count, as steps in a running average."""
_LARGEST_WEIGHT = 1e6
"""Those of trained networks stay below a hundred."""

_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PNG = b"\x89PNG\r\n\x1a\n"

_BROKEN_ZIP = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
"""What `zipfile` raises for damaged, encrypted or unsupported archives."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that was checked; its weights are read when asked for.

    Parameters
    ----------
    card
        What it is.
    path
        Where it lies.
    """

    card: Card
    path: Path

    @property
    def id(self) -> str:
        """The origin of every nucleus that it proposes."""
        return self.card.id

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """The network's tensors by name, as fresh, writable arrays.

        Raises
        ------
        AnlageError
            If the file changed since it was opened, or its tensors cannot be read.
        """
        with _opened(self.path) as archive:
            content = _read(archive, _WEIGHTS, self.path)
        _check_hash(content, self.card, self.path)
        return _tensors(content, self.path)

    def preview(self) -> bytes | None:
        """A PNG picture of what it does on held-out data; None where it has none."""
        with _opened(self.path) as archive:
            if _PREVIEW not in archive.namelist():
                return None
            content = _read(archive, _PREVIEW, self.path)
        if not content.startswith(_PNG):
            raise _refused(self.path, "its preview.png is not a PNG picture")
        return content


def save_model(
    path: str | Path,
    card: Card,
    weights: Mapping[str, Any],
    preview_png: bytes | None = None,
    *,
    by: Writer | None = None,
) -> Model:
    """Write a model; the file appears complete or not at all.

    Parameters
    ----------
    path
        File to write, usually ``NAME.anlage``; missing parent folders are made.
    card
        Its `weights_sha256` is filled in here.
    weights
        Numpy arrays or torch tensors (of any device) by name.
    preview_png
        A picture of what the model does.
    by
        Who writes, and whether anything may be replaced; None: it lies in a folder of the program's own.

    Returns
    -------
    Model
        The model, read back from what was written.

    Raises
    ------
    AnlageError
        If a weight is not a finite number, or the file cannot be written.
    """
    path = Path(path)
    content = _serialised(weights)
    card = card.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
    members = {
        _CARD: card.model_dump_json(indent=2).encode(),
        _TEXT: card.to_markdown().encode(),
        _WEIGHTS: content,
    }
    if preview_png is not None:
        members[_PREVIEW] = preview_png
    by = None if by is None else by.of("model")
    with replacing(path, by or own) as temporary:
        _write(temporary, members, b"" if by is None else by.mark.encode())
        load_model(temporary)
    return Model(card, path)


def load_model(path: str | Path, *, task: str | None = None, head: str | None = None) -> Model:
    """Open a model file and check all of it.

    Parameters
    ----------
    path
        A model file from anywhere.
    task, head
        What it is wanted for; a model of another kind is refused.

    Raises
    ------
    AnlageError
        If it is not a whole, untouched model file of this or an older version, or not of the wanted kind.
    """
    path = Path(path)
    card = read_card(path)
    model = Model(card, path)
    if (task is not None and card.task != task) or (head is not None and card.head != head):
        wanted, is_for = (_kind(*kind) for kind in ((task, head), (card.task, card.head)))
        raise AnlageError(
            f"The model '{path.name}' is for {is_for}, but one for {wanted} is needed; choose another model."
        )
    model.weights()
    model.preview()
    return model


def read_card(path: str | Path) -> Card:
    """The card of a model file alone, without reading its weights.

    Raises
    ------
    AnlageError
        If it is not a model file of this or an older version.
    """
    path = Path(path)
    with _opened(path) as archive:
        content = _read(archive, _CARD, path)
    record = parsed_json(content, f"The card of the model '{path}'")
    if not isinstance(record, dict):
        raise _refused(path, "its card.json is not a record")
    schema = record.get("schema_version")
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise AnlageError(
            f"The model '{path}' was made by a newer anlage (its card has schema {schema}, this version reads up to "
            f"{SCHEMA_VERSION}); update anlage to open it."
        )
    try:
        card = Card.model_validate_json(content)
    except ValidationError as problem:
        raise _refused(path, f"its card does not hold: {first_problem(problem)}") from problem
    wrong = card.contradiction()
    if wrong is not None:
        raise _refused(path, f"its card does not hold: {wrong}")
    return card


def _opened(path: Path) -> zipfile.ZipFile:
    if path.is_dir():
        raise AnlageError(f"'{path}' is a folder, not a model; name the {SUFFIX} file, in a finished run there is one.")
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start != b"PK\x03\x04":
            raise AnlageError(f"'{path}' is not a model: an {SUFFIX} file is a zip archive, and this is not one.")
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise AnlageError(f"There is no model '{path}'; check the path.") from None
    except OSError as problem:
        raise AnlageError(
            f"The model '{path}' cannot be read: {problem.strerror or problem}; check the file."
        ) from problem
    except _BROKEN_ZIP as problem:
        raise _damaged(path, problem) from problem
    try:
        _check_members(archive, path)
    except AnlageError:
        archive.close()
        raise
    return archive


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    for member in members:
        _check_member(member, path)
    names = [member.filename for member in members]
    for name in (_CARD, _WEIGHTS):
        if name not in names:
            raise _refused(path, f"it has no {name}")
    for name in names:
        if names.count(name) > 1:
            raise _refused(path, f"it holds {name} {names.count(name)} times")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise _refused(path, "its members claim more bytes than the file has")


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.orig_filename
    if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        raise _refused(path, f"its member {name!r} points outside the file")
    if PurePosixPath(name).suffix.lower() in _PICKLES:
        raise _refused(path, f"its member {name!r} is a pickle, which can run any program")
    if name not in _LARGEST:
        raise _refused(path, f"its member {name!r} does not belong in a model")
    if member.flag_bits & 0x1:
        raise _refused(path, f"its member {name} is encrypted")
    if member.file_size > _LARGEST[name]:
        raise _refused(
            path,
            f"its member {name} has {member.file_size / _MEBIBYTE:.0f} MiB, at most {_LARGEST[name] // _MEBIBYTE} are allowed",
        )
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise _refused(path, f"its member {name} is compressed, which a model never is")


def _read(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except (*_BROKEN_ZIP, OSError) as problem:
        raise _damaged(path, problem) from problem


def _check_hash(content: bytes, card: Card, path: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise _refused(
            path,
            f"its weights are not those of its card (SHA-256 {found[:8]}… instead of {card.weights_sha256[:8] or 'none'}…)",
        )


def _tensors(content: bytes, path: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = {name: np.array(array) for name, array in load(content).items()}
    except (SafetensorError, KeyError, TypeError, ValueError) as problem:
        raise _refused(path, f"its weights cannot be read ({printable(str(problem))})") from problem
    for name, tensor in tensors.items():
        wrong = _diverged(tensor)
        if tensor.dtype not in _NUMBERS:
            wrong = f"are {tensor.dtype} numbers, which no network of ours has"
        if wrong is not None:
            raise _refused(path, f"its weights '{printable(name)}' {wrong}")
    return tensors


def _diverged(tensor: npt.NDArray[Any]) -> str | None:
    """Why numbers are not the weights of a trained network; None if they may be."""
    largest = float(np.abs(tensor).max(initial=0))
    if not np.isfinite(largest):
        return "hold values that are not finite"
    return f"reach {largest:.3g}, which no trained network does" if largest > _LARGEST_WEIGHT else None


def _serialised(weights: Mapping[str, Any]) -> bytes:
    from safetensors.numpy import save

    if not weights:
        raise AnlageError("The model has no weights; train the network before saving it.")
    arrays = {name: _array(weights[name]) for name in sorted(weights)}
    for name, array in arrays.items():
        wrong = _diverged(array)
        if wrong is not None:
            raise AnlageError(
                f"The weights '{name}' {wrong}, so the training has diverged; train again with a lower learning rate."
            )
    return cast("bytes", save(arrays))


def _array(weight: Any) -> npt.NDArray[Any]:
    """A torch tensor of any device, or an array, as a contiguous numpy array."""
    if hasattr(weight, "detach"):
        weight = weight.detach().cpu()
        if str(weight.dtype) == "torch.bfloat16":  # unknown to numpy; float32 holds it exactly
            weight = weight.float()
        weight = weight.numpy()
    return np.ascontiguousarray(weight).reshape(np.shape(weight))


def _write(path: Path, members: Mapping[str, bytes], comment: bytes) -> None:
    with path.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(_entry(name), content)
            archive.comment = comment
        os.fsync(file.fileno())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = 3  # as on Unix, wherever it is written
    entry.external_attr = 0o644 << 16
    return entry


def _kind(task: str | None, head: str | None) -> str:
    return f"{task or 'any task'} ({head})" if head else f"{task}"


def _refused(path: Path, why: str) -> AnlageError:
    return AnlageError(f"The model '{path}' is refused: {why}; get the file again from its author, or train a new one.")


def _damaged(path: Path, problem: BaseException) -> AnlageError:
    return AnlageError(f"The model '{path}' is damaged or cut off ({problem}); copy it again, or train a new one.")
