"""`Watchdog`: holds or stops an arm whose client sends no command, or whose driver's measurement does not return."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from robotkit.clock import Clock
from robotkit.devices import StatefulRobotServer
from robotkit.devices.words import said
from robotkit.safety.events import EventKind

WATCHDOG = "watchdog"
_HOLD_S = 0.2
"""How long a hold may take; then the arm is stopped, which waits for no call that hangs."""


class Watchdog:
    """Looks at the time alone, and calls the arm in other threads: a driver that hangs keeps it from nothing.

    Args:
        arm: told to hold.
        clock: of the cell.
        silence_s: the arm holds when no command has come for so long; None never.
        measuring_s: the arm is stopped when a measurement has not returned for so long; None never.
        stop: told a cause and `WATCHDOG`.
        tell: told of a hold.
    """

    def __init__(
        self,
        arm: StatefulRobotServer,
        clock: Clock,
        silence_s: float | None,
        measuring_s: float | None,
        stop: Callable[[str, str], None],
        tell: Callable[[EventKind, str, str], None],
    ) -> None:
        self._arm, self._machine, self._clock = arm, arm.machine, clock
        self.silence_s = silence_s
        self._measuring_s = measuring_s
        self._stop, self._tell = stop, tell
        self._due_s: float | None = None
        self._taken_s, self._silent_s = -math.inf, math.inf  # monotonic: the last command, and when it was missed
        self._attempt: _Attempt | None = None
        self._asked: _Question | None = None
        self._overdue: _Question | None = None

    def commanding(self, now_s: float) -> None:
        """An arm that may stand is about to be given a command: it may follow it before its driver has answered."""
        if self._machine.activity != "tracking":
            self._count_from(now_s)

    def commanded(self, now_s: float) -> None:
        """A command that was begun at `now_s` is accepted."""
        self._taken_s = time.monotonic()
        self._count_from(now_s)

    def _count_from(self, now_s: float) -> None:
        if self.silence_s is not None:
            self._due_s = now_s + self.silence_s

    def measured(self, measure: Callable[[], object]) -> None:
        """Call `measure`; it is missed when it does not return, unless that of a later connection has been called."""
        asked = self._asked = _Question(self._clock.now_s())
        try:
            measure()
        finally:
            if self._asked is asked:
                self._asked = None

    def look(self) -> None:
        """Do one round of the watch."""
        self._arm.repeat_owed_halt()
        if self._machine.is_connected and self._machine.stop is None:
            self._miss_a_measurement()
            self._miss_a_client()

    def _miss_a_measurement(self) -> None:
        asked, allowed_s = self._asked, self._measuring_s
        if asked is None or allowed_s is None or self._machine.mode == "fault":
            return
        waiting_s = self._clock.now_s() - asked.since_s
        if waiting_s <= allowed_s:
            return
        was_overdue, self._overdue = self._overdue is asked, asked
        if was_overdue:  # in two rounds, else the whole process was suspended
            self._stop(f"the arm was asked for a measurement {waiting_s:.3f} s ago and has not answered", WATCHDOG)

    def _miss_a_client(self) -> None:
        if self._due_s is None and self._machine.mode == "tracking":  # a hold failed of an arm that was sent nothing
            self._count_from(self._clock.now_s())
        if not self._is_silent():
            self._silent_s = math.inf
            return
        self._silent_s, taken_s = min(self._silent_s, time.monotonic()), self._taken_s
        attempt = self._attempt
        if attempt is None or attempt.is_over.is_set():
            attempt = self._attempt = self._begun_hold()
        attempt.is_over.wait(max(self._silent_s, taken_s) + _HOLD_S - time.monotonic())
        if attempt.has_held or (self._taken_s != taken_s and not attempt.is_over.is_set()):
            return  # a command that was accepted meanwhile is no silence, although it kept the hold waiting
        self._attempt = None
        self._stop(f"the arm did not hold when its client fell silent: {attempt.trouble}", WATCHDOG)

    def _begun_hold(self) -> _Attempt:
        attempt = _Attempt()
        try:
            threading.Thread(target=self._hold, args=(attempt,), name="robotkit-hold", daemon=True).start()
        except RuntimeError as error:  # the process may have no more threads
            attempt.trouble = said(error)
            attempt.is_over.set()
        return attempt

    def _is_silent(self) -> bool:
        return self._due_s is not None and self._clock.now_s() >= self._due_s and self._machine.mode == "tracking"

    def _hold(self, attempt: _Attempt) -> None:
        try:
            with self._machine.lock:
                is_silent = self._is_silent()
                if is_silent:  # else a command was under way
                    self._arm.hold()
                attempt.has_held = True
        except BaseException as error:  # whatever it is, the arm does not stand
            attempt.trouble, is_silent = said(error), False
        attempt.is_over.set()
        if is_silent:
            self._tell("hold", f"no command came for {self.silence_s} s", WATCHDOG)


class _Question:
    """One measurement that was asked for."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s


class _Attempt:
    """An attempt to hold, and what has become of it."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.has_held = False
        self.trouble = f"its driver has been busy for {_HOLD_S:g} s"
