"""An environment whose every reward, observation and end is known beforehand."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class ScriptedEnv(gymnasium.Env[Any, Any]):
    """Observation: the number of the step; reward: 10 ** -step; succeeds from `success_from`, ends after `length`."""

    def __init__(self, length: int = 5, success_from: int = 3, terminates: bool = True) -> None:
        self.observation_space = spaces.Dict({"step": spaces.Box(0.0, 100.0, (1,), np.float32)})
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.length, self.success_from, self.terminates = length, success_from, terminates
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.taken = []
        return self._observe(), {"success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert len(self.taken) < self.length, "stepped beyond the end of the episode"
        self.taken.append(action)
        step = len(self.taken)
        ended = step == self.length
        info = {"success": step >= self.success_from}
        return self._observe(), 10.0**-step, ended and self.terminates, ended and not self.terminates, info

    def _observe(self) -> dict[str, np.ndarray]:
        return {"step": np.array([len(self.taken)], np.float32)}
