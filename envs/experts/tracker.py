"""Experts for environments with cameras: they read the poses that the observation lacks from the cell's trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.experts.pick_cube import PickCubeExpert, PickCubeStrategy
from robotkit import InvalidConfiguration

HALF_SPEED = PickCubeStrategy(speed=0.5)


class TrackerPickCube:
    """`PickCubeExpert` for any observation, in an environment whose cell tracks the block.

    Args:
        env: the environment that it will act in.
        strategy: of the expert; half speed by default, as the demonstrations have.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], strategy: PickCubeStrategy = HALF_SPEED) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or "block" not in core.workcell.trackers:
            raise InvalidConfiguration("this expert needs an environment in a cell with a tracker for 'block'")
        self._block = core.workcell.trackers["block"]
        self._expert = PickCubeExpert(strategy)

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode from its first observation."""
        self._expert.reset(observation)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (4,), in [-1, 1]."""
        block = self._block.get_pose().pose_in_base[:3].astype(np.float32)
        return self._expert.act({"state": {**observation["state"], "block_pos": block}})


def pick_cube(env: gymnasium.Env[Any, Any]) -> TrackerPickCube:
    """The expert of the pick-cube environments, for `robotkit-train record success --expert`."""
    return TrackerPickCube(env)
