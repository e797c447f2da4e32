"""`RepeatAction`: each action lasts for several environment steps, which are taken as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

_INTERVENE_ACTION = "intervene_action"


def _happened(values: Iterable[Any]) -> bool:
    return any(bool(np.all(value)) for value in values)


_TOGETHER: Mapping[str, Callable[[Iterable[Any]], Any]] = {
    "grasp_penalty": sum, "overrun_s": sum, "is_torn": _happened, "gripper_changed": _happened, "success": _happened,
    "is_success": _happened, "env_success": _happened,
}  # fmt: skip
"""How a value of `info` is joined over several steps; of every other one the last step's is kept."""


class RepeatAction(gym.Wrapper):
    """A wrapper whose actions last for several steps; rewards and penalties of these are summed, and success is kept.

    An episode's end or a torn step ends it early. A step in which a human did several different things, or took over on
    the way, follows from no single action, and is torn.

    Args:
        env: any environment.
        times: steps of one action.
    """

    def __init__(self, env: gym.Env, times: int) -> None:
        super().__init__(env)
        self._times = times

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take the action up to `times` times."""
        total, infos = 0.0, []
        for _ in range(self._times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            infos.append(info)
            if terminated or truncated or info.get("is_torn"):
                break
        return observation, total, terminated, truncated, _join(infos)


def _join(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined = dict(infos[-1])
    for name, together in _TOGETHER.items():
        if values := [info[name] for info in infos if name in info]:
            joined[name] = together(values)
    steered = [info[_INTERVENE_ACTION] for info in infos if _INTERVENE_ACTION in info]
    if steered:
        joined[_INTERVENE_ACTION] = steered[0]
        is_one = len(steered) == len(infos) and all(np.array_equal(steered[0], taken) for taken in steered)
        joined["intervene_hold"] = all(info.get("intervene_hold", False) for info in infos if _INTERVENE_ACTION in info)
        joined["is_torn"] = bool(joined.get("is_torn")) or not is_one
    return joined
