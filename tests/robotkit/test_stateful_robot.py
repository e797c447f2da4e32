"""Laws of the contract over the state machine, read off an arm that obeys nothing of its own accord."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from tests.support.recording_arm import InThread, RecordingArm, joint_command
from tests.support.waiting import wait_until


@pytest.fixture
def arm():
    arm = RecordingArm()
    arm.connect()
    arm.calls.clear()
    return arm


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


def test_an_arm_in_a_fault_is_connected_and_not_started():
    arm = RecordingArm()
    arm.fault = arm.machine.fault_of(("torn",))
    arm.connect()
    assert arm.calls == ["open"]
    state = arm.get_state()
    assert (state.mode, state.faults, state.fault_since_s, state.stop) == ("fault", ("torn",), 0.0, None)
    arm.recover()
    state = arm.get_state()
    assert (state.mode, state.faults, state.fault_since_s) == ("holding", (), None)


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


@pytest.mark.parametrize("call", ["send", "check", "move", "hold"])
def test_a_fault_that_nobody_has_read_yet_refuses_the_first_command(arm, call):
    arm.fault = arm.machine.fault_of(("torn",))
    if call == "hold":
        arm.hold()
    else:
        calls = {"send": arm.send, "check": arm.check, "move": lambda _: arm.reset()}
        with pytest.raises(rk.DeviceFault, match="torn"):
            calls[call](joint_command(arm))
    assert arm.calls == ["halt"], "what may still move is brought to rest"
    arm.recover()
    assert arm.calls == ["halt", "clear", "start"]


def test_a_fault_that_nobody_has_read_yet_is_recovered_from(arm):
    arm.fault = arm.machine.fault_of(("torn",))
    arm.recover()
    assert arm.calls == ["halt", "clear", "start"]
    assert arm.get_state().mode == "holding"


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


@pytest.mark.parametrize("fault_first", [True, False])
def test_a_fault_and_a_stop_are_both_kept_and_a_fault_is_said_first(arm, fault_first):
    def tear() -> None:
        arm.fault = arm.machine.fault_of(("torn",))
        arm.get_state()

    for call in (tear, arm.stop) if fault_first else (arm.stop, tear):
        call()
    state = arm.get_state()
    assert state.mode == "fault"
    assert state.faults == ("torn",)
    assert state.stop is not None
    with pytest.raises(rk.RobotStopped):
        arm.send(joint_command(arm))
    arm.recover()
    state = arm.get_state()
    assert (state.mode, state.stop) == ("holding", None)


def test_the_first_fault_is_kept_with_its_time(arm):
    arm.clock.advance(1.0)
    arm.fault = arm.machine.fault_of(("first",))
    arm.get_state()
    arm.clock.advance(1.0)
    arm.fault = arm.machine.fault_of(("second",))
    epoch = arm.machine.epoch
    state = arm.get_state()
    assert (state.faults, state.fault_since_s, state.target_epoch) == (("first",), 1.0, epoch)


def test_a_fault_raises_its_own_error_anew_each_time(arm):
    error = rk.StaleState("no packets")
    arm._latch(arm.machine.fault_of(("silent",), error))
    raised = []
    for _ in range(2):
        with pytest.raises(rk.StaleState, match="no packets") as caught:
            arm.send(joint_command(arm))
        raised.append(caught.value)
    assert raised[0] is not raised[1] is not error
    assert raised[0].__cause__ is error


def test_a_fault_without_an_error_is_a_device_fault_that_names_it(arm):
    arm._latch(arm.machine.fault_of(("torn", "hot")))
    with pytest.raises(rk.DeviceFault, match=r"'fake' reports torn, hot; call recover\(\)"):
        arm.check(joint_command(arm))


def test_a_fault_of_an_arm_that_is_not_connected_is_not_kept(arm):
    arm.disconnect()
    arm._latch(arm.machine.fault_of(("torn",)))
    assert arm.machine.fault is None


def test_what_cannot_be_measured_is_a_fault_with_the_last_measurement(arm):
    arm.clock.advance(1.0)
    before = arm.get_state()

    def fail() -> None:
        raise rk.StaleState("no packets")

    arm.on["measure"] = fail
    arm.clock.advance(1.0)
    state = arm.get_state()
    assert (state.mode, state.faults, state.stamp_s) == ("fault", ("stale_state",), before.stamp_s)
    with pytest.raises(rk.StaleState, match="no packets"):
        arm.send(joint_command(arm))
    del arm.on["measure"]
    assert arm.get_state().mode == "fault", "until somebody recovers"
    arm.recover()
    assert arm.get_state().mode == "holding"


def test_m1_a_measurement_of_another_connection_is_not_told(arm):
    arm.get_state()
    arm.disconnect()
    arm.fault = arm.machine.fault_of(("torn",))  # control does not begin, and nothing is measured for it
    arm.connect()

    def fail() -> None:
        raise rk.StaleState("nothing yet")

    arm.on["measure"] = fail
    with pytest.raises(rk.StaleState, match="nothing yet"):
        arm.get_state()
    assert arm.machine.mode == "fault"


def test_an_arm_that_is_disconnected_while_it_is_measured_is_in_no_fault(arm):
    def disconnect_and_fail() -> None:
        arm.disconnect()
        raise rk.ConnectionFailed("closed")

    arm.get_state()
    arm.on["measure"] = disconnect_and_fail
    with pytest.raises(rk.ConnectionFailed):
        arm.get_state()
    arm.on.clear()
    arm.connect()
    assert arm.get_state().mode == "holding"


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


def test_a_fault_stays_one_when_the_halt_fails_for_a_reason_that_is_written_down_once(arm, caplog):
    def fail() -> None:
        raise rk.DeviceFault("not now")

    arm.on["halt"] = fail
    arm.fault = arm.machine.fault_of(("torn",))
    for _ in range(3):
        assert arm.get_state().mode == "fault"
    assert set(arm.calls) == {"halt"}
    assert [record.message for record in caplog.records if "did not take a halt" in record.message] == [
        "arm 'fake' did not take a halt, and is told again until it does: not now"
    ]
