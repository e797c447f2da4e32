"""`EpisodeStatistics`: return, length and success of each episode."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
from gymnasium.wrappers import RecordEpisodeStatistics


class EpisodeStatistics(RecordEpisodeStatistics[Any, Any]):
    """A wrapper that adds success to Gymnasium's statistics of episodes.

    The last `info` of an episode holds `episode`, a dict of `r` (return), `l` (steps), `t` (seconds), `success`
    (whether the episode ended in success) and `success_step` (the first step, counted from 1, at which there was
    success; 0 when there never was).
    """

    def __init__(self, env: gymnasium.Env[Any, Any], buffer_length: int = 100) -> None:
        super().__init__(env, buffer_length)
        self.success_queue: deque[bool] = deque(maxlen=buffer_length)
        self._success_step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the counts again."""
        self._success_step = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count, and report when the episode ends."""
        observation, reward, terminated, truncated, info = super().step(action)
        if info["success"] and not self._success_step:
            self._success_step = self.episode_lengths
        if terminated or truncated:
            self.success_queue.append(info["success"])
            info["episode"] |= {"success": info["success"], "success_step": self._success_step}
        return observation, reward, terminated, truncated, info
