"""The encoding of trees of arrays as bytes: msgpack with one extension type for arrays, never pickle.

A tree is a nested dict (string keys) or list of numpy arrays, numbers, strings, bytes, bools and None. An array travels
as its dtype, its shape and its raw little-endian bytes. Tuples come back as lists and numpy scalars as Python numbers.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np

from rl.errors import CodecError

Tree = Any
"""Nested dict or list of arrays and plain values."""

ARRAY_DTYPES = frozenset({"|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"})
"""The dtypes that may travel: plain numbers; object arrays would need pickle."""

_ARRAY_EXTENSION = 1
_MAX_CONTAINER_LENGTH = 1 << 16  # msgpack reserves memory for a list before it has seen its items
_MAX_DIMENSIONS = 32


def encode(tree: Tree) -> bytes:
    """Encode a tree.

    Raises:
        CodecError: a value is neither an array of plain numbers nor a plain value, or a key is not a string.
    """
    try:
        encoded: bytes = msgpack.packb(tree, default=_pack_foreign, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(f"cannot encode this tree: {error}") from error
    return encoded


def decode(data: bytes) -> Tree:
    """Decode what `encode` made. The arrays are fresh and writable.

    Raises:
        CodecError: the bytes are cut short, damaged, or hold something that may not travel.
    """
    try:
        return msgpack.unpackb(
            data,
            ext_hook=_unpack_extension,
            raw=False,
            strict_map_key=True,
            max_array_len=_MAX_CONTAINER_LENGTH,
            max_map_len=_MAX_CONTAINER_LENGTH,
        )
    except (TypeError, ValueError, msgpack.UnpackException) as error:
        raise CodecError(f"cannot decode {len(data)} bytes: {error or type(error).__name__}") from error


def _pack_foreign(value: Any) -> Any:
    """Pack what msgpack does not know: numpy scalars become numbers, arrays become an extension."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{type(value).__name__} may not travel; allowed are arrays, numbers, strings, bytes, bools, None"
        )
    array = np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
    if array.dtype.str not in ARRAY_DTYPES:
        raise TypeError(f"arrays of {value.dtype} may not travel; allowed are {', '.join(sorted(ARRAY_DTYPES))}")
    header = msgpack.packb((array.dtype.str, array.shape))
    raw = array.reshape(-1).view(np.uint8)
    return msgpack.ExtType(_ARRAY_EXTENSION, b"".join((len(header).to_bytes(2, "little"), header, raw.data)))


def _unpack_extension(code: int, payload: bytes) -> np.ndarray:
    if code != _ARRAY_EXTENSION:
        raise CodecError(f"extension {code} is unknown")
    body = 2 + int.from_bytes(payload[:2], "little")
    dtype, shape = _array_header(payload[2:body])
    expected = math.prod(shape) * dtype.itemsize
    if len(payload) - body != expected:
        raise CodecError(f"an array {dtype.str}{shape} needs {expected} bytes, {len(payload) - body} came")
    return np.frombuffer(payload, dtype, offset=body).reshape(shape).copy() if expected else np.empty(shape, dtype)


def _array_header(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    fields = msgpack.unpackb(header)
    if not (
        isinstance(fields, list) and len(fields) == 2 and isinstance(fields[0], str) and isinstance(fields[1], list)
    ):
        raise CodecError("an array header is damaged")
    name, shape = fields
    if name not in ARRAY_DTYPES:
        raise CodecError(f"arrays of {name!r} may not travel")
    if len(shape) > _MAX_DIMENSIONS or not all(type(size) is int and size >= 0 for size in shape):
        raise CodecError(f"{shape} is no array shape")
    return np.dtype(name), tuple(shape)
