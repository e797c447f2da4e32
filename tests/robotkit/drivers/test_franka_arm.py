"""The arm in contact, under changing parameters, and against SERL's bound on the contact force."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest

import robotkit as rk
from robotkit.drivers.franka import FrankaRobot
from robotkit.spatial import compose, integrate_delta, matrix_from_quaternion, rotate_vec6
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
        simulator.host,
        reset_joint_positions_rad=_PRESSING_RAD,
        collision_force_n=[200.0] * 6,
        collision_torque_nm=[120.0] * 7,
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


@pytest.mark.parametrize(
    ("stiffness_n_m", "clip_m"),
    [(2000.0, 0.0101), (3000.0, 0.01), (1000.0, 0.012), (3000.0, 0.003)],
)
def test_b11_the_clip_bounds_the_contact_force_from_both_sides_while_it_changes(arm, simulator, stiffness_n_m, clip_m):
    """Force = stiffness times clip within 5 %, and on the way there between old and new: no leap and no collapse."""
    press(arm, simulator)
    before_n, bound_n = float(np.median(forces_up_n(arm, simulator, 0.2))), stiffness_n_m * clip_m
    arm.set_compliance(law(stiffness_n_m, clip_m))
    forces_n = forces_up_n(arm, simulator, 1.5)
    settled_n = np.median(forces_n[-len(forces_n) // 4 :])
    print(f"{bound_n:g} N: {settled_n:.2f} N, {forces_n.min():.2f} to {forces_n.max():.2f} N, before {before_n:.2f} N")
    assert settled_n == pytest.approx(bound_n, rel=0.05)
    assert forces_n.max() <= 1.05 * max(bound_n, before_n)
    assert forces_n.min() >= 0.93 * min(bound_n, before_n)
    assert arm.compliance.translational_stiffness_n_m == stiffness_n_m


def law(stiffness_n_m: float, clip_m: float) -> rk.ComplianceParams:
    clip = [clip_m] * 3
    return rk.ComplianceParams(
        translational_stiffness_n_m=stiffness_n_m,
        translational_clip_min_m=[-c for c in clip],
        translational_clip_max_m=clip,
    )


def test_gains_change_in_the_motion_that_runs(arm, simulator):
    press(arm, simulator)
    arm.set_compliance(rk.ComplianceParams(translational_stiffness_n_m=1000.0))
    forces_n = forces_up_n(arm, simulator, 1.2)
    assert forces_n.min() > 9.0
    assert np.median(forces_up_n(arm, simulator, 0.3)) == pytest.approx(10.0, rel=0.1)
    assert arm.get_state().mode == "tracking"


_WIDE = {
    "translational_clip_min_m": [-0.5] * 3,
    "translational_clip_max_m": [0.5] * 3,
    "rotational_clip_min": [-0.7] * 3,
    "rotational_clip_max": [0.7] * 3,
}
_STIFF = {**_WIDE, "translational_stiffness_n_m": 5000.0}
_HARDLY_DAMPED = {**_WIDE, "translational_damping_ns_m": 10.0, "rotational_damping_nms_rad": 1.0}


@pytest.mark.parametrize(
    ("compliance", "way_m", "turn_rad", "time_constant_s"),
    [
        (_WIDE, (-0.1, 0.5, 0.1), (0.5, 0.5, 1.5), 0.2),
        (_WIDE, (-0.1, 0.5, 0.1), (0.5, 0.5, 1.5), 0.0),
        (_STIFF, (0.1, -0.4, 0.2), (0.0, 0.0, 0.0), 0.0),
        (_HARDLY_DAMPED, (0.0, 0.4, 0.2), (0.0, 0.0, 1.0), 0.0),
    ],
    ids=["filtered", "not-filtered", "stiff", "hardly-damped"],
)
def test_r4_no_joint_is_too_fast_however_far_the_target_and_wide_the_clip(
    simulator, compliance, way_m, turn_rad, time_constant_s
):
    """The arm would latch `joint_velocity_violation`; the bound leaves a fifth of each joint's speed as a margin."""
    options = robot_options(simulator.host, compliance=compliance, target_time_constant_s=time_constant_s)
    with rk.make_robot("franka", **options) as robot:
        robot.reset()
        simulator.inject(forgets_peaks=True)
        start = robot.get_state().tcp_pose_in_base
        goal = integrate_delta(start, np.array(way_m), np.array(turn_rad, dtype=float))
        robot.send(rk.PoseCommand(tcp_pose_in_base=goal))
        wait_for_simulated(simulator, 1.5)
        answer, state = simulator.inject(), robot.get_state()
    print(f"{answer['joint_speed_share_peak']:.2f} of the highest joint speed")
    assert answer["latched"] is None
    assert answer["joint_speed_share_peak"] < 0.8
    assert np.linalg.norm(state.tcp_pose_in_base[:3] - start[:3]) > 0.1


def test_r4_an_arm_that_was_pushed_away_does_not_spring_back(simulator):
    options = robot_options(simulator.host, compliance={**_WIDE, "translational_stiffness_n_m": 500.0})
    with rk.make_robot("franka", **options, collision_force_n=[200.0] * 6, collision_torque_nm=[200.0] * 7) as robot:
        robot.reset()
        start = robot.get_state().tcp_pose_in_base
        simulator.inject(push_n=[0.0, 60.0, 0.0])
        wait_until(lambda: robot.get_state().tcp_pose_in_base[1] - start[1] > 0.1)
        simulator.inject(push_n=[0.0, 0.0, 0.0], forgets_peaks=True)
        wait_for_simulated(simulator, 1.0)
        assert simulator.inject()["latched"] is None
        assert simulator.inject()["joint_speed_share_peak"] < 0.8


def wait_for_simulated(simulator: FrankaSimulator, seconds: float) -> None:
    end_s = simulator.now_s() + seconds
    wait_until(lambda: simulator.now_s() >= end_s, deadline_s=60.0)


@pytest.mark.parametrize(("torque_max_nm", "is_kept"), [(10.0, True), (0.0, False)])
def test_b12_a_joint_is_kept_from_the_end_of_its_range(simulator, torque_max_nm, is_kept):
    """The tool is to be turned to 0.3 rad beyond what the last joint can reach."""
    start_rad = np.array((0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, 2.8))
    options = {"reset_joint_positions_rad": start_rad, "joint_limit_repulsion": {"torque_max_nm": torque_max_nm}}
    with rk.make_robot("franka", **robot_options(simulator.host, **options)) as robot:
        robot.reset()
        turn = np.array((0.0, 0.0, 0.0, 0.0, 0.0, np.sin(0.25), np.cos(0.25)))
        goal = compose(robot.get_state().tcp_pose_in_base, turn)
        robot.send(rk.PoseCommand(tcp_pose_in_base=goal))
        wait_for_simulated(simulator, 2.0)
        end_rad, reached_rad = robot.spec.joint_position_max_rad[6], robot.get_state().joint_positions_rad[6]
        is_fine = simulator.inject()["latched"] is None
        if not is_fine:
            simulator.inject(feels_ranges=False)
            robot.recover()
            robot.reset()
            simulator.inject(feels_ranges=True)
    print(f"{end_rad - reached_rad:.3f} rad before the end")
    assert is_fine == is_kept
    assert reached_rad > 2.9


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
