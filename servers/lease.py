"""`ControlLease`: at most one client commands a cell at a time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from robotkit.errors import ControlHeld, DeviceFault, RobotStopped
from servers.access import Client


class ControlLease:
    """The control of a cell: the first command takes it, every further one renews it, silence or `release` gives it up.

    A command that was refused before it began neither takes nor renews it, and nobody hears of it. One that a stopped
    robot or a device in a fault refuses renews nothing, and takes nothing where the arm was down when it began: whoever
    repeats it keeps nobody from the gripper. One that lasts (a joint motion) keeps the lease for as long as it runs.

    Args:
        timeout_s: after this long without a command another client may take it.
        now_s: seconds on a clock that never jumps.
        on_taken: called with every new holder and the one before it, who gave it up, fell silent, or is None.
    """

    def __init__(
        self,
        timeout_s: float,
        now_s: Callable[[], float] = time.monotonic,
        on_taken: Callable[[Client, Client | None], None] = lambda holder, previous: None,
    ) -> None:
        self.timeout_s = timeout_s
        self._now_s = now_s
        self._on_taken = on_taken
        self._lock = threading.Lock()
        self._holder: Client | None = None
        self._taken_s, self._renewed_s = 0.0, -math.inf
        self._running = 0
        self._is_given_up = False
        """True: the commands that still run are the last ones."""
        self._before: Client | None = None
        """Client that had control before the present holder."""
        self._is_taken = False
        """True once a command of the present holder has begun."""

    @property
    def holder(self) -> Client | None:
        """The client that has control now."""
        with self._lock:
            return self._holder if self._is_held() else None

    @property
    def held_for_s(self) -> float | None:
        """The time for which the present holder has had control."""
        with self._lock:
            return self._now_s() - self._taken_s if self._is_held() else None

    @contextmanager
    def control(self, client: Client) -> Iterator[Callable[[bool], None]]:
        """Hold the lease while one command waits and is carried out; call what is yielded when it begins.

        It takes whether the arm is down (stopped, or in a fault): then the command takes the lease once it was not
        refused for that.

        Raises:
            ControlHeld: another client commands this cell.
        """
        with self._lock:
            was_held, previous = self._is_held(), self._holder
            if previous != client and was_held:
                raise ControlHeld(
                    f"another client ({previous}) commands this cell; it gives up control when it disconnects, or "
                    f"{self.timeout_s:g} s after its last command. Reading and stop are always allowed"
                )
            if previous != client or not was_held:
                self._taken_s = self._now_s()
                self._before, self._is_taken = previous, False
            self._holder, self._is_given_up = client, False
            self._running += 1
        renews = False

        def begin(is_down: bool) -> None:
            nonlocal renews
            renews = True
            if not is_down:
                self._take(client)

        try:
            yield begin
        except (RobotStopped, DeviceFault):
            renews = False
            raise
        finally:
            if renews:
                self._take(client)
            with self._lock:
                self._running -= 1
                if renews:
                    self._renewed_s = self._now_s()
                if not self._running and (self._is_given_up or not self._is_taken):
                    self._holder = None if self._is_given_up else self._before
                    if self._is_given_up:
                        self._renewed_s = -math.inf

    def _take(self, client: Client) -> None:
        with self._lock:
            is_new, self._is_taken = not self._is_taken, True
        if is_new:
            self._on_taken(client, self._before)

    def release(self, client: Client, unless: Callable[[], bool] = lambda: False) -> bool:
        """Give the lease up, once the commands of `client` that still run have ended; True when `client` had it.

        Not where `unless` says so by the time at which no command can take it.
        """
        with self._lock:
            if self._holder != client or not self._is_held() or unless():
                return False
            if self._running:
                self._is_given_up = True
            else:
                # Of this time nothing is left to whoever comes next and is refused.
                self._holder, self._renewed_s = None, -math.inf
            return True

    def _is_held(self) -> bool:
        if self._holder is None:
            return False
        return self._running > 0 or self._now_s() - self._renewed_s < self.timeout_s
