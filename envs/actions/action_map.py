"""`ActionMap`: the contract of action maps, which turn an action in [-1, 1] into a bounded command."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from robotkit import InvalidCommand
from robotkit.schema import CellState, GripperCommand, RobotCommand


class ActionMap(ABC):
    """The map from a policy's action to commands; it holds the target to which an action is relative."""

    space: spaces.Box
    meaning: str
    """Meaning of the numbers of an action, for error messages."""

    @abstractmethod
    def reset(self, state: CellState) -> None:
        """Start an episode from `state`."""

    @abstractmethod
    def __call__(self, action: np.ndarray) -> tuple[RobotCommand, GripperCommand | None]:
        """Commands for `action`, which is clipped to the action space.

        Raises:
            InvalidCommand: the action has the wrong shape or is not finite.
            ResetNeeded: no episode has been started.
        """

    @abstractmethod
    def follow(self, state: CellState) -> None:
        """Go on from what the cell accepted, which may be less than what was asked.

        Where something other than a command has replaced the target since the last state (`RobotState.target_epoch`:
        a hold, a stop, a recovery, another client), the next action counts from what `state` measures: the old target
        would bring the arm back from where it was put meanwhile.
        """

    def parse(self, action: np.ndarray, is_started: bool) -> list[float]:
        """The action's numbers, finite and clipped to [-1, 1]; raises what `__call__` promises."""
        if not is_started:
            raise ResetNeeded("reset() must be called before the first step()")
        values = np.asarray(action, dtype=np.float64)
        if values.shape != self.space.shape:
            raise InvalidCommand(f"an action has shape {self.space.shape}: {self.meaning}; got shape {values.shape}")
        numbers: list[float] = values.tolist()
        if not math.isfinite(sum(numbers)):
            raise InvalidCommand(f"every number of an action must be finite and in [-1, 1], got {numbers}")
        if min(numbers) < -1.0 or max(numbers) > 1.0:
            return [clip(number, -1.0, 1.0) for number in numbers]
        return numbers


def clip(value: float, low: float, high: float) -> float:
    """`value`, or the bound that it passes."""
    return low if value < low else high if value > high else value
