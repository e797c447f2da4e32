"""`brought_to_rest`: however a command that moves an arm ends, the arm is measured standing, or a person is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from robotkit.devices import BaseRobotServer
from robotkit.devices.recent_places import RecentPlaces
from robotkit.devices.words import said_of
from robotkit.errors import CommandRejected, ControlHeld, MotionFailed, RobotStopped
from robotkit.remote.devices import RemoteRobot
from robotkit.schema.robot import MOVES_ON
from robotkit.workcell import Workcell

_HOLD_S, _REMOTE_HOLD_S = 0.2, 1.0
"""How long a hold may take before the arm is stopped; behind a server, whose own bound is the first, on the way too."""
_STOP_S = 6.0
"""How long a stop may take to be taken; a client tells one to its server for 5 s."""
_REST_TIMEOUT_S, _MEASUREMENT_TIMEOUT_S = 2.0, 1.0
_POLL_PERIOD_S = 0.02
_STILL_RAD = 0.002
"""An arm at rest is measured within this much at every joint for a tenth of a second."""


@contextmanager
def brought_to_rest(cell: Workcell) -> Iterator[None]:
    """When what is inside fails or is interrupted, leave the arm at rest; what was refused has moved nothing.

    Raises:
        MotionFailed: the arm could neither be held nor stopped, or is not measured standing.
    """
    try:
        yield
    except CommandRejected:
        raise
    except BaseException as error:
        try:
            is_at_rest = _bring_to_rest(cell)
        except BaseException as trouble:  # a plugin's own errors too, and an operator who waits no longer
            raise MotionFailed(f"STOP NOT CONFIRMED - USE THE HARDWARE STOP: {said_of(trouble)}") from error
        if is_at_rest and isinstance(error, KeyboardInterrupt):
            print("Interrupted: the arm is at rest.", flush=True)  # noqa: T201
        raise


def _bring_to_rest(cell: Workcell) -> bool:
    """Bring the arm to rest; False for an arm that another client commands, which is left to it."""
    robot, is_bounded = cell.robot, not cell.clock.is_lockstep
    hold_s = _REMOTE_HOLD_S if isinstance(robot, RemoteRobot) else _HOLD_S
    try:
        _do_within(hold_s if is_bounded else None, robot.hold, "the hold")
    except ControlHeld:
        return False
    except RobotStopped:
        pass
    except BaseException:  # whatever it was, the arm may not hold
        _do_within(_STOP_S if is_bounded else None, robot.stop, "the stop")
    if is_bounded:  # in lock-step no time passes any more
        _do_within(_REST_TIMEOUT_S + _MEASUREMENT_TIMEOUT_S, lambda: _wait_for_rest(robot), "the measurement")
    return True


def _do_within(limit_s: float | None, call: Callable[[], object], name: str) -> None:
    """Call, and raise what it raises; a call that hangs is left behind.

    Raises:
        MotionFailed: it has not returned after `limit_s`.
    """
    if limit_s is None:
        call()
        return
    errors: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="robotkit-rest", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process may have no more threads
        call()
        return
    thread.join(limit_s)
    if thread.is_alive():
        raise MotionFailed(f"{name} has not returned within {limit_s:g} s")
    if errors:
        raise errors[0]


def _wait_for_rest(robot: BaseRobotServer) -> None:
    end_s, places = time.monotonic() + _REST_TIMEOUT_S, RecentPlaces(oldest_s=_REST_TIMEOUT_S)
    while True:
        state = robot.get_state()
        places.add(state.stamp_s, state.joint_positions_rad)
        way = places.newest_way()
        if way is not None and way.largest_rad <= _STILL_RAD and not (state.is_halt_owed or state.moves_on):
            return
        if time.monotonic() > end_s:
            found = (
                "the arm was measured for less than 0.1 s"
                if way is None
                else (
                    f"a joint turned {way.largest_rad:.3f} rad within {way.span_s:.2f} s (allowed: {_STILL_RAD:g} rad)"
                )
            )
            owed = ", and its device has not taken the stop" if state.is_halt_owed else ""
            moves = f", and {MOVES_ON}" if state.moves_on else ""
            raise MotionFailed(f"{found}{owed}{moves}")
        time.sleep(_POLL_PERIOD_S)
