"""A stop from a signal handler sticks at any line of the call that it interrupts, and returns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytest

import robotkit as rk
from tests.faults.arms import ARMS, Arm

_STUCK_S = 20.0
_SOURCES = ("/robotkit/", "threading.py")

CALLS: dict[str, Callable[[Arm, np.ndarray], object]] = {
    "stop": lambda arm, home: arm.robot.stop(),
    "recover": lambda arm, home: arm.robot.recover(),
    "get_state": lambda arm, home: arm.robot.get_state(),
    "send": lambda arm, home: arm.robot.send(rk.JointCommand(joint_positions_rad=home + 0.01)),
    "move": lambda arm, home: arm.robot.move_to_joint_positions(home + 0.03),
    "hold": lambda arm, home: arm.robot.hold(),
    "compliance": lambda arm, home: arm.robot.set_compliance(rk.ComplianceParams()),
}


class Interruption:
    """Calls `handler` in the present thread, once, before the `line`-th line of robotkit's own code."""

    def __init__(self, line: int, handler: Callable[[], object]) -> None:
        self.has_come = False
        self._left = line
        self._handler = handler

    def trace(self, frame: FrameType, event: str, _: object) -> Callable | None:
        if not any(source in frame.f_code.co_filename for source in _SOURCES):
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                self.has_come = True
                self._handler()
                return None
        return self.trace


def _interrupted(call: Callable[[], object], interruption: Interruption) -> BaseException | None:
    errors: list[BaseException] = []

    def run() -> None:
        sys.settrace(interruption.trace)
        try:
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_STUCK_S)
    assert not thread.is_alive(), "the stop waits for the thread that it has interrupted"
    return errors[0] if errors else None


def _cleared_by(arm: Arm) -> list[int]:
    """The number of stops that the recovery has seen, and may clear."""
    seen: list[int] = []
    original = arm.robot.machine.require_no_stop_since

    def require(stops_seen: int) -> None:
        seen.append(stops_seen)
        original(stops_seen)

    arm.robot.machine.require_no_stop_since = require
    return seen


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("body", ARMS)
def test_a2_a_stop_from_a_signal_handler_sticks_at_any_line(body, name):
    line = 0
    while True:
        line += 1
        arm = ARMS[body]()
        machine, home = arm.robot.machine, arm.robot.spec.reset_joint_positions_rad
        if name == "recover":
            arm.robot.stop_for("the first", "somebody else")
        seen = _cleared_by(arm)
        stop = Interruption(line, lambda arm=arm: arm.robot.stop_for("Ctrl+C", "a signal handler"))
        error = _interrupted(lambda arm=arm, home=home: CALLS[name](arm, home), stop)
        assert error is None or isinstance(error, rk.RobotkitError)
        if not stop.has_come:
            break
        if machine.stop is None:
            assert (name, error) == ("recover", None)
            assert seen[0] == 2, "only a recovery that began after the stop may clear it"
        else:
            assert arm.robot.get_state().mode == "stopped"
        before = arm.joints
        arm.pass_time()
        np.testing.assert_allclose(arm.joints, before, atol=1e-9)
    assert line > 10, "there were lines to interrupt"
