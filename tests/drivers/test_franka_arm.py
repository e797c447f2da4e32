"""The arm in contact, under changing parameters, and against SERL's bound on the contact force."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot
from robotkit.spatial import matrix_from_quaternion, rotate_vec6
from tests.support.franky_sim import FrankaSimulator
from tests.support.franky_sim.cells import robot_options
from tests.support.waiting import wait_until

_PRESSING_RAD = np.array((0.0, -0.4, 0.0, -2.2, 0.0, 1.85, 0.785))


@pytest.fixture(scope="module")
def simulator() -> Iterator[FrankaSimulator]:
    with FrankaSimulator(is_lockstep=True, has_table=True) as built:
        yield built


@pytest.fixture
def arm(simulator: FrankaSimulator) -> Iterator[FrankaRobot]:
    options = robot_options(
        simulator.host, reset_joint_positions_rad=_PRESSING_RAD, collision_force_n=200.0, collision_torque_nm=120.0
    )
    with rk.make_robot("franka", **options) as robot:
        yield robot


def force_up_n(arm: FrankaRobot) -> float:
    state = arm.get_state()
    return float(rotate_vec6(state.tcp_pose_in_base[3:], state.wrench_in_tcp)[2])


def forces_up_n(arm: FrankaRobot, simulator: FrankaSimulator, seconds: float) -> np.ndarray:
    """Forces during `seconds` of simulated time."""
    forces, start_s = [], simulator.now_s()
    while simulator.now_s() - start_s < seconds:
        forces.append(force_up_n(arm))
        time.sleep(0.005)
    return np.array(forces)


def press(arm: FrankaRobot, simulator: FrankaSimulator) -> None:
    """Go down onto the table, and let the blow of the arrival die away."""
    arm.reset()
    arm.send(below(arm, 0.3))
    wait_until(lambda: force_up_n(arm) > 15.0)
    forces_up_n(arm, simulator, 0.5)


def below(arm: FrankaRobot, distance_m: float) -> rk.PoseCommand:
    pose = arm.get_state().tcp_pose_in_base.copy()
    pose[2] -= distance_m
    return rk.PoseCommand(tcp_pose_in_base=pose)


def test_the_clip_bounds_the_contact_force_also_when_it_changes_in_contact(arm, simulator):
    """Force = stiffness times clip within 5 %, and never above the larger of old and new bound on the way there."""
    press(arm, simulator)
    for stiffness_n_m, clip_m in ((2000.0, 0.01), (2000.0, 0.003), (3000.0, 0.01), (2000.0, 0.01)):
        clip = [clip_m] * 3
        before_n, bound_n = force_up_n(arm), stiffness_n_m * clip_m
        arm.set_compliance(
            rk.ComplianceParams(
                translational_stiffness_n_m=stiffness_n_m,
                translational_clip_min_m=[-c for c in clip],
                translational_clip_max_m=clip,
            )
        )
        forces_n = forces_up_n(arm, simulator, 1.5)
        settled_n = np.median(forces_n[-len(forces_n) // 4 :])
        print(f"{bound_n:g} N: {settled_n:.2f} N, at most {forces_n.max():.2f} N, before {before_n:.2f} N")
        assert settled_n == pytest.approx(bound_n, rel=0.05)
        assert forces_n.max() <= 1.05 * max(bound_n, before_n)
    arm.recover()


def test_gains_change_in_the_motion_that_runs(arm, simulator):
    press(arm, simulator)
    arm.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1000.0))
    forces_up_n(arm, simulator, 1.2)
    assert np.median(forces_up_n(arm, simulator, 0.3)) == pytest.approx(10.0, rel=0.1)
    assert arm.get_state().mode == "holding"


def test_an_injected_wrench_has_the_sign_of_what_the_world_does(arm, simulator):
    arm.reset()
    simulator.inject(wrench_on_environment=[1.0, 2.0, -5.0, 0.0, 0.0, 0.1])
    wait_until(lambda: abs(force_up_n(arm) - 5.0) < 0.1)
    state = arm.get_state()
    turned = matrix_from_quaternion(state.tcp_pose_in_base[3:]).T @ [-1.0, -2.0, 5.0]
    np.testing.assert_allclose(state.wrench_in_tcp[:3], turned, atol=0.05)
    simulator.inject(wrench_on_environment=[0.0] * 6)


def test_the_first_target_is_the_measured_pose(arm, simulator):
    start = arm.get_state().tcp_pose_in_base
    forces_up_n(arm, simulator, 0.5)
    np.testing.assert_allclose(arm.get_state().tcp_pose_in_base[:3], start[:3], atol=1e-3)


def test_a_joint_motion_that_does_not_arrive_fails_and_leaves_the_arm_holding(arm, simulator):
    """The table is in the way, of an arm that does not feel it."""
    arm.reset()
    goal = arm.get_state().joint_positions_rad.copy()
    goal[1] += 0.7
    simulator.inject(feels_contact=False)
    with pytest.raises(rk.MotionFailed, match="from its goal at joint"):
        arm.move_to_joint_positions(goal)
    assert arm.get_state().mode in ("holding", "tracking")
    arm.reset()
    simulator.inject(feels_contact=True)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, _PRESSING_RAD, atol=0.02)


def test_a_joint_motion_into_the_table_ends_in_a_reflex_that_one_call_clears(arm, simulator):
    arm.reset()
    goal = arm.get_state().joint_positions_rad.copy()
    goal[1] += 0.7
    with pytest.raises(rk.DeviceFault, match="reflex"):
        arm.move_to_joint_positions(goal)
    assert arm.get_state().mode == "fault"
    simulator.inject(feels_contact=False)  # it still presses, which no software can undo without moving
    arm.recover()
    assert arm.get_state().mode != "fault"
    arm.reset()
    simulator.inject(feels_contact=True)


def test_asymmetric_clips_are_told(arm, caplog):
    with caplog.at_level(logging.WARNING):
        arm.set_compliance(rk.ComplianceParams(translational_clip_max_m=[0.002] * 3))
    assert "tighter side" in caplog.text
