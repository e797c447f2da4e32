"""Gymnasium spaces as plain facts, so that a file can tell whether its data belongs to an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError


def describe_space(space: gym.Space) -> dict[str, Any]:
    """A space as nested dicts, lists, numbers and strings: equal spaces have equal descriptions.

    Bounds that are the same everywhere are one number; infinite ones are strings, because JSON has no infinity.

    Raises:
        ConfigError: a space other than Box, Discrete, MultiDiscrete, MultiBinary or Dict.
    """
    if isinstance(space, gym.spaces.Dict):
        return {"kind": "Dict", "spaces": {name: describe_space(inner) for name, inner in space.spaces.items()}}
    if isinstance(space, gym.spaces.Box):
        bounds = {"low": _bound(space.low), "high": _bound(space.high)}
        return {"kind": "Box", "shape": list(space.shape), "dtype": np.dtype(space.dtype).name, **bounds}
    if isinstance(space, gym.spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, (gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)):
        size = space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else np.asarray(space.n)
        return {"kind": type(space).__name__, "n": size.tolist()}
    raise ConfigError(f"a {type(space).__name__} space cannot be described; use Box, Discrete or Dict")


def describe_spaces(observation_space: gym.Space, action_space: gym.Space) -> dict[str, Any]:
    """Both spaces of an environment, for the metadata of a journal."""
    return {
        "observation_space": describe_space(observation_space),
        "action_space": describe_space(action_space),
    }


def _bound(bound: np.ndarray) -> Any:
    numbers = [number if np.isfinite(number) else str(number) for number in bound.ravel().tolist()]
    return numbers[0] if len(set(numbers)) == 1 else numbers
