"""Laws of holding a plain arm: it is held where it was measured just now, or not at all, and then it is stopped."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from robotkit.safety import make_safe
from tests.support.recording_arm import PlainArm, fail_with, joint_command
from tests.support.safe_arm import FreeClock
from tests.support.watched_arm import pose_command


class Contract(PlainArm):
    """An arm whose hold is that of the contract, and which writes down its targets."""

    hold = rk.BaseRobotServer.hold

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[rk.RobotCommand] = []
        self.measured: dict[str, object] = {}

    def send(self, command: rk.RobotCommand) -> rk.RobotCommand:
        self.targets.append(command)
        return super().send(command)

    def get_state(self) -> rk.RobotState:
        return rk.RobotState.unchecked(**{**super().get_state().__dict__, **self.measured})


class Own(Contract):
    """An arm that brings a hold of its own."""

    def hold(self) -> None:
        self._note("hold")


def tracking(arm: Contract, state_max_age_s: float | None = None) -> AdaptedRobot:
    robot = AdaptedRobot(arm)
    robot.held_age_s = min(robot.held_age_s, state_max_age_s or np.inf)
    robot.connect()
    robot.send(joint_command(robot))
    arm.calls.clear()
    arm.targets.clear()
    return robot


NO_MEASUREMENTS: dict[str, tuple[dict[str, object], type[Exception]]] = {
    "no number": ({"tcp_pose_in_base": np.full(7, np.nan)}, rk.DeviceFault),
    "zeros": ({"tcp_pose_in_base": np.zeros(7)}, rk.DeviceFault),
    "joints": ({"joint_positions_rad": np.full(7, np.nan)}, rk.DeviceFault),
    "old": ({"stamp_s": -0.051}, rk.StaleState),
    "in the future": ({"stamp_s": 0.051}, rk.StaleState),
}


@pytest.mark.parametrize(("measured", "error"), NO_MEASUREMENTS.values(), ids=NO_MEASUREMENTS)
@pytest.mark.parametrize("arm", [Contract(), Own()], ids=["contract", "own"])
def test_b6_a_plain_arm_is_not_held_at_what_is_no_measurement(arm, measured, error):
    robot = tracking(arm)
    arm.measured = measured
    with pytest.raises(error):
        robot.hold()
    arm.measured = {}
    assert set(arm.calls) == {"stop"}, "held there, it would be thrown back"
    assert robot.machine.mode == "stopped"


def test_b6_a_plain_arm_that_cannot_be_held_where_it_is_measured_is_stopped_when_its_client_falls_silent():
    arm, clock = Contract(), FreeClock()
    robot = make_safe(arm, rk.SafetyLimits(watchdog_s=0.2), clock)
    robot._watch = None
    robot.connect()
    robot.send(pose_command())
    clock.advance(0.3)
    arm.measured = {"stamp_s": -1.0}
    robot._watchdog.look()
    assert arm.calls[:3] == ["connect", "send", "stop"]
    assert set(arm.calls[2:]) == {"stop"}
    assert "cannot be held where it was measured 1.000 s ago" in robot.machine.stop.cause


@pytest.mark.parametrize(("limit_s", "age_s"), [(None, 0.05), (0.02, 0.02), (0.5, 0.05)])
def test_it_is_held_where_it_was_measured_up_to_50_ms_ago_or_the_age_that_its_cell_allows(limit_s, age_s):
    arm = Contract()
    robot = tracking(arm, limit_s)
    arm.measured = {"stamp_s": -age_s}
    robot.hold()
    np.testing.assert_array_equal(arm.targets[-1].tcp_pose_in_base, arm.get_state().tcp_pose_in_base)
    arm.measured = {"stamp_s": -age_s - 0.02}
    with pytest.raises(rk.StaleState):
        robot.hold()


def test_an_arm_that_takes_no_poses_is_held_at_its_joints():
    arm = Contract()
    arm.spec = arm.spec.model_copy(update={"command_kinds": ("joint",)})
    robot = tracking(arm)
    robot.hold()
    np.testing.assert_array_equal(arm.targets[-1].joint_positions_rad, arm.joints_rad)


@pytest.mark.parametrize("end", ["stop", "fault"])
def test_no_hold_reaches_an_arm_that_stopped_while_it_was_measured_for_it(end):
    arm = Contract()
    robot = tracking(arm)

    def end_it() -> None:
        arm.on.clear()
        if end == "stop":
            robot.stop()
        else:
            arm.mode = "fault"

    arm.on["get_state"] = end_it
    robot.hold()
    assert "send" not in arm.calls
    assert arm.calls[-1] == "stop"
    assert robot.machine.mode == ("stopped" if end == "stop" else "fault")


def test_a_hold_that_does_not_reach_the_arm_leaves_it_tracking_and_the_stop_of_a_fault_follows():
    arm = Own()
    robot = tracking(arm)
    arm.on["hold"] = fail_with(rk.RemoteTimeout("no answer"))
    with pytest.raises(rk.RemoteTimeout):
        robot.hold()
    robot._latch(robot.machine.fault_of(("torn",)))
    assert arm.calls == ["hold", "stop"]


def test_an_arm_whose_states_come_at_10_hz_is_held_at_the_next_one():
    arm, clock = Contract(), FreeClock()
    object.__setattr__(arm.context, "clock", clock)
    robot = tracking(arm)
    arm.measured = {"stamp_s": -0.09}
    looks = iter([lambda: None, lambda: arm.measured.clear()])
    arm.on["get_state"] = lambda: next(looks)()
    robot.hold()
    assert robot.machine.mode == "holding"
    assert arm.targets[-1].kind == "pose"
