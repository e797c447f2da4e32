"""Laws of `TeleopIntervention` and `HumanSuccessKey`, with a hand that does what it is told."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from envs.wrappers import (
    INTERVENE_ACTION,
    ActionRepeat,
    BinaryRewardClassifier,
    GripperClose,
    HumanSuccessKey,
    RelativeFrame,
    TeleopIntervention,
)
from rl.data.transition import make_transition
from rl.wrappers.repeat_action import RepeatAction
from robotkit import ConfigurationError, InvalidConfiguration, teleops
from tests.envs.pose_env import PoseEnv

POLICY = np.full(7, 0.25, np.float32)
REST, PUSH = np.zeros(6), np.array((0.0, 0.5, 0.0, 0.0, 0.0, -0.5))


@pytest.fixture
def hand():
    return teleops.make("fake", None)


def taken(env, hand, *readings):
    """Which steps the human took, the hand doing one thing a step."""
    steps = []
    for twist in readings:
        hand.steer(twist)
        steps.append(INTERVENE_ACTION in env.step(POLICY)[4])
    return steps


def test_the_policy_acts_until_the_hand_moves(hand):
    inner = PoseEnv()
    env = TeleopIntervention(inner, hand, hold_steps=0)
    env.reset(seed=0)
    assert taken(env, hand, REST, PUSH, REST) == [False, True, False]
    assert np.array_equal(inner.taken[0], POLICY)
    assert np.allclose(inner.taken[1], (*PUSH, 0.0))
    assert np.array_equal(inner.taken[2], POLICY)
    assert inner.taken[1] in env.action_space


def test_what_was_executed_is_what_is_told(hand):
    inner = PoseEnv()
    env = TeleopIntervention(inner, hand)
    env.reset(seed=0)
    hand.steer(PUSH, (True, False))
    info = env.step(POLICY)[4]
    assert np.array_equal(info[INTERVENE_ACTION], inner.taken[-1])
    assert info["teleop_buttons"].tolist() == [True, False]


def test_a_pause_of_the_hand_does_not_hand_over(hand):
    """SERL's sticky window, counted in steps: in it the human's action is to hold still."""
    inner = PoseEnv()
    env = TeleopIntervention(inner, hand, hold_steps=2)
    env.reset(seed=0)
    assert taken(env, hand, PUSH, REST, REST, REST, PUSH, REST) == [True, True, True, False, True, True]
    assert np.array_equal(inner.taken[1], np.zeros(7))
    env.reset()
    assert taken(env, hand, REST) == [False], "a new episode belongs to the policy"


def test_l7_a_held_pause_is_what_was_done_and_no_intervention_to_learn_from(hand):
    env = TeleopIntervention(PoseEnv(), hand, hold_steps=2)
    observation, _ = env.reset(seed=0)
    stored = []
    for twist in (REST, PUSH, REST, PUSH, REST, REST, REST):
        hand.steer(twist)
        observation, reward, terminated, truncated, info = env.step(POLICY)
        stored.append(make_transition(observation, POLICY, observation, reward, terminated, truncated, info))
    assert [step["is_intervention"] for step in stored] == [0, 1, 0, 1, 0, 0, 0]
    done = [POLICY, (*PUSH, 0), np.zeros(7), (*PUSH, 0), np.zeros(7), np.zeros(7), POLICY]
    np.testing.assert_allclose([step["actions"] for step in stored], done, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda env: ActionRepeat(env, 2), lambda env: RepeatAction(env, 2)])
def test_l7_a_macro_step_is_a_pause_when_all_of_it_is(hand, wrap):
    env = wrap(TeleopIntervention(PoseEnv(), hand, hold_steps=3))
    env.reset(seed=0)
    hand.steer(PUSH)
    assert env.step(POLICY)[4]["intervene_hold"] is False
    hand.steer(REST)
    assert env.step(POLICY)[4]["intervene_hold"] is True


@pytest.mark.parametrize(
    ("buttons", "low", "high"),
    [((True, False), -1.0, -0.9), ((False, True), 0.9, 1.0), ((True, True), 0.0, 0.0), ((False, False), 0.0, 0.0)],
)
def test_buttons_close_and_open(hand, buttons, low, high):
    inner = PoseEnv()
    env = TeleopIntervention(inner, hand)
    env.reset(seed=0)
    hand.steer(PUSH, buttons)
    env.step(POLICY)
    assert low <= inner.taken[-1][6] <= high


def test_a_button_alone_takes_over_only_where_there_is_a_gripper_to_steer(hand):
    for inner, expected in ((PoseEnv(), True), (GripperClose(PoseEnv()), False)):
        env = TeleopIntervention(inner, hand, hold_steps=0)
        env.reset(seed=0)
        hand.steer(REST, (True, False))
        assert (INTERVENE_ACTION in env.step(POLICY[: env.action_space.shape[0]])[4]) is expected


def test_a_button_may_mean_something_else(hand):
    env = TeleopIntervention(PoseEnv(), hand, hold_steps=0, close_button=None)
    env.reset(seed=0)
    hand.steer(REST, (True, False))
    assert INTERVENE_ACTION not in env.step(POLICY)[4]


def test_chosen_numbers_alone_are_steered(hand):
    inner = PoseEnv()
    env = TeleopIntervention(inner, hand, action_indices=(0, 1, 2), hold_steps=0)
    env.reset(seed=0)
    assert taken(env, hand, PUSH, np.array((0, 0, 0, 0.5, 0, 0))) == [True, False]
    assert np.allclose(inner.taken[0], (0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_a_diagonal_push_is_no_faster_and_fits_in_every_frame(hand):
    turned = np.array((0.0, 0.0, 0.0, *np.array((0.3, -0.5, 0.2, 0.7)) / np.linalg.norm((0.3, -0.5, 0.2, 0.7))))
    env = RelativeFrame(TeleopIntervention(PoseEnv(turned), hand))
    env.reset(seed=0)
    hand.steer(np.ones(6))
    told = env.step(POLICY)[4][INTERVENE_ACTION]
    assert told in env.action_space
    assert np.linalg.norm(told[:3]) == pytest.approx(1.0, abs=1e-6)


def test_a_policy_without_a_gripper_is_told_six_numbers(hand):
    env = RelativeFrame(TeleopIntervention(GripperClose(PoseEnv()), hand))
    env.reset(seed=0)
    hand.steer(PUSH)
    info = env.step(POLICY[:6])[4]
    assert info[INTERVENE_ACTION].shape == (6,) == env.action_space.shape


def test_outside_of_the_gripper_wrapper_the_hand_keeps_its_fingers_off(hand):
    """Interventions are mapped out of the seven-number world by `GripperClose`, wherever it stands."""
    env = GripperClose(TeleopIntervention(PoseEnv(), hand))
    env.reset(seed=0)
    hand.steer(PUSH)
    assert np.allclose(env.step(POLICY[:6])[4][INTERVENE_ACTION], PUSH)


def test_the_device_is_connected_with_the_env_and_let_go_with_it(hand):
    env = TeleopIntervention(PoseEnv(), hand)
    assert not hand.is_connected
    env.reset()
    assert hand.is_connected
    env.close()
    assert not hand.is_connected


@pytest.mark.parametrize("options", [{"hold_steps": -1}, {"action_indices": (6,)}], ids=str)
def test_bad_options_are_refused(hand, options):
    with pytest.raises(InvalidConfiguration):
        TeleopIntervention(PoseEnv(), hand, **options)
    with pytest.raises(InvalidConfiguration, match="six or seven"):
        TeleopIntervention(PoseEnv(size=4), hand)


def test_every_step_of_a_held_key_is_a_success(hand):
    """H8: SERL's recorder marked one step a press. The key works while the episode runs, not at its end."""
    env = HumanSuccessKey(PoseEnv(), hand, button=1, terminates=False)
    env.reset()
    held = [False, True, True, True, False]
    steps = []
    for is_down in held:
        hand.steer(REST, (False, is_down))
        steps.append(env.step(POLICY))
    assert [step[4]["success"] for step in steps] == held
    assert [step[1] for step in steps] == [float(is_down) for is_down in held]
    assert not any(step[2] for step in steps)


def test_the_key_ends_the_episode_unless_told_otherwise(hand):
    env = HumanSuccessKey(PoseEnv(), hand)
    env.reset()
    hand.steer(REST, (True, False))
    _, reward, terminated, truncated, _ = env.step(POLICY)
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_a_key_that_is_not_there_is_said(hand):
    env = HumanSuccessKey(PoseEnv(), hand, button=2)
    env.reset()
    with pytest.raises(InvalidConfiguration, match="2 buttons"):
        env.step(POLICY)


def test_the_hand_and_a_judge_do_not_disturb_each_other(hand):
    env = BinaryRewardClassifier(TeleopIntervention(PoseEnv(), hand), lambda observation: 1.0)
    env.reset(seed=0)
    hand.steer(PUSH)
    first = env.step(POLICY)
    _, reward, terminated, _, info = env.step(POLICY)
    assert (first[1], reward, terminated, info["success"]) == (0.0, 1.0, True, True)
    assert INTERVENE_ACTION in info


@pytest.mark.parametrize(
    ("env", "human", "answer"),
    [
        ("envs:PandaPickCube-v0", "nobody", r"Known: fake, gamepad, keyboard, spacemouse, expert, scripted$"),
        ("envs:PandaPickCube-v0", "expret", r"Did you mean 'expert'\?"),
        ("envs:PandaReach-v0", "nobody", r"spacemouse; there is no scripted expert for this environment$"),
        ("envs:PandaReach-v0", "expert", r"give a teleoperation device: fake, gamepad, keyboard, spacemouse$"),
    ],
)
def test_an_unknown_human_is_answered_with_those_that_the_environment_has(env, human, answer):
    with pytest.raises(ConfigurationError, match=answer):
        gymnasium.make(env, cell="fake", human=human)
