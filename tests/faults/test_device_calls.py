"""Every order of two or three calls: a closed device is told nothing, an open one was told last what the mode says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import pytest

import robotkit as rk
from tests.faults.arms import put_under
from tests.faults.scheduler import Scheduler, every_schedule
from tests.support.recording_arm import RecordingArm, joint_command


class Arm(RecordingArm):
    """A connected arm, whose device also notes when a fault of it is latched, and may be in a state to begin with."""

    def __init__(self, scheduler: Scheduler, begin: str) -> None:
        super().__init__()
        self.connect()
        BEGINNINGS[begin](self)
        put_under(self, scheduler)
        failed = self.machine.failed

        def noted(fault: rk.devices.ArmFault) -> bool:
            is_first = failed(fault)
            self.calls += ["failed"] if is_first else []
            return is_first

        self.machine.failed = noted


def _fault(arm: RecordingArm) -> None:
    arm._latch(arm.machine.fault_of(("torn",)))


CALLS: dict[str, Callable[[RecordingArm], object]] = {
    "connect": lambda arm: arm.connect(),
    "disconnect": lambda arm: arm.disconnect(),
    "send": lambda arm: arm.send(joint_command(arm)),
    "hold": lambda arm: arm.hold(),
    "move": lambda arm: arm.move_to_joint_positions(arm.joints_rad),
    "stop": lambda arm: arm.stop(),
    "recover": lambda arm: arm.recover(),
    "fault": _fault,
    "reset of the world": lambda arm: arm.forget_target(),
    "compliance": lambda arm: arm.set_compliance(rk.ComplianceParams()),
}
BEGINNINGS: dict[str, Callable[[RecordingArm], object]] = {
    "disconnected": lambda arm: arm.disconnect(),
    "holding": lambda arm: None,
    "tracking": CALLS["send"],
    "stopped": lambda arm: arm.stop(),
    "fault": _fault,
}
TOLD = {"tracking": {"follow"}, "holding": {"start", "hold"}, "stopped": {"halt"}, "fault": {"halt"}}
"""What the device may have been told last, by the mode that the arm is said to be in."""


def require_consistent(arm: RecordingArm) -> None:
    """What was told to the device fits what the machine says."""
    is_open, last = False, None
    for call in arm.calls:
        if call in ("open", "close"):
            assert is_open == (call == "close"), arm.calls
            is_open, last = not is_open, None
        elif call not in ("failed", "clear", "compliance"):
            assert is_open, f"a closed device was told: {call}, in {arm.calls}"
            last = call
        elif call != "failed":
            assert is_open, arm.calls
    assert is_open == arm.is_connected, arm.calls
    if is_open:
        mode = arm.machine.mode
        assert last in TOLD[mode] or (last is None and mode in ("stopped", "fault")), (mode, arm.calls)


def require_no_lost_fault(arm: RecordingArm) -> None:
    """A fault that came when control had started again is not cleared by the recovery that started it."""
    if "failed" in arm.calls and arm.is_connected:
        after = arm.calls[arm.calls.index("failed") :]
        if "start" not in after:
            assert arm.machine.fault is not None, arm.calls


def run(begin: str, *names: str) -> int:
    """All orders of these calls; how many there are."""
    count = 0
    for scheduler in every_schedule():
        arm = Arm(scheduler, begin)
        calls = [(f"{number} {name}", lambda arm=arm, name=name: CALLS[name](arm)) for number, name in enumerate(names)]
        for error in scheduler.run(*calls).values():
            assert error is None or isinstance(error, rk.RobotkitError), error
        require_consistent(arm)
        require_no_lost_fault(arm)
        count += 1
        arm.disconnect()
        assert arm.calls.count("open") == arm.calls.count("close")
        arm.connect()
        require_consistent(arm)
    return count


@pytest.mark.parametrize("begin", BEGINNINGS)
@pytest.mark.parametrize(
    "pair", list(combinations_with_replacement(CALLS, 2)), ids=lambda pair: f"{pair[0]} and {pair[1]}"
)
def test_a2_whatever_two_calls_do_to_each_other_the_device_was_told_what_the_mode_says(pair, begin):
    assert run(begin, *pair) > 1


def test_a2_no_connection_that_was_asked_for_before_a_disconnection_outlives_it():
    outcomes = set()
    for scheduler in every_schedule():
        arm = Arm(scheduler, "disconnected")
        before, asked = arm.machine.disconnections, {}

        def connect(name, arm=arm, asked=asked):
            asked[name] = arm.machine.disconnections
            arm.connect()

        errors = scheduler.run(
            ("one", lambda connect=connect: connect("one")), ("two", lambda connect=connect: connect("two")),
            ("disconnect", arm.disconnect),
        )  # fmt: skip
        assert errors["disconnect"] is None
        came_after = [name for name in asked if asked[name] > before]
        assert arm.is_connected == bool(came_after), arm.calls
        assert all(errors[name] is None for name in came_after)
        require_consistent(arm)
        outcomes.add(len(came_after))
    assert outcomes == {0, 1, 2}


@pytest.mark.parametrize("begin", ["disconnected", "holding", "stopped"])
@pytest.mark.parametrize("third", ["connect", "disconnect", "stop", "recover"])
def test_a2_three_calls_of_which_two_open_and_close(third, begin):
    run(begin, "connect", "disconnect", third)
