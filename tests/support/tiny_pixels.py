"""`tests.support.tiny_pixels:FollowLight-v0`: `FollowTarget` for those who can see: the target is a bright column."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from tests.support.tiny_env import FollowTarget

SIDE = 32


class FollowLight(gym.ObservationWrapper):
    """Two cameras show the target, one of them upside down and darker; the state holds the step's number alone."""

    metadata = {"render_modes": []}  # Gymnasium before 1.4 asks the class, where a wrapper has none  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(FollowTarget())
        image = gym.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.observation_space = gym.spaces.Dict(
            {
                "state": gym.spaces.Dict({"step": gym.spaces.Box(0.0, np.inf, (1,), np.float64)}),
                "images": gym.spaces.Dict({"front": image, "wrist": image}),
            }
        )

    def observation(self, observation: np.ndarray) -> dict[str, Any]:
        target, step = observation
        column = round((float(target) + 1.0) / 2.0 * (SIDE - 6))
        front = np.zeros((SIDE, SIDE, 3), np.uint8)
        front[: SIDE // 2, column : column + 6] = 255
        # No two moments look alike: the step is written into a corner.
        front[-1, -1] = int(step)
        return {
            "state": {"step": np.array([step], np.float64)},
            "images": {"front": front, "wrist": np.ascontiguousarray(front[::-1] // 2)},
        }


gym.register("FollowLight-v0", FollowLight)
