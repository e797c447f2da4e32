"""Scripts that show a reward classifier of the pick-cube task what its expert never does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from envs.experts.tracker import TrackerPickCube

_HELD_STEPS = 8
"""Steps of one drawn velocity: long enough to cross the workspace in a few, as a policy does that has just begun."""
_CARRY_FROM = 28
"""Step at which the expert, at half speed, holds the block and has begun to lift it."""


class Wander:
    """Moves the tool from place to place at random, with fingers that open and close.

    Args:
        env: pick cube, in any form.
        expert: acts first, and the fingers then stay closed: the block is carried to and fro at all heights.
    """

    def __init__(self, env: gym.Env, expert: TrackerPickCube | None = None) -> None:
        self._random = np.random.default_rng(0)
        self._expert = expert
        assert env.action_space.shape is not None
        self._shape = env.action_space.shape
        self._steps = 0
        self._action = np.zeros(self._shape, np.float32)

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode."""
        self._steps = 0
        if self._expert is not None:
            self._expert.reset(observation)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (4,), in [-1, 1]."""
        step, self._steps = self._steps, self._steps + 1
        if self._expert is not None and step < _CARRY_FROM:
            return self._expert.act(observation)
        if step % _HELD_STEPS == 0 or step == _CARRY_FROM:
            self._action = self._random.uniform(-1.0, 1.0, self._shape).astype(np.float32)
        if self._expert is not None:
            self._action[:3] *= 0.9  # slower and slower: frames at all heights, not at the turning points alone
            self._action[3] = 1.0
        return self._action


def wander(env: gym.Env) -> Wander:
    """Random moves without the expert, for `robotkit-train record success --expert`."""
    return Wander(env)


def carry(env: gym.Env) -> Wander:
    """The expert until it holds the block, then a walk with it."""
    return Wander(env, TrackerPickCube(env))
