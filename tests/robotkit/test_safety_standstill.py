"""Laws of an arm that was halted and moves all the same: by its places, whatever it says of its speed and its mode."""

from __future__ import annotations

import numpy as np
import pytest

from robotkit.devices import AdaptedRobot
from robotkit.safety import make_safe
from robotkit.safety import standstill as standstill_module
from robotkit.safety.standstill import Standstill
from robotkit.schema import RobotState, SafetyLimits
from tests.support.recording_arm import PlainArm, RecordingArm
from tests.support.waiting import wait_until
from tests.support.watched_arm import NO_KINEMATICS, moved, pose_command, watched

_DOWN = {
    "stop": lambda arm: arm.stop(),
    "fault": lambda arm: arm.inner._latch(arm.machine.fault_of(("torn",))),
}
_WAYS = {
    "joint": lambda body, count: setattr(
        body, "joints_rad", body.spec.reset_joint_positions_rad + np.eye(len(body.joints_rad))[3] * 0.021 * count
    ),
    "tool": lambda body, count: setattr(body, "_measure", moved(body, 0.0051 * count)),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("by", _DOWN)
def test_a2_an_arm_that_was_halted_and_moves_is_told_again_and_its_halt_is_owed(by, way):
    assert (standstill_module._BRAKING_S, standstill_module._MOVED_M, standstill_module._MOVED_RAD) == (
        0.5,
        0.005,
        0.02,
    ), "as docs/safety.md says"
    arm, body, clock = watched(NO_KINEMATICS)
    arm.send(pose_command())
    _DOWN[by](arm)
    for count in range(1, 9):  # it brakes
        _WAYS[way](body, count)
        assert not arm.get_state().is_halt_owed
        clock.advance(0.05)
    for _ in range(3):
        clock.advance(0.1)
        assert not arm.get_state().is_halt_owed
    told = body.calls.count("halt")
    _WAYS[way](body, 9)
    clock.advance(0.01)
    arm.get_state()
    assert arm.get_state().is_halt_owed
    wait_until(lambda: body.calls.count("halt") >= told + 2)
    clock.advance(0.49)
    assert arm.get_state().is_halt_owed
    clock.advance(0.02)
    arm.get_state()
    assert not arm.get_state().is_halt_owed, "it stands"
    wait_until(lambda: not body._halts._has_thread)
    told = body.calls.count("halt")
    arm.recover()
    assert arm.get_state().mode == "holding"
    assert body.calls.count("halt") == told


def test_a2_a_plain_arm_that_says_stopped_and_moves_is_told_again():
    inner = PlainArm()
    arm = make_safe(AdaptedRobot(inner), SafetyLimits(), inner.context.clock)
    arm.connect()
    arm.stop()
    inner.mode = "stopped"
    for _ in range(3):
        arm.get_state()
        inner.body.clock.advance(0.3)
    inner.body.joints_rad = inner.body.joints_rad + 0.03
    arm.get_state()
    assert arm.get_state().is_halt_owed
    wait_until(lambda: inner.calls.count("stop") >= 3)
    arm.disconnect()


def _state(stamp_s: float, turn_rad: float = 0.0, epoch: int = 1, mode: str = "stopped") -> RobotState:
    measured = RecordingArm()._measure()._asdict()
    measured.update(stamp_s=stamp_s, joint_positions_rad=measured["joint_positions_rad"] + turn_rad)
    return RobotState.unchecked(**measured, mode=mode, target_epoch=epoch)


@pytest.mark.parametrize(
    "states",
    [
        [_state(0.1 * i, 0.0199 * (i % 2)) for i in range(30)],
        [_state(0.1 * i, 0.5 * (i < 5)) for i in range(30)],
        [_state(0.1 * i, 0.3 * i, epoch=i) for i in range(30)],
        [_state(0.1 * i, 0.3 * i, mode="holding") for i in range(30)],
        [_state(0.0, 0.3 * i) for i in range(30)],
        [_state(1.0 - 0.01 * i, 0.3 * i) for i in range(30)],
        [_state(0.1 * i, np.nan) for i in range(30)],
    ],
    ids=["noise", "brakes", "resets of the world", "commanded", "one measurement", "out of order", "no number"],
)
def test_an_arm_that_stands_or_may_move_owes_nothing(states):
    standstill = Standstill()
    assert not any(standstill.is_left_by(state) for state in states)
