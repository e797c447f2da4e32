"""Laws of the wrappers that change frames and rotations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from envs.wrappers import INTERVENE_ACTION, Quat2Euler, Quat2R6, RelativeFrame, SERLObsWrapper
from robotkit import InvalidCommand, InvalidConfiguration, spatial
from tests.envs.pose_env import IDENTITY, PoseEnv

VECTORS = arrays(np.float64, 3, elements=st.floats(-3.0, 3.0))
POSITIONS = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))
# Short enough that no rotation makes a number leave [-1, 1].
ACTIONS = arrays(np.float64, 6, elements=st.floats(-0.57, 0.57))
LONG_ACTIONS = arrays(np.float64, 6, elements=st.floats(-1.0, 1.0))


def pose(position, vector):
    return spatial.make_pose(position, spatial.quaternion_from_rotation_vector(vector))


POSES = st.builds(pose, POSITIONS, VECTORS)


def float32(action):
    return np.append(action, 0.7).astype(np.float32)


@given(start=POSES, action=ACTIONS)
def test_there_and_back_is_the_identity(start, action):
    env = RelativeFrame(PoseEnv(start))
    env.reset()
    given_ = float32(action)
    assert np.allclose(env.outward(env.inward(given_)), given_, atol=1e-6)
    assert np.allclose(env.inward(env.outward(given_)), given_, atol=1e-6)


@given(start=POSES, direction=POSITIONS)
def test_a_pure_translation_stays_one_and_a_pure_rotation_too(start, direction):
    """S19, hil-serl#36: through the adjoint, a push along x turned the tool by 0.2."""
    env = RelativeFrame(PoseEnv(start))
    env.reset()
    zero = np.zeros(3)
    moved, turned = env.inward(float32([*direction, *zero])), env.inward(float32([*zero, *direction]))
    assert np.array_equal(moved[3:6], zero)
    assert np.array_equal(turned[:3], zero)


def test_the_example_of_the_bug():
    """S19: a gripper that points down at (.5, 0, .2), an action along the tool's x."""
    env = RelativeFrame(PoseEnv(np.array((0.5, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0))))
    env.reset()
    assert np.allclose(env.inward(float32((1, 0, 0, 0, 0, 0)))[:6], (1, 0, 0, 0, 0, 0))
    assert np.allclose(env.inward(float32((0, 0, 1, 0, 0, 0)))[:6], (0, 0, -1, 0, 0, 0), atol=1e-7)


@given(start=POSES, action=LONG_ACTIONS)
def test_an_action_keeps_its_direction_and_stays_in_the_space(start, action):
    inner = PoseEnv(start)
    env = RelativeFrame(inner)
    env.reset()
    env.step(float32(action))
    (executed,) = inner.taken
    assert executed in inner.action_space
    assert executed[6] == np.float32(0.7)
    for half in (slice(0, 3), slice(3, 6)):
        expected = Rotation.from_quat(start[3:]).apply(action[half])
        assert np.linalg.norm(np.cross(executed[half], expected)) < 1e-5
        assert executed[half] @ expected >= 0.0
        assert np.linalg.norm(executed[half]) <= np.linalg.norm(expected) + 1e-6


@given(start=POSES, later=POSES, action=ACTIONS)
def test_a_humans_action_is_told_in_the_frame_before_the_step(start, later, action):
    inner = PoseEnv(start, later)
    env = RelativeFrame(inner)
    env.reset()
    inner.next_info = {INTERVENE_ACTION: float32(action)}
    told = env.step(float32(np.zeros(6)))[4][INTERVENE_ACTION]
    assert np.allclose(told[:3], Rotation.from_quat(start[3:]).inv().apply(action[:3]), atol=1e-5)
    # Said by the policy at the same place, it would have been executed as it was.
    env.reset()
    env.step(told)
    assert np.allclose(inner.taken[-1], float32(action), atol=1e-5)


@given(start=POSES, later=POSES, twist=arrays(np.float64, 6, elements=st.floats(-1.0, 1.0)))
def test_poses_count_from_the_start_and_velocities_are_the_tools_own(start, later, twist):
    inner = PoseEnv(start, later)
    inner.twist = twist
    env = RelativeFrame(inner)
    first = env.reset()[0]["state"]
    seen = env.step(float32(np.zeros(6)))[0]
    assert seen in env.observation_space
    assert np.allclose(first["tcp_pose"], IDENTITY, atol=1e-6)
    back = spatial.compose(start, seen["state"]["tcp_pose"].astype(np.float64))
    assert np.allclose(back[:3], later[:3], atol=1e-5)
    assert spatial.angle_between(back[3:], later[3:]) < 1e-5
    assert np.allclose(spatial.rotate_vec6(later[3:], seen["state"]["tcp_vel"]), twist, atol=1e-5)


@given(start=POSES, later=POSES, elsewhere=POSES)
def test_what_is_seen_does_not_depend_on_where_it_happens(start, later, elsewhere):
    """The point of it all: the same motion at another place and in another direction looks the same."""

    def seen(*poses):
        env = RelativeFrame(PoseEnv(*poses))
        env.reset()
        return env.step(float32(np.zeros(6)))[0]["state"]["tcp_pose"]

    here, there = seen(start, later), seen(spatial.compose(elsewhere, start), spatial.compose(elsewhere, later))
    assert np.allclose(here[:3], there[:3], atol=1e-5)
    assert spatial.angle_between(*(np.float64(p[3:]) / np.linalg.norm(p[3:]) for p in (here, there))) < 1e-5


def test_the_pose_may_stay_in_the_base_frame():
    start = pose(np.array((0.4, 0.1, 0.2)), np.array((0.1, 0.2, 0.3)))
    env = RelativeFrame(PoseEnv(start), relative_pose=False)
    assert np.allclose(env.reset()[0]["state"]["tcp_pose"], start, atol=1e-6)


@given(start=POSES)
def test_euler_angles_have_the_right_signs(start):
    """S20: SERL's pitch had the wrong sign wherever it was not 0."""
    shown = Quat2Euler(PoseEnv(start))
    observation, _ = shown.reset()
    numbers = observation["state"]["tcp_pose"]
    assert observation in shown.observation_space
    assert np.allclose(numbers[:3], start[:3], atol=1e-6)
    back = Rotation.from_euler("xyz", np.float64(numbers[3:]))
    assert (back.inv() * Rotation.from_quat(start[3:])).magnitude() < 2e-3


def test_a_positive_pitch_is_shown_positive():
    tilted = pose(np.zeros(3), np.array((0.0, 0.3, 0.0)))
    assert np.allclose(Quat2Euler(PoseEnv(tilted)).reset()[0]["state"]["tcp_pose"][3:], (0.0, 0.3, 0.0), atol=1e-6)


@given(start=POSES)
def test_six_numbers_are_the_first_two_axes(start):
    shown = Quat2R6(PoseEnv(start))
    observation, _ = shown.reset()
    numbers = observation["state"]["tcp_pose"]
    assert observation in shown.observation_space
    matrix = Rotation.from_quat(start[3:]).as_matrix()
    assert np.allclose(numbers[3:6], matrix[:, 0], atol=1e-6)
    assert np.allclose(numbers[6:], matrix[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: RelativeFrame(SERLObsWrapper(PoseEnv())), "SERLObsWrapper"),
        (lambda: RelativeFrame(Quat2Euler(PoseEnv())), "inside Quat2Euler"),
        (lambda: RelativeFrame(PoseEnv(size=4)), "six numbers"),
        (lambda: Quat2R6(Quat2Euler(PoseEnv())), "seven numbers"),
    ],
    ids=["flat", "euler", "short", "twice"],
)
def test_wrong_orders_are_refused(build, words):
    with pytest.raises(InvalidConfiguration, match=words):
        build()


def test_actions_of_the_wrong_shape_are_refused():
    env = RelativeFrame(PoseEnv())
    env.reset()
    with pytest.raises(InvalidCommand, match=r"\(7,\)"):
        env.step(np.zeros(6))
