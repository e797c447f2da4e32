"""A residual of 0 is the base; no residual leaves the bounds; what is stored tells what was executed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.data.transition import make_transition
from rl.errors import ConfigError, EnvironmentFailed, EnvironmentInterrupted
from rl.wrappers.base_observation import (
    add_base_action,
    add_base_space,
    base_action_in,
    executed_action,
    residual_of,
    without_base_space,
)
from rl.wrappers.make_env import TranslateErrors, adapt
from rl.wrappers.residual import Residual
from rl.wrappers.residual_config import ResidualConfig
from tests.support.tiny_env import FollowTarget

UNIT = st.floats(-1.0, 1.0, width=32)
SCALE = st.floats(0.0625, 2.0, width=32)


class Given:
    """Acts with the first number of the observation plus an offset, or with what it is given; it counts its calls."""

    identity = "given"

    def __init__(self, action: np.ndarray | None = None) -> None:
        self.action, self.error = action, None
        self.resets = self.asked = 0

    def reset(self, observation: Any) -> None:
        self.resets += 1

    def act(self, observation: Any) -> np.ndarray:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return observation[:1] + 0.1 if self.action is None else self.action

    def prepare(self) -> None: ...

    def replan(self) -> None: ...

    def close(self) -> None: ...


class Recorded(FollowTarget):
    """Keeps the actions that it was given; it may be told to hold, and a human may take over."""

    def __init__(self, bound: float = 1.0) -> None:
        self.action_space = gym.spaces.Box(-bound, bound, (1,), np.float32)
        self.taken: list[np.ndarray] = []
        self.holds = self.resets = 0
        self.human: np.ndarray | None = None

    def hold(self) -> None:
        self.holds += 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.resets += 1
        return super().reset(seed=seed, options=options)

    def step(self, action: np.ndarray) -> Any:
        self.taken.append(np.array(action))
        result = super().step(action)
        if self.human is not None:
            result[4]["intervene_action"] = self.human
        return result


def corrected(base: Given, scale: float = 0.25, env: gym.Env | None = None) -> gym.Env:
    raw = TranslateErrors(Recorded() if env is None else env, "env")
    return adapt(raw, residual=Residual(lambda *_: base, ResidualConfig((scale,))))


@given(st.lists(UNIT, min_size=3, max_size=3), SCALE)
def test_a_residual_of_zero_is_the_base_to_the_last_bit(base, scale):
    action = np.array(base, np.float32)
    np.testing.assert_array_equal(executed_action(action, np.zeros(3, np.float32), [scale] * 3), action)


@given(UNIT, st.floats(allow_nan=False, allow_infinity=False, width=32), SCALE)
def test_no_residual_leaves_the_bounds(base, residual, scale):
    assert -1.0 <= executed_action(np.float32([base]), np.float32([residual]), [scale])[0] <= 1.0


@given(UNIT, UNIT, SCALE)
def test_the_correction_is_no_larger_than_its_scale(base, residual, scale):
    moved = executed_action(np.float32([base]), np.float32([residual]), [scale])[0] - np.float64(base)
    assert abs(moved) <= scale + 1e-6


@given(UNIT, UNIT, SCALE)
def test_a_residual_and_the_base_tell_the_executed_action_unless_it_is_clipped(base, executed, scale):
    residual, is_clipped = residual_of(np.float32([executed]), np.float32([base]), [scale])
    assert -1.0 <= residual[0] <= 1.0
    again = executed_action(np.float32([base]), residual, [scale])
    if is_clipped:
        assert abs(executed - base) > scale
        assert abs(again[0] - executed) < abs(base - executed)
    else:
        assert again[0] == pytest.approx(executed, abs=1e-6)


def pixels(state: int, frames: int = 2) -> gym.spaces.Dict:
    parts = {"front": gym.spaces.Box(0, 255, (frames, 4, 4, 3), np.uint8)}
    return gym.spaces.Dict(parts | ({"state": gym.spaces.Box(-9, 9, (frames, state), np.float32)} if state else {}))


@pytest.mark.parametrize(
    "space", [gym.spaces.Box(-9, 9, (5,), np.float32), pixels(3), pixels(0)], ids=["vector", "pixels", "images alone"]
)
def test_an_observation_with_the_base_s_action_is_in_its_space_and_gives_it_back(space):
    base, observation = np.array([0.5, -0.25], np.float32), space.sample()
    seen, extended = add_base_action(observation, base), add_base_space(space, 2)
    assert extended.contains(seen)
    np.testing.assert_array_equal(base_action_in(seen, 2), base)
    assert without_base_space(extended, 2) == space


def test_the_base_acts_and_what_is_stored_tells_the_executed_action():
    base = Given()
    env = corrected(base)
    observation, _ = env.reset(seed=1)
    for residual in (0.0, 1.0, -1.0, 0.5):
        chosen = np.array([residual], np.float32)
        following, reward, terminated, truncated, info = env.step(chosen)
        row = make_transition(observation, chosen, following, reward, terminated, truncated, info)
        rebuilt = executed_action(base_action_in(row["observations"], 1), row["actions"], (0.25,))
        np.testing.assert_array_equal(row["executed_actions"], rebuilt)
        np.testing.assert_array_equal(env.unwrapped.taken[-1], rebuilt)
        np.testing.assert_allclose(base_action_in(observation, 1), observation[:1] + 0.1, atol=1e-6)
        observation = following
    assert (base.resets, base.asked) == (1, 5)


def test_in_other_bounds_the_base_acts_in_the_agent_s_units():
    env = corrected(Given(np.array([0.5], np.float32)), env=Recorded(bound=4.0))
    env.reset(seed=1)
    env.step(np.zeros(1, np.float32))
    np.testing.assert_array_equal(env.unwrapped.taken, [[2.0]])


@pytest.mark.parametrize(("human", "residual"), [(0.6, 0.4), (-1.0, -1.0)], ids=["within reach", "clipped"])
def test_a_human_s_action_is_stored_as_the_nearest_residual_and_as_it_was(human, residual):
    env = corrected(Given(np.array([0.5], np.float32)))
    observation, _ = env.reset(seed=1)
    env.unwrapped.human = np.array([human], np.float32)
    step = env.step(np.zeros(1, np.float32))
    row = make_transition(observation, np.zeros(1, np.float32), *step)
    np.testing.assert_allclose(row["actions"], [residual], atol=1e-6)
    np.testing.assert_array_equal(row["executed_actions"], np.float32([human]))
    assert row["is_intervention"] == 1


def test_clipped_interventions_are_counted(caplog):
    env = corrected(Given(np.array([0.5], np.float32)))
    env.reset(seed=1)
    env.unwrapped.human = np.array([-1.0], np.float32)
    env.step(np.zeros(1, np.float32))
    assert "1 of 1 steps of a human so far were farther" in caplog.text


def test_a_base_that_does_not_answer_holds_the_arm_and_repeats_nothing():
    base = Given()
    env = corrected(base)
    env.reset(seed=1)
    env.step(np.zeros(1, np.float32))
    base.error = EnvironmentInterrupted("the policy is silent")
    with pytest.raises(EnvironmentInterrupted, match="silent"):
        env.step(np.zeros(1, np.float32))
    assert (env.unwrapped.holds, len(env.unwrapped.taken)) == (1, 2)
    with pytest.raises(EnvironmentInterrupted):
        env.reset()
    assert len(env.unwrapped.taken) == 2
    base.error = None
    env.reset()
    env.step(np.zeros(1, np.float32))
    assert len(env.unwrapped.taken) == 3


def test_a_base_that_fails_holds_the_arm_too():
    base = Given()
    env = corrected(base)
    env.reset(seed=1)
    base.error = KeyError("a name that the expert looks for")
    with pytest.raises(KeyError):
        env.step(np.zeros(1, np.float32))
    assert env.unwrapped.holds == 1


@pytest.mark.parametrize("action", [[0.0, 0.0], [np.nan], [[0.0]]])
def test_a_base_with_other_actions_is_refused(action):
    with pytest.raises(EnvironmentFailed, match="1 finite numbers"):
        corrected(Given(np.array(action, np.float32))).reset(seed=1)


def test_a_scale_is_one_number_or_one_for_each():
    assert ResidualConfig((0.5,)).scales(3) == (0.5, 0.5, 0.5)
    assert ResidualConfig((0.5, 2.0)).scales(2) == (0.5, 2.0)
    with pytest.raises(ConfigError, match="2 values, and an action has 3 numbers"):
        ResidualConfig((0.5, 2.0)).scales(3)


@pytest.mark.parametrize("scale", [(), (0.0,), (2.5,), (float("nan"),), (0.1, -1.0)])
def test_a_scale_that_bounds_nothing_is_refused(scale):
    with pytest.raises(ConfigError, match="scale must be above 0 and at most 2"):
        ResidualConfig(scale)
