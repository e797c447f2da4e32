"""Laws of a call that has not returned: until a hold has, the arm is watched as one that may follow its target."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import robotkit as rk
from robotkit.safety import SafeRobot
from robotkit.safety import watchdog as watchdog_module
from tests.support.recording_arm import InThread, fail_with
from tests.support.watched_arm import pose_command, watched


def end_of_a_motion(arm: SafeRobot) -> None:
    arm.move_to_joint_positions(arm.spec.reset_joint_positions_rad)


def end_of_a_failed_motion(arm: SafeRobot) -> None:
    arm.inner.on["underway"] = fail_with(rk.MotionFailed("it did not arrive"))
    end_of_a_motion(arm)


CALLS: dict[str, tuple[str, Callable[[SafeRobot], object]]] = {
    "hold": ("hold", lambda arm: arm.hold()),
    "recovery of an arm that is not down": ("hold", lambda arm: arm.recover()),
    "reset of the world": ("hold", lambda arm: arm.forget_target()),
    "end of a joint motion": ("hold", end_of_a_motion),
    "end of a joint motion that failed": ("hold", end_of_a_failed_motion),
    "command": ("follow", lambda arm: arm.send(pose_command())),
}


@pytest.mark.parametrize("starts", ["holding", "tracking"])
@pytest.mark.parametrize("name", CALLS)
def test_p3_whatever_call_hangs_an_arm_that_may_move_is_stopped(name, starts, monkeypatch):
    monkeypatch.setattr(watchdog_module, "_HOLD_S", 0.0)
    monkeypatch.setattr("robotkit.devices.machine.STOP_WAIT_S", 0.0)
    primitive, call = CALLS[name]
    arm, body, clock = watched()
    if starts == "tracking":
        arm.send(pose_command())
    is_inside, may_go_on = threading.Event(), threading.Event()
    body.on[primitive] = lambda: (is_inside.set(), may_go_on.wait(20.0))
    caller = InThread(lambda: call(arm))
    assert is_inside.wait(20.0)
    if starts == "holding" and primitive == "hold" and "motion" not in name:
        assert body.machine.mode == "holding", "it stood, and stands"
        clock.advance(9.0)
        arm._watchdog.look()
        assert body.machine.stop is None
    else:
        assert body.machine.mode == "tracking"
        arm._watchdog.look()
        assert "halt" not in body.calls
        clock.advance(0.21)
        arm._watchdog.look()
        assert body.calls[-1] == "halt"
        assert body.machine.mode == "stopped"
    assert not may_go_on.is_set()
    stopped = body.machine.stop
    may_go_on.set()
    caller.join()
    assert body.machine.stop is stopped
    if stopped is not None:
        assert body.calls.count("halt") >= 2, "the stop counts after the call that it did not wait for"


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_returns_says_what_the_arm_does(name):
    primitive, call = CALLS[name]
    arm, body, _ = watched()
    arm.send(pose_command())
    try:
        call(arm)
    except rk.MotionFailed:
        assert "failed" in name
    assert body.machine.mode == ("tracking" if primitive == "follow" else "holding")


def test_a_first_command_is_watched_from_when_it_is_given_and_not_from_the_last_one():
    arm, body, clock = watched()
    arm.send(pose_command())
    arm.hold()
    clock.advance(9.0)
    arm.get_state()
    body.on["follow"] = lambda: (clock.advance(0.19), body.calls.append(f"silent {arm._watchdog._is_silent()}"))
    arm.send(pose_command())
    assert body.calls[-2:] == ["follow", "silent False"]


@pytest.mark.parametrize("starts", ["holding", "tracking"])
def test_what_the_arm_refuses_changes_neither_its_mode_nor_when_its_client_is_silent(starts):
    arm, body, clock = watched()
    if starts == "tracking":
        arm.send(pose_command())
    due_s, taken = arm._watchdog._due_s, body.machine.targets
    clock.advance(0.1)
    body.on["follow"] = fail_with(rk.InvalidCommand("the arm's own reason"))
    with pytest.raises(rk.InvalidCommand):
        arm.send(pose_command())
    assert (body.machine.mode, body.machine.targets) == (starts, taken)
    if starts == "tracking":
        assert arm._watchdog._due_s == due_s


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("within", ["hold", "stop", "disconnect"])
def test_what_a_signal_handler_does_within_a_command_is_not_undone_by_its_refusal(within, refuses):
    arm, body, _ = watched()
    arm.send(pose_command())

    def interrupted() -> None:
        body.on.clear()
        getattr(arm, within)()
        if refuses:
            raise rk.InvalidCommand("the arm's own reason")

    body.on["follow"] = interrupted
    try:
        arm.send(pose_command())
    except rk.InvalidCommand:
        assert refuses
    after = "holding" if refuses else "tracking"
    expected = {"hold": after, "stop": "stopped", "disconnect": after}
    assert body.machine.mode == expected[within]


def test_a_command_within_a_hold_is_one_that_the_arm_may_follow():
    arm, body, _ = watched()
    arm.send(pose_command())

    def interrupted() -> None:
        body.on.clear()
        arm.send(pose_command())

    body.on["hold"] = interrupted
    arm.hold()
    assert body.machine.mode == "tracking"
