"""Shares: which rows of a joint batch each process of a team computes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Shares:
    """An equal run of neighbouring rows of every minibatch for each process.

    So each step of a high update ratio is computed by all processes together, and as `MixedBatches` mixes every run of
    rows, what a process gets is mixed too. Every second row would not do: with two sources of one half each, one
    process would get the first source and the other process the second.
    """

    processes: int
    """How many share a batch."""
    minibatches: int
    """Slices that a batch is divided into, in order: the update ratio."""

    def deal(self, rows: Tensor) -> Tensor:
        """View the rows (N, ...) of a joint batch as (processes, minibatches, rows of one in a minibatch, ...)."""
        return rows.unflatten(0, (self.minibatches, self.processes, -1)).transpose(0, 1)

    def part(self, rows: Tensor, rank: int) -> Tensor:
        """What the process `rank` takes of the rows (N, ...) of a joint batch, (N / processes, ...), in their order."""
        return self.deal(rows)[rank].flatten(0, 1)
