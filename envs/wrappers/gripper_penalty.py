"""`GripperPenalty`: the penalty for opening or closing the fingers."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from robotkit import InvalidConfiguration


class GripperPenalty(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Writes `info["grasp_penalty"]`: `penalty` at a step that asked the fingers for another opening, else 0.

    It counts what was really asked of the fingers (`info["gripper_changed"]`), whoever asked, a policy or a human; so
    a policy that repeats itself, or speaks while the gripper sleeps, pays nothing. Success never depends on it.

    Args:
        env: an env whose cell has a gripper.
        penalty: at most 0.
        goes_to: "info" leaves the reward alone (HIL-SERL), "reward" also adds it there (SERL).
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], penalty: float = -0.02, goes_to: Literal["info", "reward"] = "info"
    ) -> None:
        RecordConstructorArgs.__init__(self, penalty=penalty, goes_to=goes_to)
        super().__init__(env)
        if not penalty <= 0.0 or goes_to not in ("info", "reward"):
            raise InvalidConfiguration(
                f'a penalty is at most 0 and goes to "info" or "reward", got {penalty}, {goes_to}'
            )
        self._penalty = penalty
        self._adds_to_reward = goes_to == "reward"

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and say what the fingers cost."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        cost = self._penalty if info["gripper_changed"] else 0.0
        info["grasp_penalty"] = cost
        return observation, float(reward) + (cost if self._adds_to_reward else 0.0), terminated, truncated, info
