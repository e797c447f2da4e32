"""`PickupInsertionExpert`: a closed-loop script that grasps the plug, puts it into the port and lets go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.experts.insertion import InsertionExpert, InsertionStrategy
from envs.tasks.usb_pickup_insertion import PickupInsertion, PickupInsertionConfig
from robotkit import InvalidConfiguration

_OPEN, _CLOSE, _LEAVE = 1.0, -1.0, 0.0


@dataclass(frozen=True)
class PickupStrategy:
    """Distances, waits and gain of the script."""

    insertion: InsertionStrategy = field(
        default_factory=lambda: InsertionStrategy(depth_m=0.012, hover_m=0.004, travel_m=0.012, push=0.4)
    )
    """How the grasped part is put in."""
    gain: float = 0.5
    """Share of the remaining way that one action asks for."""
    above_m: float = 0.006
    """The descent starts within this horizontal distance from the grasp."""
    above_rad: float = 0.08
    """The descent starts within this angle of the grasp."""
    hover_m: float = 0.03
    """Height above the grasp until then."""
    at_m: float = 0.003
    """The fingers close within this distance."""
    held_m: float = 0.02
    """A part farther than this from its grasp is not held."""
    close_steps: int = 6
    """Control periods that the fingers need."""
    seated_m: float = 0.001
    """The fingers open when the part is this near to its goal."""


class PickupInsertionExpert:
    """An expert that observes `tcp_to_grasp` and `part_to_goal`.

    Args:
        config: of the task, for the scales of its actions.
        strategy: how to go about it.
    """

    def __init__(self, config: PickupInsertionConfig, strategy: PickupStrategy | None = None) -> None:
        self.strategy = strategy or PickupStrategy()
        self._insertion = InsertionExpert(config, self.strategy.insertion, size=7)
        self._scale = np.repeat((config.translation_scale_m, config.rotation_scale_rad), 3)
        self._closing_steps = 0

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode from its first observation."""
        self._insertion.reset(observation)
        self._closing_steps = 0

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (7,), in [-1, 1]."""
        state = observation["state"]
        return self.decide(*(state[key].astype(np.float64) for key in ("tcp_to_grasp", "part_to_goal")))

    def decide(self, tcp_to_grasp: np.ndarray, part_to_goal: np.ndarray) -> np.ndarray:
        """The action for the way to the grasp, (6,), and the part's way to its goal, (6,)."""
        strategy = self.strategy
        if np.linalg.norm(part_to_goal[:3]) < strategy.seated_m:
            return self._action(np.zeros(6), _OPEN)
        if self._closing_steps and np.linalg.norm(tcp_to_grasp[:3]) > strategy.held_m:
            self._closing_steps = 0
        if not self._closing_steps:
            return self._fetch(tcp_to_grasp)
        self._closing_steps += 1
        if self._closing_steps <= strategy.close_steps:
            return self._action(np.zeros(6), _CLOSE)
        return self._insertion.towards(part_to_goal)

    def _fetch(self, way: np.ndarray) -> np.ndarray:
        strategy = self.strategy
        is_above = np.linalg.norm(way[:2]) < strategy.above_m and np.linalg.norm(way[3:]) < strategy.above_rad
        if is_above and abs(way[2]) < strategy.at_m:
            self._closing_steps = 1
            return self._action(np.zeros(6), _CLOSE)
        rise_m = 0.0 if is_above else strategy.hover_m
        return self._action(way + np.array((0.0, 0.0, rise_m, 0.0, 0.0, 0.0)), _OPEN)

    def _action(self, way: np.ndarray, gripper: float) -> np.ndarray:
        moves = np.clip(self.strategy.gain * way / self._scale, -1.0, 1.0)
        return np.append(moves, gripper).astype(np.float32)


class TrackerPickupInsertion:
    """`PickupInsertionExpert` for any observation, of an environment whose cell tracks part and socket.

    Args:
        env: the environment that it will act in.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or not isinstance(core.task, PickupInsertion):
            raise InvalidConfiguration(f"this expert needs an environment of USB pick-up and insertion, not {core}")
        self._task, self._workcell = core.task, core.workcell
        self._expert = PickupInsertionExpert(core.task.config)

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode."""
        self._expert.reset(observation)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (7,), in [-1, 1]."""
        state, task = self._workcell.get_state(), self._task
        return self._expert.decide(task.tcp_to_grasp(state), task.part_to_goal(state))


def usb_pickup_insertion(env: gymnasium.Env[Any, Any]) -> TrackerPickupInsertion:
    """The expert of USB pick-up and insertion, for any environment of the task in a cell that tracks plug and port."""
    return TrackerPickupInsertion(env)
