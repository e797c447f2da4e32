"""`Lanes`: threads for each kind of work, so that no kind can take those of another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, to_thread

_log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Lane:
    """At most `width` calls at a time, in worker threads; further ones wait.

    A task that is cancelled leaves its call behind: a device that hangs does not keep the server from ending.
    """

    def __init__(self, width: int) -> None:
        self._limiter = CapacityLimiter(width)

    async def run(self, work: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Call `work` in a thread and return what it returns."""
        return await to_thread.run_sync(work, *args, limiter=self._limiter, abandon_on_cancel=True)

    async def within(self, limit_s: float, work: Callable[[], object]) -> None:
        """Call `work`; when it does not end within `limit_s`, say so and go on without it."""
        try:
            await asyncio.wait_for(self.run(work), limit_s)
        except TimeoutError:
            _log.error("%s did not end within %g s: a device hangs", getattr(work, "__name__", work), limit_s)


class Lanes:
    """The lanes of one server."""

    def __init__(self) -> None:
        self.stop = Lane(64)
        """Stops, and holds after a client is gone."""
        self.recover = Lane(4)
        self.shutdown = Lane(4)
        self.reads = Lane(16)
        self.health = Lane(4)
        self.images = Lane(4)
        self.commands = Lane(40)
