"""The indices of the tool's position in an agent's observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl.wrappers.pixel_observation import STATE, is_camera, leaf_spaces

_NAMES = ("tcp_pos", "tcp_pose")
"""Names of such a part of an observation, as SERL has them; the first three numbers are metres."""


@dataclass(frozen=True)
class ToolPosition:
    """The place of the tool's position among the numbers of an observation."""

    column: int
    """Column of the first of its three numbers."""
    width: int
    """Numbers of one observation, before any are stacked."""

    def of(self, observations: Any) -> np.ndarray:
        """Positions (N, 3) in metres, in the newest of the stacked observations.

        Args:
            observations: (N, T * width), or with images and the numbers (N, T, width) as `state`.
        """
        numbers = observations[STATE] if isinstance(observations, Mapping) else observations
        newest = np.asarray(numbers).reshape(len(numbers), -1, self.width)[:, -1]
        return newest[:, self.column : self.column + 3]

    def of_one(self, observation: Any) -> np.ndarray:
        """Position (3,) in metres in one observation, without the axis N."""
        numbers = observation[STATE] if isinstance(observation, Mapping) else observation
        position_m: np.ndarray = self.of(np.asarray(numbers)[None])[0]
        return position_m


def find_tool_position(space: gym.Space[Any]) -> ToolPosition | None:
    """Look for it in the observation space of an environment that is not adapted to an agent yet; None without one."""
    column, found = 0, None
    for path, leaf in leaf_spaces(space):
        if is_camera(leaf):
            continue
        size = gym.spaces.flatdim(leaf)
        if found is None and path and path[-1].rpartition("/")[2] in _NAMES and size >= 3:
            found = column
        column += size
    return None if found is None else ToolPosition(found, column)
