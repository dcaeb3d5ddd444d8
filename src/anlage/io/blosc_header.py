"""What Blosc says of a compressed buffer in front of it: looked at before it is unpacked.

The decompressor believes the length that stands there, and reads beyond the end of a damaged buffer, which ends the program.
"""

from __future__ import annotations

import struct

__all__ = ["claimed_bytes"]

_HEADER = struct.Struct("<4B3I")
"""Four bytes of versions and flags, then the bytes unpacked, of a block, and of all of it packed."""


def claimed_bytes(packed: bytes) -> int:
    """Bytes that a compressed buffer says it holds, without unpacking it; -1 where it is none, or cut off."""
    if len(packed) < _HEADER.size:
        return -1
    _, _, _, _, held, _, length = _HEADER.unpack_from(packed)
    return int(held) if length == len(packed) else -1
