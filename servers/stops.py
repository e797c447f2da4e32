"""`StopOwners`: the clients that stopped the arm since its last recovery, and that may therefore recover it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from servers.access import Client, Scope

_OWNERS_MAX = 64


class StopOwners:
    """A client recovers from its own stop, from a fault and from a limit; an operator recovers from any stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[Client, int] = {}
        self._count = 0

    def add(self, client: Client) -> None:
        """Note that `client` stops the arm."""
        with self._lock:
            self._count += 1
            # Among so many owners one more changes nothing.
            if client in self._numbers or len(self._numbers) < _OWNERS_MAX:
                self._numbers[client] = self._count

    @contextmanager
    def recovery(self, client: Client) -> Iterator[None]:
        """Recover inside; when that succeeds, the stops before it are forgotten, and those during it are not.

        Whoever stops is added here before the arm counts that stop. What the recovery may undo has to be counted before
        this is called: a stop that comes after the question about the owners then ends the recovery inside.

        Raises:
            Forbidden: another client stopped the arm, and this one's token does not allow to undo that.
        """
        with self._lock:
            before = dict(self._numbers)
        others = [owner for owner in before if owner != client]
        if others:
            client.require(Scope.OPERATE, f"to recover from the stop of {others[-1]}")
        yield
        with self._lock:
            self._numbers = {owner: number for owner, number in self._numbers.items() if before.get(owner) != number}
