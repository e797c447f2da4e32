"""Laws of RawView: it shows the agent what the wrappers would have shown it, and gives what they would have done."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rl.errors import SchemaMismatch
from rl.wrappers.make_env import NO_ADAPTATION, EnvAdapterConfig, adapt
from rl.wrappers.pixel_observation import ImagesConfig
from rl.wrappers.raw_view import RawView
from tests.support.tiny_env import FollowTarget
from tests.support.tiny_pixels import FollowLight


class Mixed(gym.Env):
    """Numbers of several kinds in a Dict, and actions in units of their own."""

    observation_space = gym.spaces.Dict({
        "mode": gym.spaces.Discrete(3),
        "pose": gym.spaces.Dict({"position_m": gym.spaces.Box(-1, 1, (2, 2), np.float64)}),
        "lamps": gym.spaces.MultiBinary(2),
    })  # fmt: skip
    action_space = gym.spaces.Box(np.array([-2.0, 0.0]), np.array([2.0, 0.5]), dtype=np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: np.ndarray) -> Any:
        self.taken = action
        return self.observation_space.sample(), 0.0, False, False, {}


class Watched(gym.Wrapper):
    """Keeps the newest observation of the environment inside."""

    def reset(self, **arguments: Any) -> Any:
        self.seen, info = self.env.reset(**arguments)
        return self.seen, info

    def step(self, action: Any) -> Any:
        self.taken = action
        self.seen, *rest = self.env.step(action)
        return (self.seen, *rest)


CASES = {
    "vector": (FollowTarget, NO_ADAPTATION),
    "three vectors": (FollowTarget, EnvAdapterConfig(frame_stack=3)),
    "dict": (Mixed, NO_ADAPTATION),
    "two dicts, repeated actions": (Mixed, EnvAdapterConfig(action_repeat=2, frame_stack=2)),
    "images": (FollowLight, EnvAdapterConfig(sees_images=True)),
    "stacked images": (
        FollowLight,
        EnvAdapterConfig(1, 3, True, ("wrist",), ImagesConfig(size=16, frames=2)),
    ),
}


def assert_equal(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_equal(found[name], expected[name])
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("make", "adaptation"), CASES.values(), ids=CASES)
def test_it_shows_what_the_wrappers_show(make: Any, adaptation: EnvAdapterConfig):
    raw = Watched(make())
    env = adapt(raw, adaptation)
    view = RawView(raw, env, adaptation.frame_stack)
    env.action_space.seed(0)
    seen, _ = env.reset(seed=0)
    history = [raw.seen]
    for _ in range(4):
        given = history[-adaptation.frame_stack :] if adaptation.frame_stack > 1 else history[-1]
        found, is_batch = view.observations(given)
        assert not is_batch
        assert_equal(found, seen)
        action = env.action_space.sample()
        seen, *_ = env.step(action)
        np.testing.assert_array_equal(view.actions(action), raw.taken)
        assert view.actions(action).dtype == raw.action_space.dtype
        history.append(raw.seen)


def test_actions_lie_within_the_bounds_of_the_environment():
    raw = Mixed()
    view = RawView(raw, adapt(raw), 1)
    np.testing.assert_allclose(view.actions(np.array([-1.0, -1.0], np.float32)), [-2.0, 0.0])
    np.testing.assert_allclose(view.actions(np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)), [[0, 0.25], [2, 0.5]])


def test_a_batch_of_arrays_is_seen_as_one():
    raw = FollowTarget()
    found, is_batch = RawView(raw, adapt(raw), 1).observations(np.zeros((5, 2)))
    assert (found.shape, is_batch) == ((5, 2), True)


def test_a_single_observation_is_repeated_as_at_the_beginning_of_an_episode():
    raw = FollowTarget()
    env = adapt(raw, EnvAdapterConfig(frame_stack=3))
    seen, _ = env.reset(seed=1)
    found, _ = RawView(raw, env, 3).observations(seen[:2])
    np.testing.assert_array_equal(found, seen)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 3)), {"a": np.zeros(2)}, None, "word"])
def test_what_is_no_observation_is_refused(wrong: Any):
    raw = FollowTarget()
    with pytest.raises(SchemaMismatch, match=r"no observation of the environment.*Pass what env\.reset"):
        RawView(raw, adapt(raw), 1).observations(wrong)


def test_a_dict_without_a_part_is_refused():
    raw = FollowLight()
    view = RawView(raw, adapt(raw, EnvAdapterConfig(sees_images=True)), 1)
    with pytest.raises(SchemaMismatch, match=r"keys \{'state': float64 of shape \(3,\)\}, and"):
        view.observations({"state": np.zeros(3)})
