"""Several learner processes as one: joined by torchrun, gradients averaged over all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from rl.errors import ConfigError, TeamError


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
        with among_the_others(self):
            dist.all_reduce(joined)
        parts = joined.div_(self.size).split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    @torch.no_grad()
    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of every process with those of the first."""
        if self.size > 1:
            with among_the_others(self):
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def hand_out(self, parts: Tensor | None, received: Tensor) -> Tensor:
        """Give every process its row of `parts`, which the first process has and the others do not.

        Args:
            parts: (size, N) in the first process, None in the others.
            received: (N,), filled with this process's row.

        Returns:
            `received`.
        """
        with among_the_others(self):
            dist.scatter(received, None if parts is None else list(parts), src=0)
        return received

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            with among_the_others(self):
                dist.barrier()


ALONE = Team()


@contextmanager
def among_the_others(team: Team) -> Iterator[None]:
    """Work that every process of a team takes part in.

    Raises:
        TeamError: another process is gone, or does something else for too long.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo puts its file before the reason, and advice behind it.
        reason = re.sub(r"^\[\S+\] ", "", str(error)).partition(". ")[0]
        raise TeamError(
            f"process {team.rank} of {team.size} cannot go on, because another one ended or does not answer; its own "
            f"message says why. When that is mended, --resume continues from the last checkpoint ({reason})"
        ) from error


@contextmanager
def joined_team(device: torch.device) -> Iterator[Team]:
    """The team that torchrun started this process for; a team of one without torchrun.

    Inside another such block it is the same team.

    Args:
        device: where the tensors that are averaged live: decides between gloo and NCCL.

    Raises:
        ConfigError: a device that is not this process's own, or none of those that a team can use.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size())
        return
    if device.type == "cuda":
        _take_gpu(device)
    elif device.type != "cpu":
        raise ConfigError(f"several processes compute on cpu or cuda, not on {device}: leave out torchrun")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def local_device(name: str) -> torch.device:
    """The device of this process: `cuda` is the GPU of its number on this machine."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)


def _take_gpu(device: torch.device) -> None:
    """Make the GPU of this process's number the one that it uses."""
    own, count = local_device("cuda"), torch.cuda.device_count()
    if device != own:
        raise ConfigError(f"--device {device} is one GPU for all processes: with --device cuda each takes its own")
    if own.index is not None and own.index >= count:
        raise ConfigError(f"process {own.index} of this machine has no GPU of its own: there are {count}; start fewer")
    torch.cuda.set_device(own)
