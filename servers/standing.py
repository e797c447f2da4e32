"""`make_stand`: holds an arm whose client no longer has control or is gone, and stops it when it does not hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from robotkit.aside import aside_logger
from robotkit.devices import BaseRobotServer
from robotkit.devices.words import said
from robotkit.safety import SafeRobot
from robotkit.workcell import Workcell

HOLDS = "the arm holds"
HOLD_S = 0.2
"""How long a hold may take on a clock that runs by itself; then the arm is stopped, which no call that hangs delays."""
LOCK_S = 1.0
"""How long another call may keep an arm that is at rest from being looked at; one that moves, as long as a hold."""
_STOP_S = 1.0
"""How long the driver may take to stop; that the arm is stopped is latched at once."""
_AUTHOR = "robotkit-serve"
_log = aside_logger(__name__)


class _Attempt:
    """A hold in a thread of its own; whoever has an arm stand meanwhile waits for the same."""

    def __init__(self, unless_at_rest: bool) -> None:
        self.unless_at_rest = unless_at_rest
        self.has_begun, self.is_over = threading.Event(), threading.Event()
        self.has_given_up = False
        self._trouble: str | None = None

    def run(self, robot: BaseRobotServer) -> None:
        """Hold; where that is enough, an arm at rest is told nothing."""
        if isinstance(robot, SafeRobot):
            with robot.machine.lock:
                self._hold(robot)
        else:
            self._hold(robot)

    def _hold(self, robot: BaseRobotServer) -> None:
        self.has_begun.set()
        try:
            # Else it would also stop the motion of whoever has recovered the arm since.
            if not self.has_given_up and not (self.unless_at_rest and _is_at_rest(robot)):
                robot.hold()
        except BaseException as error:  # whatever it is, the arm may not stand
            self._trouble = said(error)
        self.is_over.set()  # before the lock is free: what moves the arm afterwards is not what this one has held

    def does_for(self, later: _Attempt) -> bool:
        """Whether who would make a later attempt may wait for this one."""
        return not self.has_given_up and (later.unless_at_rest or not self.unless_at_rest)

    def trouble_within(self, begin_s: float, end_s: float) -> str | None:
        """Why it has not succeeded, when it has `begin_s` to begin and then `end_s` to end; None when it has."""
        for event, limit_s in ((self.has_begun, begin_s), (self.is_over, end_s)):
            if not event.wait(limit_s):
                self.has_given_up = True
                return _busy(limit_s)
        return self._trouble


_attempts: WeakKeyDictionary[BaseRobotServer, _Attempt] = WeakKeyDictionary()
_choosing = threading.Lock()


def make_stand(cell: Workcell, why: str, *, unless_at_rest: bool = False) -> str:
    """Hold where the arm is measured, or stop it: what does not hold may still follow the target of a client.

    Args:
        cell: whose arm.
        why: it has to hold; the cause of a stop says it.
        unless_at_rest: no command is under way: an arm that has followed no target since it held last is told nothing.

    Returns:
        What has become of the arm, in words: `HOLDS`, or what is true instead.
    """
    robot = cell.robot
    if (stands_as := _stands_as(robot)) is not None:
        return stands_as
    trouble = _trouble_of_hold(robot, unless_at_rest, cell.clock.is_lockstep)
    stands_as = _stands_as(robot)
    if trouble is None or stands_as is not None:
        return stands_as or HOLDS
    words = f"the arm did not hold: {trouble}"
    _log.warning("%s; it is stopped (%s)", words, why)
    untaken = _trouble_within(_STOP_S, lambda: robot.stop_for(f"{words} ({why})", _AUTHOR))
    return f"{words}; it is stopped" + ("" if untaken is None else f", and its driver did not take that: {untaken}")


def _stands_as(robot: BaseRobotServer) -> str | None:
    """Why an arm needs no hold, where that is known without asking it."""
    if not isinstance(robot, SafeRobot):
        return None
    if not robot.is_connected:
        return "the arm is not connected"
    return {"stopped": "the arm is stopped", "fault": "the arm is in a fault"}.get(robot.machine.mode)


def may_move(robot: BaseRobotServer) -> bool:
    """True when the arm follows a target, as far as is known without asking it."""
    return not isinstance(robot, SafeRobot) or robot.machine.mode in ("tracking", "travelling")


def _is_at_rest(robot: BaseRobotServer) -> bool:
    """True when the arm has followed no target since it was held last; certain with the machine's lock held."""
    return isinstance(robot, SafeRobot) and robot.machine.mode == "holding"


def _trouble_of_hold(robot: BaseRobotServer, unless_at_rest: bool, is_lockstep: bool) -> str | None:
    """Why a hold has not succeeded; of those outside lock-step one runs at a time, also of a driver that hangs."""
    attempt = _Attempt(unless_at_rest)
    if is_lockstep:
        attempt.run(robot)
        return attempt.trouble_within(0.0, 0.0)
    begin_s = LOCK_S if unless_at_rest and _is_at_rest(robot) else HOLD_S
    newest = _attempts.get(robot)
    if newest is not None and not newest.does_for(attempt) and not newest.is_over.wait(begin_s):
        return _busy(begin_s)
    with _choosing:
        newest = _attempts.get(robot)
        is_new = newest is None or newest.is_over.is_set()
        if newest is not None and not is_new:
            if not newest.does_for(attempt):
                return _busy(begin_s)
            attempt = newest
        _attempts[robot] = attempt
    if is_new:
        _start(lambda: attempt.run(robot))
    return attempt.trouble_within(begin_s, HOLD_S)


def _trouble_within(limit_s: float, call: Callable[[], object]) -> str | None:
    """Why `call` has not succeeded after `limit_s`; None when it has. One that hangs is left behind."""
    troubles: list[str | None] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:  # whatever it is, the arm may not stand
            troubles.append(said(error))
        else:
            troubles.append(None)

    thread = _start(work)
    if thread is not None:
        thread.join(limit_s)
    return troubles[0] if troubles else _busy(limit_s)


def _start(work: Callable[[], object]) -> threading.Thread | None:
    """Start `work` in a thread; do it in this one, and return None, when the process may have no more threads."""
    thread = threading.Thread(target=work, name="robotkit-stand", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        work()
        return None
    return thread


def _busy(for_s: float) -> str:
    return f"its driver has been busy for {for_s:g} s"
