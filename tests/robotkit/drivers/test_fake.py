"""Laws of the fake devices beyond the contracts."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import FakeGripper, FakePoseTracker, FakeRobot, FakeTeleop, ManualClock, kinematics
from robotkit.spatial import integrate_delta, rotation_vector_between

angles = st.floats(-1.4, 1.4)
joints = st.tuples(*[st.floats(-1.0, 1.0)] * 3, *[angles] * 3, st.floats(-1, 1)).map(np.array)


def arm(**options):
    clock = ManualClock()
    built = FakeRobot(FakeRobot.Config(**options), CellContext(clock=clock))
    built.connect()
    return built, clock


@given(joints)
def test_jacobian_is_the_derivative_of_the_pose(q):
    step = 1e-6
    pose, jacobian = kinematics.tcp_pose(q), kinematics.jacobian(q)
    for joint, direction in enumerate(np.eye(len(q))):
        moved = kinematics.tcp_pose(q + step * direction)
        twist = np.concatenate((moved[:3] - pose[:3], rotation_vector_between(pose[3:], moved[3:]))) / step
        np.testing.assert_allclose(jacobian[:, joint], twist, atol=1e-5)


@given(joints, joints)
def test_inverse_kinematics_finds_the_pose(q, near):
    pose = kinematics.tcp_pose(q)
    np.testing.assert_allclose(np.abs(kinematics.tcp_pose(kinematics.joints_for(pose, near)) @ pose), pose @ pose)
    np.testing.assert_allclose(kinematics.joints_for(pose, q), q, atol=1e-6)


def test_reading_changes_nothing():
    ends = []
    for reads in (0, 37):
        robot, clock = arm(latency_s=0.02)
        pose = integrate_delta(robot.get_state().tcp_pose_in_base, np.array([0.1, 0, 0]), np.array([0, 0.2, 0]))
        robot.send(rk.PoseCommand(tcp_pose_in_base=pose))
        for _ in range(reads):
            clock.advance(0.1 / 37)
            robot.get_state()
        clock.advance(0.1 - clock.now_s())
        ends.append(robot.get_state().joint_positions_rad)
    np.testing.assert_allclose(*ends, atol=1e-12)


def test_the_lag_is_first_order_after_the_latency():
    robot, clock = arm(time_constant_s=0.1, latency_s=0.05)
    start = robot.get_state().joint_positions_rad
    goal = start + np.array([0.1, 0, 0, 0, 0, 0, 0])
    robot.send(rk.JointCommand(joint_positions_rad=goal))
    clock.advance(0.05)
    np.testing.assert_allclose(robot.get_state().joint_positions_rad, start)
    clock.advance(0.1)
    assert robot.get_state().joint_positions_rad[0] == pytest.approx(goal[0] - 0.1 / np.e)


def test_a_fault_comes_when_due_and_goes_when_asked():
    robot, clock = arm(fault_after_s=1.0)
    command = rk.JointCommand(joint_positions_rad=robot.get_state().joint_positions_rad)
    robot.send(command)
    clock.advance(1.0)
    assert robot.get_state().mode == "fault"
    assert robot.get_state().faults
    with pytest.raises(rk.DeviceFault, match="recover"):
        robot.send(command)
    robot.recover()
    clock.advance(5.0)
    robot.send(command)
    assert robot.get_state().faults == ()


def test_stop_from_another_thread_interrupts_a_motion_in_lockstep():
    robot, clock = arm()
    goal = robot.spec.reset_joint_positions_rad.copy()
    goal[0] += 1.0
    advance, stopper = clock.advance, threading.Thread(target=robot.stop)

    def stop_halfway(period_s):
        advance(period_s)
        if clock.now_s() >= 0.5 and stopper.ident is None:
            stopper.start()
            stopper.join(5.0)

    clock.advance = stop_halfway
    with pytest.raises(rk.MotionFailed, match="interrupted"):
        robot.move_to_joint_positions(goal)
    assert abs(robot.get_state().joint_positions_rad[0] - goal[0]) > 0.3
    assert robot.get_state().mode == "stopped"


def test_an_object_stops_the_fingers():
    clock = ManualClock()
    gripper = FakeGripper(FakeGripper.Config(object_width_m=0.04), CellContext(clock=clock))
    gripper.connect()
    gripper.close()
    clock.advance(0.1)
    assert gripper.get_state().is_moving
    assert not gripper.get_state().is_grasping
    clock.advance(1.0)
    state = gripper.get_state()
    assert state.width_m == pytest.approx(0.04)
    assert state.is_grasping
    assert not state.is_moving
    gripper.open()
    clock.advance(1.0)
    assert not gripper.get_state().is_grasping


def test_a_reset_puts_everything_back():
    with rk.make_workcell("fake") as cell:
        start = cell.reset(seed=0).robot
        cell.step(
            rk.PoseCommand(tcp_pose_in_base=start.tcp_pose_in_base + np.array([0.05, 0, 0, 0, 0, 0, 0])),
            rk.GripperCommand(position=0.0),
            0.3,
        )
        state = cell.reset(seed=0)
        np.testing.assert_array_equal(state.robot.joint_positions_rad, start.joint_positions_rad)
        assert state.gripper.position == 1.0
        np.testing.assert_array_equal(state.poses["block"].pose_in_base[:3], [0.5, 0, 0.02])


def test_frames_count_time():
    with rk.make_workcell("fake", **{"cameras.front.rate_hz": 10.0, "cameras.front.has_depth": True}) as cell:
        seen = []
        for _ in range(5):
            frame = cell.cameras["front"].read()
            seen.append((int(frame.rgb[0, 0, 2]), round(frame.stamp_s, 6)))
            cell.clock.advance(0.05)
        assert seen == [(0, 0.0), (0, 0.0), (1, 0.1), (1, 0.1), (2, 0.2)]
        assert frame.depth_m.shape == (128, 128)


def test_a_tracker_needs_something_to_track():
    with pytest.raises(rk.InvalidConfiguration, match="pose_in_base"):
        FakePoseTracker(FakePoseTracker.Config(), CellContext(name="ghost"))


def test_the_hand_refuses_more_than_full_deflection():
    hand = FakeTeleop(FakeTeleop.Config(), CellContext())
    with pytest.raises(ValueError, match="six numbers"):
        hand.steer([2.0, 0, 0, 0, 0, 0])
