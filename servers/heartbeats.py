"""`Heartbeats`: the clients that promised to send heartbeats while a motion runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from servers.turns import Caller


class Heartbeats:
    """The clients whose heartbeats are expected; used on the event loop only."""

    def __init__(self) -> None:
        self._callers: dict[str, set[Caller]] = defaultdict(set)

    @contextmanager
    def expected(self, client: str, caller: Caller) -> Iterator[None]:
        """Note the heartbeats of `client` for `caller`, inside the block."""
        self._callers[client].add(caller)
        try:
            yield
        finally:
            self._callers[client].discard(caller)
            if not self._callers[client]:
                del self._callers[client]

    def beat(self, client: str) -> None:
        """Note a heartbeat of `client`."""
        for caller in self._callers.get(client, ()):
            caller.heard_s = time.monotonic()
