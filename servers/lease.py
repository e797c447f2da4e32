"""`ControlLease`: at most one client commands a cell at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from robotkit.errors import ControlHeld


class ControlLease:
    """Taken by the first command, renewed by every further one, given up by silence or by `release`.

    A command that lasts (a joint motion) keeps the lease for as long as it runs.
    """

    def __init__(self, timeout_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._holder: str | None = None
        self._renewed_s = 0.0
        self._running = 0

    @property
    def holder(self) -> str | None:
        """Who commands now."""
        with self._lock:
            return self._holder if self._is_held() else None

    @contextmanager
    def control(self, client: str) -> Iterator[None]:
        """Hold the lease while one command is carried out.

        Raises:
            ControlHeld: another client commands this cell.
        """
        with self._lock:
            if self._holder != client and self._is_held():
                raise ControlHeld(
                    f"another client ({_short(self._holder)}) commands this cell; it gives up control when it "
                    f"disconnects, or {self.timeout_s:g} s after its last command. Reading and stop are always allowed"
                )
            self._holder = client
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._renewed_s = self._now_s()

    def release(self, client: str) -> bool:
        """Give the lease up; True when `client` had it and none of its commands is still running."""
        with self._lock:
            if self._holder != client or not self._is_held() or self._running:
                return False
            self._holder = None
            return True

    def _is_held(self) -> bool:
        if self._holder is None:
            return False
        return self._running > 0 or self._now_s() - self._renewed_s < self.timeout_s


def _short(client: str | None) -> str:
    return "" if client is None else client[:12]
