"""Laws of the safety layer: which layers there are, force, old measurements, and the latched stop."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from robotkit.safety import SafetyWrapper
from tests.support.safe_arm import FreeClock, safe_arm, shifted
from tests.support.waiting import wait_until


def layers(arm):
    names = []
    while isinstance(arm, SafetyWrapper):
        names.append(type(arm).__name__)
        arm = arm.inner
    return names


def test_only_what_the_limits_ask_for_is_there():
    arm, _, _ = safe_arm(rk.SafetyLimits())
    assert layers(arm) == ["LatchedStop", "CommandForm", "JointRange"]
    arm, _, _ = safe_arm(rk.SafetyLimits(max_translation_step_m=0.1, max_force_n=1.0, watchdog_s=1.0))
    assert layers(arm) == ["ForceLimit", "LatchedStop", "CommandForm", "JointRange", "StepLimit"]
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=1.0), FreeClock())
    assert layers(arm)[0] == "Watchdog"
    arm.disconnect()


@pytest.mark.parametrize("wrench", [[0, 11, 0, 0, 0, 0], [0, 0, 0, 0, 0, -2.1], [np.nan, 0, 0, 0, 0, 0]])
def test_force_above_the_limit_stops_the_arm_and_is_told_once(wrench):
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0, max_torque_nm=2.0))
    command = shifted(arm)
    body.inject_wrench(np.array([0, 9.9, 0, 1.9, 0, 0]))
    arm.get_state()
    body.inject_wrench(np.array(wrench))
    with pytest.raises(rk.ForceLimitExceeded, match="recover"):
        arm.get_state()
    assert arm.get_state().mode == "stopped"
    with pytest.raises(rk.RobotStopped):
        arm.send(command)
    body.inject_wrench(np.zeros(6))
    arm.recover()
    arm.send(command)
    body.inject_wrench(np.array(wrench))
    with pytest.raises(rk.ForceLimitExceeded):
        arm.get_state()


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


def test_an_arm_whose_recovery_fails_stays_stopped(monkeypatch):
    arm, body, _ = safe_arm(rk.SafetyLimits())

    def fail():
        raise rk.DeviceFault("the fault persists")

    arm.stop()
    with monkeypatch.context() as patch:
        patch.setattr(body, "recover", fail)
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
