"""What goes wrong with an arm: each fault has a name within a stated time, the arm holds, one call recovers it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaHand, FrankaRobot
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.waiting import is_fine, wait_for_error, wait_until


@pytest.fixture(scope="module")
def simulator() -> Iterator[FrankaSimulator]:
    """In real time; a busy machine is no fault."""
    with FrankaSimulator(is_lenient=True) as built:
        yield built


@pytest.fixture(scope="module")
def strict_simulator() -> Iterator[FrankaSimulator]:
    """In real time, enforcing the communication constraints as the control box does."""
    with FrankaSimulator() as built:
        yield built


@pytest.fixture
def arm(simulator: FrankaSimulator) -> Iterator[FrankaRobot]:
    with connected(simulator) as robot:
        yield robot


@contextmanager
def connected(simulator: FrankaSimulator) -> Iterator[FrankaRobot]:
    with rk.make_robot("franka", **robot_options(simulator.host)) as robot:
        if robot.get_state().mode == "fault":
            robot.recover()
        wait_until(lambda: robot.get_state().control_success_rate > 0.0)
        yield robot


def here(arm: FrankaRobot) -> rk.PoseCommand:
    return rk.PoseCommand(tcp_pose_in_base=arm.get_state().tcp_pose_in_base)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"reflex": "cartesian_reflex"}, "cartesian_reflex"),
        ({"reflex": "controller_torque_discontinuity"}, "controller_torque_discontinuity"),
    ],
)
def test_a_reflex_is_named_latched_and_recovered_by_one_call(arm, simulator, fault, name):
    require_latched_and_recovered(arm, simulator, fault, name)


def test_lost_packets_are_a_fault_too(strict_simulator):
    with connected(strict_simulator) as arm:
        name = "communication_constraints_violation"
        require_latched_and_recovered(arm, strict_simulator, {"drop_packets": 100}, name)


def require_latched_and_recovered(arm, simulator, fault, name):
    command = here(arm)
    simulator.inject(**fault)
    wait_until(lambda: arm.get_state().mode == "fault")
    assert arm.get_state().faults == (name,)
    start = arm.get_state().joint_positions_rad
    with pytest.raises(rk.DeviceFault, match=name):
        arm.send(command)
    with pytest.raises(rk.DeviceFault, match=name):
        arm.reset()
    time.sleep(0.2)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, start, atol=5e-3)
    arm.recover()
    assert arm.get_state().mode in ("holding", "tracking")
    assert arm.get_state().faults == ()
    arm.send(here(arm))


def test_a_fault_that_persists_keeps_its_error(arm, simulator):
    simulator.inject(reflex="joint_reflex", needs_manual_recovery=True)
    wait_until(lambda: arm.get_state().mode == "fault")
    with pytest.raises(rk.DeviceFault):
        arm.recover()
    assert arm.get_state().mode == "fault"
    simulator.inject(needs_manual_recovery=False)
    arm.recover()
    assert arm.get_state().mode != "fault"


def test_an_error_that_is_kept_keeps_no_connection(simulator):
    """A control box takes one client at a time, and a connection is closed when the last name for it is gone."""
    kept = []
    for _ in range(2):
        with connected(simulator) as arm:
            simulator.inject(reflex="joint_reflex", needs_manual_recovery=True)
            wait_until(lambda arm=arm: arm.get_state().mode == "fault")
            with pytest.raises(rk.DeviceFault) as caught:
                arm.recover()
            kept.append(caught)
            simulator.inject(needs_manual_recovery=False)
    assert len(kept) == 2


def test_a_reflex_ends_a_joint_motion(arm, simulator):
    arm.reset()
    goal = arm.get_state().joint_positions_rad.copy()
    goal[0] += 0.8
    start = arm.get_state().joint_positions_rad[0]

    def break_it():
        wait_until(lambda: arm.get_state().joint_positions_rad[0] > start + 0.1, deadline_s=30.0)
        simulator.inject(reflex="joint_reflex")

    breaker = threading.Thread(target=break_it)
    breaker.start()
    with pytest.raises(rk.DeviceFault, match="joint_reflex"):
        arm.move_to_joint_positions(goal)
    breaker.join()
    assert arm.get_state().faults == ("joint_reflex",)
    arm.recover()


def test_an_arm_in_a_fault_can_be_connected_and_waits_for_recovery(simulator):
    simulator.inject(reflex="joint_reflex")
    with rk.make_robot("franka", **robot_options(simulator.host)) as robot:
        assert robot.get_state().mode == "fault"
        with pytest.raises(rk.DeviceFault, match="joint_reflex"):
            robot.send(here(robot))
        robot.recover()
        robot.send(here(robot))


_DRIVER = """
import sys, time, robotkit as rk
arm = rk.make_robot("franka", host=sys.argv[1], realtime="ignore")
arm.connect()
print("holding", flush=True)
while True:
    time.sleep(0.005)
    state = arm.get_state()
    if state.mode == "fault":
        print(*state.faults, flush=True)
        arm.recover()
        print(arm.get_state().mode, flush=True)
        arm.disconnect()
        break
"""


def test_a_driver_that_freezes_for_80_ms_is_told_and_recovers(strict_simulator):
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, strict_simulator.host], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "holding\n"
        time.sleep(0.2)
        driver.send_signal(signal.SIGSTOP)
        time.sleep(0.08)
        driver.send_signal(signal.SIGCONT)
        assert driver.stdout.readline() == "communication_constraints_violation\n"
        assert driver.stdout.readline() in ("holding\n", "tracking\n")
    assert driver.returncode == 0


@pytest.fixture
def mortal() -> Iterator[FrankaSimulator]:
    """A simulator to kill."""
    with FrankaSimulator(is_lockstep=True) as built:
        yield built


def test_a_control_box_that_vanishes_is_named_and_connected_again_by_one_call(mortal):
    with (
        rk.make_robot("franka", **robot_options(mortal.host)) as arm,
        rk.make_gripper("franka_hand", host=mortal.host) as hand,
    ):
        assert isinstance(hand, FrankaHand)
        command = here(arm)
        hand.close()
        wait_until(lambda: not hand._commands.is_busy)  # what is cut off under way is another fault, and told first
        mortal.kill()
        start_s = time.monotonic()
        wait_for_error(lambda: arm.send(command), rk.ConnectionFailed)
        assert arm.get_state().mode == "fault"
        assert arm.get_state().stamp_s == arm.get_state().stamp_s < time.monotonic()
        wait_for_error(hand.get_state, rk.StaleState)
        assert time.monotonic() - start_s < 3.0
        with pytest.raises(rk.ConnectionFailed):
            arm.recover()
        mortal.start()
        arm.recover()
        arm.send(here(arm))
        wait_until(lambda: is_fine(hand.open, rk.StaleState))
        wait_until(lambda: hand.get_state().position > 0.9)
