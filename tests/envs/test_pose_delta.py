"""Laws of `PoseDelta` and `BinaryGripper`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.actions import BinaryGripper, PoseDelta, PoseDeltaConfig, towards
from robotkit import InvalidCommand, InvalidConfiguration, make_workcell, spatial
from robotkit.schema import CellState, GripperState, PoseCommand, WorkspaceBox
from robotkit.workspace import clip_pose, distance_outside, is_inside

DOWN = np.array((1.0, 0.0, 0.0, 0.0))
BOX = WorkspaceBox(
    position_min_m=(0.3, -0.2, 0.1),
    position_max_m=(0.7, 0.2, 0.5),
    reference_quaternion_xyzw=DOWN,
    rotation_vector_min_rad=(-0.4, -0.5, -1.2),
    rotation_vector_max_rad=(0.3, 0.6, 1.5),
)
OPEN = WorkspaceBox(position_min_m=(-9.0, -9.0, -9.0), position_max_m=(9.0, 9.0, 9.0))
UNIT = arrays(np.float64, 6, elements=st.floats(-1.0, 1.0))
SHARES = arrays(np.float64, 6, elements=st.floats(0.0, 1.0))
VECTORS = arrays(np.float64, 3, elements=st.floats(-3.0, 3.0))


@pytest.fixture(scope="module")
def start():
    with make_workcell("fake") as cell:
        return cell.reset()


def quaternion(vector):
    return spatial.quaternion_from_rotation_vector(np.asarray(vector))


def pose_in_box(shares):
    """The pose at these shares of the way through the box."""
    position = BOX.position_min_m + shares[:3] * (BOX.position_max_m - BOX.position_min_m)
    low, high = BOX.rotation_vector_min_rad, BOX.rotation_vector_max_rad
    turned = spatial.integrate_delta(np.array((*position, *DOWN)), np.zeros(3), low + shares[3:] * (high - low))
    return spatial.make_pose(position, turned[3:])


def state_at(start, measured, commanded=None, opening=1.0, stamp_s=0.0):
    """A cell that measured one pose and had accepted another."""
    robot = type(start.robot).unchecked(**{**start.robot.__dict__, "tcp_pose_in_base": measured})
    accepted = None if commanded is None else PoseCommand(tcp_pose_in_base=commanded)
    gripper = GripperState.unchecked(
        **{**start.gripper.__dict__, "target_position": opening, "stamp_s": stamp_s, "position": opening}
    )
    return CellState.unchecked(robot=robot, gripper=gripper, poses={}, accepted=accepted)


def target(config, state, action):
    action_map = PoseDelta(config)
    action_map.reset(state)
    return action_map(action)[0].tcp_pose_in_base


@given(vector=VECTORS, action=UNIT)
def test_a_pose_moves_by_the_scaled_action_in_the_base_frame(start, vector, action):
    pose = spatial.make_pose(np.array((0.5, 0.0, 0.3)), quaternion(vector))
    moved = target(PoseDeltaConfig(OPEN, 0.02, 0.1), state_at(start, pose, pose), action)
    assert np.allclose(moved[:3] - pose[:3], 0.02 * action[:3], atol=1e-12)
    assert np.allclose(spatial.rotation_vector_between(pose[3:], moved[3:]), 0.1 * action[3:], atol=1e-9)


def test_euler_angles_turn_about_the_fixed_axes_one_after_the_other(start):
    """SERL: the rotation of Euler angles "xyz" times the present one."""
    pose = spatial.make_pose(np.array((0.5, 0.0, 0.3)), quaternion((0.3, 1.0, -0.5)))
    config = PoseDeltaConfig(OPEN, 0.02, 0.5, "euler_xyz")
    moved = target(config, state_at(start, pose, pose), np.array((0, 0, 0, 0.6, -0.5, 0.4)))
    roll, pitch, yaw = (quaternion(axis * angle) for axis, angle in zip(np.eye(3), (0.3, -0.25, 0.2), strict=True))
    expected = pose[3:]
    for turn in (roll, pitch, yaw):
        expected = spatial.compose(np.array((0, 0, 0, *turn)), np.array((0, 0, 0, *expected)))[3:]
    assert spatial.angle_between(moved[3:], expected) < 1e-9


@pytest.mark.parametrize("lead", [0.0, 0.05, math.inf])
def test_the_leash_decides_what_an_action_counts_from(start, lead):
    """Measured with none, commanded without end, and between them the commanded pose as far as the leash reaches."""
    measured = np.array((0.5, 0.0, 0.3, *DOWN))
    commanded = np.array((0.58, 0.0, 0.3, *spatial.integrate_delta(measured, np.zeros(3), np.array((0, 0, 0.2)))[3:]))
    config = PoseDeltaConfig(OPEN, 0.1, 0.5, lead_m=lead, lead_rad=lead)
    moved = target(config, state_at(start, measured, commanded), np.zeros(6))
    assert moved[0] - 0.5 == pytest.approx(min(lead, 0.08))
    assert spatial.angle_between(moved[3:], DOWN) == pytest.approx(min(lead, 0.2))


def test_zero_holds_a_sagging_arm_and_a_blocked_arm_is_not_left_far_behind(start):
    """SERL's measured origin would follow the sag for ever; a commanded one without leash would run away."""
    pose = np.array((0.5, 0.0, 0.3, *DOWN))
    sagging = pose - (0, 0, 0.004, 0, 0, 0, 0)
    action_map = PoseDelta(PoseDeltaConfig(OPEN, 0.02, 0.1))
    action_map.reset(state_at(start, sagging, pose))
    for _ in range(20):
        command, _ = action_map(np.zeros(6))
        action_map.follow(state_at(start, sagging, command.tcp_pose_in_base))
    assert np.allclose(command.tcp_pose_in_base, pose, atol=1e-12)
    for _ in range(20):
        command, _ = action_map(np.array((0, 0, -1.0, 0, 0, 0)))
        action_map.follow(state_at(start, sagging, command.tcp_pose_in_base))
    assert sagging[2] - command.tcp_pose_in_base[2] == pytest.approx(0.02 + 0.02)


@given(shares=SHARES, actions=arrays(np.float64, (5, 6), elements=st.floats(-1.0, 1.0)))
def test_targets_stay_in_the_box_and_within_a_step(start, shares, actions):
    config = PoseDeltaConfig(BOX, 0.1, 0.4)
    pose = pose_in_box(shares)
    action_map = PoseDelta(config)
    action_map.reset(state_at(start, pose, pose))
    for action in actions:
        moved = action_map(action)[0].tcp_pose_in_base
        assert is_inside(moved, BOX)
        assert spatial.distance_between(moved, pose) <= config.longest_step_m + 1e-9
        assert spatial.angle_between(moved[3:], pose[3:]) <= config.longest_step_rad + 1e-9
        # The arm got half the way.
        measured = spatial.interpolate(pose, moved, 0.5)
        action_map.follow(state_at(start, measured, moved))
        pose = moved


@given(shares=SHARES, action=UNIT)
def test_the_box_never_moves_a_pose_away_from_its_target(start, shares, action):
    """hil-serl#51: a clip of Euler angles turned the arm away from where it was asked to go."""
    pose = pose_in_box(shares)
    state = state_at(start, pose, pose)
    asked = target(PoseDeltaConfig(OPEN, 0.1, 0.9), state, action)
    given_ = target(PoseDeltaConfig(BOX, 0.1, 0.9), state, action)
    assert spatial.distance_between(given_, asked) <= spatial.distance_between(pose, asked) + 1e-9
    assert spatial.angle_between(given_[3:], asked[3:]) <= spatial.angle_between(pose[3:], asked[3:]) + 1e-9


def test_no_corner_of_the_box_is_a_detour(start):
    """Where rotation vectors are clipped number by number, three in a hundred large turns at corners end up farther."""
    draw = np.random.default_rng(0)
    for _ in range(600):
        pose = pose_in_box(np.round(draw.uniform(0.0, 1.0, 6)))
        state, action = state_at(start, pose, pose), draw.uniform(-1.0, 1.0, 6)
        asked, given_ = (target(PoseDeltaConfig(box, 0.1, 0.9), state, action) for box in (OPEN, BOX))
        assert spatial.angle_between(given_[3:], asked[3:]) <= spatial.angle_between(pose[3:], asked[3:]) + 1e-9


@given(shares=SHARES, action=UNIT)
def test_inside_the_box_nothing_is_changed(start, shares, action):
    pose = pose_in_box(shares)
    asked = target(PoseDeltaConfig(OPEN, 0.02, 0.1), state_at(start, pose, pose), action)
    assume(is_inside(asked, BOX))
    assert np.array_equal(target(PoseDeltaConfig(BOX, 0.02, 0.1), state_at(start, pose, pose), action), asked)


@example(vector=np.array((0.0, -1.0, -1.0)), offset=np.zeros(3), action=np.ones(6))  # the shortest turn leads away
@given(vector=VECTORS, offset=arrays(np.float64, 3, elements=st.floats(-0.6, 0.6)), action=UNIT)
def test_r1_an_arm_outside_the_box_is_led_back_in_steps_that_are_each_nearer(start, vector, offset, action):
    config = PoseDeltaConfig(BOX, 0.02, 0.1)
    pose = np.array((*(np.array((0.5, 0.0, 0.3)) + offset), *quaternion(vector)))
    action_map = PoseDelta(config)
    action_map.reset(state_at(start, pose))
    for _ in range(90):
        moved = action_map(action)[0].tcp_pose_in_base
        assert spatial.distance_between(moved, pose) <= config.longest_step_m + 1e-9
        assert spatial.angle_between(moved[3:], pose[3:]) <= config.longest_step_rad + 1e-9
        before, after = distance_outside(pose, BOX), distance_outside(moved, BOX)
        assert after[0] <= before[0] + 1e-9
        assert after[1] <= before[1] + 1e-6
        action_map.follow(state_at(start, moved, moved))
        pose = moved
    assert is_inside(pose, BOX)


def test_r1_an_arm_outside_the_box_goes_to_the_nearest_pose_inside(start):
    outside = np.array((0.9, 0.0, 0.3, *DOWN))
    action_map = PoseDelta(PoseDeltaConfig(BOX, 0.02, 0.1))
    action_map.reset(state_at(start, outside))
    way = []
    for _ in range(12):
        way.append(action_map(np.zeros(6))[0].tcp_pose_in_base)
        action_map.follow(state_at(start, way[-1], way[-1]))
    assert np.allclose([pose[0] for pose in way[:10]], 0.9 - 0.02 * np.arange(1, 11))
    assert np.allclose(way[-1], clip_pose(outside, BOX))


@settings(max_examples=200)
@given(start_vector=VECTORS, goal_vector=VECTORS, sign=st.sampled_from((-1.0, 1.0)), reach=st.floats(0.0, 3.0))
def test_the_way_is_the_shortest_and_its_quaternions_are_unit(start_vector, goal_vector, sign, reach):
    """S18: linear interpolation of quaternions took the long way round and left the unit sphere."""
    begin = spatial.make_pose(np.zeros(3), quaternion(start_vector))
    goal = spatial.make_pose(np.array((0.3, 0.0, 0.0)), sign * quaternion(goal_vector))
    whole = spatial.angle_between(begin[3:], goal[3:])
    at = towards(begin, goal, 0.1, reach)
    there, rest = (spatial.angle_between(a[3:], at[3:]) for a in (begin, goal))
    assert np.linalg.norm(at[3:]) == pytest.approx(1.0, abs=1e-12)
    assert there + rest == pytest.approx(whole, abs=1e-6)
    assert there == pytest.approx(min(reach, whole), abs=1e-6)
    assert spatial.distance_between(begin, at) == pytest.approx(0.1)


def test_an_orientation_that_may_not_turn_never_turns(start):
    pose = np.array((0.5, 0.0, 0.3, *DOWN))
    crooked = spatial.integrate_delta(pose, np.zeros(3), np.array((0.05, 0.0, 0.0)))
    moved = target(PoseDeltaConfig(OPEN, 0.02, 0.0), state_at(start, crooked, pose), np.ones(6))
    assert spatial.angle_between(moved[3:], DOWN) < 1e-12


@pytest.mark.parametrize("action", [np.zeros(6), np.full(7, np.nan), np.zeros((1, 7))], ids=["short", "nan", "nested"])
def test_bad_actions_are_refused(start, action):
    action_map = PoseDelta(PoseDeltaConfig(BOX), BinaryGripper())
    with pytest.raises(ResetNeeded):
        action_map(np.zeros(7))
    action_map.reset(start)
    with pytest.raises(InvalidCommand):
        action_map(action)


def test_actions_beyond_one_count_as_one(start):
    state = state_at(start, pose_in_box(np.full(6, 0.5)))
    action = np.array((0.2, -3.0, 5.0, 0.1, -2.0, 0.0))
    clipped = np.clip(action, -1, 1)
    assert np.array_equal(*(target(PoseDeltaConfig(BOX), state, numbers) for numbers in (action, clipped)))


def test_negative_reaches_are_refused():
    with pytest.raises(InvalidConfiguration, match="lead_m"):
        PoseDeltaConfig(BOX, lead_m=-0.1)


class Fingers:
    """A gripper that takes every command, at 10 Hz."""

    def __init__(self, start, **options):
        self.gripper, self.start, self.opening, self.step = BinaryGripper(**options), start, 1.0, 0
        self.gripper.reset(self._state())

    def __call__(self, value):
        command = self.gripper(value)
        self.opening = self.opening if command is None else command.position
        self.step += 1
        self.gripper.follow(self._state())
        return None if command is None else command.position

    def _state(self):
        return state_at(self.start, np.array((0.5, 0, 0.3, *DOWN)), None, self.opening, 100.0 + 0.1 * self.step)


def test_small_numbers_leave_the_fingers_alone_and_repeats_are_no_commands(start):
    fingers = Fingers(start)
    assert [fingers(value) for value in (0.0, 0.49, -0.49, 1.0, -0.5, -1.0)] == [None, None, None, None, 0.0, None]


def test_a_change_waits_for_the_sleep_of_the_last_one(start):
    """S18: SERL slept for 0.6 s inside the control loop; here time passes and commands wait."""
    fingers = Fingers(start, sleep_s=0.3)
    assert [fingers(value) for value in (-1, 1, 1, 1, 1, 1)] == [0.0, None, None, 1.0, None, None]


def test_a_new_episode_forgets_the_sleep(start):
    fingers = Fingers(start, sleep_s=9.0)
    fingers(-1.0)
    assert fingers(1.0) is None
    fingers.gripper.reset(fingers._state())
    assert fingers(1.0) == 1.0
