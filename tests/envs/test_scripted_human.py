"""A scripted human helps as a person would: late, through the hand, and so that everybody knows."""

from __future__ import annotations

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest

import robotkit as rk
from envs.experts.scripted_human import ObserveForExpert, ScriptedHuman, TakeoverPolicy
from envs.wrappers.relative_frame import RelativeFrame
from envs.wrappers.teleop_intervention import TeleopIntervention

ENV = "envs:FrankaReachPose-v0"


class Pointing:
    """An expert that always wants the same, and counts how often it was asked."""

    def __init__(self, action: np.ndarray) -> None:
        self.action = action
        self.resets = 0

    def reset(self, observation: object) -> None:
        self.resets += 1

    def act(self, observation: object) -> np.ndarray:
        return self.action


def with_scripted_human(env: gym.Env, takeover: TakeoverPolicy, action: np.ndarray) -> TeleopIntervention:
    human = ScriptedHuman(Pointing(action), takeover)
    return TeleopIntervention(ObserveForExpert(env, human), human, hold_steps=0)


@pytest.mark.parametrize(
    ("takeover", "helps"),
    [
        (TakeoverPolicy(0), [1] * 8),
        (TakeoverPolicy(3), [0, 0, 0, 1, 1, 1, 1, 1]),
        (TakeoverPolicy(3, 2), [0, 0, 0, 1, 1, 0, 0, 0]),
        (TakeoverPolicy(1, 1), [0, 1, 0, 1, 0, 1, 0, 1]),
    ],
)
def test_the_human_waits_and_helps_as_told(takeover, helps):
    action = np.array((0.3, -0.2, 0.1, 0.0, 0.0, 0.5, 0.0), np.float32)
    with closing(with_scripted_human(gym.make(ENV), takeover, action)) as env:
        for _ in range(2):
            env.reset(seed=0)
            infos = [env.step(np.zeros(7, np.float32))[-1] for _ in helps]
            assert ["intervene_action" in info for info in infos] == [bool(one) for one in helps]
            taken = [info["intervene_action"] for info in infos if "intervene_action" in info]
            np.testing.assert_allclose(taken, np.tile(action, (len(taken), 1)), atol=1e-6)


def test_nobody_helps_after_success():
    with ScriptedHuman(Pointing(np.ones(6)), TakeoverPolicy(0)) as human:
        human.begin(None)
        assert human.read().is_active
        human.observe(None, is_success=True)
        assert not human.read().is_active
        human.begin(None)
        assert human.read().is_active


@pytest.mark.parametrize(("fingers", "buttons"), [(-0.9, (True, False)), (0.9, (False, True)), (0.2, (False, False))])
def test_fingers_are_moved_by_buttons(fingers, buttons):
    human = ScriptedHuman(Pointing(np.array((0.0,) * 6 + (fingers,))), TakeoverPolicy(0))
    with human:
        human.begin(None)
        assert human.read().buttons == buttons


def test_the_policy_is_told_the_action_in_its_own_frame():
    """In an env that shows the tool's frame, a human's action is stored as the policy would have had to say it."""
    action = np.array((0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0), np.float32)
    with closing(RelativeFrame(with_scripted_human(gym.make(ENV), TakeoverPolicy(0), action))) as env:
        env.reset(seed=1)
        taken = env.step(np.zeros(7, np.float32))[-1]["intervene_action"]
        assert np.linalg.norm(taken[:3]) == pytest.approx(0.4, abs=1e-6)
        assert taken[1] == pytest.approx(-0.4, abs=0.05)  # the tool looks down: its y points the other way


@pytest.mark.parametrize("human", ["expert", "scripted"])
def test_the_expert_of_an_id_solves_it_alone_or_after_the_policy(human):
    with closing(gym.make("envs:PandaPegInsertion-v0", human=human)) as env:
        env.reset(seed=0)
        helped_steps, steps, ended = 0, 0, False
        while not ended:
            _, _, terminated, truncated, info = env.step(np.zeros(6, np.float32))
            helped_steps += "intervene_action" in info
            steps, ended = steps + 1, terminated or truncated
        assert info["success"]
        assert helped_steps == (steps if human == "expert" else steps - 40)


def test_a_device_by_name_and_a_missing_expert():
    with closing(gym.make(ENV, human="fake")) as env:
        env.reset(seed=0)
        assert "intervene_action" not in env.step(np.zeros(7, np.float32))[-1]
    with pytest.raises(rk.InvalidConfiguration, match="no scripted expert"):
        gym.make(ENV, human="expert")
    with pytest.raises(rk.UnknownPlugin, match="spacemouse"):
        gym.make(ENV, human="spacemous")
