"""Several learner processes as one: joined by torchrun, gradients averaged over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from rl.errors import ConfigError


@dataclass(frozen=True)
class Team:
    """The processes that compute one update together, seen from one of them."""

    rank: int = 0
    """Number of this process."""
    size: int = 1
    """How many there are."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def share_of(self, rows: int) -> int:
        """Rows of a batch that each process takes.

        Raises:
            ConfigError: they do not divide.
        """
        if rows % self.size:
            raise ConfigError(
                f"a batch of {rows} rows does not divide among {self.size} processes; change --batch-size"
            )
        return rows // self.size

    @torch.compiler.disable
    def average(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The mean of each tensor over the team, which is the gradient of the joint batch when shares are equal."""
        if self.size == 1:
            return list(tensors)
        # One message instead of one for each parameter: a small network's time is all latency.
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(joined)
        parts = joined.div_(self.size).split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    @torch.no_grad()
    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of every process with those of the first."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = Team()


@contextmanager
def joined_team(device: torch.device) -> Iterator[Team]:
    """The team that torchrun started this process for; a team of one without torchrun.

    Inside another such block it is the same team.

    Args:
        device: where the tensors that are averaged live: decides between gloo and NCCL.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size())
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_device(name: str) -> torch.device:
    """The device of this process: `cuda` is the GPU of its number on this machine."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)
