"""Laws of the simulated arm and gripper that go beyond the contract suite."""

from __future__ import annotations

import numpy as np
import pytest

import robotkit as rk
from robotkit.testing.moves import interrupted
from sims.models.panda import HOME_RAD
from tests.sims.scene_cells import CELLS

DOWN = np.array((1.0, 0.0, 0.0, 0.0))


def pose(x, y, z):
    return rk.PoseCommand(tcp_pose_in_base=np.array((x, y, z, *DOWN)))


def body_of(arm):
    """The simulated arm itself, without the layer that would refuse a way through the floor."""
    while hasattr(arm, "inner"):
        arm = arm.inner
    return arm


def follow(cell, command, duration_s, gripper=None):
    """Send `command` for a while and return the last state."""
    for _ in range(round(duration_s / 0.02)):
        state = cell.step(command, gripper, 0.02)
    return state


@pytest.fixture
def soft_cell():
    with rk.make_workcell("mujoco-pick-cube", **{"robot.controller": "impedance"}) as cell:
        cell.reset()
        yield cell


def go(cell, x, y, z):
    """Go above a place, then down to it, in steps that the safety layer allows."""
    start = cell.get_state().robot.tcp_pose_in_base[:3]
    above = np.array((x, y, max(z, start[2])))
    for share in (0.5, 1.0):
        follow(cell, pose(*(start + share * (above - start))), 0.6)
    for height in np.linspace(above[2], z, 5):
        state = follow(cell, pose(x, y, height), 0.6)
    return state


def test_the_first_impedance_command_starts_without_a_jerk(soft_cell):
    start = soft_cell.get_state().robot
    state = follow(soft_cell, pose(*start.tcp_pose_in_base[:3]), 0.5)
    np.testing.assert_allclose(state.robot.tcp_pose_in_base[:3], start.tcp_pose_in_base[:3], atol=1e-3)


@pytest.mark.parametrize("stiffness_n_m", [1000.0, 2000.0])
def test_contact_force_is_stiffness_times_clip(soft_cell, stiffness_n_m):
    soft_cell.gripper.close()
    go(soft_cell, 0.4, 0.1, 0.0)
    # Without a null-space spring, which the damped pseudo-inverse lets through to the tool by about 1 N.
    params = rk.ComplianceParams(translational_stiffness_n_m=stiffness_n_m, nullspace_stiffness_nm_rad=0.0)
    soft_cell.robot.set_compliance(params)
    state = follow(soft_cell, pose(0.4, 0.1, 0.0), 3.0)
    # The fingertips stand on the floor with the tool point 1.8 cm above its target, more than the clip of 1 cm.
    felt_n = np.linalg.norm(state.robot.wrench_in_tcp[:3])
    assert felt_n == pytest.approx(stiffness_n_m * 0.01, rel=0.05)
    assert state.robot.wrench_in_tcp[2] < 0.0, "the floor pushes up, against the tool's z axis"


def test_compliance_needs_the_impedance_law(cell):
    with pytest.raises(rk.Unsupported, match="impedance"):
        cell.robot.set_compliance(rk.ComplianceParams())


def test_reset_arrives_at_the_reset_configuration(cell):
    go(cell, 0.4, 0.1, 0.3)
    cell.robot.reset()
    np.testing.assert_allclose(cell.robot.get_state().joint_positions_rad, HOME_RAD, atol=1e-2)
    assert cell.robot.get_state().mode == "holding"


def test_a_motion_into_the_floor_fails_and_holds(cell):
    state = go(cell, 0.45, 0.2, 0.05)
    through_the_floor = state.robot.joint_positions_rad.copy()
    through_the_floor[1] += 0.4
    with pytest.raises(rk.MotionFailed, match="in the way"):
        body_of(cell.robot).move_to_joint_positions(through_the_floor)
    cell.clock.advance(0.5)
    assert np.abs(cell.robot.get_state().joint_velocities_rad_s).max() < 0.05


def test_a_stop_or_a_reset_ends_a_motion():
    with rk.make_workcell("mujoco-pick-cube", clock="real", **{"limits.watchdog_s": None}) as cell:
        for disturb in (cell.robot.stop, cell.reset):
            cell.reset()
            assert isinstance(interrupted(cell, disturb), rk.MotionFailed | rk.RobotStopped)
            cell.robot.recover()


def in_motion(cell, command):
    """The bare arm, moving fast after a tenth of a second on its way."""
    robot = cell.robot
    while hasattr(robot, "inner"):
        robot = robot.inner
    cell.reset()
    robot.send(command(robot.get_state()))
    cell.clock.advance(0.1)
    assert np.abs(robot.get_state().joint_velocities_rad_s).max() > 0.2
    return robot


def far_pose(state):
    return rk.PoseCommand(tcp_pose_in_base=state.tcp_pose_in_base + np.array((0.15, 0.1, 0.0, 0, 0, 0, 0)))


def far_joints(state):
    return rk.JointCommand(joint_positions_rad=state.joint_positions_rad + 0.5 * np.array((1, 0.6, 0, 0.6, 0, 1, 1)))


@pytest.mark.parametrize("how", ["hold", "stop"])
@pytest.mark.parametrize("command", [far_pose, far_joints])
@pytest.mark.parametrize("controller", ["opspace", "impedance"])
def test_f17_an_arm_is_at_rest_0_2_s_after_a_hold_or_a_stop_and_never_swings_back(controller, command, how):
    with rk.make_workcell("mujoco-pick-cube", **{"robot.controller": controller, "limits.watchdog_s": None}) as cell:
        robot = in_motion(cell, command)
        before = robot.get_state()
        getattr(robot, how)()
        for _ in range(100):
            cell.clock.advance(0.002)
            travel_rad = robot.get_state().joint_positions_rad - before.joint_positions_rad
            fast = np.abs(before.joint_velocities_rad_s) > 0.2
            assert (travel_rad * before.joint_velocities_rad_s)[fast].min() >= 0.0
        after = robot.get_state()
        assert np.abs(after.joint_velocities_rad_s).max() < 0.02
        assert np.linalg.norm(after.tcp_twist_in_base[:3]) < 0.01
        cell.clock.advance(1.0)
        rest = robot.get_state().joint_positions_rad
        np.testing.assert_allclose(rest, after.joint_positions_rad, atol=2e-3)
        # A brake that takes 1/40 s of the speed in every instant needs v/40.
        way_rad = before.joint_velocities_rad_s / 40.0
        np.testing.assert_allclose(rest - before.joint_positions_rad, way_rad, atol=0.015)


@pytest.mark.parametrize("name", ["mujoco-pick-cube", *CELLS])
def test_f17_a_silent_client_is_noticed_early_enough(name):
    with rk.make_workcell(name) as cell:
        assert cell.limits.watchdog_s <= 0.15


def test_fingers_grasp_the_block_and_not_the_air(cell):
    cell.reset(0, {"block": np.array((0.45, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0))})
    go(cell, 0.45, 0.0, 0.02)
    assert not cell.gripper.get_state().is_grasping
    held = follow(cell, pose(0.45, 0.0, 0.02), 1.0, rk.GripperCommand(position=0.0)).gripper
    assert held.is_grasping
    assert not held.is_moving
    assert held.width_m == pytest.approx(0.04, abs=0.002)
    lifted = follow(cell, pose(0.45, 0.0, 0.15), 1.0)
    assert lifted.poses["block"].pose_in_base[2] > 0.12
    follow(cell, pose(0.45, 0.0, 0.15), 1.0, rk.GripperCommand(position=1.0))
    empty = follow(cell, pose(0.45, 0.0, 0.15), 1.0, rk.GripperCommand(position=0.0)).gripper
    assert not empty.is_grasping
    assert empty.position == pytest.approx(0.0, abs=0.03)


def test_a_command_counts_as_motion_before_the_fingers_start(cell):
    cell.gripper.close()
    assert cell.gripper.get_state().is_moving
    assert cell.gripper.get_state().target_position == 0.0
    assert cell.gripper.get_state().position == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_gripper_position_outside_its_range_is_refused(cell, position):
    with pytest.raises(rk.InvalidCommand, match=r"\[0, 1\]"):
        cell.gripper.move(position)
    assert cell.gripper.get_state().target_position == 1.0
