"""Compressed blocks of painted labels: the voxels that a stroke replaced, for undo and the journal."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainSerializer, PlainValidator, ValidationError

from anlage.errors import AnlageError
from anlage.foreign import check_size
from anlage.frozen import Finite, first_problem
from anlage.io.blosc_header import claimed_bytes

__all__ = ["Block", "Voxels"]

Edge = Annotated[int, Field(ge=0, le=2**31)]
MOST_BYTES = 2**31 - 1
"""The most that the compressor takes at once."""


@dataclass(frozen=True, slots=True)
class Block:
    """A (z, y, x) array of uint32, compressed."""

    shape: tuple[int, int, int]
    packed: bytes

    @classmethod
    def of(cls, voxels_ZYX: npt.ArrayLike) -> Self:
        """Compress voxels.

        Raises
        ------
        AnlageError
            If they are not (z, y, x) whole numbers from 0 to 2³² − 1, or more than 2 GiB.
        """
        from numcodecs.blosc import Blosc

        given = np.asarray(voxels_ZYX)
        if given.ndim != 3 or given.dtype.kind not in "bui":
            raise AnlageError(f"Painted voxels are (z, y, x) whole numbers, not {given.ndim}-D {given.dtype}.")
        if given.size and (int(given.min()) < 0 or int(given.max()) > np.iinfo(np.uint32).max):
            raise AnlageError(
                f"The label {given.min() if given.min() < 0 else given.max()} is not from 0 to 4294967295."
            )
        voxels = np.ascontiguousarray(given, dtype=np.uint32)
        if voxels.nbytes > MOST_BYTES:
            raise AnlageError(
                f"{voxels.size} voxels are too many for one stroke of paint ({MOST_BYTES // 4} at most); paint in parts."
            )
        z, y, x = voxels.shape
        packed = Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE).encode(voxels.reshape(-1)) if voxels.size else b""
        return cls((z, y, x), bytes(packed))

    def voxels(self) -> npt.NDArray[np.uint32]:
        """The voxels, a fresh (z, y, x) array.

        Raises
        ------
        AnlageError
            If the compressed bytes are damaged.
        """
        from numcodecs.blosc import Blosc

        size = math.prod(self.shape) * np.dtype(np.uint32).itemsize
        if (claimed_bytes(self.packed) if self.packed else 0) != size:
            raise AnlageError(
                f"Painted voxels of shape {self.shape} are damaged: {len(self.packed)} bytes hold other ones."
            )
        try:
            flat = np.frombuffer(Blosc().decode(self.packed) if self.packed else b"", dtype=np.uint32)
            return flat.reshape(self.shape).copy()
        except (RuntimeError, ValueError) as error:
            raise AnlageError(f"Painted voxels of shape {self.shape} are damaged ({error}).") from error


class _Written(Finite):
    """A block as a journal has it."""

    shape: tuple[Edge, Edge, Edge]
    zstd: str


def _block(value: Any) -> Block:
    if isinstance(value, Block):
        return value
    if not isinstance(value, Mapping):
        return Block.of(value)
    try:
        written = _Written.model_validate(value)
        check_size(
            math.prod(written.shape) * np.dtype(np.uint32).itemsize, MOST_BYTES, "The number of bytes of a stroke"
        )
        return Block(written.shape, base64.b64decode(written.zstd, validate=True))
    except ValidationError as error:
        raise ValueError(f"no painted voxels: {first_problem(error)}") from error
    except (AnlageError, ValueError) as error:
        raise ValueError(f"no painted voxels: {error}") from error


def _written(block: Block) -> dict[str, Any]:
    return {"shape": list(block.shape), "zstd": base64.b64encode(block.packed).decode("ascii")}


Voxels = Annotated[Any, PlainValidator(_block), PlainSerializer(_written)]
"""Given as a (z, y, x) array, kept as a `Block`."""
