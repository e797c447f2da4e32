"""ProcessGroup: learner processes that torchrun started, with gradients averaged over all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from rl.errors import ConfigError, ProcessGroupError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that compute one update together, and the rank of this one."""

    rank: int = 0
    """Number of this process; 0 is the main process."""
    size: int = 1
    """Number of processes."""

    @property
    def is_main(self) -> bool:
        """True in the process that writes the run's files."""
        return self.rank == 0

    def shard_size(self, rows: int) -> int:
        """Rows of a batch that each process computes.

        Raises:
            ConfigError: they do not divide.
        """
        if rows % self.size:
            raise ConfigError(
                f"a batch of {rows} rows does not divide among {self.size} processes; change --batch-size"
            )
        return rows // self.size

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def average(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The mean of each tensor over the group: the gradient of the joint batch when all shards are equal."""
        if self.size == 1:
            return list(tensors)
        # One message instead of one for each parameter: a small network's time is all latency.
        joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with collective(self):
            dist.all_reduce(joined)
        parts = torch.split(joined.div_(self.size), [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    @torch.no_grad()
    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of every process with those of the main process."""
        if self.size > 1:
            with collective(self):
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def scatter(self, shards: Tensor | None, received: Tensor) -> Tensor:
        """Send every process its row of `shards`, which only the main process has.

        Args:
            shards: (size, N) in the main process, None in the others.
            received: (N,), filled with this process's row.

        Returns:
            `received`.
        """
        with collective(self):
            dist.scatter(received, None if shards is None else list(shards), src=0)
        return received

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.size > 1:
            with collective(self):
                dist.barrier()


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def collective(group: ProcessGroup) -> Iterator[None]:
    """Surround a collective operation; a failure of another process becomes a `ProcessGroupError`.

    Raises:
        ProcessGroupError: another process is gone, or takes too long.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo puts its file before the reason, and advice behind it.
        reason = re.sub(r"^\[\S+\] ", "", str(error)).partition(". ")[0]
        raise ProcessGroupError(
            f"process {group.rank} of {group.size} cannot go on, because another one ended or does not answer; its own "
            f"message says why. When that is mended, --resume continues from the last checkpoint ({reason})"
        ) from error


@contextmanager
def joined_process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """The process group that torchrun started this process for; `SINGLE_PROCESS` without torchrun.

    Inside another such block it is the same group.

    Args:
        device: where the tensors that are averaged live: decides between gloo and NCCL.

    Raises:
        ConfigError: a device that is not this process's own, or a kind that a process group cannot use.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield SINGLE_PROCESS
        return
    if dist.is_initialized():
        yield ProcessGroup(dist.get_rank(), dist.get_world_size())
        return
    if device.type == "cuda":
        _take_gpu(device)
    elif device.type != "cpu":
        raise ConfigError(f"several processes compute on cpu or cuda, not on {device}: leave out torchrun")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size())
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
