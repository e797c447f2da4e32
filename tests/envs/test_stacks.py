"""Whole stacks of wrappers, as a learner meets them, in every kind of cell."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import franka_env
from envs.tasks import FrankaTask
from envs.tasks.reach_pose import REACH_POSE
from envs.wrappers import (
    INTERVENE_ACTION,
    BinaryRewardClassifier,
    ChunkingWrapper,
    EpisodeStatistics,
    FrontCamera,
    FrontCameraRewardClassifier,
    GripperClose,
    Quat2Euler,
    RelativeFrame,
    SERLObsWrapper,
    TeleopIntervention,
)
from robotkit import make_workcell, spatial, teleops
from tests.envs.cells import MUJOCO
from tests.serving import served

STANDSTILL = {"cell": "fake", "cell_overrides": {f"cameras.{name}.rate_hz": 1e-3 for name in ("front", "wrist")}}


def serl_stack(env, hand):
    """SERL's order for a real-robot task, with images."""
    env = TeleopIntervention(GripperClose(env), hand, hold_steps=0)
    env = SERLObsWrapper(Quat2Euler(RelativeFrame(env)))
    env = FrontCameraRewardClassifier(FrontCamera(env), lambda observation: -5.0)
    return EpisodeStatistics(ChunkingWrapper(env, obs_horizon=1))


class Plain(gymnasium.Env):
    """A stack that does not look like one: the checker checks what is under wrappers otherwise."""

    def __init__(self, env):
        self.env, self.observation_space, self.action_space = env, env.observation_space, env.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.env.reset(seed=seed, options=options)

    def step(self, action):
        return self.env.step(action)


@pytest.fixture
def hand():
    return teleops.make("fake", None)


@pytest.mark.parametrize("cell", [STANDSTILL, MUJOCO], ids=["fake", "mujoco"])
def test_gymnasium_has_nothing_to_complain_of(cell, hand):
    env = serl_stack(gymnasium.make("FrankaReachPoseVision-v0", **cell), hand)
    check_env(Plain(env), skip_render_check=True)
    space = env.observation_space
    assert {name: part.shape for name, part in space.items()} == {"state": (1, 19), "wrist": (1, 128, 128, 3)}
    assert env.action_space.shape == (6,)
    env.close()


@pytest.mark.parametrize("cell", [STANDSTILL, MUJOCO], ids=["fake", "mujoco"])
def test_a_push_along_the_tools_axis_moves_the_tool_along_it(cell, hand):
    """hil-serl#36 on whole cells: no pure translation turns the tool, whichever way it points."""
    env = RelativeFrame(gymnasium.make("FrankaReachPose-v0", **cell))
    start = (0.4, 0.0, 0.3, *spatial.quaternion_from_matrix(_tilted()))
    for axis in range(3):
        env.reset(seed=0, options={"tcp_pose": start})
        for _ in range(4):
            action = np.zeros(7, np.float32)
            action[axis] = 0.8
            env.step(action)
        for _ in range(8):
            state = env.step(np.zeros(7, np.float32))[0]["state"]
        moved = state["tcp_pose"]
        assert moved[axis] == pytest.approx(4 * 0.8 * 0.02, abs=5e-3)
        assert np.abs(np.delete(moved[:3], axis)).max() < 5e-3
        assert spatial.angle_between(moved[3:], np.array((0, 0, 0, 1.0))) < 0.02
    env.close()


def _tilted():
    down = np.diag((1.0, -1.0, -1.0))
    turn = spatial.matrix_from_quaternion(spatial.quaternion_from_rotation_vector(np.array((0.1, -0.2, 0.6))))
    return turn @ down


def test_a_humans_steps_replayed_by_the_policy_lead_to_the_same_place(hand):
    """Intervention, frames and storage agree: what was stored does what was done."""

    def final(act):
        env = RelativeFrame(TeleopIntervention(gymnasium.make("FrankaReachPose-v0", cell="fake"), hand, hold_steps=0))
        env.reset(seed=3)
        stored = [act(env, step) for step in range(12)]
        pose = env.unwrapped.workcell.get_state().robot.tcp_pose_in_base
        env.close()
        return pose, stored

    def human(env, step):
        hand.steer(np.sin(step + np.arange(6)) * 0.5)
        return env.step(np.full(7, 0.9, np.float32))[4][INTERVENE_ACTION]

    done, stored = final(human)
    hand.steer(np.zeros(6))
    again, _ = final(lambda env, step: env.step(stored[step]))
    assert np.allclose(again, done, atol=1e-5)


def test_the_stack_works_over_a_real_socket():
    with served(make_workcell("fake")) as url:
        remote, local = (gymnasium.make("FrankaReachPoseRelative-v0", cell=cell) for cell in (url, "fake"))
        for env in (remote, local):
            env.reset(seed=1)
        actions = np.random.default_rng(0).uniform(-1, 1, (8, 7)).astype(np.float32)
        for action in actions:
            (there, *rest), (here, *same) = remote.step(action), local.step(action)
            assert np.allclose(there["state"], here["state"], atol=1e-6)
            assert rest == same
        remote.close()
        local.close()


class ResetFree(FrankaTask):
    """As in a cell that cannot place anything: the arm has to come back by itself."""

    def object_poses(self, np_random, options):
        return None


def test_an_arm_outside_its_box_comes_back_at_a_reset_also_over_a_socket():
    """The weight of a tool, or a person, may bring the arm where no command may."""
    cell = make_workcell("fake")
    with served(cell) as url:
        env = franka_env(REACH_POSE, url, ResetFree)
        env.reset(seed=0)
        arm = cell.robot
        while hasattr(arm, "inner"):
            arm = arm.inner
        arm.move_to_joint_positions(np.array((0.5, 0.0, -0.01, np.pi, 0.0, 0.0, 0.0)))
        observation, _ = env.reset(options={"tcp_pose": REACH_POSE.reset_pose_in_base})
        assert np.abs(observation["state"]["tcp_pose"][:3] - REACH_POSE.start[:3]).max() < 0.01
        env.close()


def test_a_reward_classifier_behind_a_server_waits_for_its_frames_too():
    with served(make_workcell("fake")) as url:
        for options, frames in (({}, 2), ({"positive_frames": 1}, 1), ({"hold_s": 0.25}, 4)):
            env = BinaryRewardClassifier(franka_env(REACH_POSE, url), lambda observation: 5.0, **options)
            env.reset(seed=0)
            steps = [env.step(np.zeros(7, np.float32))[1:3] for _ in range(frames)]
            assert steps == [(0.0, False)] * (frames - 1) + [(1.0, True)]
            env.close()


def test_chunks_of_a_judged_env_keep_every_reward_and_stop_at_success():
    """S12: SERL's chunks dropped the rewards on the way and went on after the end."""
    answers = iter([-5.0, 5.0, -5.0, -5.0])
    inner = gymnasium.make("FrankaReachPose-v0", cell="fake")
    env = ChunkingWrapper(BinaryRewardClassifier(inner, lambda observation: next(answers), positive_frames=1), 2, 3)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(np.zeros((3, 7), np.float32))
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    assert next(answers) == -5.0, "the third action was not taken"
    env.close()
