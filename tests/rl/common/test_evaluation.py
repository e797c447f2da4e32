"""Evaluation counts what happened and survives environments that say little."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from envs.dual.env import DualArmEnv
from envs.wrappers import RelativeFrame, TeleopIntervention
from rl.common.evaluation import best_episode, evaluate, require_unassisted, run_episodes, wilson_interval
from rl.errors import ConfigError
from robotkit import teleops
from tests.envs.pose_env import PoseEnv


class Countdown(gym.Env):
    """Ends after a random number of steps; the reward is the action; success when the number was even."""

    observation_space = gym.spaces.Box(0, 100, (1,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, reports="last", render_mode="rgb_array"):
        self.reports = reports
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.total = self.left = int(self.np_random.integers(2, 9))
        return np.array([self.left], np.float32), {}

    def step(self, action):
        self.left -= 1
        ended = self.left == 0
        says = self.reports == "always" or (self.reports == "last" and ended)
        info = {"success": self.total % 2 == 0} if says else {}
        return np.array([self.left], np.float32), float(action[0]), ended and self.total > 4, ended, info

    def render(self):
        return np.full((2, 2, 3), self.left, np.uint8) if self.render_mode else None


def policy(observation):
    return np.ones(1, np.float32)


def test_means_are_those_of_the_episodes():
    episodes = run_episodes(policy, Countdown(), 30, seed=3)
    summary = evaluate(policy, Countdown(), 30, seed=3)
    lengths = [episode.length for episode in episodes]
    assert len(set(lengths)) > 3
    assert summary["return_mean"] == summary["length_mean"] == pytest.approx(np.mean(lengths))
    assert summary["return_max"] == max(lengths)
    assert summary["success_rate"] == pytest.approx(np.mean([length % 2 == 0 for length in lengths]))
    assert summary["success_steps"] == pytest.approx(np.mean([length for length in lengths if length % 2 == 0]))
    assert summary["success_low"] < summary["success_rate"] < summary["success_high"]
    early = evaluate(policy, Countdown("always"), 30, seed=3)
    assert early == summary | {"success_steps": 1.0}, "an episode may go on after its success"
    assert summary != evaluate(policy, Countdown(), 30, seed=4)


def test_an_environment_without_success_is_no_problem():
    """S25: keys that are missing from info break nothing and are not made up."""
    summary = evaluate(policy, Countdown("never"), 5, seed=0)
    assert not any(name.startswith("success") for name in summary)
    assert summary["episodes"] == 5


def test_only_the_best_episode_keeps_its_frames():
    episodes = run_episodes(policy, Countdown(), 12, seed=0, keep_best_frames=True)
    best = best_episode(episodes)
    assert best.success
    assert best.total_reward == max(episode.total_reward for episode in episodes if episode.success)
    assert len(best.frames) == best.length
    assert all(episode is best or not episode.frames for episode in episodes)


class FailsToRender(Countdown):
    """From its n-th frame on."""

    def __init__(self, frames: int):
        super().__init__()
        self.frames = frames

    def render(self):
        self.frames -= 1
        if self.frames < 0:
            raise RuntimeError("the display is gone")
        return super().render()


def test_u5_rendering_that_fails_in_the_middle_costs_no_result_and_no_frames_of_before():
    undisturbed = run_episodes(policy, Countdown(), 12, seed=0)
    enough = sum(episode.length for episode in undisturbed[:5]) + 1
    found = run_episodes(policy, FailsToRender(enough), 12, seed=0, keep_best_frames=True)
    figures = [[(one.total_reward, one.success) for one in episodes] for episodes in (found, undisturbed)]
    assert figures[0] == figures[1]
    (shown,) = [one for one in found if one.frames]
    assert shown is best_episode(found[:5])
    assert len(shown.frames) == shown.length


def test_u5_what_cannot_be_rendered_at_all_is_refused_before_the_first_step():
    env = FailsToRender(0)
    with pytest.raises(ConfigError, match="the display is gone"):
        run_episodes(policy, env, 3, seed=0, keep_best_frames=True)
    assert env.left == env.total


def test_impossible_requests():
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(policy, Countdown(), 0, seed=0)
    with pytest.raises(ConfigError, match="rgb_array"):
        run_episodes(policy, Countdown(render_mode=None), 1, seed=0, keep_best_frames=True)


@given(st.integers(1, 200), st.data())
def test_wilson_interval_agrees_with_scipy(trials, data):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def steered_pair():
    arms = [TeleopIntervention(PoseEnv(), steering_hand()), PoseEnv()]
    return DualArmEnv(*arms)


def steering_hand():
    hand = teleops.make("fake", None)
    hand.steer(np.array((0.0, 0.5, 0.0, 0.0, 0.0, 0.0)))
    return hand


@pytest.mark.parametrize(
    "make", [lambda: RelativeFrame(TeleopIntervention(PoseEnv(), steering_hand())), steered_pair], ids=["one", "pair"]
)
def test_r3_no_hand_steers_an_evaluation_and_afterwards_it_may_again(make, caplog):
    env = TimeLimit(make(), 5)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    assert "intervene_action" in env.step(action)[4]
    episodes = run_episodes(lambda _: action, env, 2, seed=0)
    assert [episode.is_steered for episode in episodes] == [False, False]
    assert not caplog.records
    env.reset()
    assert "intervene_action" in env.step(action)[4]


class Helped(Countdown):
    """Somebody helps, and nothing can keep him from it."""

    def step(self, action):
        *result, info = super().step(action)
        return *result, info | {"intervene_action": action}


def test_r3_an_evaluation_that_was_steered_nevertheless_is_told_and_none_is_begun_on_purpose(caplog):
    run_episodes(policy, Helped(), 3, seed=0)
    assert "steered 3 of the 3 episodes" in caplog.text
    with pytest.raises(ConfigError, match=r"'spacemouse' would help in the evaluations .* allow_interventions"):
        require_unassisted(Helped(), "spacemouse")
    require_unassisted(TeleopIntervention(PoseEnv(), steering_hand()), "spacemouse")
