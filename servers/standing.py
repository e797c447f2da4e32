"""`make_stand`: holds an arm whose client no longer has control or is gone, and stops it when it does not hold."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext

from robotkit.devices import BaseRobotServer
from robotkit.devices.words import said
from robotkit.safety import SafeRobot
from robotkit.workcell import Workcell

HOLDS = "the arm holds"
HOLD_S = 0.2
"""How long a hold may take on a clock that runs by itself; then the arm is stopped, which no call that hangs delays."""
_STOP_S = 1.0
"""How long the driver may take to stop; that the arm is stopped is latched at once."""
_AUTHOR = "robotkit-serve"
_log = logging.getLogger(__name__)


def make_stand(cell: Workcell, why: str) -> str:
    """Hold where the arm is measured, or stop it: what does not hold may still follow the target of a client.

    Args:
        cell: whose arm.
        why: it has to hold; the cause of a stop says it.

    Returns:
        What has become of the arm, in words: `HOLDS`, or what is true instead.
    """
    robot = cell.robot
    has_given_up = threading.Event()

    def hold() -> None:
        with robot.machine.lock if isinstance(robot, SafeRobot) else nullcontext():
            # Else it would also stop the motion of whoever has recovered the arm since.
            if not has_given_up.is_set():
                robot.hold()

    trouble = _trouble_within(None if cell.clock.is_lockstep else HOLD_S, hold)
    has_given_up.set()
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


def _trouble_within(limit_s: float | None, call: Callable[[], object]) -> str | None:
    """Why `call` has not succeeded after `limit_s`; None when it has. One that hangs is left behind."""
    troubles: list[str | None] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:  # whatever it is, the arm may not stand
            troubles.append(said(error))
        else:
            troubles.append(None)

    if limit_s is None:
        work()
        return troubles[0]
    thread = threading.Thread(target=work, name="robotkit-stand", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process may have no more threads
        work()
    else:
        thread.join(limit_s)
    return troubles[0] if troubles else f"its driver has been busy for {limit_s:g} s"
