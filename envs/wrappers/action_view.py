"""`ActionView`: the base class of wrappers whose actions differ from those of the environment that they wrap."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np

from robotkit import InvalidCommand

INTERVENE_ACTION = "intervene_action"
"""The key of `info` for the action that a human took instead of the policy; absent where nobody did."""

INTERVENE_HOLD = "intervene_hold"
"""The key of `info` that is True where that action only keeps the arm still, because the hand rests and may go on."""


class ActionView(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Maps actions on their way in, and a human's action (`info["intervene_action"]`) on its way out.

    Who stores transitions thereby stores the action that this env would have had to be given.
    """

    @abstractmethod
    def inward(self, action: np.ndarray) -> np.ndarray:
        """The wrapped env's action for `action` of this env."""

    @abstractmethod
    def outward(self, action: np.ndarray) -> np.ndarray:
        """Return this env's action for `action` of the wrapped env, as things were before the step."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step with the mapped action.

        Raises:
            InvalidCommand: the action has the wrong shape; nothing was sent.
        """
        numbers = np.asarray(action)
        if numbers.shape != self.action_space.shape:
            raise InvalidCommand(
                f"an action under {type(self).__name__} has shape {self.action_space.shape}, got {numbers.shape}"
            )
        *result, info = self.env.step(self.inward(numbers))
        if INTERVENE_ACTION in info:
            info[INTERVENE_ACTION] = self.outward(info[INTERVENE_ACTION])
        observation, reward, terminated, truncated = result
        return observation, reward, terminated, truncated, info
