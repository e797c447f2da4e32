"""Laws of a plain arm that replaces its target itself: whoever commands learns of it, and of nothing else."""

from __future__ import annotations

import pytest

import robotkit as rk
from robotkit.devices import AdaptedRobot
from robotkit.devices.foreign_targets import ForeignTargets
from robotkit.safety import make_safe
from tests.support.recording_arm import InThread, PlainArm, joint_command
from tests.support.safe_arm import FreeClock
from tests.support.watched_arm import pose_command, watch_once

OWN = ("connect", "hold", "stop", "recover", "move", "forget_target")
"""The calls of the contract that replace a target."""


class Counting(PlainArm):
    """An arm that counts its epochs, as the contract says."""

    epoch = 0

    def _note(self, name: str) -> None:
        super()._note(name)
        self.epoch += name in OWN

    def get_state(self) -> rk.RobotState:
        state = super().get_state()
        return rk.RobotState.unchecked(**{**state.__dict__, "target_epoch": self.epoch})


@pytest.fixture
def arm() -> AdaptedRobot:
    arm = AdaptedRobot(Counting())
    arm.connect()
    arm.get_state()
    return arm


def test_r1_an_epoch_that_the_arm_begins_itself_is_told_once(arm):
    arm.send(joint_command(arm))
    before = arm.get_state()
    arm.inner.epoch += 1
    after = arm.get_state()
    assert after.target_epoch == before.target_epoch + 1
    assert after.mode == "tracking", "whether it stands is not known: the watchdog waits for its client as before"
    assert arm.get_state().target_epoch == after.target_epoch
    arm.inner.epoch += 3
    assert arm.get_state().target_epoch > after.target_epoch


CALLS = {
    "send": lambda arm: arm.send(joint_command(arm)),
    "hold": lambda arm: arm.hold(),
    "stop": lambda arm: arm.stop(),
    "recover": lambda arm: (arm.stop(), arm.recover()),
    "move": lambda arm: arm.reset(),
    "forget": lambda arm: arm.forget_target(),
    "connection": lambda arm: (arm.disconnect(), arm.connect()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("when", ["between", "within"])
def test_r1_an_epoch_that_a_call_of_ours_has_begun_is_not_told_again(arm, call, when):
    """Between two measurements, or within one: after the arm was asked, or after it has answered."""
    if when == "between":
        call(arm)
    else:
        arm.inner.on["get_state"] = lambda: (arm.inner.on.clear(), call(arm))
        arm.get_state()
    epoch = arm.target_epoch
    for _ in range(3):
        assert arm.get_state().target_epoch == epoch
    arm.inner.epoch += 1
    assert arm.get_state().target_epoch == epoch + 1, "it goes on to look"


@pytest.mark.parametrize("name", ["hold", "stop", "move"])
def test_r1_what_is_measured_while_a_call_of_ours_is_under_way_tells_nothing(arm, name):
    seen = []

    def measure_beside() -> None:
        arm.inner.epoch += 1
        before = arm.target_epoch
        arm.get_state()
        seen.append(arm.target_epoch - before)

    arm.inner.on[name] = measure_beside
    CALLS[name](arm)
    assert seen == [0]


def test_a_fault_that_begins_an_epoch_of_the_arm_is_a_fault(arm):
    arm.inner.mode, arm.inner.epoch = "fault", arm.inner.epoch + 1
    assert arm.get_state().mode == "fault"


def test_r1_the_next_command_counts_from_where_the_arm_stands_and_the_watchdog_still_holds_it():
    inner, clock = Counting(), FreeClock()
    arm = make_safe(inner, rk.SafetyLimits(watchdog_s=0.2, max_translation_step_m=0.05), clock)
    arm._watch = None
    arm.connect()
    arm.get_state()
    arm.send(pose_command(0.04))
    arm.send(pose_command(0.08))
    arm.get_state()
    inner.epoch += 1
    arm.get_state()
    with pytest.raises(rk.StepTooLarge):
        arm.send(pose_command(0.08))
    inner.calls.clear()
    clock.advance(0.3)
    watch_once(arm)
    assert inner.calls == ["hold"]


def test_r1_nobody_comes_between_while_an_epoch_of_the_arm_is_counted(arm, monkeypatch):
    replaced, is_free = arm.machine.replaced, []

    def look_and_replace() -> None:
        InThread(lambda: is_free.append(arm.machine.lock.acquire(blocking=False))).join()
        replaced()

    monkeypatch.setattr(arm.machine, "replaced", look_and_replace)
    arm.inner.epoch += 1
    arm.get_state()
    assert is_free == [False]


def test_r1_a_call_that_is_no_longer_under_way_has_ended_what_was_measured_before_it():
    foreign, marks = ForeignTargets(), []

    class Watched(set):
        def discard(self, call: object) -> None:
            super().discard(call)
            marks.append(foreign.mark())

    foreign._under_way = Watched()
    before = foreign.mark()
    with foreign.replacing():
        assert foreign.mark() is None
    assert marks == [foreign.mark()]
    assert marks[0] is not before


def test_r1_a_call_of_ours_that_comes_when_the_arm_has_answered_is_none_of_its_own(arm, monkeypatch):
    measure = arm.inner.get_state

    def hold_after() -> rk.RobotState:
        state = measure()
        monkeypatch.undo()
        arm.hold()
        return state

    monkeypatch.setattr(arm.inner, "get_state", hold_after)
    arm.get_state()
    epoch = arm.target_epoch
    assert arm.get_state().target_epoch == epoch
