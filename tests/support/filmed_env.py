"""`tests.support.filmed_env:ShownTarget-v0`: `FollowTarget` with a picture that tells the number of the step."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from tests.support.tiny_env import FollowTarget

HEIGHT, WIDTH = 64, 96


class ShownTarget(FollowTarget):
    """Its picture is the brighter the longer the episode is."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def render(self) -> np.ndarray:
        """The picture after the newest step."""
        return np.full((HEIGHT, WIDTH, 3), 20 * self._steps, np.uint8)


gym.register("ShownTarget-v0", ShownTarget)
