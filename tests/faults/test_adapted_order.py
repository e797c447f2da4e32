"""Laws of the state machine around an arm that latches nothing: what reaches it, in which order, and what does not."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, StatefulRobotServer
from robotkit.devices import adapter as adapter_module
from robotkit.devices import halts as halts_module
from tests.support.recording_arm import Broken, InThread, PlainArm, fail_with, joint_command
from tests.support.waiting import wait_until

ERRORS = [rk.DeviceFault("the device has failed"), Broken("a fault of the driver")]


@pytest.fixture
def arm():
    arm = AdaptedRobot(PlainArm())
    arm.connect()
    arm.inner.calls.clear()
    return arm


class Motion:
    """A joint motion of the plain arm that returns when it is told to."""

    def __init__(self, arm: AdaptedRobot, *, ends_with_a_stop: bool = False) -> None:
        self.inside, self.go_on, self.arm = threading.Event(), threading.Event(), arm
        arm.inner.on["move"] = lambda: (self.inside.set(), self.go_on.wait(20.0))
        if ends_with_a_stop:
            arm.inner.on["stop"] = self.go_on.set
        self.caller = InThread(lambda: arm.move_to_joint_positions(arm.inner.joints_rad))
        assert self.inside.wait(20.0)

    def end(self) -> BaseException | None:
        self.go_on.set()
        return self.caller.join()


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


def test_a_plain_arm_is_told_to_stop_until_its_joint_motion_returns(arm):
    """It may have heard the first stop before it began to move."""
    motion = Motion(arm)
    arm.stop()
    wait_until(lambda: arm.inner.calls.count("stop") >= 4)
    assert isinstance(motion.end(), rk.MotionFailed)
    wait_until(lambda: not arm._halts._has_thread)
    arm.recover()
    count = arm.inner.calls.count("stop")
    arm.send(joint_command(arm))
    assert arm.inner.calls.count("stop") == count


def test_nobody_tells_the_arm_to_stop_while_a_recovery_decides(arm, monkeypatch):
    """The stop that is repeated belongs before the recovery."""
    monkeypatch.setattr(halts_module, "REPEAT_S", 0.001)
    motion = Motion(arm)
    arm.stop()
    wait_until(lambda: arm.inner.calls.count("stop") >= 3)
    with arm._halts.paused():
        count = arm.inner.calls.count("stop")
        threading.Event().wait(0.05)
        assert arm.inner.calls.count("stop") == count
    motion.end()


def test_an_arm_that_says_stopped_is_not_told_again(arm, monkeypatch):
    """By what somebody measured after the stop, and for as long as that is new."""
    motion = Motion(arm)
    arm.inner.on["stop"] = lambda: setattr(arm.inner, "mode", "stopped")
    now_s = time.monotonic()
    with arm._halts.paused():
        arm.stop()
        assert not arm._stands(), "nobody has measured since"
        with monkeypatch.context() as patch:
            patch.setattr(adapter_module.time, "monotonic", lambda: now_s)
            assert not arm.get_state().is_halt_owed
            assert arm._stands()
            arm.machine.note_stop(rk.StopRecord(cause="again", author="anna", since_s=0.0))
            assert not arm._stands(), "it said so before this stop"
            arm.get_state()
            patch.setattr(adapter_module.time, "monotonic", lambda: now_s + 0.051)
            assert not arm._stands(), "50 ms later"
            arm.get_state()
            assert arm._stands()
            arm.inner.mode = "holding"
            assert arm.get_state().is_halt_owed
    assert arm.inner.calls == ["move", "stop"]
    motion.end()


@pytest.mark.parametrize("measures", ["hangs", "fails"])
def test_p3_a_plain_arm_that_cannot_say_whether_it_is_stopped_is_told_again(arm, measures):
    """Also one that does not take a later halt, once: there is one thread that repeats, and it does not hang."""
    go_on = threading.Event()
    arm.get_state()
    motion = Motion(arm)
    arm.inner.on["get_state"] = {"hangs": lambda: go_on.wait(20.0), "fails": fail_with(rk.ConnectionFailed("lost"))}[
        measures
    ]
    arm.stop()
    wait_until(lambda: arm.inner.calls.count("stop") >= 4)
    assert arm.newest_state().is_halt_owed
    arm.inner.on["stop"] = lambda: (arm.inner.on.pop("stop"), fail_with(OSError("busy"))())
    with suppress(OSError):
        arm.stop()
    count = arm.inner.calls.count("stop")
    wait_until(lambda: arm.inner.calls.count("stop") >= count + 3)
    assert not go_on.is_set()
    motion.end()
    wait_until(lambda: not arm._halts._has_thread)
    assert not arm.newest_state().is_halt_owed, "the motion has returned"
    go_on.set()


def test_a_hold_of_a_travelling_plain_arm_stops_it(arm):
    motion = Motion(arm, ends_with_a_stop=True)
    arm.hold()
    assert isinstance(motion.caller.join(), rk.MotionFailed)
    assert "hold" not in arm.inner.calls
    assert arm.get_state().stop.author == "hold of a plain arm"


def test_a_joint_motion_that_begins_beside_a_hold_is_not_left_running(arm, monkeypatch):
    """The hold has been called, and has to wait: when it goes on, the arm travels."""
    arm.machine.lock.acquire()
    waits = threading.Event()
    notice = StatefulRobotServer._notice_fault

    def notice_and_tell(self):
        waits.set()
        notice(self)

    monkeypatch.setattr(AdaptedRobot, "_notice_fault", notice_and_tell)
    holder = InThread(arm.hold)
    waits.wait(0.2)  # a hold that asks before it has the lock is past its question now
    monkeypatch.undo()
    arm.machine.begin_travel()
    arm.machine.lock.release()
    assert holder.join() is None
    assert "hold" not in arm.inner.calls
    assert arm.machine.mode == "stopped"


def test_a_recovery_waits_for_a_joint_motion_that_was_stopped(arm):
    motion = Motion(arm)
    arm.stop()
    recovery = InThread(arm.recover)
    wait_until(lambda: arm.inner.calls.count("stop") >= 2)
    assert "recover" not in arm.inner.calls
    motion.end()
    assert recovery.join() is None
    assert arm.inner.calls[-1] == "recover"
    assert arm.machine.mode == "holding"


def test_a_joint_motion_that_never_returns_lets_nobody_recover(arm, monkeypatch):
    monkeypatch.setattr(adapter_module, "_RETURN_S", 0.0)
    motion = Motion(arm)
    arm.stop()
    with pytest.raises(rk.DeviceFault, match="has not returned"):
        arm.recover()
    assert "recover" not in arm.inner.calls
    assert arm.machine.mode == "stopped"
    motion.end()
    arm.recover()


@pytest.mark.parametrize("error", [rk.StaleState("no packets"), rk.ConnectionFailed("lost")])
def test_a_travelling_plain_arm_that_measures_nothing_any_more_is_stopped(arm, error):
    motion = Motion(arm, ends_with_a_stop=True)
    arm.inner.on["get_state"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.get_state()
    assert isinstance(motion.caller.join(), rk.MotionFailed)
    assert arm.inner.calls.count("stop") >= 1
    assert arm.machine.mode == "fault"


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


def test_a_travelling_plain_arm_is_stopped_before_it_is_disconnected(arm):
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
