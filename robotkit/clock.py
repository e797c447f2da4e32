"""The passing of time: the one seam between 10 Hz on a robot and thousands of steps a second in simulation."""

from __future__ import annotations

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


class RealClock(Clock):
    """The wall's time, on absolute ticks: lateness never adds up to drift.

    Args:
        now_s: tells the time, monotonic.
        sleep: waits for that many seconds.
    """

    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now_s = now_s
        self._sleep = sleep
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
