"""The fake devices' own laws: motions, fingers, pictures, and a cell in which every limit has room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robotkit as rk
from robotkit.devices import CellContext
from robotkit.drivers.fake import (
    FakeCamera,
    FakeGripper,
    FakePoseTracker,
    FakeRobot,
    FakeTeleop,
    FakeWorld,
    ManualClock,
    chain,
    kinematics,
    workcell_config,
)  # fmt: skip
from robotkit.drivers.fake.motion import PATH_PEAK, Path, Tracking
from robotkit.kinematics import ForwardKinematics
from robotkit.spatial import angle_between

START_RAD, GOAL_RAD = np.array((0.1, -0.2, 0.3)), np.array((0.4, 0.1, -0.3))


@pytest.fixture
def clock():
    return ManualClock()


def arm_of(clock: ManualClock, **options: object) -> FakeRobot:
    built = FakeRobot(FakeRobot.Config(**options), CellContext(clock=clock))
    built.connect()
    return built


@pytest.mark.parametrize("motion", [Tracking(START_RAD, GOAL_RAD, 2.0, 0.3), Path(START_RAD, GOAL_RAD, 2.0, 0.8)])
def test_velocities_are_the_derivative_of_the_positions(motion):
    for time_s in np.linspace(2.01, 2.79, 20):
        before, after = motion.at(time_s - 1e-6)[0], motion.at(time_s + 1e-6)[0]
        np.testing.assert_allclose(motion.at(time_s)[1], (after - before) / 2e-6, atol=1e-6)
    np.testing.assert_allclose(motion.at(2.0)[0], START_RAD)


def test_a_path_goes_from_rest_to_rest_and_its_peak_is_known():
    path = Path(START_RAD, GOAL_RAD, 2.0, 0.8)
    np.testing.assert_array_equal(path.at(2.0)[1], np.zeros(3))
    for time_s in (2.8, 3.5):
        np.testing.assert_allclose(path.at(time_s)[0], GOAL_RAD)
        np.testing.assert_allclose(path.at(time_s)[1], np.zeros(3), atol=1e-12)
    speeds = [np.abs(path.at(time_s)[1]).max() for time_s in np.linspace(2.0, 2.8, 1001)]
    assert max(speeds) == pytest.approx(PATH_PEAK * np.abs(GOAL_RAD - START_RAD).max() / 0.8)


def test_a_target_is_approached_by_a_share_of_the_rest_in_each_time_constant():
    tracking = Tracking(START_RAD, GOAL_RAD, 2.0, 0.3)
    np.testing.assert_allclose(tracking.at(2.3)[0] - GOAL_RAD, (START_RAD - GOAL_RAD) / np.e)


@pytest.mark.parametrize("dof", [6, 7, 9])
def test_the_spec_describes_the_arm(clock, dof):
    arm = arm_of(clock, dof=dof)
    spec, state = arm.spec, arm.get_state()
    assert spec.joint_count == len(state.joint_positions_rad) == dof
    assert spec.is_simulated
    np.testing.assert_array_equal(state.joint_positions_rad, spec.reset_joint_positions_rad)
    np.testing.assert_array_equal(spec.joint_position_max_rad, np.full(dof, 2 * np.pi))
    np.testing.assert_array_equal(spec.joint_position_min_rad, -spec.joint_position_max_rad)
    np.testing.assert_array_equal(state.wrench_in_tcp, np.zeros(6))
    joints = np.random.default_rng(dof).uniform(-1.0, 1.0, dof)
    pose = ForwardKinematics(spec.kinematics).tcp_pose(joints)
    np.testing.assert_allclose(pose[:3], kinematics.tcp_pose(joints)[:3], atol=1e-12)
    assert angle_between(pose[3:], kinematics.tcp_pose(joints)[3:]) < 1e-6
    assert len(chain.chain(dof).joints) == dof


def test_targets_within_the_latency_follow_each_other_in_order(clock):
    arm = arm_of(clock, latency_s=0.1, time_constant_s=0.02)
    start = arm.get_state().joint_positions_rad
    goals = [start + way * np.eye(7)[0] for way in (0.1, 0.2)]
    arm.send(rk.JointCommand(joint_positions_rad=goals[0]))
    clock.advance(0.05)
    arm.send(rk.JointCommand(joint_positions_rad=goals[1]))
    clock.advance(0.099)
    at_second = start[0] + 0.1 * (1 - np.exp(-0.049 / 0.02))
    assert arm.get_state().joint_positions_rad[0] == pytest.approx(at_second, abs=1e-3)
    clock.advance(1.0)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, goals[1], atol=1e-9)


def test_without_latency_a_target_is_followed_from_the_moment_of_its_command(clock):
    arm = arm_of(clock)
    clock.advance(3.0)
    start = arm.get_state().joint_positions_rad
    arm.send(rk.JointCommand(joint_positions_rad=start + 0.1))
    np.testing.assert_allclose(arm.get_state().joint_velocities_rad_s, 0.1 / 0.05)
    clock.advance(0.05)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, start + 0.1 * (1 - 1 / np.e))


@pytest.mark.parametrize("end", ["hold", "stop"])
def test_what_ends_a_motion_drops_what_waits_too(clock, end):
    arm = arm_of(clock, latency_s=0.1)
    start = arm.get_state().joint_positions_rad
    arm.send(rk.JointCommand(joint_positions_rad=start + 0.1))
    clock.advance(0.12)
    arm.send(rk.JointCommand(joint_positions_rad=start + 0.2))
    getattr(arm, end)()
    stood = arm.get_state().joint_positions_rad
    assert stood[0] > start[0] + 0.02
    clock.advance(1.0)
    np.testing.assert_allclose(arm.get_state().joint_positions_rad, stood)
    np.testing.assert_array_equal(arm.get_state().joint_velocities_rad_s, np.zeros(7))


def test_a_joint_motion_takes_as_long_as_its_longest_way_or_as_its_rate_allows(clock):
    arm = arm_of(clock, joint_speed_rad_s=0.5)
    home = arm.spec.reset_joint_positions_rad
    for goal, rate_max_hz, duration_s in [
        (home - 0.5 * np.eye(7)[1], np.inf, 1.0),
        (home, 0.5, PATH_PEAK / 0.5),
        (home, np.inf, 0.01),
    ]:
        before_s = clock.now_s()
        arm.move_to_joint_positions(goal, rate_max_hz)
        assert clock.now_s() - before_s == pytest.approx(duration_s, abs=0.011)
        np.testing.assert_allclose(arm.get_state().joint_positions_rad, goal, atol=1e-12)


def test_an_injected_fault_lets_the_arm_stand_where_it_is_until_recovery(clock):
    arm = arm_of(clock)
    start = arm.get_state().joint_positions_rad
    arm.send(rk.JointCommand(joint_positions_rad=start + 0.1))
    clock.advance(0.05)
    arm.inject_fault("a", "b")
    state = arm.get_state()
    assert (state.mode, state.faults) == ("fault", ("a", "b"))
    clock.advance(1.0)
    np.testing.assert_array_equal(arm.get_state().joint_positions_rad, state.joint_positions_rad)
    arm.recover()
    assert arm.get_state().faults == ()


def test_a_fault_that_comes_by_itself_comes_after_the_time_and_stops_the_arm_there(clock):
    arm = arm_of(clock, fault_after_s=0.5, time_constant_s=1.0)
    start = arm.get_state().joint_positions_rad
    arm.send(rk.JointCommand(joint_positions_rad=start + 0.1))
    clock.advance(0.49)
    assert arm.get_state().mode == "tracking"
    clock.advance(0.51)
    state = arm.get_state()
    assert state.mode == "fault"
    np.testing.assert_allclose(state.joint_positions_rad, start + 0.1 * (1 - np.exp(-0.5)), atol=1e-9)
    arm.disconnect()
    arm.connect()
    assert arm.get_state().mode == "holding"
    clock.advance(0.5)
    assert arm.get_state().mode == "fault"


def test_a_silent_arm_repeats_its_last_measurement_with_its_old_stamp(clock):
    arm = arm_of(clock)
    arm.send(rk.JointCommand(joint_positions_rad=arm.get_state().joint_positions_rad + 0.1))
    clock.advance(0.05)
    before = arm.get_state()
    arm.inject_silence(True)
    clock.advance(0.5)
    silent = arm.get_state()
    assert silent.stamp_s == before.stamp_s
    np.testing.assert_array_equal(silent.joint_positions_rad, before.joint_positions_rad)
    arm.inject_silence(False)
    assert arm.get_state().stamp_s == clock.now_s()


def test_an_injected_wrench_is_measured_and_is_a_copy(clock):
    arm, wrench = arm_of(clock), np.arange(6.0)
    arm.inject_wrench(wrench)
    wrench[:] = 9.0
    np.testing.assert_array_equal(arm.get_state().wrench_in_tcp, np.arange(6.0))


def gripper_of(clock: ManualClock, **options: float) -> FakeGripper:
    built = FakeGripper(FakeGripper.Config(**options), CellContext(clock=clock))
    built.connect()
    return built


def test_fingers_move_at_a_constant_speed_from_wherever_they_are(clock):
    clock.advance(7.0)
    gripper = gripper_of(clock, stroke_s=0.4, width_max_m=0.1)
    assert (gripper.get_state().position, gripper.get_state().is_moving) == (1.0, False)
    gripper.move(0.0)
    clock.advance(0.1)
    state = gripper.get_state()
    assert (state.position, state.raw, state.target_position) == (pytest.approx(0.75), pytest.approx(0.75), 0.0)
    assert state.width_m == pytest.approx(0.075)
    assert (state.is_moving, state.is_grasping, state.stamp_s) == (True, False, clock.now_s())
    gripper.move(0.875)
    clock.advance(0.04)
    assert gripper.get_state().position == pytest.approx(0.85)
    clock.advance(0.02)
    assert gripper.get_state().position == pytest.approx(0.875)
    gripper.reset()
    clock.advance(0.4)
    state = gripper.get_state()
    assert (state.position, state.is_moving, state.is_grasping) == (1.0, False, False)


@pytest.mark.parametrize(
    ("position", "reached", "is_grasping"), [(0.0, 0.4, True), (0.4, 0.4, False), (0.6, 0.6, False)]
)
def test_an_object_stops_fingers_that_close_on_it_and_none_that_open(clock, position, reached, is_grasping):
    gripper = gripper_of(clock, width_max_m=0.1, object_width_m=0.04)
    gripper.move(position)
    clock.advance(1.0)
    state = gripper.get_state()
    assert (state.position, state.is_grasping) == (pytest.approx(reached), is_grasping)
    gripper.move(0.9)
    clock.advance(1.0)
    assert gripper.get_state().position == pytest.approx(0.9)


def test_an_object_that_is_wider_than_the_opening_does_not_push_the_fingers_apart(clock):
    gripper = gripper_of(clock, width_max_m=0.1, object_width_m=0.25)
    gripper.move(0.0)
    clock.advance(1.0)
    assert gripper.get_state().position == 1.0


@pytest.mark.parametrize("position", [-1e-9, 1.0 + 1e-9, float("nan"), float("inf")])
def test_a_position_that_there_is_not_is_refused(clock, position):
    gripper = gripper_of(clock)
    with pytest.raises(rk.InvalidCommand, match=r"not in \[0, 1\]"):
        gripper.move(position)
    assert gripper.get_state().target_position == 1.0


def camera_of(clock: ManualClock, **options: object) -> FakeCamera:
    built = FakeCamera(FakeCamera.Config(**options), CellContext(name="front", clock=clock))
    built.connect()
    return built


def test_a_picture_tells_its_columns_its_rows_and_its_number(clock):
    """30 a second; what counts is taken modulo 256."""
    camera = camera_of(clock, width_px=300, height_px=270)
    clock.advance(25.7)
    frame = camera.read()
    np.testing.assert_array_equal(frame.rgb[7, :, 0], np.arange(300) % 256)
    np.testing.assert_array_equal(frame.rgb[:, 9, 1], np.arange(270) % 256)
    assert (frame.rgb[..., 2] == 771 % 256).all()
    assert frame.stamp_s == pytest.approx(25.7)
    assert frame.depth_m is None
    clock.advance(0.033)
    assert camera.read().stamp_s == frame.stamp_s


def test_its_lens_sees_as_far_to_the_left_as_to_the_right_and_its_plane_leans_away(clock):
    camera = camera_of(clock, width_px=64, height_px=32, has_depth=True)
    spec = camera.spec
    assert (spec.name, spec.width_px, spec.height_px) == ("front", 64, 32)
    assert spec.intrinsics == rk.Intrinsics(fx_px=64.0, fy_px=64.0, cx_px=31.5, cy_px=15.5)
    depth_m = camera.read().depth_m
    assert (depth_m.shape, depth_m.dtype) == ((32, 64), np.float32)
    assert (depth_m[0] == 1.5).all()
    assert (depth_m[-1] == 0.5).all()
    np.testing.assert_allclose(np.diff(depth_m[:, 0]), -1.0 / 31, atol=1e-6)


def test_a_hand_that_is_steered_or_whose_button_is_pressed_is_active(clock):
    clock.advance(2.0)
    hand = FakeTeleop(FakeTeleop.Config(twist=[0.0, 0.5, 0.0, 0.0, 0.0, 0.0]), CellContext(clock=clock))
    hand.connect()
    reading = hand.read()
    assert (reading.twist.tolist(), reading.buttons) == ([0.0, 0.5, 0.0, 0.0, 0.0, 0.0], (False, False))
    assert (reading.is_active, reading.stamp_s) == (True, 2.0)
    reading.twist[:] = 1.0
    assert hand.read().twist[0] == 0.0, "a reading is the reader's own"
    hand.steer(np.zeros(6))
    assert not hand.read().is_active
    hand.steer(np.zeros(6), (False, True))
    assert hand.read().is_active
    for twist in (np.zeros(5), np.full(6, np.nan), np.full(6, -1.1)):
        with pytest.raises(ValueError, match="six numbers"):
            hand.steer(twist)
    hand.steer(np.full(6, -1.0))


def test_a_tracker_reads_the_worlds_table_or_its_own_pose(clock):
    here, there = [0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0], np.array((0.4, 0.5, 0.6, 0.0, 0.0, 0.0, 1.0))
    world = FakeWorld(FakeWorld.Config(objects={"block": here, "cup": here}), CellContext())
    world.connect()
    context = CellContext(name="block", clock=clock, world=world)
    by_name, by_option = FakePoseTracker(FakePoseTracker.Config(), context), FakePoseTracker(
        FakePoseTracker.Config(object_name="cup"), context
    )  # fmt: skip
    fixed = FakePoseTracker(FakePoseTracker.Config(pose_in_base=there), context)
    for tracker in (by_name, by_option, fixed):
        tracker.connect()
    clock.advance(1.5)
    world.reset(None, {"cup": there})
    np.testing.assert_array_equal(by_name.get_pose().pose_in_base, here)
    np.testing.assert_array_equal(by_option.get_pose().pose_in_base, there)
    np.testing.assert_array_equal(fixed.get_pose().pose_in_base, there)
    assert by_name.get_pose().stamp_s == 1.5
    world.reset(None, {})
    np.testing.assert_array_equal(by_option.get_pose().pose_in_base, here)
    with pytest.raises(rk.Unsupported, match=r"no object 'ball', 'pen'; it has: block, cup\."):
        world.reset(None, {"pen": there, "cup": there, "ball": there})
    np.testing.assert_array_equal(by_option.get_pose().pose_in_base, here)


def test_a_world_is_put_back_only_while_it_is_connected():
    world = FakeWorld(FakeWorld.Config(), CellContext(name="world"))
    assert not world.is_connected
    with pytest.raises(rk.NotConnected, match="FakeWorld is not connected"):
        world.reset(None, {})
    world.connect()
    world.reset(None, {})
    assert world.is_connected


def test_a_reset_of_the_world_makes_the_arms_target_one_of_another_life():
    with rk.make_workcell("fake") as cell:
        epoch = cell.reset(seed=0).robot.target_epoch
        cell.robot.send(rk.JointCommand(joint_positions_rad=cell.robot.spec.reset_joint_positions_rad))
        cell.world.reset(None, {})
        state = cell.robot.get_state()
        assert state.target_epoch > epoch
        assert state.mode == "holding"


def test_in_the_fake_cell_home_is_the_middle_of_the_box_and_a_step_a_part_of_it():
    config = workcell_config()
    limits, block = config.limits, np.array(config.world.options["objects"]["block"])
    box = limits.workspace
    with rk.make_workcell("fake") as cell:
        home = cell.reset(seed=0).robot.tcp_pose_in_base
        assert cell.robot.spec.command_kinds == ("pose", "joint")
    np.testing.assert_allclose((box.position_min_m + box.position_max_m) / 2, home[:3])
    np.testing.assert_allclose(box.position_max_m - box.position_min_m, (0.6, 0.8, 0.6))
    assert angle_between(home[3:], box.reference_quaternion_xyzw) < 1e-9
    np.testing.assert_allclose(box.rotation_vector_min_rad, -box.rotation_vector_max_rad)
    np.testing.assert_allclose(box.rotation_vector_max_rad, (0.8, 0.8, 1.6))
    assert ((box.position_min_m < block[:3]) & (block[:3] < box.position_max_m)).all()
    np.testing.assert_array_equal(block[3:], (0.0, 0.0, 0.0, 1.0))
    np.testing.assert_allclose(block[:2], home[:2])
    assert 0.0 < limits.max_translation_step_m < 0.3
    assert 0.0 < limits.max_rotation_step_rad < 0.8
    assert 0.0 < limits.max_joint_step_rad < 0.8
    assert 0.0 < limits.watchdog_s <= 0.5
    assert 0.0 < limits.state_max_age_s <= 0.5


@given(st.integers(0, 1000))
def test_the_nearest_configuration_is_chosen_also_across_the_turn_of_a_wrist(seed):
    """Each orientation has two, and each joint any number of turns."""
    rng = np.random.default_rng(seed)
    near = rng.uniform(-1.0, 1.0, 7)
    near[3:6] = rng.uniform(-1.4, 1.4, 3) + np.array((0.0, np.pi * rng.integers(2), 0.0))
    near[3:6] += 2 * np.pi * rng.integers(-1, 2, 3)
    np.testing.assert_allclose(kinematics.joints_for(kinematics.tcp_pose(near), near), near, atol=1e-6)


def test_a_reset_of_the_world_drops_what_was_due_before_it_and_nobody_saw():
    with rk.make_workcell("fake", **{"robot.latency_s": 0.1}) as cell:
        start = cell.reset(seed=0).robot
        cell.robot.send(rk.JointCommand(joint_positions_rad=start.joint_positions_rad + 0.1))
        cell.clock.advance(0.2)
        np.testing.assert_array_equal(cell.reset(seed=0).robot.joint_positions_rad, start.joint_positions_rad)
        cell.clock.advance(1.0)
        np.testing.assert_array_equal(cell.robot.get_state().joint_positions_rad, start.joint_positions_rad)
