"""Actions in an environment's own units: what is stored, replayed, moves the robot the same way."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from rich.console import Console

from rl.data.demos import run_episode
from rl.data.journal import TransitionJournal
from rl.recording.options import RecordDemosOptions
from rl.recording.record_demos import run_record_demos
from rl.wrappers.make_env import EnvAdapterConfig, adapt
from rl.wrappers.scaled_actions import ScaledActions

LOW, HIGH = np.array([-0.5, 0.0, 3.0], np.float32), np.array([0.5, 10.0, 3.0], np.float32)
HAND = np.array([0.25, 7.5, 3.0], np.float32)


class Rail(gym.Env):
    """Its carriage goes where each action, in metres, says; a hand steers its second and third step of five."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gym.spaces.Box(LOW, HIGH)

    def __init__(self, is_steered: bool = True):
        self.is_steered = is_steered

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps, self.place = 0, np.zeros(3, np.float32)
        return self.place.copy(), {}

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        by_hand = self.is_steered and self.steps in (2, 3)
        self.place = self.place + (HAND if by_hand else action)
        info = {"intervene_action": HAND} if by_hand else {}
        return self.place.copy(), 0.0, self.steps == 5, False, info | {"success": True}


gym.register("Rail-v0", Rail)


class Expert:
    """Acts in metres, as the environment does."""

    def __init__(self, env: gym.Env):
        pass

    def reset(self, observation: Any) -> None:
        pass

    def act(self, observation: Any) -> np.ndarray:
        return np.array([-0.125, 2.5, 3.0], np.float32)


@pytest.mark.parametrize("adaptation", [EnvAdapterConfig(), EnvAdapterConfig(frame_stack=2)])
def test_l6_what_a_hand_did_is_stored_in_the_units_of_the_agent_and_moves_the_same_way(adaptation: EnvAdapterConfig):
    policy = np.array([0.5, -0.5, 0.0], np.float32)
    recorded, _ = run_episode(adapt(Rail(), adaptation), lambda _: policy, seed=0)
    np.testing.assert_allclose([step["actions"] for step in recorded[1:3]], [[0.5, 0.5, 0.0]] * 2, atol=1e-6)
    replayed, _ = run_episode(
        adapt(Rail(is_steered=False), adaptation), iter_actions([step["actions"] for step in recorded]), seed=0
    )
    for taken, again in zip(recorded, replayed, strict=True):
        np.testing.assert_allclose(again["next_observations"], taken["next_observations"], atol=1e-5)


def iter_actions(actions: list[np.ndarray]) -> Any:
    rest = iter(actions)
    return lambda _: next(rest)


def test_l6_an_expert_acts_in_the_units_of_its_environment(tmp_path: Any):
    options = RecordDemosOptions(
        f"{__name__}:Rail-v0", tmp_path / "rail.sqlite", expert=f"{__name__}:Expert", episodes=1
    )
    run_record_demos(options, Console(quiet=True))
    with TransitionJournal(options.out, read_only=True) as journal:
        (recorded,) = (block.transitions for block in journal.blocks())
    np.testing.assert_allclose(recorded["actions"][0], [-0.25, -0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(recorded["next_observations"][0], [-0.125, 2.5, 3.0], atol=1e-6)


def test_agent_and_environment_agree_on_every_action():
    env = ScaledActions(Rail())
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 3)):
        there = env.action(action)
        assert np.all((there >= LOW) & (there <= HIGH))
        np.testing.assert_allclose(env.agent_action(there)[:2], action[:2], atol=1e-6)
    np.testing.assert_array_equal(env.action(np.ones(3)), HIGH)
    np.testing.assert_array_equal(env.action(-np.ones(3)), LOW)
    assert env.agent_action(HAND)[2] == 0, "a number that cannot vary"
