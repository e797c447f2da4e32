"""BatchSharding: chooses the rows of a joint batch that each process computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchSharding:
    """An equal run of neighbouring rows of every minibatch for each process.

    All processes compute each step of a high update ratio together. `MixedBatches` mixes every run of rows, so each
    shard is mixed too. Every second row would not be: with two sources of one half each, one process would get the
    first source and the other process the second.
    """

    processes: int
    """Number of processes that compute a batch."""
    minibatches: int
    """Slices that a batch is divided into, in order: the update ratio."""

    def split(self, rows: Tensor) -> Tensor:
        """View the rows (N, ...) of a joint batch as (processes, minibatches, rows of one in a minibatch, ...)."""
        return torch.unflatten(rows, 0, (self.minibatches, self.processes, -1)).transpose(0, 1)

    def shard(self, rows: Tensor, rank: int) -> Tensor:
        """The rows (N / processes, ...) of process `rank` out of the rows (N, ...) of a joint batch, in their order."""
        return self.split(rows)[rank].flatten(0, 1)
