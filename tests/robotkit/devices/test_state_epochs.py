"""Laws of the target epoch that a state tells: the one in which it was measured."""

from __future__ import annotations

import threading

import pytest

import robotkit as rk
from tests.support.recording_arm import InThread, RecordingArm, fail_with, joint_command


@pytest.fixture
def arm():
    with RecordingArm() as connected:
        yield connected


def meanwhile(arm, times, call):
    """Let `call` come between the first `times` measurements and their ends, but into none that it makes itself."""
    measure, left, is_called = arm._measure, [times], threading.Event()

    def measured():
        before = measure()
        if left[0] and not is_called.is_set():
            left[0] -= 1
            is_called.set()
            InThread(call).join()
            is_called.clear()
        return before

    arm._measure = measured


@pytest.mark.parametrize("end", ["hold", "recover"])
def test_f2_a_state_that_something_came_into_is_measured_anew(arm, end):
    """Else an old measurement would be told with the new epoch, and a command made from it would be accepted."""
    arm.send(joint_command(arm))
    old = arm.joints_rad.copy()

    def call():
        arm.joints_rad = old + 0.1
        getattr(arm, end)()

    meanwhile(arm, 1, call)
    state = arm.get_state()
    assert state.target_epoch == arm.machine.epoch
    assert (state.joint_positions_rad == arm.joints_rad).all()


def test_f2_where_something_comes_into_every_measurement_the_epoch_is_that_of_the_measurement(arm):
    arm.send(joint_command(arm))
    meanwhile(arm, 100, arm.hold)
    state = arm.get_state()
    assert state.target_epoch < arm.machine.epoch, "a command made from it is refused"


def test_f2_a_measurement_that_a_recovery_comes_into_is_told_in_no_case(arm):
    def stop_and_recover():
        arm.joints_rad = arm.joints_rad + 0.1
        arm.stop()
        arm.recover()

    meanwhile(arm, 10, stop_and_recover)
    state = arm.get_state()
    assert (state.mode, state.recoveries, state.target_epoch) == ("holding", 10, arm.machine.epoch)
    assert (state.joint_positions_rad == arm.joints_rad).all()


def test_f2_the_last_measurement_keeps_its_epoch(arm):
    epoch = arm.get_state().target_epoch
    arm._measure = fail_with(rk.StaleState("no packets"))
    arm.stop()
    for state in (arm.get_state(), arm.newest_state()):
        assert (state.mode, state.target_epoch) == ("fault", epoch)
        assert state.stop is not None
