"""Laws of the state machine around an arm that latches nothing: what reaches it, in which order, and what does not."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from tests.support.plain_motion import Motion
from tests.support.recording_arm import Broken, InThread, PlainArm, fail_with, joint_command
from tests.support.waiting import wait_until

ERRORS = [rk.DeviceFault("the device has failed"), Broken("a fault of the driver")]


@pytest.fixture
def arm():
    arm = AdaptedRobot(PlainArm())
    arm.connect()
    arm.inner.calls.clear()
    return arm


def test_every_call_reaches_the_arm_once(arm):
    law = rk.ComplianceParams()
    for call in (
        lambda: arm.send(joint_command(arm)),
        arm.hold,
        lambda: arm.set_compliance(law),
        arm.forget_target,
        lambda: arm.move_to_joint_positions(arm.inner.joints_rad),
        arm.stop,
        arm.recover,
        arm.disconnect,
    ):
        call()
    assert arm.inner.calls == [
        "send", "hold", "set_compliance", "hold", "forget_target", "move", "hold", "stop", "recover", "disconnect",
    ]  # fmt: skip
    arm.connect()
    assert arm.inner.calls[-1] == "connect"


def test_a_world_that_was_reset_begins_an_epoch_and_ends_what_was_followed(arm):
    arm.send(joint_command(arm))
    epoch = arm.target_epoch
    arm.forget_target()
    assert arm.target_epoch > epoch
    assert arm.machine.mode == "holding"


def test_m4_a_plain_arm_that_does_not_recover_stays_stopped(arm):
    arm.stop()
    arm.inner.on["recover"] = fail_with(rk.DeviceFault("the fault persists"))
    with pytest.raises(rk.DeviceFault):
        arm.recover()
    for call in (lambda: arm.send(joint_command(arm)), arm.reset):
        with pytest.raises(rk.RobotStopped):
            call()
    assert arm.inner.calls == ["stop", "recover"]


def test_m4_the_latch_of_a_plain_arm_is_released_after_it_has_recovered(arm):
    seen = []
    arm.stop()
    arm.inner.on["recover"] = lambda: seen.append(arm.machine.mode)
    arm.recover()
    assert seen == ["stopped"]


@pytest.mark.parametrize("error", ERRORS, ids=["typed", "raw"])
def test_m5_a_plain_arm_that_does_not_take_the_stop_gets_no_command_afterwards(arm, error):
    arm.inner.on["stop"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.stop()
    with pytest.raises(rk.RobotStopped):
        arm.send(joint_command(arm))
    assert set(arm.inner.calls) == {"stop"}
    arm.inner.on.clear()


def test_m6_a_stop_comes_after_a_send_that_was_under_way_and_nothing_after_it(arm):
    inside, go_on = threading.Event(), threading.Event()
    arm.inner.on["send"] = lambda: (inside.set(), go_on.wait(20.0))
    sender = InThread(lambda: arm.send(joint_command(arm)))
    assert inside.wait(20.0)
    stopper = InThread(arm.stop)
    wait_until(lambda: arm.machine.stop is not None)
    second = InThread(lambda: arm.send(joint_command(arm)))
    go_on.set()
    assert sender.join() is None
    stopper.join()
    assert isinstance(second.join(), rk.RobotStopped)
    assert arm.inner.calls.count("send") == 1
    assert arm.inner.calls[-1] == "stop"


def test_m7_after_a_stop_no_hold_reaches_a_plain_arm(arm):
    arm.stop()
    arm.hold()
    assert arm.inner.calls == ["stop"]


def test_a_fault_of_a_plain_arm_is_latched_and_cleared(arm):
    arm.inner.mode = "fault"
    assert arm.get_state().faults == ("torn",)
    arm.inner.mode = "holding"
    assert arm.get_state().faults == ("torn",), "until somebody recovers"
    with pytest.raises(rk.DeviceFault, match="torn"):
        arm.send(joint_command(arm))
    arm.recover()
    assert arm.get_state().mode == "holding"
    assert "stop" not in arm.inner.calls


def test_an_arm_that_was_stopped_at_its_own_panel_is_in_a_fault(arm):
    arm.inner.mode = "stopped"
    assert arm.get_state().faults == ("stopped_at_the_device",)
    arm.inner.mode = "holding"
    arm.recover()
    arm.stop()
    arm.inner.mode = "stopped"
    assert arm.get_state().mode == "stopped", "that is our own stop"


def test_a_fault_that_was_measured_before_the_recovery_is_not_latched_after_it(arm):
    arm.inner.mode = "fault"
    arm.get_state()
    measure = arm.inner.get_state

    def measure_and_recover() -> rk.RobotState:
        state = measure()
        arm.inner.get_state, arm.inner.mode = measure, "holding"
        InThread(arm.recover).join()
        return state

    arm.inner.get_state = measure_and_recover
    arm.get_state()
    assert arm.machine.mode == "holding"


def test_an_arm_that_is_in_a_fault_is_connected_and_waits_for_a_recovery():
    inner = PlainArm()
    inner.mode = "fault"
    arm = AdaptedRobot(inner)
    arm.connect()
    assert arm.machine.mode == "fault"
    inner.on["get_state"] = fail_with(rk.StaleState("nothing yet"))
    silent = AdaptedRobot(inner)
    silent.connect()
    assert silent.machine.mode == "fault"
    with pytest.raises(rk.StaleState, match="nothing yet"):
        silent.send(joint_command(silent))


@pytest.mark.parametrize("error", [rk.ConnectionFailed("lost"), Broken("a fault of the driver")])
def test_an_arm_that_is_lost_while_it_is_connected_is_not_left_open(error):
    inner = PlainArm()
    inner.on["get_state"] = fail_with(error)
    arm = AdaptedRobot(inner)
    with pytest.raises(type(error)):
        arm.connect()
    assert inner.calls == ["connect", "disconnect"]
    assert not arm.is_connected


def test_a_travelling_plain_arm_is_stopped_before_it_is_disconnected(arm, monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts.CLOSING_S", 0.0)
    motion = Motion(arm)
    arm.disconnect()
    assert arm.inner.calls == ["move", "stop", "disconnect"]
    assert isinstance(motion.end(), rk.MotionFailed)


def test_a_stop_that_outlives_its_connection_reaches_no_arm_that_is_closed(arm):
    motion = Motion(arm, ends_with_a_stop=True)
    arm.stop()
    arm.disconnect()
    motion.caller.join()
    assert arm.inner.calls[-1] == "disconnect"


@pytest.mark.parametrize("by", ["check", "send"])
def test_what_the_arm_itself_refuses_is_refused_by_check_and_by_send(arm, by):
    arm.inner.on["check"] = fail_with(rk.InvalidCommand("not there"))
    with pytest.raises(rk.InvalidCommand, match="not there"):
        getattr(arm, by)(joint_command(arm))
    assert arm.inner.calls == []
    assert arm.machine.mode == "holding"


@pytest.mark.parametrize(("end", "error"), [("stop", rk.RobotStopped), ("disconnect", rk.NotConnected)])
def test_an_arm_that_takes_no_command_now_is_not_asked_about_one(arm, end, error):
    asked = []
    arm.inner.on["check"] = lambda: asked.append(True)
    getattr(arm, end)()
    for call in (arm.check, arm.send):
        with pytest.raises(error):
            call(joint_command(arm))
    assert asked == []


def test_a_law_that_the_arm_tells_is_told_whatever_was_set(arm, monkeypatch):
    assert arm.compliance is None
    own = rk.ComplianceParams(translational_stiffness_n_m=500.0)
    monkeypatch.setattr(PlainArm, "compliance", property(lambda self: own))
    assert arm.compliance is own
    arm.set_compliance(rk.ComplianceParams())
    assert arm.compliance is own, "the arm says that it has not taken it"


def test_a_state_comes_with_everything_that_the_arm_measures(arm):
    state, measured = arm.get_state(), arm.inner.body._measure()
    for name in measured._fields:
        np.testing.assert_array_equal(getattr(state, name), getattr(measured, name))


def test_a_joint_motion_of_a_plain_arm_that_was_ended_begins_no_more(arm):
    """The stop comes when the motion has its right to move, and the arm has not been told of it."""
    begin = arm.machine.begin_travel

    def begin_and_stop(rate_max_hz):
        travel = begin(rate_max_hz)
        arm.stop()
        return travel

    arm.machine.begin_travel = begin_and_stop
    with pytest.raises(rk.MotionFailed):
        arm.reset()
    assert "move" not in arm.inner.calls
    arm.recover()
    assert arm.inner.calls[-1] == "recover", "nothing is waited for"


def test_a_fault_that_is_read_again_and_again_stops_a_joint_motion_once(arm):
    motion = Motion(arm)
    arm.get_state()
    arm.inner.on["get_state"] = fail_with(rk.StaleState("no packets"))
    with arm._halts.paused():
        for _ in range(5):
            assert arm.get_state().mode == "fault"
        assert arm.inner.calls == ["move", "stop"]
    motion.end()


@pytest.mark.parametrize("error", [*ERRORS, SystemExit(3)], ids=lambda error: type(error).__name__)
def test_whatever_a_plain_arm_raises_it_is_told_to_stop_until_its_joint_motion_returns(arm, error):
    motion = Motion(arm)
    arm.inner.on["stop"] = arm.inner.on["get_state"] = fail_with(error)
    with suppress(type(error)):
        arm.stop()
    wait_until(lambda: arm.inner.calls.count("stop") >= 4)
    motion.end()
