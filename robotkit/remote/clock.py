"""`RemoteClock`: the time of a cell in another process."""

from __future__ import annotations

import time

from robotkit.clock import Clock, RealClock
from robotkit.remote.session import Session
from robotkit.schema.wire import ClockAdvanceRequest, ClockState


class RemoteClock(Clock):
    """The clock of a remote cell: in lock-step it asks the server to simulate.

    In real time it is this machine's clock with the server's origin.

    A control loop should rather call `Workcell.step`, which waits on the server's own absolute ticks in the same round
    trip that carries the command.
    """

    def __init__(self, session: Session, is_lockstep: bool) -> None:
        self._session = session
        self._is_lockstep = is_lockstep
        self._local = RealClock()
        self._origin_s: float | None = None

    @property
    def is_lockstep(self) -> bool:
        """True when the server's time passes only on request."""
        return self._is_lockstep

    def now_s(self) -> float:
        """Seconds on the server's clock; in real time off by at most half a round trip."""
        if self._is_lockstep:
            return self._session.read("/v1/clock", ClockState).now_s
        if self._origin_s is None:
            self._origin_s = self._measure_origin_s()
        return time.monotonic() + self._origin_s

    def advance(self, period_s: float) -> None:
        """Let `period_s` pass."""
        if self._is_lockstep:
            self._session.ask("/v1/clock/advance", ClockAdvanceRequest.unchecked(period_s=period_s), ClockState)
        else:
            self._local.advance(period_s)

    def _measure_origin_s(self) -> float:
        asked_s = time.monotonic()
        server_s = self._session.read("/v1/clock", ClockState).now_s
        return server_s - 0.5 * (asked_s + time.monotonic())
