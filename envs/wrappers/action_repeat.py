"""`ActionRepeat`: each action lasts for several environment steps, which are taken as one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any, NamedTuple

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from robotkit import InvalidConfiguration


class MacroStep(NamedTuple):
    """The result of several actions that are taken as one step."""

    observations: list[Any]
    """Observations, one for each step that was taken."""
    reward: float
    """Sum over the steps that were taken."""
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    """Info of the last step."""


def take_steps(env: gymnasium.Env[Any, Any], actions: Iterable[Any]) -> MacroStep:
    """Take `actions` one after the other, and stop where the episode ends or a step is torn.

    No reward on the way is lost, nothing is stepped beyond the end of an episode, and `info["is_torn"]` is not missed.
    """
    observations, total = [], 0.0
    terminated = truncated = False
    info: dict[str, Any] = {}
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        total += float(reward)
        if terminated or truncated or info.get("is_torn"):
            break
    return MacroStep(observations, total, terminated, truncated, info)


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
