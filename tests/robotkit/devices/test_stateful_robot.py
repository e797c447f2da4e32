"""Laws of the contract over the state machine, read off an arm that obeys nothing of its own accord."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from tests.support.recording_arm import InThread, RecordingArm, connected_arm, fail_with, joint_command
from tests.support.waiting import wait_until


def test_a_connected_arm_holds_and_was_started_once():
    arm = RecordingArm()
    assert not arm.is_connected
    arm.connect()
    arm.connect()
    assert arm.calls == ["open", "start"]
    assert arm.get_state().mode == "holding"
    arm.disconnect()
    assert arm.calls == ["open", "start", "halt", "close"]
    with pytest.raises(rk.NotConnected):
        arm.get_state()


def test_an_arm_whose_halt_fails_in_a_way_that_nobody_foresaw_is_closed_all_the_same(arm, monkeypatch):
    monkeypatch.setattr("robotkit.devices.halts.CLOSING_S", 0.0)
    arm.on["halt"] = lambda: [][1]
    with pytest.raises(IndexError):
        arm.disconnect()
    assert arm.calls == ["halt", "close"]
    assert not arm.is_connected


def test_two_who_connect_at_the_same_time_open_the_device_once():
    arm = RecordingArm()
    inside, go_on = threading.Event(), threading.Event()
    arm.on["open"] = lambda: (inside.set(), go_on.wait(20.0))
    first = InThread(arm.connect)
    assert inside.wait(20.0)
    second = InThread(arm.connect)
    threading.Event().wait(0.05)
    go_on.set()
    assert first.join() is None
    assert second.join() is None
    assert arm.calls == ["open", "start"]


@pytest.mark.parametrize("call", ["get_state", "hold", "recover", "check", "send", "move", "compliance"])
def test_every_call_but_a_stop_needs_a_connection(call):
    arm = RecordingArm()
    calls = {
        "check": lambda: arm.check(joint_command(arm)),
        "send": lambda: arm.send(joint_command(arm)),
        "move": lambda: arm.move_to_joint_positions(arm.joints_rad),
        "compliance": lambda: arm.set_compliance(rk.ComplianceParams()),
    }
    with pytest.raises(rk.NotConnected, match="call connect"):
        calls.get(call, lambda: getattr(arm, call)())()
    assert arm.calls == []


def test_a_recovery_of_an_arm_that_is_not_connected_touches_no_device():
    arm = RecordingArm()
    arm.stop()
    with pytest.raises(rk.NotConnected):
        arm.recover()
    assert arm.calls == []
    assert arm.machine.stop is not None


def test_a_stop_before_the_connection_is_kept_and_starts_nothing():
    arm = RecordingArm()
    arm.stop_for("a reason", "anna")
    arm.connect()
    assert arm.calls == ["open"]
    assert arm.get_state().stop.author == "anna"
    arm.recover()
    assert arm.calls == ["open", "clear", "start"]


def test_every_target_that_was_not_sent_begins_an_epoch(arm):
    def epochs(call) -> int:
        before = arm.machine.epoch
        call()
        return arm.get_state().target_epoch - before

    assert epochs(lambda: arm.send(joint_command(arm))) == 0
    assert epochs(arm.get_state) == 0
    assert epochs(lambda: arm.check(joint_command(arm))) == 0
    assert epochs(lambda: arm.set_compliance(rk.ComplianceParams())) == 0
    for call in (arm.hold, arm.forget_target, arm.stop, arm.recover, arm.reset):
        assert epochs(call) > 0
    assert epochs(lambda: (arm.disconnect(), arm.connect())) > 0
    arm.fault = arm.machine.fault_of(("torn",))
    assert epochs(arm.get_state) > 0


def test_the_epoch_of_a_joint_motion_begins_with_it(arm):
    epochs = [arm.machine.epoch]
    arm.on["travel"] = lambda: epochs.append(arm.machine.epoch)
    arm.reset()
    assert epochs[0] < epochs[1] < arm.machine.epoch


def test_an_arm_that_does_not_count_its_cycles_served_them_all(arm):
    assert arm.get_state().control_success_rate == 1.0


def test_the_modes_of_an_arm(arm):
    modes = []
    arm.on["underway"] = lambda: modes.append(arm.get_state().mode)
    arm.send(joint_command(arm))
    assert arm.get_state().mode == "tracking"
    arm.reset()
    assert modes == ["travelling"]
    assert arm.get_state().mode == "holding"
    arm.send(joint_command(arm))
    arm.hold()
    assert arm.get_state().mode == "holding"
    arm.send(joint_command(arm))
    arm.forget_target()
    assert arm.get_state().mode == "holding"
    arm.send(joint_command(arm))
    arm.stop()
    arm.recover()
    assert arm.get_state().mode == "holding", "what was tracked before is forgotten"
    arm.send(joint_command(arm))
    arm.recover()
    assert arm.get_state().mode == "holding", "an arm that is well is told to hold"
    assert arm.calls[-1] == "hold"


def test_an_arm_that_is_disconnected_while_it_recovers_is_not_started(arm):
    threads = []

    def disconnect_beside() -> None:
        threads.append(InThread(arm.disconnect))
        wait_until(lambda: not arm.is_connected)
        threading.Event().wait(0.05)
        assert "close" not in arm.calls, "nobody closes a device that is being cleared"

    arm.stop()
    arm.on["clear"] = disconnect_beside
    with pytest.raises(rk.NotConnected):
        arm.recover()
    threads[0].join()
    assert "start" not in arm.calls
    assert arm.calls[-1] == "close"
    assert arm.machine.stop is not None


@pytest.mark.parametrize("call", ["send", "check", "move"])
def test_a_command_beside_a_joint_motion_is_refused_and_the_motion_goes_on(arm, call):
    refused = []

    def disturb() -> None:
        calls = {
            "send": lambda: arm.send(joint_command(arm)),
            "check": lambda: arm.check(joint_command(arm)),
            "move": lambda: arm.move_to_joint_positions(arm.joints_rad),
        }
        with pytest.raises(rk.CommandRejected, match="nothing is queued") as caught:
            calls[call]()
        refused.append(caught.value)

    arm.on["underway"] = disturb
    arm.move_to_joint_positions(arm.joints_rad)
    assert len(refused) == 1
    assert arm.calls == ["travel", "hold"]


@pytest.mark.parametrize("goal", [np.zeros(6), np.full(7, np.nan), np.full(7, 7.0), -np.full(7, 7.0)])
def test_a_joint_motion_out_of_range_does_not_begin(arm, goal):
    arm.send(joint_command(arm))
    arm.calls.clear()
    with pytest.raises(rk.JointLimitExceeded, match="is not within"):
        arm.move_to_joint_positions(goal)
    assert arm.calls == []
    assert arm.get_state().mode == "tracking"


def test_a_joint_motion_may_go_to_the_ends_of_the_range(arm):
    for goal in (arm.spec.joint_position_min_rad, arm.spec.joint_position_max_rad):
        arm.move_to_joint_positions(goal)


def test_a_kind_that_the_arm_does_not_take_is_refused_by_name():
    arm = RecordingArm(command_kinds=("pose",))
    arm.connect()
    for call in (arm.check, arm.send):
        with pytest.raises(rk.Unsupported, match="'fake' takes no 'joint' commands; send one of: pose"):
            call(joint_command(arm))
    assert arm.get_state().mode == "holding"
    assert "follow" not in arm.calls


def test_a_body_that_has_no_law_says_so():
    class Stiff(RecordingArm):
        _set_compliance = rk.StatefulRobotServer._set_compliance

    arm = Stiff()
    arm.connect()
    with pytest.raises(rk.Unsupported, match="no impedance law"):
        arm.set_compliance(rk.ComplianceParams())
    assert arm.compliance is None


def test_the_first_stop_is_the_one_that_is_told(arm):
    arm.clock.advance(2.0)
    arm.stop_for("the door is open", "anna", code="force_limit_exceeded")
    arm.clock.advance(1.5)
    arm.stop_for("another", "berta")
    assert arm.machine.stops == 2
    with pytest.raises(rk.ForceLimitExceeded, match=r"since 1\.5 s: the door is open \(by anna\)"):
        arm.send(joint_command(arm))
    assert arm.calls == ["halt", "halt"], "the device is told each time"
    stop = arm.get_state().stop
    assert (stop.cause, stop.author, stop.since_s, stop.code) == (
        "the door is open", "anna", 2.0, "force_limit_exceeded",
    )  # fmt: skip


def test_a_stop_without_words_says_who_called_it(arm):
    arm.stop()
    stop = arm.get_state().stop
    assert (stop.cause, stop.author, stop.code) == ("stop() was called", "this process", "robot_stopped")


def test_a_stop_that_was_noted_on_a_clock_that_is_ahead_was_noted_now(arm):
    arm.machine.note_stop(rk.StopRecord(cause="a reason", author="anna", since_s=9.0))
    with pytest.raises(rk.RobotStopped, match=r"since 0\.0 s"):
        arm.send(joint_command(arm))


def test_a_body_that_does_not_say_how_it_starts_begins_to_hold():
    class Plain(RecordingArm):
        _start = rk.StatefulRobotServer._start

    arm = Plain()
    arm.connect()
    assert arm.calls == ["open", "hold"]


def test_an_arm_that_held_and_fails_to_hold_once_more_may_follow_a_target():
    arm = connected_arm()
    arm.on["hold"] = fail_with(rk.DeviceFault("no answer"))
    with pytest.raises(rk.DeviceFault):
        arm.hold()
    assert arm.machine.mode == "tracking"
    assert arm.machine.targets == 1


def test_a_recovery_of_an_arm_that_needs_none_is_a_hold_that_somebody_asked_for():
    arm = connected_arm()
    moment = arm.machine.moment
    arm.recover()
    assert arm.calls == ["hold"]
    with pytest.raises(rk.TargetReplaced):
        arm.machine.require_nothing_since(moment)
