"""`Clock`: the time of a cell, at 10 Hz on a robot and at thousands of steps a second in simulation."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable


class Clock(ABC):
    """Monotonic time of a cell."""

    @property
    @abstractmethod
    def is_lockstep(self) -> bool:
        """True when time passes only inside `advance`."""

    @abstractmethod
    def now_s(self) -> float:
        """Seconds since an arbitrary, fixed origin; never goes backwards."""

    @abstractmethod
    def advance(self, period_s: float) -> None:
        """Let `period_s` pass: sleep to the next tick, or simulate exactly that long."""

    def wake(self) -> None:  # noqa: B027 (a lock-step clock never sleeps)
        """End the sleep that `advance` is in, from another thread; a clock that does not sleep has nothing to do."""


class RealClock(Clock):
    """Real time, in absolute ticks, so that late ticks never accumulate to a drift.

    Args:
        now_s: tells the time, monotonic.
        sleep: waits for that many seconds; the default wait can be ended by `wake`.
    """

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] | None = None
    ) -> None:
        self._now_s = now_s
        self._woken = threading.Condition()
        self._sleep = sleep or self._wait
        self._tick_s = now_s()

    @property
    def is_lockstep(self) -> bool:
        """False: this time passes by itself."""
        return False

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._now_s()

    def advance(self, period_s: float) -> None:
        """Sleep until one period after the previous tick.

        A caller that comes more than one period late starts a new row of ticks at once, instead of catching up in a
        burst of commands.
        """
        now_s = self._now_s()
        tick_s = self._tick_s + period_s
        if not now_s - period_s < tick_s <= now_s + period_s:
            tick_s = now_s + period_s
        self._tick_s = tick_s
        if tick_s > now_s:
            self._sleep(tick_s - now_s)

    def wake(self) -> None:
        """End the sleep that `advance` is in, from another thread."""
        with self._woken:
            self._woken.notify_all()

    def _wait(self, duration_s: float) -> None:
        with self._woken:
            self._woken.wait(duration_s)
