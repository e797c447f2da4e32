"""Laws of the watchdog: an arm whose client falls silent holds, and faults are raised where somebody listens."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.fake import FakeRobot
from robotkit.safety import Watchdog
from tests.support.safe_arm import FreeClock, safe_arm, shifted
from tests.support.waiting import wait_until


def test_the_watchdog_holds_once_and_waits_for_the_next_command():
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), clock)
    try:
        clock.advance(10.0)
        time.sleep(0.05)
        assert body.holds == 0, "nobody commanded yet"
        arm.send(shifted(arm, 0.1))
        clock.advance(0.1)
        time.sleep(0.05)
        assert body.holds == 0
        clock.advance(0.11)
        wait_until(lambda: body.holds == 1)
        held = arm.get_state().tcp_pose_in_base
        clock.advance(5.0)
        time.sleep(0.05)
        assert body.holds == 1
        np.testing.assert_allclose(arm.get_state().tcp_pose_in_base, held)
        arm.send(shifted(arm, 0.05))
        clock.advance(0.3)
        wait_until(lambda: body.holds == 2)
    finally:
        arm.disconnect()


def test_an_orphaned_arm_holds_in_time_on_the_walls_clock():
    with rk.make_workcell("fake", **{"clock": "real", "limits.watchdog_s": 0.1, "robot.time_constant_s": 1.0}) as cell:
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.1
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        wait_until(lambda: cell.robot.get_state().mode == "holding")
        assert abs(cell.robot.get_state().tcp_pose_in_base[0] - pose[0]) > 0.02


def test_what_goes_wrong_in_the_watchdog_is_raised_where_somebody_listens(monkeypatch):
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), clock)
    assert isinstance(arm, Watchdog)

    def fail():
        raise rk.DeviceFault("cannot hold")

    try:
        arm.send(shifted(arm))
        monkeypatch.setattr(body, "hold", fail)
        clock.advance(0.3)
        time.sleep(0.05)
        with pytest.raises(rk.DeviceFault, match="cannot hold"):
            arm.get_state()
    finally:
        arm.disconnect()


def test_the_watchdog_feels_force_without_a_reader():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0), FreeClock())
    try:
        body.inject_wrench(np.array([0, 0, 20.0, 0, 0, 0]))
        wait_until(lambda: FakeRobot.get_state(body).mode == "stopped")
        with pytest.raises(rk.ForceLimitExceeded):
            arm.get_state()
    finally:
        arm.disconnect()


def test_the_watchdog_thread_ends_with_the_connection():
    others = set(threading.enumerate())  # servers of other tests may live on, with watchdogs of their own
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    own = set(threading.enumerate()) - others
    assert [thread.name for thread in own] == ["robotkit-watchdog"]
    arm.disconnect()
    arm.disconnect()
    assert not own & set(threading.enumerate())
