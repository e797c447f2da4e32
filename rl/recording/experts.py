"""Experts: scripts that act while something is recorded, loaded by their names on the command line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError


class Expert(Protocol):
    """Chooses the actions while something is recorded."""

    def reset(self, observation: Any) -> None:
        """Start an episode."""
        ...

    def act(self, observation: Any) -> np.ndarray:
        """The next action."""
        ...


class ZeroAction:
    """Acts with zeros, so that only the person who takes over moves the robot."""

    def __init__(self, env: gym.Env) -> None:
        space = env.action_space
        if not isinstance(space, gym.spaces.Box):
            raise ConfigError(f"the zero action needs an action space that is a Box, not {space}")
        self._action = np.zeros(space.shape, space.dtype)

    def reset(self, observation: Any) -> None:
        """See `Expert`."""

    def act(self, observation: Any) -> np.ndarray:
        """See `Expert`."""
        return self._action


class ExpertWrapper(gym.Wrapper):
    """Gives an expert every observation of the environment, before it is adapted to the agent."""

    def __init__(self, env: gym.Env, expert: Expert) -> None:
        super().__init__(env)
        self._expert = expert
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and the expert."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._expert.reset(self._observation)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        result = self.env.step(action)
        self._observation = result[0]
        return result

    def act(self) -> np.ndarray:
        """The expert's action for the newest observation."""
        return self._expert.act(self._observation)


def load_factory(name: str) -> Callable[[gym.Env], Any]:
    """Import the factory `module:factory`.

    Raises:
        ConfigError: there is no such module or factory.
    """
    module, colon, attribute = name.partition(":")
    try:
        if not colon:
            raise AttributeError("a name has the form module:factory")
        factory: Callable[[gym.Env], Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name!r} cannot be loaded: {error}") from error
    return factory
