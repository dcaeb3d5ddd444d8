"""Check the metadata of a zarr array (shape, type, codecs) before anything is decoded.

A zarr names, in JSON, the type of its values and the codecs that turn chunks into them. Some codecs run whatever is in
the chunk (pickle), others take memory without bound; so no array is opened before both are on the lists here. The layout is
that of the zarr specifications, versions 2 and 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anlage.errors import AnlageError
from anlage.foreign import check_size, printable

__all__ = ["ArrayLayout", "checked_layout"]

MOST_CHUNK_BYTES = 2**32
"""A chunk is decoded as a whole; of a larger one a frame could not be read on the computers this is made for."""
_MOST_IN_SHARD = 10_000_000
"""Chunks of a shard: its index, which is read first, has 16 bytes for each."""
_MOST_NESTED = 3
"""Shards in shards."""

_CODECS = frozenset({
    # of zarr itself
    "bytes", "endian", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd", "vlen-utf8",
    # of numcodecs; each turns numbers into numbers, or bytes into bytes
    "zlib", "bz2", "lzma", "lz4", "shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "pcodec", "zfpy",
    "crc32", "adler32", "fletcher32", "jenkins_lookup3",
})  # fmt: skip
_OF_NUMCODECS = "numcodecs."
"""In zarr v3 the names of numcodecs' codecs begin so."""
_TYPES = ("dtype", "astype")
"""Settings of codecs that are types of values."""
_NUMBER_V2 = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
_NUMBER_V3 = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)")
_TEXT_V2 = re.compile(r"[<>|=]?[US]\d{1,7}")
_TEXT_V3 = ("string", "fixed_length_utf32", "null_terminated_bytes")
_UNITS = {"S": 1, "U": 4}

Length = Annotated[int, Ge(0), Le(2**62)]
Lengths = Annotated[tuple[Length, ...], Len(0, 32)]


class _Foreign(BaseModel):
    """Written by others, so it may say more than we know."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _Named(_Foreign):
    name: str
    configuration: dict[str, Any] = Field(default_factory=dict)


class _ChunkShape(_Foreign):
    chunk_shape: Lengths = Field(strict=False)


class _Grid(_Foreign):
    name: Literal["regular"]
    configuration: _ChunkShape


class _ArrayV3(_Foreign):
    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: Lengths = Field(strict=False)
    data_type: str | _Named
    chunk_grid: _Grid
    chunk_key_encoding: str | _Named = "default"
    codecs: list[str | _Named]
    dimension_names: list[str | None] | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    storage_transformers: Annotated[list[Any], Len(0, 0)] = Field(default_factory=list)


class _ArrayV2(_Foreign):
    zarr_format: Literal[2]
    shape: Lengths = Field(strict=False)
    chunks: Lengths = Field(strict=False)
    dtype: str
    compressor: dict[str, Any] | None = None
    filters: list[dict[str, Any]] | None = None
    dimension_separator: Literal[".", "/"] = "."


class _Inner(_Foreign):
    """The settings of a shard."""

    chunk_shape: Lengths = Field(strict=False)
    codecs: list[str | _Named]
    index_codecs: list[str | _Named] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """How an array lies on disk.

    Parameters
    ----------
    zarr_format
        2 or 3.
    shape
        Values along each axis.
    chunks
        The same of what lies in one file: a chunk, or a shard.
    separator
        What stands between the numbers of a chunk in its file's name.
    prefix
        What its name begins with: ``c`` by default in version 3, nothing in version 2.
    value_bytes
        Memory of a value.
    is_text
        Whether values are text.
    names
        Names of the axes, where it has some.
    is_blosc
        Whether each file is one buffer of Blosc.
    """

    zarr_format: Literal[2, 3]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    separator: str
    prefix: str
    value_bytes: int
    is_text: bool
    names: tuple[str | None, ...] = ()
    is_blosc: bool = False

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks, or shards, along each axis."""
        return tuple(-(-n // c) if c else 0 for n, c in zip(self.shape, self.chunks, strict=True))

    @property
    def most_stored(self) -> int:
        """Bytes that a file of it can have; noise cannot be compressed, and becomes a little longer."""
        size = math.prod(self.chunks) * self.value_bytes
        return size + size // 4 + 2**20


def checked_layout(found: Any, path: object) -> ArrayLayout:
    """The layout that parsed metadata describe, if its types and codecs are on our lists.

    Parameters
    ----------
    found
        The content of ``zarr.json`` or ``.zarray``.
    path
        The array, for messages.

    Raises
    ------
    AnlageError
        If they are damaged, of a newer version, or name a type, a codec or a size that is not read.
    """
    version = found.get("zarr_format") if isinstance(found, dict) else None
    if isinstance(version, int) and version > 3:
        raise AnlageError(
            f"'{path}' is a zarr of version {version}, newer than the 3 that is read; save it as version 3."
        )
    try:
        if version == 2:
            layout = _of_v2(_ArrayV2.model_validate(found), path)
        else:
            layout = _of_v3(_ArrayV3.model_validate(found), path)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:4])
        raise AnlageError(
            f"The description of the array '{path}' is damaged at '{printable(where)}' ({first['msg']}); copy it again."
        ) from None
    if len(layout.chunks) != len(layout.shape) or any(
        n and not c for n, c in zip(layout.shape, layout.chunks, strict=True)
    ):
        raise AnlageError(f"The array '{path}' of shape {layout.shape} has chunks of {layout.chunks}; copy it again.")
    return layout


def _of_v3(array: _ArrayV3, path: object) -> ArrayLayout:
    kind = array.data_type if isinstance(array.data_type, str) else array.data_type.name
    is_text = kind in _TEXT_V3
    if not is_text and not _NUMBER_V3.fullmatch(kind):
        raise _type_refused(path, kind)
    size = _bytes_of(array.data_type) if is_text else _bits(kind) // 8
    chunks = array.chunk_grid.configuration.chunk_shape
    _check_codecs(array.codecs, path, chunks, size)
    encoding = _named(array.chunk_key_encoding)
    if encoding.name not in ("default", "v2"):
        raise AnlageError(
            f"'{path}' names its chunks by '{printable(encoding.name)}', which is not known; save it again."
        )
    is_default = encoding.name == "default"
    separator = encoding.configuration.get("separator", "/" if is_default else ".")
    if separator not in ("/", "."):
        raise AnlageError(
            f"The chunks of '{path}' are separated by {separator!r:.50}, not by / or a dot; copy it again."
        )
    names = tuple(array.dimension_names or ())
    prefix = "c" if is_default else ""
    return ArrayLayout(3, array.shape, chunks, separator, prefix, size, is_text, names, _ends_with_blosc(array.codecs))


def _of_v2(array: _ArrayV2, path: object) -> ArrayLayout:
    filters = [_codec_v2(one, path) for one in array.filters or []]
    is_text = _TEXT_V2.fullmatch(array.dtype) is not None
    size = 8
    if is_text:
        kind = array.dtype.lstrip("<>|=")
        size = int(kind[1:]) * _UNITS[kind[0]]
    elif array.dtype == "|O" and filters and filters[0].name == "vlen-utf8":
        is_text = True  # text of any length: what is read are bytes in UTF-8, and no objects
    elif _NUMBER_V2.fullmatch(array.dtype):
        size = int(array.dtype[-1])
    else:
        raise _type_refused(path, array.dtype)
    codecs = [*filters, *([] if array.compressor is None else [_codec_v2(array.compressor, path)])]
    _check_codecs(codecs, path, array.chunks, size)
    separator, is_blosc = array.dimension_separator, _ends_with_blosc(codecs)
    return ArrayLayout(2, array.shape, array.chunks, separator, "", size, is_text, is_blosc=is_blosc)


def _codec_v2(found: Mapping[str, Any], path: object) -> _Named:
    name = found.get("id")
    if not isinstance(name, str):
        raise AnlageError(f"A codec of the array '{path}' has no name; copy it again.")
    return _Named(name=name, configuration={key: value for key, value in found.items() if key != "id"})


def _ends_with_blosc(codecs: Sequence[str | _Named]) -> bool:
    return bool(codecs) and _plain_name(_named(codecs[-1])) == "blosc"


def _plain_name(codec: _Named) -> str:
    return codec.name.removeprefix(_OF_NUMCODECS).lower()


def _named(found: str | _Named) -> _Named:
    return _Named(name=found) if isinstance(found, str) else found


def _check_codecs(
    codecs: Sequence[str | _Named], path: object, chunks: Sequence[int], size: int, depth: int = 0
) -> None:
    """Refuse what is not on the list, and pieces larger than are decoded at once."""
    is_sharded = False
    for codec in map(_named, codecs):
        name = _plain_name(codec)
        types = [value for key, value in codec.configuration.items() if key in _TYPES]
        if name not in _CODECS or any(not isinstance(t, str) or not _is_number(t) for t in types if t is not None):
            raise AnlageError(
                f"The array '{path}' needs the codec '{printable(codec.name[:100])}', which is not among those that are read "
                "(blosc, zstd, gzip, lz4 …): save it again with one of them, and do not open it elsewhere if it comes from "
                "somebody you do not know."
            )
        if name == "sharding_indexed":
            is_sharded = True
            _check_shard(codec, path, chunks, size, depth)
    if not is_sharded:
        check_size(math.prod(chunks) * size, MOST_CHUNK_BYTES, f"The number of bytes of a chunk of '{path}'")


def _check_shard(codec: _Named, path: object, chunks: Sequence[int], size: int, depth: int) -> None:
    inner = _Inner.model_validate(codec.configuration)
    if depth >= _MOST_NESTED or len(inner.chunk_shape) != len(chunks) or not all(inner.chunk_shape):
        raise AnlageError(f"The shards of the array '{path}' are damaged ({inner.chunk_shape} in {tuple(chunks)}).")
    n = math.prod(-(-whole // part) for whole, part in zip(chunks, inner.chunk_shape, strict=True))
    check_size(n, _MOST_IN_SHARD, f"The number of chunks in a shard of '{path}'")
    _check_codecs(inner.codecs, path, inner.chunk_shape, size, depth + 1)
    _check_codecs(inner.index_codecs, path, (n, 2), 8, depth + 1)


def _is_number(kind: str) -> bool:
    return bool(_NUMBER_V2.fullmatch(kind) or _NUMBER_V3.fullmatch(kind))


def _bits(kind: str) -> int:
    digits = re.search(r"\d+$", kind)
    return 8 if digits is None else int(digits[0])


def _bytes_of(kind: str | _Named) -> int:
    """Memory of a text; of one without a fixed length that of a reference."""
    length = _named(kind).configuration.get("length_bytes", 8)
    return length if isinstance(length, int) and 0 < length < 10**7 else 8


def _type_refused(path: object, kind: str) -> AnlageError:
    return AnlageError(
        f"The array '{path}' holds values of type '{printable(kind[:100])}'; only numbers, and text in tables, are read: save it "
        "again as one of these."
    )
