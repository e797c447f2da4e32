"""`ScaledActions`: actions in [-1, 1] for an environment whose actions have other bounds."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

_INTERVENE_ACTION = "intervene_action"


class ScaledActions(gym.ActionWrapper):
    """Maps [-1, 1] linearly to the bounds of the environment, and a human's `info["intervene_action"]` back.

    So what is stored is always in the agent's units, and moves the robot the same way when it is taken again.

    Args:
        env: its actions are a bounded Box.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        bounds: Any = env.action_space
        low, high = bounds.low.astype(np.float64), bounds.high.astype(np.float64)
        self._centre, self._half = (low + high) / 2, (high - low) / 2
        one = np.ones((), bounds.dtype)[()]  # bounds of another type make Gymnasium warn of an overflow
        self.action_space = gym.spaces.Box(-one, one, bounds.shape, bounds.dtype)

    def action(self, action: Any) -> np.ndarray:
        """The environment's action for one in [-1, 1]."""
        return self._cast(self._centre + self._half * np.asarray(action, np.float64))

    def agent_action(self, action: Any) -> np.ndarray:
        """The action in [-1, 1] for one of the environment; a number that cannot vary is 0."""
        offset = np.asarray(action, np.float64) - self._centre
        return self._cast(np.divide(offset, self._half, out=np.zeros_like(offset), where=self._half > 0))

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step with the action in the environment's units."""
        observation, reward, terminated, truncated, info = self.env.step(self.action(action))
        if _INTERVENE_ACTION in info:
            info = {**info, _INTERVENE_ACTION: self.agent_action(info[_INTERVENE_ACTION])}
        return observation, reward, terminated, truncated, info

    def _cast(self, numbers: np.ndarray) -> np.ndarray:
        return numbers.astype(self.action_space.dtype)
