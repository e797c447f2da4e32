"""`HandoverExpert`: a closed-loop script of one arm of a handover, which watches the other arm's fingers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from envs.core import ManipulationEnv
from envs.tasks.object_handover import Handover
from robotkit import InvalidConfiguration
from robotkit.schema import CellState

FINGERS = ("other_finger_1", "other_finger_2")
"""Trackers of the other arm's fingers."""
_OPEN, _CLOSE, _LEAVE = 1.0, -1.0, 0.0


@dataclass(frozen=True)
class HandoverStrategy:
    """Places, tolerances and gain of the script."""

    gain: float = 0.45
    """Share of the remaining way that one action asks for."""
    above_m: float = 0.05
    """Height over the bar at which the tool comes to it."""
    near_m: float = 0.008
    """The descent starts within this horizontal distance from the grip."""
    near_rad: float = 0.08
    """The descent starts within this angle about the vertical from the grip."""
    at_m: float = 0.006
    """The fingers close within this distance of the grip."""
    lost_m: float = 0.03
    """A bar whose end is farther than this from the tool is not held."""
    close_steps: int = 12
    """Control periods that the fingers need, and a change of mind with them."""
    meeting_m: tuple[float, float, float] = (0.422, 0.0, 0.22)
    """Where the giver's tool waits with the bar, base frame of its arm."""
    still_m: float = 0.003
    """A bar that moves by less in a control period is held still."""
    lift_m: float = 0.15
    """A bar above this height is held up to be taken."""
    closed_m: float = 0.07
    """Fingers whose bodies are nearer to each other are closed, or hold the bar."""
    away_m: float = 0.16
    """Fingers farther than this from the middle of the bar have left it."""
    travel_m: float = 0.12
    """Height of the tool over the tray."""
    release_m: float = 0.045
    """Height of the tool where it lets go."""


class HandoverExpert:
    """An expert for any observation, of an environment whose cell tracks the bar and the other arm's fingers.

    Args:
        env: the environment of one arm that it will act in.
        strategy: how to go about it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], strategy: HandoverStrategy | None = None) -> None:
        core = env.unwrapped
        if not isinstance(core, ManipulationEnv) or not isinstance(core.task, Handover):
            raise InvalidConfiguration(f"this expert needs an environment of one arm of a handover, not {core}")
        missing = [name for name in ("object", *FINGERS) if name not in core.workcell.trackers]
        if missing:
            raise InvalidConfiguration(
                f"this expert needs trackers for {', '.join(missing)}, which cell {core.workcell.name!r} lacks; the "
                "cells mujoco-object-handover-left and -right have them"
            )
        self.strategy = strategy or HandoverStrategy()
        self._task, self._workcell = core.task, core.workcell
        self._scale_m, self._scale_rad = core.task.config.translation_scale_m, core.task.config.rotation_scale_rad
        self._is_giver = core.task.config.role == "giver"
        self._bar_m = np.zeros(3)
        self._closing_steps = 0
        self._is_done = False

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        self._bar_m = self._workcell.get_state().poses["object"].pose_in_base[:3]
        self._closing_steps = 0
        self._is_done = False

    def act(self, observation: Any) -> np.ndarray:
        """The next action, float32 (7,), in [-1, 1]."""
        state = self._workcell.get_state()
        bar_m = state.poses["object"].pose_in_base[:3]
        moved_m, self._bar_m = float(np.linalg.norm(bar_m - self._bar_m)), bar_m
        way = self._task.tcp_to_grip(state)
        if self._is_done:
            return self._leave(state)
        if self._closing_steps and np.linalg.norm(way[:3]) > self.strategy.lost_m:
            self._closing_steps = 0
        if self._closing_steps:
            return self._give(state) if self._is_giver else self._lay_down(state)
        is_offered = bar_m[2] > self.strategy.lift_m and moved_m < self.strategy.still_m
        if self._is_giver or is_offered:
            return self._fetch(way)
        return self._action(np.zeros(3), 0.0, _OPEN)

    def _fetch(self, way: np.ndarray) -> np.ndarray:
        strategy = self.strategy
        is_over = np.linalg.norm(way[:2]) < strategy.near_m and abs(way[3]) < strategy.near_rad
        if is_over and abs(way[2]) < strategy.at_m:
            self._closing_steps = 1
            return self._action(np.zeros(3), 0.0, _CLOSE)
        above_m = 0.0 if is_over else strategy.above_m
        return self._action(way[:3] + np.array((0.0, 0.0, above_m)), way[3], _OPEN)

    def _is_closing(self) -> bool:
        self._closing_steps += 1
        return self._closing_steps <= self.strategy.close_steps

    def _give(self, state: CellState) -> np.ndarray:
        """Hold the bar up where the arms meet, until the other fingers have closed on it."""
        if self._is_closing():
            return self._action(np.zeros(3), 0.0, _CLOSE)
        fingers_m, gap_m = self._other_fingers(state)
        if np.linalg.norm(fingers_m - self._bar_m) < self.strategy.away_m and gap_m < self.strategy.closed_m:
            self._is_done = True
            return self._action(np.zeros(3), 0.0, _OPEN)
        tool = state.robot.tcp_pose_in_base
        way_m = np.array(self.strategy.meeting_m) - tool[:3]
        if tool[2] < self.strategy.lift_m:
            way_m[:2] = 0.0
        return self._action(way_m, self._task.turn_to_straight(state), _LEAVE)

    def _lay_down(self, state: CellState) -> np.ndarray:
        """Wait until the other fingers have left the bar, then carry it to the tray and let go."""
        strategy = self.strategy
        fingers_m, _ = self._other_fingers(state)
        if self._is_closing() or np.linalg.norm(fingers_m - self._bar_m) < strategy.away_m:
            return self._action(np.zeros(3), 0.0, _CLOSE)
        way_m = self._task.object_to_goal(state)
        height_m = state.robot.tcp_pose_in_base[2]
        is_over = np.linalg.norm(way_m[:2]) < strategy.near_m
        if is_over and height_m < strategy.release_m + strategy.at_m:
            self._is_done = True
            return self._action(np.zeros(3), 0.0, _OPEN)
        way_m[2] = (strategy.release_m if is_over else strategy.travel_m) - height_m
        return self._action(way_m, self._task.turn_to_straight(state), _LEAVE)

    def _leave(self, state: CellState) -> np.ndarray:
        """Open, then move up and back to this arm's own side."""
        assert state.gripper is not None
        is_open = state.gripper.position > 1.0 - self._task.config.open_min
        home_m = self._task.config.start[:3] - np.array((0.08, 0.0, 0.0))
        way_m = home_m - state.robot.tcp_pose_in_base[:3]
        if state.robot.tcp_pose_in_base[2] < self._bar_m[2] + self.strategy.above_m:
            way_m = np.array((0.0, 0.0, self.strategy.above_m))
        return self._action(way_m if is_open else np.zeros(3), 0.0, _OPEN)

    def _other_fingers(self, state: CellState) -> tuple[np.ndarray, float]:
        """Middle (3,) of the other arm's fingers, and their distance in m."""
        one_m, two_m = (state.poses[name].pose_in_base[:3] for name in FINGERS)
        return (one_m + two_m) / 2.0, float(np.linalg.norm(one_m - two_m))

    def _action(self, way_m: np.ndarray, turn_rad: float, gripper: float) -> np.ndarray:
        moves = np.array((*(way_m / self._scale_m), 0.0, 0.0, turn_rad / self._scale_rad)) * self.strategy.gain
        return np.append(np.clip(moves, -1.0, 1.0), gripper).astype(np.float32)


def object_handover(env: gymnasium.Env[Any, Any]) -> HandoverExpert:
    """The expert of each arm of the handover."""
    return HandoverExpert(env)
