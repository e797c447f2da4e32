"""Laws of a plain arm that fails, lies or loses its answers: it is brought to rest, and a state can be read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from tests.support.recording_arm import Broken, InThread, PlainArm, fail_with, joint_command
from tests.support.waiting import wait_until


@pytest.fixture
def arm():
    arm = AdaptedRobot(PlainArm())
    arm.connect()
    arm.inner.calls.clear()
    return arm


def no_number(state: rk.RobotState) -> rk.RobotState:
    return rk.RobotState.unchecked(**{**state.__dict__, "wrench_in_tcp": np.full(6, np.nan)})


def says_fault(state: rk.RobotState) -> rk.RobotState:
    return rk.RobotState.unchecked(**{**state.__dict__, "mode": "fault", "faults": ("torn",)})


MEASURED_BADLY: dict[str, Callable[[rk.RobotState], object]] = {
    "no number": no_number,
    "its own fault": says_fault,
    "a fault": lambda _: fail_with(rk.DeviceFault("the encoder"))(),
    "silence": lambda _: fail_with(rk.StaleState("no packets"))(),
}


@pytest.mark.parametrize("badly", MEASURED_BADLY.values(), ids=MEASURED_BADLY)
@pytest.mark.parametrize("is_held", [False, True])
def test_b6_a_plain_arm_that_tracks_when_its_measurement_fails_is_brought_to_rest(arm, monkeypatch, badly, is_held):
    arm.get_state()
    arm.send(joint_command(arm))
    if is_held:
        arm.hold()
    measure = arm.inner.get_state
    monkeypatch.setattr(arm.inner, "get_state", lambda: badly(measure()))
    for _ in range(3):
        assert arm.get_state().mode == "fault"
    assert arm.inner.calls == (["send", "hold"] if is_held else ["send", "stop"])


@pytest.mark.parametrize("then", ["returns", "fails"])
def test_a_fault_that_overtook_a_send_to_a_plain_arm_is_followed_by_a_stop(arm, monkeypatch, then):
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)

    def send() -> None:
        InThread(lambda: arm._latch(arm.machine.fault_of(("torn",)))).join()
        if then == "fails":
            raise rk.RemoteTimeout("no answer")

    arm.inner.on["send"] = send
    with suppress(rk.RemoteTimeout):
        arm.send(joint_command(arm))
    assert arm.inner.calls == ["send", "stop", "stop"]


@pytest.mark.parametrize("error", [rk.RemoteTimeout("no answer"), Broken("a fault of the driver"), KeyboardInterrupt()])
def test_a_joint_motion_whose_end_is_not_known_is_stopped(arm, error):
    arm.inner.on["move"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.reset()
    assert arm.inner.calls[:2] == ["move", "stop"]
    assert "hold" not in arm.inner.calls
    assert arm.machine.stop.author == "joint motion of a plain arm"


@pytest.mark.parametrize("badly", MEASURED_BADLY.values(), ids=MEASURED_BADLY)
@pytest.mark.parametrize("tells", [True, False])
def test_b6_a_joint_motion_that_ends_because_its_measurement_fails_leaves_no_arm_moving(arm, monkeypatch, badly, tells):
    """It polls its own state until it has arrived; or its caller alone sees that it measures nothing."""
    arm.get_state()
    measure = arm.inner.get_state

    def move() -> None:
        monkeypatch.setattr(arm.inner, "get_state", lambda: badly(measure()))
        if tells and arm.inner.get_state().mode != "fault":
            raise rk.MotionFailed("does not move as it should")

    arm.inner.on["move"] = move
    with suppress(rk.DeviceError):
        arm.reset()
    assert arm.inner.calls[0] == "move"
    assert set(arm.inner.calls[1:]) == {"stop"}
    assert arm.machine.mode in ("stopped", "fault")
    assert not arm.get_state().is_halt_owed


@pytest.mark.parametrize(
    "error", [rk.DeviceFault("no answer"), rk.StaleState("no packets"), rk.ConnectionFailed("lost")]
)
def test_a_plain_arm_that_refuses_the_stop_of_a_lost_joint_motion_is_told_again_and_its_error_is_raised(arm, error):
    arm.inner.on.update(move=fail_with(error), stop=fail_with(OSError("busy")))
    with pytest.raises(type(error), match=str(error)):
        arm.reset()
    assert arm.machine.mode == "stopped"
    assert arm.get_state().is_halt_owed
    arm.inner.on.clear()
    wait_until(lambda: not arm.get_state().is_halt_owed)
    assert "hold" not in arm.inner.calls


@pytest.mark.parametrize("error", [rk.CommandRejected("not now"), rk.MotionFailed("did not arrive")])
def test_a_joint_motion_that_the_arm_says_is_over_is_followed_by_a_hold(arm, error):
    arm.inner.on["move"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.reset()
    assert arm.inner.calls == ["move", "hold"]


@pytest.mark.parametrize("returns", [True, False])
def test_a2_a_plain_arm_is_told_to_stop_after_a_recovery_that_a_stop_overtook(arm, returns):
    """Its own recovery may have returned after it was told to stop, and has undone that."""
    arm.stop()

    def stop_meanwhile() -> None:
        InThread(arm.stop).join()
        if not returns:
            raise rk.RemoteTimeout("no answer")

    arm.inner.on["recover"] = stop_meanwhile
    with pytest.raises(rk.RobotStopped if returns else rk.RemoteTimeout):
        arm.recover()
    assert arm.inner.calls[:2] == ["stop", "recover"]
    assert set(arm.inner.calls[2:]) == {"stop"}, "while it was in the driver, and when it had returned"
    assert len(arm.inner.calls) >= 4
    assert arm.machine.mode == "stopped"


def test_a_plain_arm_whose_recovery_may_have_reached_it_is_told_to_stop_again(arm):
    arm.stop()
    arm.inner.on["recover"] = fail_with(rk.RemoteTimeout("no answer"))
    with pytest.raises(rk.RemoteTimeout):
        arm.recover()
    assert arm.inner.calls == ["stop", "recover", "stop"]


@pytest.mark.parametrize(("mode", "faults"), [("moving", ()), (None, ()), ("fault", (5, None))])
def test_a_plain_arm_that_says_what_no_arm_says_is_in_a_fault_and_can_be_read(arm, monkeypatch, mode, faults):
    arm.send(joint_command(arm))
    state = arm.get_state()
    odd = rk.RobotState.unchecked(**{**state.__dict__, "mode": mode, "faults": faults})
    monkeypatch.setattr(arm.inner, "get_state", lambda: odd)
    state = arm.get_state()
    assert state.mode == "fault"
    assert rk.RobotState.model_validate_json(state.model_dump_json()) == state
    assert arm.inner.calls == ["send", "stop"]


def test_a_plain_arm_that_was_stopped_before_it_was_connected_stands_in_a_fault_and_is_told_nothing():
    arm = AdaptedRobot(PlainArm())
    arm.stop()
    arm.connect()
    arm.inner.mode = "fault"
    assert arm.get_state().mode == "fault"
    assert arm.inner.calls == ["connect"]


STANDING: dict[str, Callable[[AdaptedRobot], object]] = {
    "stop": lambda arm: arm.stop(),
    "connection": lambda arm: (arm.disconnect(), arm.connect()),
    "recovery": lambda arm: (arm.machine.note_stop(rk.StopRecord(cause="a", author="b", since_s=0.0)), arm.recover()),
}


@pytest.mark.parametrize("call", STANDING.values(), ids=STANDING)
def test_a_plain_arm_that_was_made_to_stand_is_told_nothing_in_a_fault(arm, call):
    arm.send(joint_command(arm))
    call(arm)
    count = len(arm.inner.calls)
    arm.inner.mode = "fault"
    assert arm.get_state().mode == "fault"
    assert arm.inner.calls[count:] == []


def test_a_plain_arm_that_did_not_take_a_stop_is_told_again_in_a_fault(arm):
    arm.send(joint_command(arm))
    arm.inner.on["stop"] = fail_with(rk.RemoteTimeout("no answer"))
    with pytest.raises(rk.RemoteTimeout):
        arm.stop()
    arm.inner.on.clear()
    arm.inner.mode = "fault"
    assert arm.get_state().mode == "fault"
    assert arm.inner.calls == ["send", "stop", "stop"]
