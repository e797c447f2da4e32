"""`GripperClose`: leaves the gripper out of the policy's action, so that the gripper stays as it is."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.action_view import ActionView
from robotkit import InvalidConfiguration


class GripperClose(ActionView, RecordConstructorArgs):
    """Seven numbers become six: the gripper is left as it is, closed around the part that the task starts with.

    Args:
        env: its actions are seven numbers, the last one for the gripper.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        actions = env.action_space
        if not isinstance(actions, spaces.Box) or actions.shape != (7,):
            raise InvalidConfiguration(f"GripperClose needs actions of seven numbers, not {actions}")
        self.action_space = spaces.Box(actions.low[:6], actions.high[:6], dtype=actions.dtype.type)

    def inward(self, action: np.ndarray) -> np.ndarray:
        """Add a 0 for the gripper."""
        return np.append(action, action.dtype.type(0))

    def outward(self, action: np.ndarray) -> np.ndarray:
        """Leave the gripper's number out."""
        return action[:6]
