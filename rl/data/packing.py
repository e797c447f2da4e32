"""Packing: packs a batch of tensors into one byte array for each process, which one message can carry."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rl.data.batch_sharding import BatchSharding
from rl.utils.tree import Batch, Path, leaves, nest

_ALIGNMENT = 8  # bytes of the widest number


@dataclass(frozen=True)
class PackedField:
    """One field of a shard of a batch."""

    path: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    """Shape of the field, with the rows of the shard."""

    @property
    def size(self) -> int:
        """Size of the field in bytes."""
        return self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Packing:
    """The offsets of a shard's fields: wide numbers before narrow ones, so that each is at a multiple of its size."""

    fields: tuple[PackedField, ...]

    @classmethod
    def of(cls, batch: Mapping[str, Any], sharding: BatchSharding) -> Packing:
        """Make the packing for the equal shards of a joint batch."""
        found = [
            PackedField(path, rows.dtype, (len(rows) // sharding.processes, *rows.shape[1:]))
            for path, rows in leaves(batch)
        ]
        return cls(tuple(sorted(found, key=lambda field: -field.dtype.itemsize)))

    @property
    def size(self) -> int:
        """Bytes of a shard."""
        return -(-sum(field.size for field in self.fields) // _ALIGNMENT) * _ALIGNMENT

    def pack(self, batch: Mapping[str, Any], sharding: BatchSharding) -> Tensor:
        """Every process's shard of a joint batch as bytes (processes, size), on the device of the batch."""
        rows = dict(leaves(batch))
        packed = torch.empty(
            (sharding.processes, self.size), dtype=torch.uint8, device=rows[self.fields[0].path].device
        )
        start = 0
        for field in self.fields:
            split = sharding.split(rows[field.path])
            packed[:, start : start + field.size].view(field.dtype).view(split.shape).copy_(split)
            start += field.size
        return packed

    def unpack(self, shard: Tensor) -> Batch:
        """The fields of one shard, views of its bytes (size,)."""
        sizes = [field.size for field in self.fields]
        pieces = torch.split(shard[: sum(sizes)], sizes)
        return nest(
            {
                field.path: piece.view(field.dtype).view(field.shape)
                for field, piece in zip(self.fields, pieces, strict=True)
            }
        )

    def to_json(self) -> str:
        """Encode as text, for the processes that will unpack."""
        return json.dumps([[field.path, str(field.dtype).removeprefix("torch."), field.shape] for field in self.fields])

    @classmethod
    def from_json(cls, text: str) -> Packing:
        """Decode the text of `to_json`."""
        return cls(
            tuple(
                PackedField(tuple(path), getattr(torch, dtype), tuple(shape)) for path, dtype, shape in json.loads(text)
            )
        )
