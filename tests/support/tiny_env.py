"""`tests.support.tiny_env:FollowTarget-v0`: learnable in a few hundred updates, and it numbers its steps."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

EPISODE_STEPS = 10


class FollowTarget(gym.Env):
    """The action should equal the first number of the observation; the second one counts the steps of the episode."""

    observation_space = gym.spaces.Box(-1.0, EPISODE_STEPS, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        error = abs(float(action[0]) - self._target)
        self._steps += 1
        return self._observe(), 1.0 - error, False, self._steps >= EPISODE_STEPS, {"success": error < 0.3}

    def _observe(self) -> np.ndarray:
        self._target = float(self.np_random.uniform(-0.8, 0.8))
        return np.array([self._target, self._steps], np.float32)


gym.register("FollowTarget-v0", FollowTarget)
