"""CommandChannel: the main process of a group sends commands to the others, which wait without a time limit."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Self

import torch
import torch.distributed as dist

from rl.utils.distributed import ProcessGroup, collective

_IDLE_TIMEOUT = timedelta(days=365)  # a robot may be set up, or stand still, for any time
_END = "end"


class CommandChannel:
    """Sends short texts from the main process to all others; every process of the group makes one at the same time.

    When the main process leaves the block without an error, the others receive the end. When a process fails, its
    connections break and all other processes fail too, instead of waiting for ever.

    Args:
        group: two processes or more.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        # On CPUs whatever computes: an idle wait here must neither occupy a GPU nor run into the time limit of updates.
        with collective(group):
            self._handle = dist.new_group(backend="gloo", timeout=_IDLE_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.group.is_main and error is None:
            self.send(_END)

    def send(self, command: str) -> None:
        """Send a command to the others; an empty one costs one message, any other two.

        Raises:
            ProcessGroupError: another process is gone.
        """
        content = torch.frombuffer(bytearray(command.encode()), dtype=torch.uint8) if command else None
        with collective(self.group):
            dist.broadcast(torch.tensor(0 if content is None else len(content)), src=0, group=self._handle)
            if content is not None:
                dist.broadcast(content, src=0, group=self._handle)

    def receive(self) -> str | None:
        """Wait for the next command; None when the main process has ended.

        Raises:
            ProcessGroupError: another process is gone.
        """
        length = torch.tensor(0)
        with collective(self.group):
            dist.broadcast(length, src=0, group=self._handle)
            content = torch.empty(int(length), dtype=torch.uint8)
            if len(content):
                dist.broadcast(content, src=0, group=self._handle)
        command = content.numpy().tobytes().decode()
        return None if command == _END else command
