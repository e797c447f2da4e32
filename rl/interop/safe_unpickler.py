"""Reads pickles of arrays and plain containers that came from elsewhere, without being able to run their code.

A pickle is a program: it names functions, and reading it calls them. Here every name is looked up in the table below,
whose entries are stand-ins of our own, so that not even numpy's own functions are within a file's reach (numpy trusts
the description of an array that it rebuilds; we check it). A stand-in has no attributes that a file could overwrite.
Arrays of jax and flax's frozen dicts come back as numpy arrays and dicts; neither package is needed.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Any

import numpy as np

from rl.errors import DataError

_DTYPES = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)|[SU][0-9]{1,4}")
_ORDERS = ("C", "F", "A", "K")


class _StandIn:
    """A stand-in that a pickle may name: it can be called, and nothing else."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("the file tries to change a function")


class _DtypeDraft:
    """A dtype while it is read: `dtype(code, align, copy)`, then its state."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not _DTYPES.fullmatch(code):
            raise pickle.UnpicklingError(f"arrays of {code!r} are not read: plain numbers and strings only")
        self._code, self._order = code, "="

    def __setstate__(self, state: Any) -> None:
        _, order, *structure = state
        if order not in ("<", ">", "=", "|") or structure[:3] != [None, None, None]:
            raise pickle.UnpicklingError("structured arrays are not read: plain numbers and strings only")
        self._order = order

    def dtype(self) -> np.dtype:
        return np.dtype(self._order.replace("|", "=") + self._code)


class _ArrayDraft:
    """An array while it is read: made empty, then given its state."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, raw = state
        self.array = _array(raw, dtype, shape, "F" if is_fortran else "C")


def _array(raw: Any, draft: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(draft, _DtypeDraft) or not isinstance(raw, bytes | bytearray) or order not in _ORDERS:
        raise pickle.UnpicklingError("an array is damaged")
    dtype, sizes = draft.dtype(), shape if isinstance(shape, tuple) else (shape,)
    if not all(type(size) is int and size >= 0 for size in sizes) or math.prod(sizes) * dtype.itemsize != len(raw):
        raise pickle.UnpicklingError(f"an array {dtype}{sizes} does not fit into {len(raw)} bytes")
    if not raw:
        return np.empty(sizes, dtype)
    return np.frombuffer(raw, dtype).reshape(sizes, order="F" if order == "F" else "C").copy()


def _reconstruct(kind: Any, shape: Any, code: Any) -> _ArrayDraft:
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("a subclass of arrays is not read")
    return _ArrayDraft()


def _from_buffer(raw: Any, draft: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    array = _array(raw, draft, shape, order)
    return array.transpose(axes) if order == "K" and axes is not None else array


def _scalar(draft: Any, raw: Any) -> Any:
    return _array(raw, draft, (), "C")[()]


def _encode(text: Any, encoding: Any) -> bytes:
    """How protocol 2 stores bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("a byte string is damaged")
    return text.encode("latin1")


def _bytes(content: Any = b"", encoding: Any = "latin-1") -> bytes:
    if isinstance(content, str):
        return _encode(content, encoding.replace("-", ""))
    if not isinstance(content, bytes | list | tuple):  # bytes(n) would take memory by a number
        raise pickle.UnpicklingError("a byte string is damaged")
    return bytes(content)


def _from_jax(function: Any, arguments: Any, state: Any, _: Any) -> _ArrayDraft:
    """A jax array holds the pieces of a numpy array."""
    if function is not _RECONSTRUCT:
        raise pickle.UnpicklingError("a jax array is damaged")
    draft: _ArrayDraft = function(*arguments)
    draft.__setstate__(state)
    return draft


_NDARRAY = _StandIn(lambda *_: _refuse("numpy.ndarray is not called"))
_RECONSTRUCT = _StandIn(_reconstruct)

_NUMPY: dict[str, dict[str, _StandIn]] = {
    "multiarray": {"_reconstruct": _RECONSTRUCT, "scalar": _StandIn(_scalar)},
    "numeric": {"_frombuffer": _StandIn(_from_buffer)},
}
_BUILTINS = {
    "bytearray": _StandIn(lambda *content: bytearray(_bytes(*content))),
    "bytes": _StandIn(_bytes),
    "complex": _StandIn(complex),
    "frozenset": _StandIn(frozenset),
    "set": _StandIn(set),
}
GLOBALS: dict[tuple[str, str], _StandIn] = {
    ("numpy", "dtype"): _StandIn(lambda code, *_: _DtypeDraft(code)),
    ("numpy", "ndarray"): _NDARRAY,
    ("_codecs", "encode"): _StandIn(_encode),
    ("collections", "OrderedDict"): _StandIn(dict),
    ("flax.core.frozen_dict", "FrozenDict"): _StandIn(dict),
    ("jax._src.array", "_reconstruct_array"): _StandIn(_from_jax),
    ("jax._src.device_array", "reconstruct_device_array"): _StandIn(_from_jax),
    **{
        (f"numpy.{core}.{module}", name): stand_in  # numpy 2 moved numpy.core to numpy._core
        for core in ("core", "_core")
        for module, names in _NUMPY.items()
        for name, stand_in in names.items()
    },
    **{(module, name): stand_in for module in ("builtins", "__builtin__") for name, stand_in in _BUILTINS.items()},
}
"""The table of everything that a pickle may name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _StandIn:
        """Look a name up in the table."""
        if (module, name) not in GLOBALS:
            _refuse(f"it names {module}.{name}, and only arrays, numbers, strings and plain containers are read")
        return GLOBALS[module, name]


def _refuse(reason: str) -> None:
    raise pickle.UnpicklingError(reason)


def read_pickles(file: BufferedReader, name: str) -> Iterator[Any]:
    """The objects of a file of one or several pickles, one after the other.

    Args:
        file: open for reading.
        name: of the file, for messages.

    Yields:
        Plain containers of numbers, strings, None and numpy arrays.

    Raises:
        DataError: the file is empty, damaged, or names something else than arrays and plain containers.
    """
    count = 0
    while file.peek(1):
        yield _read_one(file, name, count)
        count += 1
    if not count:
        raise DataError(f"{name} is empty")


def _read_one(file: BufferedReader, name: str, position: int) -> Any:
    try:
        return _plain(_Unpickler(file).load(), {})
    # A damaged pickle is a wrong program: it may fail with any exception.
    except Exception as error:
        place = f"pickle {position + 1} of {name}" if position else name
        raise DataError(f"{place} cannot be read: {error or type(error).__name__}") from error


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """The object with finished arrays in place of drafts; what is shared stays shared."""
    if id(value) in done:
        if done[id(value)] is _UNFINISHED:
            raise pickle.UnpicklingError("it holds a container that holds itself")
        return done[id(value)]
    if isinstance(value, _ArrayDraft):
        if value.array is None:
            raise pickle.UnpicklingError("an array is damaged")
        return value.array
    if isinstance(value, _StandIn | _DtypeDraft):
        raise pickle.UnpicklingError("it holds a function or a dtype")
    if not isinstance(value, dict | list | tuple | set | frozenset):
        return value
    done[id(value)] = _UNFINISHED
    if isinstance(value, dict):
        plain: Any = {_plain(key, done): _plain(item, done) for key, item in value.items()}
    else:
        plain = type(value)(_plain(item, done) for item in value)
    done[id(value)] = plain
    return plain


_UNFINISHED = object()
