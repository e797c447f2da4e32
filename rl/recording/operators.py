"""Operators: whoever acts while something is recorded, and how the command line names one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError


class Operator(Protocol):
    """Who acts while something is recorded."""

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        ...

    def act(self, observation: Any) -> np.ndarray:
        """The next action."""
        ...


class ZeroAction:
    """Does nothing, so that the person who takes over does everything."""

    def __init__(self, env: gym.Env) -> None:
        space = env.action_space
        if not isinstance(space, gym.spaces.Box):
            raise ConfigError(f"the zero action needs an action space that is a Box, not {space}")
        self._action = np.zeros(space.shape, space.dtype)

    def reset(self, observation: Any) -> None:
        """See `Operator`."""

    def act(self, observation: Any) -> np.ndarray:
        """See `Operator`."""
        return self._action


class Operated(gym.Wrapper):
    """Hands an operator every observation as the environment makes it, whatever the agent will see."""

    def __init__(self, env: gym.Env, operator: Operator) -> None:
        super().__init__(env)
        self._operator = operator
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset environment and operator."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._operator.reset(self._observation)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        result = self.env.step(action)
        self._observation = result[0]
        return result

    def act(self) -> np.ndarray:
        """What the operator does now."""
        return self._operator.act(self._observation)


def load_factory(name: str) -> Callable[[gym.Env], Any]:
    """What `module:factory` names.

    Raises:
        ConfigError: there is no such thing.
    """
    module, colon, attribute = name.partition(":")
    try:
        if not colon:
            raise AttributeError("a name has the form module:factory")
        factory: Callable[[gym.Env], Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name!r} cannot be loaded: {error}") from error
    return factory
