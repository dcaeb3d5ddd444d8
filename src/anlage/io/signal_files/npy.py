"""Read Celldetective's lists of tracks in ``.npy`` files without unpickling.

Such a file is a pickle behind numpy's header, and a pickle is a program: unpickling it can do whatever its author
wanted. Here its instructions are only looked at. Those that build lists, dicts, numbers, texts and numpy arrays are
carried out by this module's own few lines; at any other one the file is refused, and nothing has run.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import border, check_size, shown

__all__ = ["read_npy"]

_LARGEST = 2**31
"""Bytes of a file up to which it is read."""
_MOST_NUMBERS = _LARGEST // 8
"""In memory each takes eight bytes."""
_FEW_ITEMS = 1_000_000
"""So many lists, dicts and values a file may hold at least; a larger file one for each of its bytes."""
_DEEPEST = 50
"""Lists within lists."""

_RECONSTRUCT = "reconstruct"
_SCALAR = "scalar"
_DTYPE = "dtype"
_NDARRAY = "ndarray"
_FROM_BUFFER = "from buffer"
_ENCODE = "encode"

_KNOWN = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("_codecs", "encode"): _ENCODE,
    **{
        (f"numpy.{core}.multiarray", name): meaning
        for core in ("core", "_core")
        for name, meaning in (("_reconstruct", _RECONSTRUCT), ("scalar", _SCALAR))
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("core", "_core")},
}
"""The only names that a file may mention, and what stands for them; no function is ever looked up."""


@dataclass
class _Name:
    """Stands for a function or class that the file mentions; it is never the thing itself."""

    meaning: str


@dataclass
class _Array:
    """A numpy array whose content comes with a later instruction."""

    value: npt.NDArray[Any] | None = None


@dataclass
class _Type:
    """A numpy type whose byte order comes with a later instruction."""

    value: np.dtype[Any]


_MARK = object()


def read_npy(path: Path) -> Any:
    """Numbers (an array), or the list of whatever plain content a file of objects holds.

    Raises
    ------
    AnlageError
        If it is no such file, is damaged, or holds anything else than lists, dicts, numbers, texts and arrays.
    """
    size = path.stat().st_size
    if size > _LARGEST:
        raise AnlageError(f"'{path}' has {size / 2**30:.1f} GiB; files of signals up to 2 GiB are read.")
    # the parser of the header has no other word for nesting than MemoryError
    with border(f"The numpy file '{path}'", MemoryError), path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = _header(version, file)
        if not dtype.hasobject:
            _check_numbers(path, shape, dtype, size - file.tell())
            file.seek(0)
            return np.lib.format.read_array(file)  # which unpickles nothing
        content = file.read()
    if dtype != np.dtype(object) or fortran or len(shape) > 1:
        raise AnlageError(f"'{path}' holds objects in the shape {shape}; a list of tracks has a single axis.")
    with border(f"The list of tracks '{path}'"):
        return _Finisher(path, max(_FEW_ITEMS, len(content))).finished(_Machine(path).run(content))


def _check_numbers(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], n_bytes: int) -> None:
    """Refuse numbers that are none, or that the file is too short to hold: memory is taken for what the header says."""
    if dtype.kind not in "biuf":
        raise AnlageError(f"'{path}' holds {shown(dtype)}; signals are numbers (tracks, frames).")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > n_bytes:
        raise AnlageError(
            f"'{path}' claims {shape} numbers, {claimed:,} bytes, but holds {n_bytes:,}; copy or export it again."
        )
    check_size(math.prod(shape), _MOST_NUMBERS, f"The number of values in '{path}'")


def _header(version: tuple[int, int], file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = reader(file)
    return header


class _Machine:
    """Carries out the harmless instructions of a pickle."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._do: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda _: None),
            **dict.fromkeys(
                ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE",
                 "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
                 "STRING", "BINSTRING", "SHORT_BINSTRING"), self._stack.append,
            ),
            "NONE": lambda _: self._stack.append(None),
            "NEWTRUE": lambda _: self._stack.append(True),
            "NEWFALSE": lambda _: self._stack.append(False),
            "MARK": lambda _: self._stack.append(_MARK),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "TUPLE": lambda _: self._stack.append(tuple(self._since_mark())),
            "LIST": lambda _: self._stack.append(self._since_mark()),
            "DICT": lambda _: self._stack.append(_pairs(self._since_mark())),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "APPEND": lambda _: self._append([self._stack.pop()]),
            "APPENDS": lambda _: self._append(self._since_mark()),
            "SETITEM": lambda _: self._set([self._stack.pop(-2), self._stack.pop()]),
            "SETITEMS": lambda _: self._set(self._since_mark()),
            "POP": lambda _: self._stack.pop(),
            "DUP": lambda _: self._stack.append(self._stack[-1]),
            "MEMOIZE": lambda _: self._memo.__setitem__(len(self._memo), self._stack[-1]),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda at: self._stack.append(self._memo[at])),
            "GLOBAL": lambda text: self._name(*text.split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(self._stack.pop(-2), self._stack.pop()),
            "REDUCE": lambda _: self._reduce(self._stack.pop(-2), self._stack.pop()),
            "BUILD": lambda _: self._build(self._stack.pop()),
        }  # fmt: skip

    def run(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(content):
            step = self._do.get(opcode.name)
            if step is None:
                raise self._refused(f"the instruction {opcode.name}")
            step(argument)
        (result,) = self._stack
        return result

    def _since_mark(self) -> list[Any]:
        at = max(i for i, item in enumerate(self._stack) if item is _MARK)
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def _tuple(self, n: int) -> None:
        items = tuple(self._stack[-n:])
        del self._stack[-n:]
        self._stack.append(items)

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise self._refused("an addition to something that is no list")
        self._stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not dict:
            raise self._refused("an entry in something that is no dict")
        self._stack[-1].update(_pairs(items))

    def _put(self, at: int) -> None:
        self._memo[int(at)] = self._stack[-1]

    def _name(self, module: str, name: str) -> None:
        meaning = _KNOWN.get((module, name))
        if meaning is None:
            raise self._refused(f"{module}.{name}")
        self._stack.append(_Name(meaning))

    def _reduce(self, function: Any, arguments: Any) -> None:
        meaning = function.meaning if isinstance(function, _Name) else None
        if meaning == _RECONSTRUCT:
            made: Any = _Array()
        elif meaning == _DTYPE:
            made = _Type(self._dtype(arguments[0]))
        elif meaning == _SCALAR:
            made = np.frombuffer(_bytes(arguments[1]), dtype=arguments[0].value, count=1)[0]
        elif meaning == _FROM_BUFFER:
            buffer, dtype, shape, order = arguments
            made = np.frombuffer(bytes(buffer), dtype=dtype.value).reshape(shape, order=order)
        elif meaning == _ENCODE and arguments[1] in ("latin1", "latin-1"):
            made = arguments[0].encode("latin-1")
        else:
            raise self._refused("a call")
        self._stack.append(made)

    def _dtype(self, text: Any) -> np.dtype[Any]:
        if text == "O" or text == "O8":
            return np.dtype(object)
        dtype = np.dtype(_text(text))
        if dtype.kind not in "biufcSUMm":
            raise self._refused(f"the type {dtype}")
        return dtype

    def _build(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, _Type):
            order: Any = _text(state[1])
            target.value = target.value.newbyteorder(order)
            if target.value.kind in "mM":  # of dates the unit follows
                unit, number = state[-1][1][:2]
                target.value = np.dtype(f"{target.value.str}[{int(number)}{_text(unit)}]")
        elif isinstance(target, _Array):
            _, shape, dtype, fortran, data = state
            if dtype.value.hasobject:
                if not isinstance(data, list) or math.prod(shape) != len(data):
                    raise self._refused("an array of another size than its content")
                value = np.empty(len(data), dtype=object)
                for i, entry in enumerate(data):
                    value[i] = entry
                target.value = value.reshape(shape)  # objects are listed row by row, in whatever order they lay
            else:
                value = np.frombuffer(_bytes(data), dtype=dtype.value).copy()
                target.value = value.reshape(shape, order="F" if fortran else "C")
        else:
            raise self._refused("a state for something that is no array")

    def _refused(self, what: str) -> AnlageError:
        return AnlageError(
            f"'{self._path}' is refused: it holds {what}, which could run a program; only lists, numbers, texts and arrays are "
            "read, and nothing was run. Get the file from its author as CSV."
        )


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _bytes(data: Any) -> bytes:
    return data.encode("latin-1") if isinstance(data, str) else bytes(data)


def _text(data: Any) -> str:
    return data.decode("latin-1") if isinstance(data, bytes) else str(data)


class _Finisher:
    """Makes plain content of what stood for arrays while they were read.

    What a file holds once and mentions often would grow without a bound, so what comes out is counted.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._n = 0

    def finished(self, item: Any, depth: int = 0) -> Any:
        self._n += 1
        if self._n > self._most or depth > _DEEPEST:
            raise AnlageError(
                f"'{self._path}' is refused: its lists hold each other again and again, more than {self._most:,} values or "
                f"{_DEEPEST} levels; export it again."
            )
        if isinstance(item, _Array):
            value = item.value
            if value is None or not value.dtype.hasobject:
                return value
            item = value.tolist()
            if not isinstance(item, list):
                return self.finished(item, depth + 1)
        if isinstance(item, list | tuple):
            return [self.finished(entry, depth + 1) for entry in item]
        if isinstance(item, dict):
            return {key: self.finished(value, depth + 1) for key, value in item.items()}
        return None if isinstance(item, _Name | _Type) else item
