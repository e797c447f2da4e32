"""`BinRelocationExpert`: a closed-loop script that picks the object and drops it into the other bin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.tasks.bin_relocation import BinRelocation, BinRelocationConfig
from robotkit import InvalidConfiguration

_OPEN, _CLOSE, _LEAVE = 1.0, -1.0, 0.0


@dataclass(frozen=True)
class BinRelocationStrategy:
    """Heights, tolerances and gain of the script."""

    gain: float = 0.6
    """Share of the remaining way that one action asks for."""
    travel_m: float = 0.115
    """Height of the tool on its way between the bins."""
    grasp_m: float = 0.022
    """Height of the tool where the fingers close."""
    above_m: float = 0.01
    """The descent starts within this horizontal distance from the object."""
    above_rad: float = 0.1
    """The descent starts within this angle about the vertical from the object."""
    at_m: float = 0.005
    """The fingers close, or open, within this distance."""
    release_m: float = 0.05
    """Height of the tool where it lets go."""
    held_m: float = 0.025
    """An object farther than this from the tool is not held."""
    close_steps: int = 6
    """Control periods that the fingers need."""


class BinRelocationExpert:
    """An expert that observes `tcp_pose`, `tcp_to_object` and `object_to_goal`.

    Args:
        config: of the task, for the scales of its actions.
        strategy: how to go about it.
    """

    def __init__(self, config: BinRelocationConfig, strategy: BinRelocationStrategy | None = None) -> None:
        self.strategy = strategy or BinRelocationStrategy()
        self._scale_m, self._scale_rad = config.translation_scale_m, config.rotation_scale_rad
        self._closing_steps = 0

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode from its first observation."""
        self._closing_steps = 0

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (7,), in [-1, 1]."""
        state = observation["state"]
        return self.decide(*(state[key].astype(np.float64) for key in ("tcp_pose", "tcp_to_object", "object_to_goal")))

    def decide(self, tcp_pose: np.ndarray, tcp_to_object: np.ndarray, object_to_goal: np.ndarray) -> np.ndarray:
        """The action for a tool pose (7,), the way to the object (4,) and the object's way to its goal (3,)."""
        if self._closing_steps and np.linalg.norm(tcp_to_object[:3]) > self.strategy.held_m:
            self._closing_steps = 0
        if self._closing_steps:
            return self._carry(tcp_pose[2], object_to_goal)
        return self._fetch(tcp_pose[2], tcp_to_object)

    def _fetch(self, height_m: float, way: np.ndarray) -> np.ndarray:
        strategy = self.strategy
        off_m = float(np.linalg.norm(way[:2]))
        is_above = off_m < strategy.above_m and abs(way[3]) < strategy.above_rad
        if is_above and height_m < strategy.grasp_m + strategy.at_m:
            self._closing_steps = 1
            return self._action(np.zeros(3), 0.0, _CLOSE)
        goal_m = strategy.grasp_m if is_above else strategy.travel_m
        return self._action(np.array((*way[:2], goal_m - height_m)), way[3], _OPEN)

    def _carry(self, height_m: float, object_to_goal: np.ndarray) -> np.ndarray:
        strategy = self.strategy
        self._closing_steps += 1
        if self._closing_steps <= strategy.close_steps:
            return self._action(np.zeros(3), 0.0, _CLOSE)
        off_m = float(np.linalg.norm(object_to_goal[:2]))
        if off_m < strategy.above_m:
            if height_m < strategy.release_m + strategy.at_m:
                return self._action(np.zeros(3), 0.0, _OPEN)
            return self._action(np.array((*object_to_goal[:2], strategy.release_m - height_m)), 0.0, _LEAVE)
        is_high = height_m > strategy.travel_m - 2.0 * strategy.above_m
        sideways_m = object_to_goal[:2] if is_high else np.zeros(2)
        return self._action(np.array((*sideways_m, strategy.travel_m - height_m)), 0.0, _LEAVE)

    def _action(self, way_m: np.ndarray, turn_rad: float, gripper: float) -> np.ndarray:
        moves = np.array((*(way_m / self._scale_m), 0.0, 0.0, turn_rad / self._scale_rad)) * self.strategy.gain
        return np.append(np.clip(moves, -1.0, 1.0), gripper).astype(np.float32)


class TrackerBinRelocation:
    """`BinRelocationExpert` for any observation, of an environment whose cell tracks the object.

    Args:
        env: the environment that it will act in.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or not isinstance(core.task, BinRelocation):
            raise InvalidConfiguration(f"this expert needs an environment of bin relocation, not {core}")
        self._task, self._workcell = core.task, core.workcell
        self._expert = BinRelocationExpert(core.task.config)

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode."""
        self._expert.reset(observation)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (7,), in [-1, 1]."""
        state, task = self._workcell.get_state(), self._task
        return self._expert.decide(state.robot.tcp_pose_in_base, task.tcp_to_object(state), task.object_to_goal(state))


def bin_relocation(env: gymnasium.Env[Any, Any]) -> TrackerBinRelocation:
    """The expert of bin relocation, for any environment of the task in a cell that tracks the object."""
    return TrackerBinRelocation(env)
