"""Laws of `DualArmEnv`: what concerns one arm leaves the other alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from envs.core import ManipulationEnv
from envs.dual import DualArmEnv, both, each_arm
from envs.tasks import FrankaTask, franka_actions
from envs.tasks.reach import Reach, reach_actions
from envs.tasks.reach_pose import REACH_POSE
from envs.tasks.task import Outcome
from envs.wrappers import (
    INTERVENE_ACTION,
    GripperClose,
    GripperPenalty,
    Quat2Euler,
    RelativeFrame,
    SERLObsWrapper,
    TeleopIntervention,
)
from envs.wrappers.action_view import INTERVENE_HOLD
from robotkit import InvalidCommand, InvalidConfiguration, make_workcell, teleops
from tests.envs.cells import made
from tests.envs.pose_env import PoseEnv
from tests.envs.test_frames import ACTIONS, POSES, float32

ID = "DualFrankaReachPose-v0"
CELLS = [pytest.param({"cell": "fake"}, id="fake"), pytest.param({}, id="mujoco")]
NOTHING = np.zeros(14, np.float32)
POLICY = np.linspace(-0.7, 0.7, 14).astype(np.float32)
PUSH = np.array((0.0, 0.5, 0.0, 0.0, 0.0, -0.5))
NUMBERS = st.integers(0, 2**32 - 1)


def pair(*poses):
    """A pair whose tools are where the test says; the arms' own environments besides."""
    arms = [PoseEnv(pose) for pose in poses] or [PoseEnv(), PoseEnv()]
    return DualArmEnv(*arms), *arms


def reach_env(cell):
    return ManipulationEnv(cell, FrankaTask(REACH_POSE), franka_actions(REACH_POSE))


def hand():
    return teleops.make("fake", None)


@given(left=POSES, right=POSES, actions=st.tuples(ACTIONS, ACTIONS))
def test_there_and_back_through_both_tools_frames_is_the_identity(left, right, actions):
    env, *arms = pair(left, right)
    env = each_arm(env, RelativeFrame)
    env.reset()
    done = [float32(action) for action in actions]
    for arm, action in zip(arms, done, strict=True):
        arm.next_info = {INTERVENE_ACTION: action}
    told = env.step(NOTHING)[4][INTERVENE_ACTION]
    assert told.dtype == np.float32
    env.step(told)
    for arm, action in zip(arms, done, strict=True):
        assert np.allclose(arm.taken[-1], action, atol=1e-5)


@pytest.mark.parametrize(("holds", "told"), [((True, True), True), ((True, False), False), ((True, None), True)])
def test_l7_a_pair_pauses_when_every_hand_at_it_does(holds, told):
    env, *arms = pair()
    env.reset()
    for arm, hold in zip(arms, holds, strict=True):
        arm.next_info = {} if hold is None else {INTERVENE_ACTION: arm.action_space.sample(), INTERVENE_HOLD: hold}
    assert env.step(NOTHING)[4][INTERVENE_HOLD] is told


@given(left=POSES, right=POSES, seed=NUMBERS)
def test_a_pair_of_wrapped_arms_is_two_wrapped_arms(left, right, seed):
    def stack(env):
        return Quat2Euler(RelativeFrame(env))

    env, *arms = pair(left, right)
    env = each_arm(env, stack)
    alone = {name: PoseEnv(pose) for name, pose in (("left", left), ("right", right))}
    singles = {name: stack(arm) for name, arm in alone.items()}
    action = np.random.default_rng(seed).uniform(-1, 1, 14).astype(np.float32)
    together = [env.reset()[0], env.step(action)[0]]
    apart = [
        {name: single.reset()[0] for name, single in singles.items()},
        {name: single.step(half)[0] for (name, single), half in zip(singles.items(), np.split(action, 2), strict=True)},
    ]
    for joined, halves in zip(together, apart, strict=True):
        assert joined in env.observation_space
        assert list(joined["state"]) == [f"{name}/{key}" for name in halves for key in halves[name]["state"]]
        for name, key in itertools.product(halves, halves["left"]["state"]):
            assert np.array_equal(joined["state"][f"{name}/{key}"], halves[name]["state"][key])
    for arm, single in zip(arms, alone.values(), strict=True):
        assert np.array_equal(arm.taken, single.taken)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("moved", [0, 1], ids=["left", "right"])
def test_an_arms_action_moves_that_arm_alone(cell, moved):
    def states(action):
        with made(ID, **cell) as env:
            env.reset(seed=0)
            for _ in range(5):
                state = env.step(action)[0]["state"]
        return [{key: value for key, value in state.items() if key.startswith(arm)} for arm in ("left/", "right/")]

    action = NOTHING.copy()
    action[7 * moved : 7 * moved + 7] = (0.8, -0.5, 0.3, 0.2, 0.0, 0.4, -1.0)
    still, acted = states(NOTHING), states(action)
    for key, value in still[1 - moved].items():
        assert np.array_equal(acted[1 - moved][key], value), key
    name = ("left", "right")[moved]
    assert np.abs(acted[moved][f"{name}/tcp_pose"] - still[moved][f"{name}/tcp_pose"])[:3].max() > 0.03
    assert acted[moved][f"{name}/gripper_pose"] < still[moved][f"{name}/gripper_pose"]


@pytest.mark.parametrize("steered", [0, 1], ids=["left", "right"])
def test_a_hand_on_one_arm_leaves_the_other_to_the_policy(steered):
    hands = hand(), hand()
    env, *arms = pair()
    env = each_arm(env, *(lambda arm, hand=hand: TeleopIntervention(arm, hand, hold_steps=0) for hand in hands))
    env.reset(seed=0)
    assert INTERVENE_ACTION not in env.step(POLICY)[4]
    hands[steered].steer(PUSH)
    told = env.step(POLICY)[4][INTERVENE_ACTION]
    halves = np.split(told, 2)
    assert np.allclose(halves[steered], (*PUSH, 0.0))
    assert np.array_equal(halves[1 - steered], np.split(POLICY, 2)[1 - steered])
    for arm, half in zip(arms, halves, strict=True):
        assert np.array_equal(arm.taken[-1], half), "what is told is what was done"


def test_chosen_numbers_of_each_arm_are_steered():
    hands = hand(), hand()
    env, left, right = pair()
    env = each_arm(
        env,
        lambda arm: TeleopIntervention(arm, hands[0], hold_steps=0, action_indices=(1,)),
        lambda arm: TeleopIntervention(arm, hands[1], hold_steps=0, action_indices=(0, 5)),
    )
    env.reset(seed=0)
    for each in hands:
        each.steer(PUSH)
    env.step(POLICY)
    assert np.allclose(left.taken[-1], (0, 0.5, 0, 0, 0, 0, 0))
    assert np.allclose(right.taken[-1], (0, 0, 0, 0, 0, -0.5, 0))


def test_a_humans_action_is_told_in_the_tools_frames_also_where_the_policy_acted():
    left, right = (np.array((0, 0, 0, *quaternion)) for quaternion in ((1.0, 0, 0, 0), (0, 0, 1.0, 0)))
    device = hand()
    env, *arms = pair(left, right)
    env = each_arm(env, lambda arm: RelativeFrame(TeleopIntervention(arm, device, hold_steps=0)), RelativeFrame)
    env.reset(seed=0)
    device.steer(PUSH)
    told = env.step(POLICY)[4][INTERVENE_ACTION]
    assert np.allclose(told[:7], (0, -0.5, 0, 0, 0, 0.5, 0), atol=1e-6), "turned about x by half a turn"
    assert np.array_equal(told[7:], POLICY[7:]), "the policy's own numbers, as it said them"
    assert np.allclose(arms[1].taken[-1][:2], -POLICY[7:9], atol=1e-6)


def test_both_hands_fingers_cost_what_they_cost_together():
    env, left, right = pair()
    env = each_arm(env, GripperPenalty)
    env.reset()
    costs = {}
    for changes in itertools.product((False, True), repeat=2):
        for arm, has_changed in zip((left, right), changes, strict=True):
            arm.next_info = {"gripper_changed": has_changed}
        info = env.step(POLICY)[4]
        assert info["gripper_changed"] == any(changes)
        assert [info["left/grasp_penalty"], info["right/grasp_penalty"]] == [-0.02 * changed for changed in changes]
        costs[changes] = info["grasp_penalty"]
    assert costs == {
        (False, False): 0.0, (False, True): -0.02, (True, False): -0.02, (True, True): pytest.approx(-0.04)
    }  # fmt: skip


def test_arms_may_have_actions_of_their_own_length():
    left, right = PoseEnv(), PoseEnv()
    env = DualArmEnv(GripperClose(left), right)
    env.reset()
    env.step(np.arange(13, dtype=np.float32) / 13)
    assert np.allclose(left.taken[-1] * 13, (0, 1, 2, 3, 4, 5, 0))
    assert np.allclose(right.taken[-1] * 13, np.arange(6, 13))


OUTCOMES = st.builds(lambda done, reward, ends: Outcome(reward, done, ends), st.booleans(), st.floats(-1, 1),
                     st.booleans())  # fmt: skip


@given(left=OUTCOMES, right=OUTCOMES)
def test_both_arms_must_be_done_and_one_that_failed_ends_it(left, right):
    joined = both(left, right)
    assert joined == both(right, left)
    assert joined.is_success == (left.is_success and right.is_success)
    assert joined.reward in (left.reward, right.reward)
    assert joined.reward <= max(left.reward, right.reward)
    failed = [arm for arm in (left, right) if arm.is_terminated and not arm.is_success]
    waits = [arm for arm in (left, right) if not arm.is_terminated]
    assert joined.is_terminated == (bool(failed) or not waits)


def test_an_arm_that_is_done_waits_for_the_other():
    env, left, right = pair()
    env.reset()
    for arm, expected in ((left, (0.0, False)), (right, (1.0, True))):
        arm.reward, arm.ends, arm.next_info = 1.0, True, {"success": True}
        _, reward, terminated, truncated, info = env.step(POLICY)
        assert (reward, terminated, truncated, info["success"]) == (*expected, False, expected[1])
        assert info["left/success"]


def test_a_task_may_judge_by_other_rules():
    left, right = PoseEnv(), PoseEnv()
    left.reward, right.reward = 0.25, 0.5
    env = DualArmEnv(left, right, lambda a, b: Outcome(a.reward + b.reward, True, False, {"worse": "left"}))
    env.reset()
    _, reward, _, _, info = env.step(POLICY)
    assert (reward, info["success"], info["worse"]) == (0.75, True, "left")


@pytest.mark.parametrize("action", [np.zeros(7), np.zeros(13), np.full(14, np.nan)], ids=["half", "short", "nan"])
def test_an_action_that_is_none_reaches_neither_arm(action):
    env, left, right = pair()
    env.reset()
    with pytest.raises(InvalidCommand, match=r"\(14,\)"):
        env.step(action)
    assert left.taken == right.taken == []
    env.step(POLICY)


def test_nothing_moves_before_the_first_reset():
    with pytest.raises(ResetNeeded):
        pair()[0].step(POLICY)


def test_a_seed_fixes_both_starts_and_the_starts_differ():
    with made(ID, cell="fake") as env:
        first, again, other = (env.reset(seed=seed)[0]["state"] for seed in (3, 3, 4))
    for key in first:
        assert np.array_equal(first[key], again[key])
    assert not np.array_equal(first["left/tcp_pose"], other["left/tcp_pose"])
    assert not np.array_equal(first["left/tcp_pose"], first["right/tcp_pose"])


def test_options_go_to_the_arm_that_they_name():
    env, left, right = pair()
    env.reset(options={"left/tcp_pose": 1, "right/tcp_pose": 2, "left/a/b": 3})
    assert (left.options, right.options) == ([{"tcp_pose": 1, "a/b": 3}], [{"tcp_pose": 2}])
    for name in ("tcp_pose", "middle/tcp_pose", "left/", "left"):
        with pytest.raises(InvalidConfiguration, match="'left/…' or 'right/…'"):
            env.reset(options={name: 1})


@pytest.mark.parametrize("cell", CELLS)
def test_gymnasium_has_nothing_to_complain_of(cell):
    with made(ID, **cell) as env:
        check_env(env.unwrapped, skip_render_check=True)


def test_images_of_both_cells_are_seen_and_shown_beside_each_other():
    with made("DualFrankaReachPoseVision-v0", cell="fake", render_mode="rgb_array") as env:
        images = env.reset(seed=0)[0]["images"]
        assert list(images) == ["left/front", "left/wrist", "right/front", "right/wrist"]
        halves = np.split(env.render(), 2, axis=1)
        single = env.unwrapped.arms["right"].render()
        assert [half.shape for half in halves] == [single.shape] * 2


def test_closing_lets_go_of_both_cells():
    with made(ID, cell="fake") as env:
        env.reset(seed=0)
        cells = [arm.unwrapped.workcell for arm in env.unwrapped.arms.values()]
        assert all(cell.is_connected for cell in cells)
    assert not any(cell.is_connected for cell in cells)


def test_an_arm_that_cannot_be_closed_does_not_keep_the_other_open():
    closed = []
    env, left, right = pair()
    for arm, action in ((left, lambda: closed.append("left")), (right, lambda: 1 / 0)):
        arm.close = action
    with pytest.raises(ZeroDivisionError):
        env.close()
    assert closed == ["left"]


def test_what_cannot_be_joined_is_refused():
    cell = make_workcell("fake")
    shared = [reach_env(cell), reach_env(cell)]
    calm = replace(REACH_POSE, control_period_s=0.2, reset_speed_m_s=0.05, reset_speed_rad_s=0.2)
    slow = ManipulationEnv(make_workcell("fake"), FrankaTask(calm), franka_actions(calm))
    words = {
        "a workcell each": shared,
        "one control period": [reach_env(make_workcell("fake")), slow],
        "flatten": [SERLObsWrapper(PoseEnv()), PoseEnv()],
        "flat boxes": [PoseEnv(), gymnasium.wrappers.TransformAction(PoseEnv(), None, gymnasium.spaces.Discrete(2))],
    }
    for word, arms in words.items():
        with pytest.raises(InvalidConfiguration, match=word):
            DualArmEnv(*arms)


def test_any_task_in_any_cell_makes_a_pair():
    envs = [ManipulationEnv(make_workcell("mujoco-pick-cube"), Reach(), reach_actions()) for _ in range(2)]
    env = DualArmEnv(*envs)
    env.reset(seed=0, options={"left/goal_pos": (0.4, 0.1, 0.4)})
    reward, info = env.step(np.zeros(6, np.float32))[1::3]
    assert reward == pytest.approx(min(0.5 * (np.exp(-5 * d) + np.exp(-50 * d)) for d in (
        info["left/distance_m"], info["right/distance_m"])))  # fmt: skip
    env.close()
    for arm in envs:
        arm.workcell.disconnect()
