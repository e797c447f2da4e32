"""Laws of the watch over an arm: a silent client's arm holds, and what is measured stops it without a reader."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import robotkit as rk
from tests.support.safe_arm import FreeClock, safe_arm, shifted
from tests.support.waiting import wait_until


@pytest.fixture
def watched():
    """An arm with a watchdog of 0.2 s, its body, and its clock."""
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), clock)
    yield arm, body, clock
    arm.disconnect()


def let_the_watch_run(arm):
    """Return after the watch has gone round twice."""
    rounds = arm._watch.rounds
    wait_until(lambda: arm._watch.rounds >= rounds + 2)


def test_the_watchdog_holds_once_and_waits_for_the_next_command(watched):
    arm, body, clock = watched
    clock.advance(10.0)
    let_the_watch_run(arm)
    assert body.holds == 0, "nobody commanded yet"
    arm.send(shifted(arm, 0.1))
    clock.advance(0.1)
    let_the_watch_run(arm)
    assert body.holds == 0
    clock.advance(0.11)
    wait_until(lambda: body.holds == 1)
    held = arm.get_state().tcp_pose_in_base
    clock.advance(5.0)
    let_the_watch_run(arm)
    assert body.holds == 1
    np.testing.assert_allclose(arm.get_state().tcp_pose_in_base, held)
    arm.send(shifted(arm, 0.05))
    clock.advance(0.3)
    wait_until(lambda: body.holds == 2)


def test_m1_after_a_reconnection_the_watchdog_watches_again(watched):
    arm, body, clock = watched
    arm.disconnect()
    arm.connect()
    arm.send(shifted(arm, 0.1))
    clock.advance(0.3)
    wait_until(lambda: body.holds == 1)


def test_m2_refused_commands_keep_no_orphan_alive(watched):
    arm, body, clock = watched
    arm.send(shifted(arm, 0.1))
    bad = rk.PoseCommand.unchecked(kind="pose", tcp_pose_in_base=np.full(7, np.nan))
    for _ in range(3):
        clock.advance(0.07)
        with pytest.raises(rk.InvalidCommand):
            arm.send(bad)
    wait_until(lambda: body.holds == 1)


def test_m3_no_hold_falls_into_a_joint_motion(watched):
    arm, body, clock = watched
    arm.send(shifted(arm, 0.01))
    goal = arm.spec.reset_joint_positions_rad.copy()
    goal[0] += 0.3
    mover = threading.Thread(target=arm.move_to_joint_positions, args=(goal,))
    mover.start()
    wait_until(lambda: body.machine.activity == "travelling")
    assert body.holds == 1, "an arm that tracks is brought to rest first"
    clock.advance(0.25)
    let_the_watch_run(arm)
    assert body.machine.activity == "travelling"
    assert body.holds == 1
    clock.advance(1.0)
    mover.join(5.0)
    assert body.holds == 2, "the arm holds where it has arrived"


def test_an_orphaned_arm_holds_in_time_on_the_walls_clock():
    with rk.make_workcell("fake", **{"clock": "real", "limits.watchdog_s": 0.1, "robot.time_constant_s": 1.0}) as cell:
        pose = cell.robot.get_state().tcp_pose_in_base.copy()
        pose[0] += 0.1
        cell.robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        assert cell.robot.get_state().mode == "tracking"
        wait_until(lambda: cell.robot.get_state().mode == "holding")
        assert abs(cell.robot.get_state().tcp_pose_in_base[0] - pose[0]) > 0.02


def test_an_arm_that_cannot_hold_is_stopped(watched, monkeypatch):
    arm, body, clock = watched

    def fail():
        raise rk.DeviceFault("cannot hold")

    arm.send(shifted(arm))
    monkeypatch.setattr(body, "_hold", fail)
    clock.advance(0.3)
    wait_until(lambda: arm.get_state().mode == "stopped")
    assert "cannot hold" in arm.get_state().stop.cause
    assert body.halts == 1


def test_b7_a_fault_stays_readable_when_the_watchdog_is_due(watched):
    arm, body, clock = watched
    arm.send(shifted(arm, 0.1))
    body.inject_fault("cartesian_reflex")
    clock.advance(1.0)
    let_the_watch_run(arm)
    for _ in range(30):
        state = arm.get_state()
        assert (state.mode, state.faults) == ("fault", ("cartesian_reflex",))
    assert state.stop is None
    arm.recover()
    assert arm.get_state().mode == "holding"


def test_the_watch_feels_force_without_a_reader():
    arm, body, _ = safe_arm(rk.SafetyLimits(max_force_n=10.0), FreeClock())
    try:
        body.inject_wrench(np.array([0, 0, 20.0, 0, 0, 0]))
        wait_until(lambda: body.machine.mode == "stopped")
        assert body.machine.stop.code == "force_limit_exceeded"
    finally:
        arm.disconnect()


def test_b6_the_watch_stops_an_arm_that_measures_nothing():
    clock = FreeClock()
    arm, body, _ = safe_arm(rk.SafetyLimits(state_max_age_s=0.2), clock)
    try:
        arm.send(shifted(arm, 0.1))
        body.inject_silence(True)
        clock.advance(0.3)
        wait_until(lambda: body.machine.mode == "stopped")
        assert "has measured nothing" in arm.get_state().stop.cause
    finally:
        arm.disconnect()


def test_the_watch_ends_with_the_connection():
    others = set(threading.enumerate())  # servers of other tests may live on, with watchdogs of their own
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    own = set(threading.enumerate()) - others
    assert {thread.name for thread in own} == {"robotkit-monitor", "robotkit-watchdog"}
    arm.disconnect()
    arm.disconnect()
    assert not own & set(threading.enumerate())


def test_a_watch_outlives_a_failure_of_its_work(caplog):
    arm, body, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    try:
        body._find_fault = lambda: 1 / 0
        let_the_watch_run(arm)
        del body._find_fault
        assert "the watch over the arm failed" in caplog.text
        let_the_watch_run(arm)

    finally:
        arm.disconnect()


def test_an_arm_whose_disconnection_is_interrupted_before_it_began_is_watched_on(monkeypatch):
    arm, _, _ = safe_arm(rk.SafetyLimits(watchdog_s=0.2), FreeClock())
    watch, stop = arm._watch, arm._watch.stop

    def interrupted(then) -> None:
        stop()
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "stop", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            arm.disconnect()
        assert arm.is_connected
        let_the_watch_run(arm)
    finally:
        monkeypatch.undo()
        arm.disconnect()
