"""`ActionRepeat`: each action lasts for several steps of the environment."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.macro_step import take_steps
from robotkit import InvalidConfiguration


class ActionRepeat(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Takes each action `count` times; rewards are summed, and an episode that ends on the way ends at once.

    With actions that are relative (`TargetDelta`), the motion of one action is therefore `count` times as far. A time
    limit below this wrapper goes on counting single steps.

    Args:
        env: what is wrapped.
        count: steps an action, at least 1.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], count: int) -> None:
        RecordConstructorArgs.__init__(self, count=count)
        super().__init__(env)
        if count < 1:
            raise InvalidConfiguration(f"an action must be taken at least once, got count={count}")
        self._count = count

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One macro step: last observation, summed reward, last info."""
        result = take_steps(self.env, repeat(action, self._count))
        return result.observations[-1], result.reward, result.terminated, result.truncated, result.info
