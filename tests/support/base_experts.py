"""Experts for `tests.support.tiny_env:FollowTarget-v0`, as base policies."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


def act(observation: np.ndarray, offset: float) -> np.ndarray:
    """The target, missed by this much towards the middle."""
    return np.array([observation[0] - offset * np.sign(observation[0])], np.float32)


class Offset:
    """Misses the target by a constant."""

    def __init__(self, offset: float) -> None:
        self._offset = offset
        self.episodes = 0

    def reset(self, observation: Any) -> None:
        self.episodes += 1

    def act(self, observation: Any) -> np.ndarray:
        return act(observation, self._offset)


def good(env: gym.Env) -> Offset:
    """Succeeds in every step."""
    return Offset(0.1)


def bad(env: gym.Env) -> Offset:
    """Succeeds in no step."""
    return Offset(0.5)


class Still:
    """Stands still, whatever it sees."""

    def reset(self, observation: Any) -> None:
        """See `Expert`."""

    def act(self, observation: Any) -> np.ndarray:
        return np.full(1, 0.25, np.float32)


def still(env: gym.Env) -> Still:
    """For environments of any observation."""
    return Still()
