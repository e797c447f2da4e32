"""Every order in which a stop can fall into another call: the stop is never lost, and nothing moves after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import robotkit as rk
from tests.faults.arms import ARMS, Arm, NaiveRobot
from tests.faults.scheduler import Scheduler, every_schedule

FAR = np.array((0.05, 0, 0, 0, 0, 0, 0))


def _send(arm: Arm) -> None:
    arm.robot.send(rk.JointCommand(joint_positions_rad=arm.robot.spec.reset_joint_positions_rad + FAR))


def _move(arm: Arm) -> None:
    arm.robot.move_to_joint_positions(arm.robot.spec.reset_joint_positions_rad + FAR / 2)


def _fault(arm: Arm) -> None:
    if isinstance(arm.robot, rk.StatefulRobotServer) and hasattr(arm.robot, "inject_fault"):
        arm.robot.inject_fault("torn")
    else:
        arm.robot.inner.faults = ("torn",)
        arm.robot.get_state()


CALLS: dict[str, Callable[[Arm], None]] = {
    "send": _send,
    "move": _move,
    "hold": lambda arm: arm.robot.hold(),
    "stop": lambda arm: arm.robot.stop(),
    "fault": _fault,
    "get_state": lambda arm: arm.robot.get_state(),
    "compliance": lambda arm: arm.robot.set_compliance(rk.ComplianceParams()),
    "reset of the world": lambda arm: arm.robot.forget_target(),
    "disconnect": lambda arm: arm.robot.disconnect(),
}


def _require_stopped(arm: Arm) -> None:
    """The stop is latched, nothing moves, and what is refused says why."""
    if not arm.robot.is_connected:
        arm.robot.connect()
    state = arm.robot.get_state()
    assert state.mode in ("stopped", "fault")
    assert state.stop is not None
    assert state.stop.author == "the test"
    before = arm.joints
    arm.pass_time()
    np.testing.assert_allclose(arm.joints, before, atol=1e-9)
    for call in (_send, _move):
        with pytest.raises(rk.RobotStopped, match="the test"):
            call(arm)
    arm.pass_time()
    np.testing.assert_allclose(arm.joints, before, atol=1e-9)
    if isinstance(getattr(arm.robot, "inner", None), NaiveRobot):
        _require_stopped_device(arm.robot.inner.moves)


def _require_stopped_device(moves: list[str]) -> None:
    """Nothing but a stop came last; a device that was disconnected first was told nothing at all."""
    after = moves[len(moves) - moves[::-1].index("stop") :] if "stop" in moves else moves
    assert not {"send", "hold"} & set(after)


def _stop(arm: Arm) -> None:
    arm.robot.stop_for("a reason", "the test")


def _schedules(name: str) -> Callable[[Scheduler], Arm]:
    def build(scheduler: Scheduler) -> Arm:
        arm = ARMS[name]()
        arm.put_under(scheduler)
        return arm

    return build


@pytest.mark.parametrize("other", [name for name in CALLS if name != "stop"])
@pytest.mark.parametrize("body", ARMS)
def test_a2_a_stop_sticks_whatever_it_races_with(body, other):
    count = 0
    for scheduler in every_schedule():
        arm = _schedules(body)(scheduler)
        errors = scheduler.run(("stop", lambda arm=arm: _stop(arm)), (other, lambda arm=arm: CALLS[other](arm)))
        assert errors["stop"] is None
        assert errors[other] is None or isinstance(errors[other], rk.RobotkitError)
        _require_stopped(arm)
        count += 1
    assert count > 1, "there was something to interleave"


@pytest.mark.parametrize("body", ARMS)
def test_a2_a_stop_during_a_recovery_wins(body):
    outcomes = set()
    for scheduler in every_schedule():
        arm = _schedules(body)(scheduler)
        arm.robot.stop_for("the first", "somebody else")
        seen = _stops_seen_by_the_recovery(arm)
        errors = scheduler.run(("recover", arm.robot.recover), ("stop", lambda arm=arm: _stop(arm)))
        assert errors["stop"] is None
        state = arm.robot.get_state()
        outcomes.add((state.mode, type(errors["recover"])))
        if state.mode == "holding":
            assert seen == [2], "only a recovery that began after the stop may clear it"
        else:
            assert state.mode == "stopped"
            with pytest.raises(rk.RobotStopped):
                _send(arm)
        before = arm.joints
        arm.pass_time()
        np.testing.assert_allclose(arm.joints, before, atol=1e-9)
    assert ("stopped", rk.RobotStopped) in outcomes
    assert ("stopped", type(None)) in outcomes, "a stop after the recovery"


@pytest.mark.parametrize("body", ARMS)
def test_a2_a_stop_stays_through_two_recoveries_that_were_asked_for_before_it(body):
    outcomes = set()
    for scheduler in every_schedule():
        arm = _schedules(body)(scheduler)
        arm.robot.stop_for("the first", "somebody else")
        asked: dict[str, int] = {}

        def recover(name: str, arm: Arm = arm, asked: dict[str, int] = asked) -> None:
            asked[name] = arm.robot.machine.stops
            arm.robot.recover()

        errors = scheduler.run(
            ("one", lambda recover=recover: recover("one")), ("two", lambda recover=recover: recover("two")),
            ("stop", lambda arm=arm: _stop(arm)),
        )  # fmt: skip
        assert errors["stop"] is None
        may_clear = [name for name in asked if asked[name] == 2 and errors[name] is None]
        mode = arm.robot.get_state().mode
        assert mode == ("holding" if may_clear else "stopped")
        outcomes.add((mode, len(may_clear)))
    assert {mode for mode, _ in outcomes} == {"stopped", "holding"}


def _stops_seen_by_the_recovery(arm: Arm) -> list[int]:
    seen: list[int] = []
    original = arm.robot.machine.require_no_stop_since

    def require(stops_seen: int) -> None:
        if not seen:
            seen.append(stops_seen)
        original(stops_seen)

    arm.robot.machine.require_no_stop_since = require
    return seen


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("second", CALLS)
def test_no_two_calls_leave_the_fake_arm_in_a_mode_that_it_cannot_leave(first, second):
    """Whatever two calls do to each other, one recovery (and a new connection) makes the arm follow again."""
    for scheduler in every_schedule():
        arm = _schedules("fake")(scheduler)
        errors = scheduler.run(
            ("first", lambda arm=arm: CALLS[first](arm)), ("second", lambda arm=arm: CALLS[second](arm))
        )
        for error in errors.values():
            assert error is None or isinstance(error, rk.RobotkitError)
        arm.robot.connect()
        if arm.robot.get_state().mode in ("stopped", "fault"):
            arm.robot.recover()
        assert arm.robot.get_state().mode in ("holding", "tracking")
        _send(arm)
        arm.pass_time()
        np.testing.assert_allclose(arm.joints, arm.robot.spec.reset_joint_positions_rad + FAR, atol=1e-6)
