"""Files of Flax parameters, read without Flax: pickles of arrays, and the msgpack of `flax.training.checkpoints`."""

from __future__ import annotations

import hashlib
import io
import math
import re
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from rl.errors import CheckpointError, DataError
from rl.interop.safe_unpickler import read_pickles

Tree = dict[str, Any]
"""Nested dicts of arrays."""

_ARRAY, _SCALAR = 1, 3  # Flax's extension codes; 2 is a complex number, which no checkpoint of ours has
_NUMBERS = frozenset({"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"}) | {
    "float16",
    "float32",
    "float64",
}
_ORBAX_ELSEWHERE = "PLACEHOLDER://"
"""Orbax writes this in place of an array that it keeps in a file of its own."""

RESAVE = (
    "restore it where flax is installed and write it again as one file: "
    "pathlib.Path('checkpoint.msgpack').write_bytes(flax.serialization.to_bytes(agent.state))"
)


def checkpoint_file(path: Path) -> Path:
    """The file that a path means: itself, the newest `checkpoint_N` in a directory, or what Orbax wrote in that.

    Raises:
        CheckpointError: there is nothing, or only arrays in Orbax's own format.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"there is no file or directory {path}")
    numbered = {
        int(found[1]): child for child in path.iterdir() if (found := re.search(r"checkpoint_(\d+)$", str(child)))
    }
    if numbered:
        return checkpoint_file(numbered[max(numbered)])
    if (path / "checkpoint").is_file():  # Orbax aggregates what lies on one device, as Flax asks it to
        return path / "checkpoint"
    if any((path / mark).exists() for mark in ("_METADATA", "manifest.ocdbt", "default", "d")):
        raise CheckpointError(f"{path} was written by Orbax, array by array, which is not read here: {RESAVE}")
    raise CheckpointError(f"{path} holds no checkpoint_N; give the directory that was passed to save_checkpoint")


def step_of(path: Path) -> int | None:
    """The number in `checkpoint_N` (of the file, or of the directory that it lies in)."""
    found = [re.fullmatch(r"checkpoint_(\d+)", name) for name in (path.name, path.parent.name)]
    return next((int(match[1]) for match in found if match), None)


def read_flax_file(path: Path, sha256: str | None = None) -> Tree:
    """The tree in a pickle, or in a file of `flax.serialization.to_bytes`.

    Args:
        path: the file.
        sha256: its checksum, hexadecimal; checked before anything is read from it, when given.

    Raises:
        CheckpointError: it is another file, damaged, of another format, or holds more than arrays.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise CheckpointError(f"{path} has the SHA-256 {found}, not {sha256}: download it again")
    # A pickle starts with byte 0x80, which in msgpack is a map without entries, and so no checkpoint.
    tree = _from_pickle(content, path) if content[:1] == b"\x80" else _from_msgpack(content, path)
    if not isinstance(tree, dict) or not all(isinstance(name, str) for name in tree):
        raise CheckpointError(f"{path} holds no tree of parameters")
    return tree


def _from_pickle(content: bytes, path: Path) -> Any:
    try:
        objects = list(read_pickles(io.BufferedReader(io.BytesIO(content)), str(path)))
    except DataError as error:
        raise CheckpointError(str(error)) from error
    return objects[0]


def _from_msgpack(content: bytes, path: Path) -> Any:
    try:
        return msgpack.unpackb(content, ext_hook=_unpack_extension, raw=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise CheckpointError(f"{path} is no checkpoint of Flax (neither a pickle nor msgpack): {reason}") from error


def _unpack_extension(code: int, payload: bytes) -> np.ndarray:
    if code not in (_ARRAY, _SCALAR):
        raise ValueError(f"extension {code} is unknown")
    shape, name, raw = msgpack.unpackb(payload, raw=True)
    kind = name.decode("ascii", "replace")
    if kind != "bfloat16" and kind not in _NUMBERS:
        raise ValueError(f"arrays of {kind} are not read")
    dtype = np.dtype("<u2") if kind == "bfloat16" else np.dtype(kind).newbyteorder("<")
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"an array {kind}{shape} does not fit into {len(raw)} bytes")
    array = np.frombuffer(raw, dtype).reshape(shape) if raw else np.empty(shape, dtype)
    if kind == "bfloat16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(dtype.newbyteorder("="))


def check_complete(tree: Tree, path: Path) -> None:
    """Refuse parameters that Orbax keeps elsewhere.

    Raises:
        CheckpointError: an array of the tree is not in the file.
    """
    for name, value in tree.items():
        if isinstance(value, dict):
            check_complete(value, path)
        elif isinstance(value, str) and value.startswith(_ORBAX_ELSEWHERE):
            raise CheckpointError(f"Orbax keeps the array {name} outside of {path}, which is not read here: {RESAVE}")
