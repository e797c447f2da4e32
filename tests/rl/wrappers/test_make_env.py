"""What a state agent gets to see, whatever the environment looks like."""

from __future__ import annotations

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest

from rl.errors import ConfigError, EnvironmentFailed, EnvironmentInterrupted
from rl.wrappers.make_env import EnvAdapterConfig, RepeatAction, TranslateErrors, adapt, make_env
from robotkit import RobotStopped, make_workcell
from tests.envs.test_own_simulation import to_and_fro
from tests.support.tiny_env import EPISODE_STEPS, FollowTarget


class Fields(gym.Env):
    """An observation of named parts, in no alphabetical order, and actions that are not in [-1, 1]."""

    observation_space = gym.spaces.Dict(
        {"z": gym.spaces.Box(-9.0, 9.0, (1,), np.float64), "a": gym.spaces.Box(-9.0, 9.0, (2,), np.float64)}
    )
    action_space = gym.spaces.Box(np.array([0.0, -2.0], np.float32), np.array([4.0, 2.0], np.float32))

    def reset(self, *, seed=None, options=None):
        return {"z": np.array([3.0]), "a": np.array([1.0, 2.0])}, {}

    def step(self, action):
        self.taken = action
        return self.reset()[0], 1.0, False, False, {}


def test_parts_are_flattened_in_alphabetical_order():
    """SERL's order, which a checkpoint or a demonstration relies on."""
    observation, _ = adapt(Fields()).reset()
    np.testing.assert_array_equal(observation, np.array([1.0, 2.0, 3.0], np.float32))
    assert observation.dtype == np.float32


def test_actions_are_scaled_to_the_environment():
    env = adapt(Fields())
    env.reset()
    env.step(np.array([1.0, 0.0], np.float32))
    np.testing.assert_allclose(env.unwrapped.taken, [4.0, 0.0])


def test_a_repeated_action_sums_rewards_and_ends_with_the_episode():
    env = RepeatAction(FollowTarget(), 4)
    plain = FollowTarget()
    env.reset(seed=1)
    plain.reset(seed=1)
    action = np.zeros(1, np.float32)
    rewards = [plain.step(action)[1] for _ in range(EPISODE_STEPS)]
    summed, ended = [], False
    while not ended:
        _, reward, terminated, truncated, _ = env.step(action)
        summed.append(reward)
        ended = terminated or truncated
    np.testing.assert_allclose(summed, [sum(rewards[:4]), sum(rewards[4:8]), sum(rewards[8:])])


def test_stacked_frames_are_the_newest_observations_oldest_first():
    plain, stacked = adapt(FollowTarget()), adapt(FollowTarget(), EnvAdapterConfig(frame_stack=3))
    first, _ = plain.reset(seed=1)
    observation, _ = stacked.reset(seed=1)
    np.testing.assert_array_equal(observation, np.concatenate([first] * 3))
    seen = [first, first, first]
    for action in ([0.3], [-0.5], [0.9], [0.1]):
        seen.append(plain.step(np.array(action, np.float32))[0])
        observation = stacked.step(np.array(action, np.float32))[0]
        np.testing.assert_array_equal(observation, np.concatenate(seen[-3:]))
    assert stacked.observation_space.contains(observation)


@pytest.mark.parametrize(
    ("env_id", "cell", "answer"),
    [
        ("CartPole-v1", None, "bounded actions"),
        ("Pendulum-v1", "lab.toml", "leave out cell"),
        ("Pendulun-v1", None, "Pendulum"),
    ],
)
def test_what_cannot_work_is_explained(env_id: str, cell: str | None, answer: str):
    with pytest.raises(ConfigError, match=answer):
        make_env(env_id, cell)


class WholeNumbers(gym.Env):
    """Takes whole numbers, between which nothing can be chosen."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Box(0, 10, (1,), np.int64)


def test_actions_in_whole_numbers_are_refused_before_the_first_step():
    with pytest.raises(ConfigError, match=r"takes whole numbers: wrap .* a Box of float32 and rounds"):
        adapt(WholeNumbers())


def test_p19_a_folder_that_hides_the_module_of_an_environment_is_named(tmp_path, monkeypatch):
    (tmp_path / "hidden_envs.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=f"hidden_envs.*was found in {tmp_path}/hidden_envs.py: if that hides"):
        make_env("hidden_envs:Nothing-v0")


def test_images_are_refused():
    env = FollowTarget()
    env.observation_space = gym.spaces.Dict({"front": gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)})
    with pytest.raises(ConfigError, match="cannot see"):
        adapt(env)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cell": "mujoco-pick-cub"}, "Did you mean 'mujoco-pick-cube'"),
        ({"human": "spacemous"}, "Did you mean 'spacemouse'"),
    ],
)
def test_what_an_environment_says_is_wrong_reaches_the_user_as_a_sentence(options, sentence):
    with pytest.raises(ConfigError, match=f"PandaReach-v0 cannot be made: .*{sentence}"):
        make_env("envs:PandaReach-v0", **options)


def test_a_robot_that_cannot_go_on_says_so_in_a_sentence_and_goes_on_after_one_call():
    with closing(make_env("envs:PandaReach-v0")) as env:
        env.reset(seed=0)
        env.unwrapped.workcell.robot.stop()
        with pytest.raises(EnvironmentFailed, match=r"envs:PandaReach-v0: .*recover"):
            env.step(env.action_space.sample())
        env.unwrapped.workcell.robot.recover()
        env.reset(seed=0)
        env.step(env.action_space.sample())


def test_a_simulation_of_this_process_whose_own_cell_stops_it_ends_its_episode_and_goes_on(caplog):
    """Nobody else can recover it: a training that waited for a person would wait for ever."""
    with make_workcell("mujoco-pick-cube", **{"limits.measured_margin_m": 0.001}) as cell:
        env = gym.make("envs:PandaPickCube-v0", cell=cell, disable_env_checker=True, max_episode_steps=1000)
        env = TranslateErrors(env, "pick")
        observation, _ = env.reset(seed=0)
        actions, is_over = to_and_fro(np.random.default_rng(0), 1000), False
        while not is_over:
            before = observation
            observation, reward, is_terminated, is_over, info = env.step(next(actions))
        assert info["is_torn"], "the time limit came first"
        assert (reward, is_terminated, info["success"], info["is_success"]) == (0.0, False, False, False)
        assert observation is before
        assert "outside the workspace box" in caplog.text
        env.reset()
        assert not env.step(np.zeros(4, np.float32))[4]["is_torn"]
        cell.robot.stop()
        with pytest.raises(EnvironmentInterrupted, match="recover"):
            env.step(np.zeros(4, np.float32))
        with pytest.raises(EnvironmentInterrupted, match="recover"):
            env.reset()


def test_a_reset_that_is_interrupted_is_tried_again_once_where_the_simulation_recovers():
    class Stopping(Fields):
        stops, recoveries = 1, 0

        def reset(self, **kwargs):
            if self.stops > 0:
                self.stops -= 1
                raise RobotStopped("the arm is stopped")
            return super().reset(**kwargs)

        def recover_simulation(self):
            self.recoveries += 1
            return "it went too far"

    env = TranslateErrors(Stopping(), "arm")
    env.reset()
    assert env.unwrapped.recoveries == 1
    env.unwrapped.stops = 2
    with pytest.raises(EnvironmentInterrupted, match=r"^arm: the arm is stopped$"):
        env.reset()
    assert env.unwrapped.recoveries == 2


def test_notes_on_a_fault_are_told_too():
    class Faulty(Fields):
        def step(self, action):
            error = RobotStopped("the arm is stopped")
            error.add_note("this was the left arm")
            raise error

    env = TranslateErrors(Faulty(), "two arms")
    env.reset()
    with pytest.raises(EnvironmentFailed, match=r"^two arms: the arm is stopped; this was the left arm$"):
        env.step(env.action_space.sample())


def test_a_mistake_in_an_environment_keeps_its_traceback():
    class Broken(Fields):
        def step(self, action):
            raise ZeroDivisionError("a mistake")

    env = TranslateErrors(Broken(), "broken")
    env.reset()
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        env.step(env.action_space.sample())
