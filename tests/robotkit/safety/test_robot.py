"""Laws of the safety layer: force, old measurements, the latched stop, and what an observer is told."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake import ManualClock
from robotkit.safety import make_safe
from tests.support.recording_arm import InThread, RecordingArm
from tests.support.safe_arm import safe_arm, shifted
from tests.support.waiting import wait_until
from tests.support.watched_arm import build, kinds, pose_command


@pytest.mark.parametrize("wrench", [[0, 11, 0, 0, 0, 0], [0, 0, 0, 0, 0, -2.1]])
def test_force_above_the_limit_stops_the_arm_and_everybody_reads_why(wrench):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0, max_torque_nm=2.0))
    command = shifted(arm)
    body.inject_wrench(np.array([0, 9.9, 0, 1.9, 0, 0]))
    assert arm.get_state().mode == "holding"
    body.inject_wrench(np.array(wrench))
    for _ in range(3):
        state = arm.get_state()
        assert state.mode == "stopped"
        assert state.stop.author == "safety monitor"
        assert "at most 10.0 N" in state.stop.cause
    with pytest.raises(rk.ForceLimitExceeded, match=r"at most 10\.0 N"):
        arm.send(command)
    assert body.sent == []
    body.inject_wrench(np.zeros(6))
    arm.recover()
    assert arm.get_state().stop is None
    arm.send(command)
    body.inject_wrench(np.array(wrench))
    assert arm.get_state().mode == "stopped"


def test_old_measurements_are_refused():
    arm, body, clock = safe_arm(rk.SafetyLimits(state_max_age_s=0.1))
    body.inject_silence(True)
    clock.advance(0.1)
    arm.get_state()
    clock.advance(0.01)
    with pytest.raises(rk.StaleState):
        arm.get_state()
    body.inject_silence(False)
    arm.get_state()


def test_b6_no_fresh_state_no_motion():
    arm, body, clock = safe_arm(rk.SafetyLimits(state_max_age_s=0.1))
    command, goal = shifted(arm), arm.get_state().joint_positions_rad
    body.inject_silence(True)
    clock.advance(0.1)
    arm.send(command)
    clock.advance(0.01)
    for send in (lambda: arm.send(command), lambda: arm.check(command), lambda: arm.move_to_joint_positions(goal)):
        with pytest.raises(rk.StaleState, match="state_max_age_s"):
            send()
    assert len(body.sent) == 1
    assert body.machine.activity == "tracking"
    body.inject_silence(False)
    arm.send(command)


def test_an_arm_whose_recovery_fails_stays_stopped(monkeypatch):
    arm, body, _ = safe_arm(rk.SafetyLimits())

    def fail():
        raise rk.DeviceFault("the fault persists")

    arm.stop()
    with monkeypatch.context() as patch:
        patch.setattr(body, "_clear_faults", fail)
        with pytest.raises(rk.DeviceFault):
            arm.recover()
    with pytest.raises(rk.RobotStopped):
        arm.send(shifted(arm))


def test_nothing_reaches_the_arm_after_stop_returns():
    arm, body, _ = safe_arm(rk.SafetyLimits())
    command, refused = shifted(arm), threading.Event()

    def send_for_ever():
        try:
            while True:
                arm.send(command)
        except rk.RobotStopped:
            refused.set()

    senders = [threading.Thread(target=send_for_ever) for _ in range(3)]
    for sender in senders:
        sender.start()
    wait_until(lambda: len(body.sent) > 50)
    arm.stop()
    count = len(body.sent)
    for sender in senders:
        sender.join(5.0)
    assert refused.is_set()
    assert len(body.sent) == count


def test_a_stop_keeps_its_first_cause_and_its_author_until_recovery():
    arm, _, clock = safe_arm(rk.SafetyLimits())
    clock.advance(3.0)
    arm.stop_for("the operator pressed STOP", "anna")
    clock.advance(1.0)
    arm.stop()
    stop = arm.get_state().stop
    assert (stop.cause, stop.author, stop.since_s) == ("the operator pressed STOP", "anna", 3.0)
    with pytest.raises(rk.RobotStopped, match=r"since 1\.0 s: the operator pressed STOP \(by anna\)"):
        arm.send(shifted(arm))
    arm.disconnect()
    arm.connect()
    assert arm.get_state().stop == stop
    arm.recover()
    assert arm.get_state().stop is None


def test_an_observer_hears_of_refusals_stops_recoveries_and_faults():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.05))
    heard = []
    leave = arm.subscribe(lambda event: heard.append(event.kind))
    arm.subscribe(lambda event: 1 / 0)
    with pytest.raises(rk.StepTooLarge):
        arm.send(shifted(arm, 0.1))
    arm.stop()
    arm.recover()
    body.inject_fault("torn")
    arm.get_state()
    arm.get_state()
    assert heard == ["refused", "stop", "recover", "fault"]
    leave()
    arm.recover()
    assert heard == ["refused", "stop", "recover", "fault"]


def test_an_observer_hears_of_a_fault_in_which_the_arm_is_connected():
    body = RecordingArm()
    body.fault = body.machine.fault_of(("torn",))
    arm = make_safe(body, rk.SafetyLimits(), body.clock)
    heard = kinds(arm)
    arm.connect()
    assert arm.get_state().mode == "fault"
    assert heard == ["fault"]


def test_b6_an_arm_is_held_by_no_measurement_that_is_older_than_the_cell_allows():
    arm, body = build(ManualClock(), state_max_age_s=0.02)
    arm.send(pose_command())
    body._measure = lambda: RecordingArm._measure(body)._replace(stamp_s=arm._clock.now_s() - 0.03)
    with pytest.raises(rk.StaleState, match=r"0\.030 s ago; at most 0\.02 s"):
        arm.hold()
    assert arm.machine.mode == "stopped"


def test_no_command_is_checked_while_the_bounds_of_a_connected_arm_are_made(monkeypatch):
    body = RecordingArm()
    arm = make_safe(body, rk.SafetyLimits(), body.clock)
    free = []

    def fit() -> None:
        asking = InThread(lambda: free.append(arm.machine.lock.acquire(blocking=False)))
        assert asking.join() is None

    monkeypatch.setattr(arm, "_fit", fit)
    arm.connect()
    assert free == [False]
