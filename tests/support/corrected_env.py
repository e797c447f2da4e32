"""`tests.support.corrected_env:Magnitude-v0`: a person takes over wherever the policy is wrong."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from tests.support.tiny_env import FollowTarget
from tests.support.tiny_pixels import FollowLight

NEAR = 0.3


class Corrected(gym.Wrapper):
    """The action should be the magnitude of the target; a person corrects each one that is farther off than `NEAR`."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._helps = True

    def allow_interventions(self, allowed: bool) -> None:
        """Let the person act from now on, or nobody."""
        self._helps = allowed

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take the action, or the person's."""
        right = np.array([abs(self.unwrapped._target)], np.float32)  # type: ignore[attr-defined]
        is_corrected = self._helps and abs(float(action[0] - right[0])) > NEAR
        executed = right if is_corrected else action
        error = abs(float(executed[0] - right[0]))
        observation, _, terminated, truncated, info = self.env.step(executed)
        info = {**info, "success": error < NEAR, **({"intervene_action": executed} if is_corrected else {})}
        return observation, 1.0 - error, terminated, truncated, info


class Easy(FollowTarget):
    """Its targets are positive, so that nobody sees what is right for the others."""

    def _observe(self) -> np.ndarray:
        observation = np.abs(super()._observe())
        self._target = float(observation[0])
        return observation


def right_action(observation: np.ndarray) -> np.ndarray:
    """The action that is right for an observation."""
    return np.abs(observation[:1])


gym.register("Magnitude-v0", lambda: Corrected(FollowTarget()))
gym.register("EasyMagnitude-v0", lambda: Corrected(Easy()))
gym.register("MagnitudeLight-v0", lambda: Corrected(FollowLight()))
