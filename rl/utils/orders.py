"""Orders: what the first process of a team tells the others to do next, however long it takes until it knows."""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Self

import torch
import torch.distributed as dist

from rl.utils.distributed import Team, among_the_others

_PATIENCE = timedelta(days=365)  # a robot may be set up, or stand still, for any time
_END = "end"


class Orders:
    """Short texts from the first process to all others; every process of the team makes one, at the same time.

    When the first process leaves the block without an error, the others hear that it is over. A process that fails just
    ends: the connections break, and all others fail too, instead of waiting for ever.

    Args:
        team: two processes or more.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        # On CPUs whatever computes: an idle wait here must neither occupy a GPU nor run into the time limit of updates.
        with among_the_others(team):
            self._group = dist.new_group(backend="gloo", timeout=_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.team.leads and error is None:
            self.give(_END)

    def give(self, order: str) -> None:
        """Tell the others; an empty order costs one message, any other two.

        Raises:
            TeamError: another process is gone.
        """
        content = torch.frombuffer(bytearray(order.encode()), dtype=torch.uint8) if order else None
        with among_the_others(self.team):
            dist.broadcast(torch.tensor(0 if content is None else len(content)), src=0, group=self._group)
            if content is not None:
                dist.broadcast(content, src=0, group=self._group)

    def hear(self) -> str | None:
        """Wait for the next order; None when it is over.

        Raises:
            TeamError: another process is gone.
        """
        length = torch.tensor(0)
        with among_the_others(self.team):
            dist.broadcast(length, src=0, group=self._group)
            content = torch.empty(int(length), dtype=torch.uint8)
            if len(content):
                dist.broadcast(content, src=0, group=self._group)
        order = content.numpy().tobytes().decode()
        return None if order == _END else order
