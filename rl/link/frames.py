"""Binary frames of the link: a chunk of transitions, a set of weights; each sealed with a checksum."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.data.codec import decode, encode
from rl.data.schema import TransitionSchema
from rl.errors import CodecError, LinkProtocolError
from rl.utils.train_utils import concat_batches
from rl.utils.tree import Batch, leaves, len_of

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Largest message either way: chunks of transitions stay below the half, weights may be of 50 MB."""

_SEAL_BYTES = 4
_MOST_TRANSITIONS = 300


@dataclass(frozen=True)
class Chunk:
    """Consecutive transitions of one attempt."""

    first_sequence: int
    transitions: Batch
    """Nested dict of arrays with one leading axis."""
    follows_gap: bool = False
    """The actor had to throw transitions away before this one: the trajectory is not continuous here."""

    def __len__(self) -> int:
        return len_of(dict(leaves(self.transitions)))

    def to_bytes(self) -> bytes:
        """The frame."""
        return _seal(
            {
                "first_sequence": self.first_sequence,
                "transitions": self.transitions,
                "follows_gap": self.follows_gap,
            }
        )

    @classmethod
    def from_bytes(cls, frame: bytes) -> Chunk:
        """Read a frame.

        Raises:
            LinkProtocolError: the frame is damaged, or is no chunk.
        """
        tree = _open(frame, {"first_sequence": int, "transitions": dict, "follows_gap": bool})
        arrays = [array for _, array in leaves(tree["transitions"])]
        if not arrays or not all(isinstance(array, np.ndarray) and array.ndim for array in arrays):
            raise LinkProtocolError("a chunk must hold arrays with a leading axis")
        if tree["first_sequence"] < 0 or len({len(array) for array in arrays}) != 1:
            raise LinkProtocolError("a chunk needs a sequence number and arrays of one length")
        return cls(**tree)


@dataclass(frozen=True)
class Weights:
    """A policy as it was after `version` updates."""

    version: int
    policy: dict[str, np.ndarray]

    def to_bytes(self) -> bytes:
        """The frame."""
        return _seal({"version": self.version, "policy": self.policy})

    @classmethod
    def from_bytes(cls, frame: bytes) -> Weights:
        """Read a frame.

        Raises:
            LinkProtocolError: the frame is damaged, or holds no weights.
        """
        return cls(**_open(frame, {"version": int, "policy": dict}))


def largest_chunk(schema: TransitionSchema) -> int:
    """Transitions of this schema in a message at most, so that it stays well below the largest frame."""
    size = sum(math.prod(field.shape) * field.dtype.itemsize for field in schema.fields.values())
    return max(1, min(_MOST_TRANSITIONS, MAX_FRAME_BYTES // 2 // size))


def merge(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Join neighbours, so that many small chunks are one transaction; a gap or a jump in the numbers stays a border."""
    merged: list[Chunk] = []
    for chunk in chunks:
        last = merged[-1] if merged else None
        if last is not None and not chunk.follows_gap and chunk.first_sequence == last.first_sequence + len(last):
            joined = concat_batches(last.transitions, chunk.transitions)
            merged[-1] = Chunk(last.first_sequence, joined, last.follows_gap)
        else:
            merged.append(chunk)
    return merged


def _seal(tree: Mapping[str, Any]) -> bytes:
    payload = encode(tree)
    return zlib.crc32(payload).to_bytes(_SEAL_BYTES, "little") + payload


def _open(frame: bytes, fields: Mapping[str, type]) -> dict[str, Any]:
    payload = memoryview(frame)[_SEAL_BYTES:]
    if zlib.crc32(payload).to_bytes(_SEAL_BYTES, "little") != frame[:_SEAL_BYTES]:
        raise LinkProtocolError(f"a binary frame of {len(frame)} bytes is damaged: its checksum does not fit")
    try:
        tree = decode(payload)  # type: ignore[arg-type]
    except CodecError as error:
        raise LinkProtocolError(f"a binary frame cannot be read: {error}") from error
    if not isinstance(tree, dict) or {name: type(value) for name, value in tree.items()} != dict(fields):
        raise LinkProtocolError(f"a binary frame must hold {', '.join(fields)}")
    return tree
