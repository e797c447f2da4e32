"""Laws of a plain arm in a joint motion: it is told to stop until that has returned, and nobody goes on before."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot, StatefulRobotServer
from robotkit.devices import halts as halts_module
from tests.support.plain_motion import Motion
from tests.support.recording_arm import InThread, PlainArm, fail_with, joint_command
from tests.support.waiting import wait_until


@pytest.fixture
def arm():
    arm = AdaptedRobot(PlainArm())
    arm.connect()
    arm.inner.calls.clear()
    return arm


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


def test_an_arm_that_says_stopped_is_told_again_until_its_joint_motion_returns(arm):
    """Its word comes from the flag that its stop has set, and says nothing of what it has yet to carry out."""
    motion = Motion(arm)
    arm.inner.on["stop"] = lambda: setattr(arm.inner, "mode", "stopped")
    arm.stop()
    wait_until(lambda: arm.inner.calls.count("stop") >= 4)
    wait_until(lambda: arm.get_state().is_halt_owed)
    motion.end()
    wait_until(lambda: not arm._halts._has_thread)
    assert not arm.get_state().is_halt_owed


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
    monkeypatch.setattr("robotkit.devices.stateful_robot._RETURN_S", 0.0)
    motion = Motion(arm)
    arm.stop()
    with pytest.raises(rk.DeviceFault, match="has not returned"):
        arm.recover()
    assert "recover" not in arm.inner.calls
    assert arm.machine.mode == "stopped"
    motion.end()
    arm.recover()


def test_a2_a_joint_motion_that_outlives_its_connection_lets_nobody_connect_again(arm, monkeypatch):
    monkeypatch.setattr("robotkit.devices.stateful_robot._RETURN_S", 0.0)
    monkeypatch.setattr(halts_module, "CLOSING_S", 0.0)
    motion = Motion(arm)
    arm.disconnect()
    with pytest.raises(rk.DeviceFault, match=r"has not returned .* call connect\(\) again"):
        arm.connect()
    assert not arm.is_connected
    assert arm.inner.calls == ["move", "stop", "disconnect"]
    motion.end()
    arm.connect()
    assert arm.inner.calls[-1] == "connect"
    assert arm.machine.mode == "holding"


def test_a_connection_waits_for_a_joint_motion_that_was_told_to_stop(arm, monkeypatch):
    monkeypatch.setattr(halts_module, "CLOSING_S", 0.0)
    motion = Motion(arm)
    arm.disconnect()
    connection = InThread(arm.connect)
    assert not arm.is_connected
    motion.end()
    assert connection.join() is None
    assert arm.inner.calls[-1] == "connect"


def test_a_world_that_is_reset_in_a_joint_motion_of_a_plain_arm_stops_it(arm):
    """It is not said to hold while its motion may go on."""
    motion = Motion(arm, ends_with_a_stop=True)
    arm.forget_target()
    assert isinstance(motion.caller.join(), rk.MotionFailed)
    assert "hold" not in arm.inner.calls
    assert "forget_target" in arm.inner.calls
    assert arm.machine.mode == "stopped"


@pytest.mark.parametrize("error", [rk.StaleState("no packets"), rk.ConnectionFailed("lost")])
def test_a_travelling_plain_arm_that_measures_nothing_any_more_is_stopped(arm, error):
    motion = Motion(arm, ends_with_a_stop=True)
    arm.inner.on["get_state"] = fail_with(error)
    assert arm.get_state().mode == "fault", "with the measurement at which its control began"
    assert isinstance(motion.caller.join(), rk.MotionFailed)
    assert arm.inner.calls.count("stop") >= 1
    assert arm.machine.mode == "fault"


def test_a_recovery_of_a_travelling_arm_is_refused_and_latches_nothing(arm):
    motion = Motion(arm)
    with pytest.raises(rk.CommandRejected, match="needs no recovery"):
        arm.recover()
    assert arm.machine.mode == "travelling"
    assert arm.machine.stop is None
    assert motion.end() is None
    assert arm.inner.calls == ["move", "hold"]
