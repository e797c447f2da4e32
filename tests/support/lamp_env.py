"""`tests.support.lamp_env:Lamp-v0`: a small camera that shows whether a lamp is on, which is the success."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

EPISODE_STEPS = 8
SIDE = 16


class Lamp(gym.Env):
    """A positive action lights the lamp for that step; the image is noise, brighter while the lamp is on."""

    observation_space = gym.spaces.Dict({
        "state": gym.spaces.Box(-1.0, 1.0, (1,), np.float32),
        "images": gym.spaces.Dict({
            name: gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8) for name in ("front", "wrist")
        }),
    })  # fmt: skip
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._observe(False), {"success": False}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        is_on = bool(action[0] > 0)
        return self._observe(is_on), float(is_on), False, self._steps >= EPISODE_STEPS, {"success": is_on}

    def _observe(self, is_on: bool) -> Any:
        low = 130 if is_on else 0
        images = {
            name: self.np_random.integers(low, low + 120, (SIDE, SIDE, 3), dtype=np.uint8)
            for name in ("front", "wrist")
        }
        return {"state": np.zeros(1, np.float32), "images": images}


class MuteLamp(Lamp):
    """Says nothing of success."""

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return (*super().step(action)[:4], {})


class Blinker:
    """Lights the lamp in the last steps of every episode but each third."""

    def __init__(self, env: gym.Env) -> None:
        self._episode = self._step = 0

    def reset(self, observation: Any) -> None:
        self._episode += 1
        self._step = 0

    def act(self, observation: Any) -> np.ndarray:
        self._step += 1
        return np.array([1.0 if self._step > 5 and self._episode % 3 else -1.0], np.float32)


class Chancer:
    """Lights the lamp in steps that it draws for each episode from what it sees first."""

    def __init__(self, env: gym.Env) -> None:
        self._random = np.random.default_rng(0)

    def reset(self, observation: Any) -> None:
        self._random = np.random.default_rng(observation["images"]["front"].ravel()[:8])

    def act(self, observation: Any) -> np.ndarray:
        return self._random.uniform(-1.0, 0.5, 1).astype(np.float32)


gym.register("Lamp-v0", Lamp)
gym.register("MuteLamp-v0", MuteLamp)
