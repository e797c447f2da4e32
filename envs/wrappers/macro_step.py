"""Several environment steps taken as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import gymnasium


class MacroStep(NamedTuple):
    """What came of a run of actions."""

    observations: list[Any]
    """One for each step that was taken."""
    reward: float
    """Sum over the steps that were taken."""
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    """Of the last step."""


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
