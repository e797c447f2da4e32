"""A stop from a signal handler sticks at any line of the call that it interrupts, and returns."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

import robotkit as rk
from tests.faults.arms import ARMS, Arm
from tests.support.interruption import Interruption, interrupted
from tests.support.recording_arm import RecordingArm, fail_with
from tests.support.waiting import wait_until

CALLS: dict[str, Callable[[Arm, np.ndarray], object]] = {
    "stop": lambda arm, home: arm.robot.stop(),
    "recover": lambda arm, home: arm.robot.recover(),
    "get_state": lambda arm, home: arm.robot.get_state(),
    "send": lambda arm, home: arm.robot.send(rk.JointCommand(joint_positions_rad=home + 0.01)),
    "move": lambda arm, home: arm.robot.move_to_joint_positions(home + 0.03),
    "hold": lambda arm, home: arm.robot.hold(),
    "compliance": lambda arm, home: arm.robot.set_compliance(rk.ComplianceParams()),
}


UNDER_WAY = {
    "another stop": lambda arm: arm.stop(),
    "the start of a thread": lambda arm: threading.Thread(target=lambda: None, daemon=True).start(),
}


@pytest.mark.parametrize("call", UNDER_WAY)
def test_a2_a_stop_from_a_signal_handler_that_the_device_does_not_take_returns_at_any_line(call):
    line = 0
    while True:
        line += 1
        arm = RecordingArm()
        arm.connect()
        arm.on["halt"] = fail_with(OSError("busy"))

        def stop_quietly(arm: RecordingArm = arm) -> None:
            with pytest.raises(OSError, match="busy"):
                arm.stop_for("Ctrl+C", "a signal handler")

        stop = Interruption(line, stop_quietly)
        error = interrupted(lambda arm=arm: UNDER_WAY[call](arm), stop)
        if call == "another stop":
            assert isinstance(error, OSError)
            assert arm._halts.is_owed
        else:
            assert error is None
        arm.on.clear()
        wait_until(lambda arm=arm: not arm._halts.is_owed)
        if not stop.has_come:
            break
    assert line > 10, "there were lines to interrupt"


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
        error = interrupted(lambda arm=arm, home=home: CALLS[name](arm, home), stop)
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
