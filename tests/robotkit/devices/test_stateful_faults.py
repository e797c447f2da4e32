"""Laws of the faults of an arm over the state machine: found, kept, told, and recovered from."""

from __future__ import annotations

import pytest

import robotkit as rk
from tests.support.recording_arm import RecordingArm, joint_command


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
