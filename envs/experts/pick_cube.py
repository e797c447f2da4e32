"""`PickCubeExpert`: a closed-loop script that picks the cube."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.tasks.pick_cube import POSITION_SCALE_M, TARGET_MAX_M, TARGET_MIN_M

_OPEN, _CLOSE = -1.0, 1.0


@dataclass(frozen=True)
class PickCubeStrategy:
    """Heights, tolerances and speed; the defaults were found by a cross-entropy search on SERL's simulator."""

    hover_m: float = 0.02
    """Height above the block at which the approach ends."""
    horizontal_tolerance_m: float = 0.08
    """The descent starts, and the fingers close, within this horizontal distance."""
    grasp_height_m: float = -0.011482
    """Where the fingers close, relative to the block's centre."""
    vertical_tolerance_m: float = 0.022818
    close_steps: int = 3
    """Steps to wait for the fingers, less one."""
    lift_height_m: float = 0.379126
    """Target height of the lift in the base frame."""
    speed: float = 1.0
    """Largest action along each axis, in (0, 1]."""


class PickCubeExpert:
    """An expert that approaches, descends, closes and lifts; it observes only `{"state": {...}}` with `block_pos`.

    The action moves the commanded target, so the expert keeps its own account of where that target is.
    """

    def __init__(self, strategy: PickCubeStrategy | None = None) -> None:
        self.strategy = strategy or PickCubeStrategy()
        self._target_m = np.zeros(3)
        self._phase: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]] = self._approach
        self._closing_steps = 0

    def reset(self, observation: Mapping[str, Any]) -> None:
        """Start an episode from its first observation."""
        self._target_m = observation["state"]["panda/tcp_pos"].astype(np.float64)
        self._phase = self._approach
        self._closing_steps = 0

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """The next action, float32 (4,), in [-1, 1]."""
        state = observation["state"]
        goal_m, grasp = self._phase(state["panda/tcp_pos"].astype(np.float64), state["block_pos"].astype(np.float64))
        speed = self.strategy.speed
        delta = np.clip((goal_m - self._target_m) / POSITION_SCALE_M, -speed, speed)
        self._target_m = np.clip(self._target_m + delta * POSITION_SCALE_M, TARGET_MIN_M, TARGET_MAX_M)
        return np.array((*delta, grasp), np.float32)

    def _approach(self, tcp_m: np.ndarray, block_m: np.ndarray) -> tuple[np.ndarray, float]:
        if self._is_above(tcp_m, block_m):
            self._phase = self._descend
            return self._descend(tcp_m, block_m)
        return _raised(block_m, self.strategy.hover_m), _OPEN

    def _descend(self, tcp_m: np.ndarray, block_m: np.ndarray) -> tuple[np.ndarray, float]:
        goal_m = _raised(block_m, self.strategy.grasp_height_m)
        is_low = abs(tcp_m[2] - goal_m[2]) < self.strategy.vertical_tolerance_m
        if is_low and self._is_above(tcp_m, block_m):
            self._phase = self._close
            return self._close(tcp_m, block_m)
        return goal_m, _OPEN

    def _close(self, tcp_m: np.ndarray, block_m: np.ndarray) -> tuple[np.ndarray, float]:
        self._closing_steps += 1
        if self._closing_steps > self.strategy.close_steps:
            self._phase = self._lift
            return self._lift(tcp_m, block_m)
        return self._target_m, _CLOSE

    def _lift(self, tcp_m: np.ndarray, block_m: np.ndarray) -> tuple[np.ndarray, float]:
        return np.array((*self._target_m[:2], self.strategy.lift_height_m)), _CLOSE

    def _is_above(self, tcp_m: np.ndarray, block_m: np.ndarray) -> bool:
        return bool(np.linalg.norm(tcp_m[:2] - block_m[:2]) < self.strategy.horizontal_tolerance_m)


def _raised(position_m: np.ndarray, height_m: float) -> np.ndarray:
    raised_m: np.ndarray = position_m + np.array((0.0, 0.0, height_m))
    return raised_m
