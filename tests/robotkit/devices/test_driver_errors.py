"""Laws of what drivers and callers should not do: whatever they raise or say, a stop is a stop and a state is read."""

from __future__ import annotations

import asyncio

import pytest

import robotkit as rk
from tests.support.recording_arm import InThread, RecordingArm, fail_with, joint_command
from tests.support.waiting import wait_until


@pytest.fixture
def arm():
    arm = RecordingArm()
    arm.connect()
    arm.calls.clear()
    return arm


@pytest.mark.parametrize(
    "error", [rk.RemoteTimeout("no answer"), OSError("the cable"), SystemExit(1), rk.InvalidMessage("its echo")]
)
def test_what_the_device_has_not_refused_it_may_follow(arm, error):
    arm.on["follow"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.send(joint_command(arm))
    assert arm.machine.mode == "tracking"
    assert arm.machine.targets == 1


def test_what_the_device_refuses_it_does_not_follow(arm):
    arm.on["follow"] = fail_with(rk.InvalidCommand("not there"))
    with pytest.raises(rk.InvalidCommand):
        arm.send(joint_command(arm))
    assert arm.machine.mode == "holding"
    assert arm.machine.targets == 0


class Mute:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("words", [
    (None, "me"), (KeyboardInterrupt(), "me"), ("x", 5), ("x", None), (b"x", "y"), ("\ud800", "y"), ("", ""),
    (Mute(), Mute()), ("x" * 10**6, "y"), ("x", "y", None), ("x", "y", "nonsense"), ("x", "y", "device_fault"),
    ("x", "y", "unsupported"), ("x", "y", ["robot_stopped"]), ("x", "y", "force_limit_exceeded"),
], ids=lambda words: " ".join(type(word).__name__ for word in words))  # fmt: skip
def test_no_stop_is_lost_because_of_its_words(arm, words):
    arm.send(joint_command(arm))
    arm.stop_for(*words)
    assert arm.calls == ["follow", "halt"]
    state = arm.get_state()
    assert state.mode == "stopped"
    assert rk.RobotState.model_validate_json(state.model_dump_json()) == state, "it can be read over a network"
    is_force = words[2:] == ("force_limit_exceeded",)
    with pytest.raises(rk.ForceLimitExceeded if is_force else rk.RobotStopped) as caught:
        arm.send(joint_command(arm))
    assert type(caught.value) is (rk.ForceLimitExceeded if is_force else rk.RobotStopped)
    assert len(caught.value.message) < 2000


RAW = [OSError("the cable"), ValueError("no packet"), KeyError("pose"), rk.Unsupported("not measured")]


@pytest.mark.parametrize("error", RAW, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("begin", ["holding", "tracking", "stopped", "fault"])
def test_b6_whatever_a_driver_raises_a_state_can_be_read_in_every_mode(arm, begin, error):
    before = arm.get_state()
    beginnings = {
        "tracking": lambda: arm.send(joint_command(arm)),
        "stopped": arm.stop,
        "fault": lambda: arm._latch(arm.machine.fault_of(("torn",))),
    }
    beginnings.get(begin, lambda: None)()
    arm.on["measure"] = fail_with(error)
    for _ in range(3):
        state = arm.get_state()
        assert state.mode == "fault"
        assert state.faults == (("torn",) if begin == "fault" else ("device_fault",))
        assert state.stamp_s == before.stamp_s
    assert arm.calls[-1] == "halt"
    if begin == "stopped":
        assert state.stop is not None
    elif begin != "fault":
        kind = "" if isinstance(error, rk.RobotkitError) else f"{type(error).__name__}: "
        with pytest.raises(rk.DeviceFault, match=f"failed to measure: {kind}{error}"):
            arm.send(joint_command(arm))
    arm.on.clear()
    arm.recover()
    assert arm.get_state().mode == "holding"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("begin", ["holding", "tracking", "stopped"])
def test_b6_what_ends_a_thread_or_a_task_ends_no_reading_in_a_thread_of_its_own(arm, begin, error):
    before = arm.get_state()
    {"tracking": lambda: arm.send(joint_command(arm)), "stopped": arm.stop}.get(begin, lambda: None)()
    arm.on["measure"] = fail_with(error)
    states = []
    assert InThread(lambda: states.append(arm.get_state())).join() is None
    assert (states[0].mode, states[0].faults, states[0].stamp_s) == ("fault", ("device_fault",), before.stamp_s)
    assert arm.calls[-1] == "halt"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_what_may_come_from_a_signal_handler_of_the_main_thread_ends_the_program_and_is_no_fault(arm, error):
    arm.on["measure"] = fail_with(error)
    with pytest.raises(type(error)):
        arm.get_state()
    assert arm.machine.mode == "holding"


def test_a_driver_that_has_never_measured_says_so_with_an_error_of_the_project(arm):
    arm.disconnect()
    arm.fault = arm.machine.fault_of(("torn",))  # control does not begin, and nothing is measured for it
    arm.connect()
    arm.on["measure"] = fail_with(OSError("the cable"))
    with pytest.raises(rk.DeviceFault, match="OSError: the cable") as caught:
        arm.get_state()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_driver_that_fails_again_and_again_is_logged_once(arm, caplog):
    arm.get_state()
    arm.on["measure"] = fail_with(OSError("the cable"))
    for _ in range(5):
        arm.get_state()
    assert caplog.text.count("the driver of arm") == 1


def test_a_fault_can_be_read_of_an_arm_whose_halt_raises_anything(arm):
    arm.get_state()
    arm.on["halt"] = lambda: [][1]
    arm.on["measure"] = fail_with(OSError("the cable"))
    assert arm.get_state().mode == "fault"


def test_no_stop_is_lost_because_the_cells_clock_fails(arm, monkeypatch):
    arm.send(joint_command(arm))
    monkeypatch.setattr(arm.context.clock, "now_s", fail_with(ValueError("the clock of a plugin")))
    arm.stop_for("a test", "its author")
    assert arm.calls == ["follow", "halt"]
    assert arm.machine.mode == "stopped"
    with pytest.raises(rk.RobotStopped, match=r"a test \(by its author\)"):
        arm.send(joint_command(arm))


def test_a_moving_arm_whose_clock_fails_is_stopped_by_its_watch(monkeypatch):
    with rk.make_workcell("fake", clock="real") as cell:
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=cell.robot.get_state().tcp_pose_in_base))
        monkeypatch.setattr(cell.clock, "now_s", fail_with(ValueError("the clock of a plugin")))
        wait_until(lambda: cell.robot.machine.mode in ("stopped", "fault"))
        monkeypatch.undo()
