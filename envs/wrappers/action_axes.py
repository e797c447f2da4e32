"""`ActionAxes`: only some of an action's numbers are the policy's; the others are 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.action_view import ActionView
from robotkit import InvalidConfiguration


class ActionAxes(ActionView, RecordConstructorArgs):
    """The policy chooses the numbers at `axes`; of a human's action it is told these (HIL-SERL's egg flip: three).

    Args:
        env: its actions are a flat box.
        axes: places of the numbers in its actions, each once.

    Raises:
        InvalidConfiguration: there is no such number.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], axes: Sequence[int]) -> None:
        RecordConstructorArgs.__init__(self, axes=axes)
        super().__init__(env)
        actions = env.action_space
        if not isinstance(actions, spaces.Box) or len(actions.shape) != 1:
            raise InvalidConfiguration(f"ActionAxes needs a flat box of actions, not {actions}")
        size = actions.shape[0]
        if not axes or len(set(axes)) < len(axes) or not set(axes) <= set(range(size)):
            raise InvalidConfiguration(f"axes are different places from 0 to {size - 1}, got {list(axes)}")
        self._axes = list(axes)
        self._size = size
        self.action_space = spaces.Box(actions.low[self._axes], actions.high[self._axes], dtype=actions.dtype.type)

    def inward(self, action: np.ndarray) -> np.ndarray:
        """Put the numbers in their places, and 0 in the others."""
        whole = np.zeros(self._size, action.dtype)
        whole[self._axes] = action
        return whole

    def outward(self, action: np.ndarray) -> np.ndarray:
        """Keep the numbers at `axes`."""
        return action[self._axes]
