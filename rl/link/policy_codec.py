"""The encoding of messages to and from a served policy: that of openpi, msgpack with arrays as maps, never pickle.

An array is the map `{b"__ndarray__": True, b"data": bytes, b"dtype": "<f4", b"shape": (…)}`, and a numpy scalar the map
`{b"__npgeneric__": True, b"data": number, b"dtype": …}` (`openpi_client.msgpack_numpy`).
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np

from rl.data.codec import ARRAY_DTYPES
from rl.errors import CodecError

_MAX_ITEMS = 1 << 16
_MAX_DIMENSIONS = 8


def pack(tree: Any) -> bytes:
    """Encode nested dicts and lists of arrays, numbers, strings, bytes, bools and None.

    Raises:
        CodecError: a value is something else.
    """
    try:
        packed: bytes = msgpack.packb(tree, default=_pack_array)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(f"this cannot be sent to a served policy: {error}") from error
    return packed


def unpack(data: bytes) -> Any:
    """Decode what `pack` made, or openpi. The arrays are fresh and writable.

    Raises:
        CodecError: the bytes are cut short, damaged, or hold something that may not travel.
    """
    try:
        return msgpack.unpackb(
            data, object_hook=_unpack_array, raw=False, max_array_len=_MAX_ITEMS, max_map_len=_MAX_ITEMS
        )
    except (TypeError, ValueError, OverflowError, msgpack.UnpackException) as error:
        raise CodecError(f"these {len(data)} bytes are no message of openpi's: {error}") from error


def _pack_array(value: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{type(value).__name__} may not travel")
    array = np.asarray(value)
    if array.dtype.newbyteorder("<").str not in ARRAY_DTYPES:
        raise TypeError(f"arrays of {array.dtype} may not travel; allowed are {', '.join(sorted(ARRAY_DTYPES))}")
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}


def _unpack_array(found: dict[Any, Any]) -> Any:
    if b"__npgeneric__" in found:
        return _dtype(found).type(found[b"data"]) if b"data" in found else found
    if b"__ndarray__" not in found:
        return found
    dtype, shape, data = _dtype(found), found.get(b"shape"), found.get(b"data")
    if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
        raise CodecError(f"{shape} is no shape of an array")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise CodecError(f"{shape} is no shape of an array")
    if not isinstance(data, bytes) or len(data) != math.prod(shape) * dtype.itemsize:
        raise CodecError(f"the data of an array {dtype.str}{shape} has another length")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _dtype(found: dict[Any, Any]) -> np.dtype:
    name = found.get(b"dtype")
    if not isinstance(name, str) or name not in ARRAY_DTYPES:
        raise CodecError(f"arrays of {name!r} may not travel")
    return np.dtype(name)
