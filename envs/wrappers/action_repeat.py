"""`ActionRepeat`: each action lasts for several environment steps, which are taken as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.action_view import INTERVENE_ACTION, INTERVENE_HOLD
from robotkit import InvalidConfiguration

_TOGETHER: Mapping[str, Callable[[Iterable[Any]], Any]] = {
    "grasp_penalty": sum, "overrun_s": sum, "is_torn": any, "gripper_changed": any, "success": any,
    "is_success": any,
}  # fmt: skip
"""How a value of `info` is joined over several steps; of every other one the last step's is kept."""


class MacroStep(NamedTuple):
    """The result of several actions that are taken as one step."""

    observations: list[Any]
    """Observations, one for each step that was taken."""
    reward: float
    """Sum over the steps that were taken."""
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    """Info of all steps that were taken, without `intervene_action`."""
    steered: list[np.ndarray | None]
    """The action that a human took instead, for each step that was taken; None where nobody did anything."""


def take_steps(env: gymnasium.Env[Any, Any], actions: Iterable[Any]) -> MacroStep:
    """Take `actions` one after the other, and stop where the episode ends or a step is torn.

    No reward, penalty or success on the way is lost, nothing is stepped beyond the end of an episode, and
    `info["is_torn"]` is not missed.
    """
    observations, total = [], 0.0
    terminated = truncated = False
    infos: list[dict[str, Any]] = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        infos.append(info)
        total += float(reward)
        if terminated or truncated or info.get("is_torn"):
            break
    steered = [info.get(INTERVENE_ACTION) for info in infos]
    return MacroStep(observations, total, terminated, truncated, _join(infos), steered)


def _join(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined = {name: value for name, value in infos[-1].items() if name != INTERVENE_ACTION}
    for name, together in _TOGETHER.items():
        if values := [info[name] for info in infos if name in info]:
            joined[name] = together(values)
    steered = [info for info in infos if INTERVENE_ACTION in info]
    if steered:
        joined[INTERVENE_HOLD] = all(info.get(INTERVENE_HOLD, False) for info in steered)
    return joined


class ActionRepeat(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Takes each action `count` times; rewards are summed, and an episode that ends on the way ends at once.

    With actions that are relative (`TargetDelta`), the motion of one action is therefore `count` times as far. A time
    limit below this wrapper goes on counting single steps. A step in which a human did several different things, or
    took over on the way, follows from no single action, and is torn.

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
        """One macro step: last observation, summed reward, the info of all steps."""
        result = take_steps(self.env, repeat(action, self._count))
        info, steered = result.info, [taken for taken in result.steered if taken is not None]
        if steered:
            info[INTERVENE_ACTION] = steered[0]
            is_one = len(steered) == len(result.steered) and all(np.array_equal(steered[0], taken) for taken in steered)
            info["is_torn"] = bool(info.get("is_torn")) or not is_one
        return result.observations[-1], result.reward, result.terminated, result.truncated, info
