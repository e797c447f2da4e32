"""`InsertionExpert`: a script that aligns a held part above its socket, pushes it in, and searches when it is stuck.

`peg_insertion`, `pcb_insertion`, `cable_routing` and `ram_insertion` make it for any environment of their task in a
cell with trackers, as `robotkit-train record success --expert` takes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.tasks.cable_routing import CABLE
from envs.tasks.insertion import Insertion, InsertionConfig
from envs.tasks.pcb_insertion import PCB
from envs.tasks.peg_insertion import PEG
from envs.tasks.ram_insertion import RAM
from robotkit import InvalidConfiguration, spatial


@dataclass(frozen=True)
class InsertionStrategy:
    """Heights, tolerances and gains of the script."""

    depth_m: float
    """How far the part goes in."""
    hover_m: float = 0.004
    """Height of the part above the socket's mouth while it is aligned."""
    travel_m: float = 0.0
    """Least height of the part while it is farther away than `near_m` or turned by more than `near_rad`."""
    near_m: float = 0.01
    near_rad: float = 0.15
    mouth_m: float = 0.004
    """A part that is deeper than the mouth and this near to the axis is in the hole."""
    aligned_m: float = 0.001
    """The descent starts within this horizontal distance."""
    aligned_rad: float = 0.03
    """The descent starts within this angle about the vertical."""
    gain: float = 0.4
    """Share of the remaining way that one action asks for; the arm lags behind its target by about two actions."""
    is_stiff: bool = True
    """A stiff part is righted when it tilts; the gripper stays upright where the part bends and twists."""
    push: float = 1.0
    """Downward action while the part goes in."""
    patience: int = 8
    """Steps without progress before the search begins."""
    search_m: float = 0.002
    """Radius that the search spiral reaches."""
    search_steps: int = 30
    """Steps in which the spiral reaches that radius."""


PEG_STRATEGY = InsertionStrategy(depth_m=-PEG.part_in_socket[2])
PCB_STRATEGY = InsertionStrategy(depth_m=-PCB.part_in_socket[2], hover_m=0.002, aligned_m=0.0008, aligned_rad=0.02)
CABLE_STRATEGY = InsertionStrategy(
    depth_m=-CABLE.part_in_socket[2],
    hover_m=0.008,
    travel_m=0.05,
    aligned_m=0.002,
    aligned_rad=0.06,
    gain=0.3,
    is_stiff=False,
    push=0.3,
)
RAM_STRATEGY = InsertionStrategy(depth_m=-RAM.part_in_socket[2], hover_m=0.002, aligned_m=0.0006, aligned_rad=0.008)


class InsertionExpert:
    """An expert that observes only `part_to_goal`.

    It works in the axes of the socket where the config has it, whose z axis the part comes along; "height" is meant
    along that axis.

    Args:
        config: of the task, for the scales of its actions.
        strategy: how to go about it.
        size: numbers of an action; a seventh leaves the gripper as it is.
    """

    def __init__(self, config: InsertionConfig, strategy: InsertionStrategy, size: int = 6) -> None:
        self.strategy = strategy
        self._size = size
        self._scale = np.repeat((config.translation_scale_m, config.rotation_scale_rad), 3)
        socket = np.array(config.socket_pose_in_base)
        self._socket_in_base, self._base_in_socket = socket[3:], spatial.inverse(socket)[3:]
        self._lowest_m = math.inf
        self._stuck_steps = 0

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode from its first observation."""
        self._lowest_m = math.inf
        self._stuck_steps = 0

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (size,), in [-1, 1]."""
        return self.towards(observation["state"]["part_to_goal"].astype(np.float64))

    def towards(self, part_to_goal: np.ndarray) -> np.ndarray:
        """The action for what is left of the way in base axes, (6,)."""
        action = np.zeros(self._size, np.float32)
        wanted = self._in_socket_axes(spatial.rotate_vec6(self._base_in_socket, part_to_goal))
        action[:6] = np.clip(spatial.rotate_vec6(self._socket_in_base, wanted), -1.0, 1.0)
        return action

    def _in_socket_axes(self, part_to_goal: np.ndarray) -> np.ndarray:
        """The six numbers of the action, not yet limited to [-1, 1], for a way in the axes of the socket."""
        strategy, scale_m = self.strategy, self._scale[0]
        height_m = -part_to_goal[2] - strategy.depth_m
        wanted: np.ndarray = np.clip(strategy.gain * part_to_goal / self._scale, -1.0, 1.0)
        if not strategy.is_stiff:
            wanted[3:5] = 0.0
        is_aligned = self._is_within(part_to_goal, strategy.aligned_m, strategy.aligned_rad)
        is_over_mouth = self._is_within(part_to_goal, strategy.mouth_m, math.pi)
        if height_m < 0.0 and not is_over_mouth:
            # Beside the socket, and lower than it is: only up leads out.
            wanted[:2], wanted[2], wanted[5] = 0.0, 1.0, 0.0
        elif is_aligned or height_m < -strategy.aligned_m:
            wanted[2] = -strategy.push
            wanted[:2] += self._search(height_m) / scale_m
        else:
            is_near = self._is_within(part_to_goal, strategy.near_m, strategy.near_rad)
            goal_m = strategy.hover_m if is_near else max(strategy.hover_m, strategy.travel_m)
            wanted[2] = strategy.gain * (goal_m - height_m) / scale_m
        return wanted

    @staticmethod
    def _is_within(part_to_goal: np.ndarray, distance_m: float, angle_rad: float) -> bool:
        """True when the part is that near to the hole's axis, and turned about it by no more than the angle."""
        return math.hypot(*part_to_goal[:2]) < distance_m and abs(float(part_to_goal[5])) < angle_rad

    def _search(self, height_m: float) -> np.ndarray:
        """A spiral about the hole's axis, (2,) in m, once the part has stopped going down."""
        is_stuck = height_m > self._lowest_m - 1e-4
        self._stuck_steps = self._stuck_steps + 1 if is_stuck else 0
        self._lowest_m = min(self._lowest_m, height_m)
        turns = self._stuck_steps - self.strategy.patience
        if turns <= 0:
            return np.zeros(2)
        radius_m = self.strategy.search_m * min(turns / self.strategy.search_steps, 1.0)
        return radius_m * np.array((math.cos(0.9 * turns), math.sin(0.9 * turns)))


class TrackerInsertion:
    """`InsertionExpert` for any observation, of an environment whose cell tracks part and socket.

    Args:
        env: the environment that it will act in.
        strategy: of the expert.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], strategy: InsertionStrategy) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or not isinstance(core.task, Insertion):
            raise InvalidConfiguration(f"this expert needs an environment of an insertion task, not {core}")
        self._task, self._workcell = core.task, core.workcell
        assert env.action_space.shape is not None
        self._expert = InsertionExpert(core.task.config, strategy, env.action_space.shape[0])

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode."""
        self._expert.reset(observation)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32, in [-1, 1]."""
        return self._expert.towards(self._task.part_to_goal(self._workcell.get_state()))


def peg_insertion(env: gymnasium.Env[Any, Any]) -> TrackerInsertion:
    """The expert of peg insertion."""
    return TrackerInsertion(env, PEG_STRATEGY)


def pcb_insertion(env: gymnasium.Env[Any, Any]) -> TrackerInsertion:
    """The expert of PCB insertion."""
    return TrackerInsertion(env, PCB_STRATEGY)


def cable_routing(env: gymnasium.Env[Any, Any]) -> TrackerInsertion:
    """The expert of cable routing."""
    return TrackerInsertion(env, CABLE_STRATEGY)


def ram_insertion(env: gymnasium.Env[Any, Any]) -> TrackerInsertion:
    """The expert of RAM insertion."""
    return TrackerInsertion(env, RAM_STRATEGY)
