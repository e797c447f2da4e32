"""AgentEnv: an environment that a user named or built, with the wrappers that adapt it to an agent."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from rl.errors import ConfigError
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.make_env import TranslateErrors, adapt, open_env
from rl.wrappers.raw_view import RawView
from rl.wrappers.residual import Residual, ResidualActions

EnvLike = str | gym.Env
"""A Gymnasium id, `Id-v0` or `module:Id-v0`, whose module is imported first; or an environment."""


class AgentEnv:
    """An environment, and the environment as the agent observes it.

    Args:
        env: an environment, or the id of one.
        adaptation: how it looks to the agent.
        cell: handed to an environment that is made from an id and stands in a workcell.
        residual: a base policy that acts in it, whose actions the agent corrects.

    Raises:
        ConfigError: there is no such environment, or such an agent cannot use it.
        CheckpointError: there is no such reward classifier.
    """

    def __init__(
        self, env: EnvLike, adaptation: EnvAdapterConfig, cell: str | None = None, residual: Residual | None = None
    ) -> None:
        _require_env(env)
        self._is_ours = isinstance(env, str)
        self.raw = open_env(env, cell) if isinstance(env, str) else TranslateErrors(env, name_of(env))
        try:
            self.adapted = adapt(self.raw, adaptation, residual)
        except BaseException:
            self.close()
            raise
        # The base acts in an episode: there is no view of a single observation of it.
        seen = self.adapted.env if isinstance(self.adapted, ResidualActions) else self.adapted
        self.view = RawView(self.raw, seen, adaptation.frame_stack)

    def close(self) -> None:
        """Close the environment unless the user built it."""
        if self._is_ours:
            self.raw.close()


def name_of(env: EnvLike) -> str:
    """The id by which an environment can be made again; its class where it has none, which is nobody's id."""
    if isinstance(env, str):
        return env
    _require_env(env)
    kind = type(env.unwrapped)
    return f"{kind.__module__}.{kind.__qualname__}" if env.spec is None else env.spec.id


def _require_env(env: Any) -> None:
    if isinstance(env, gym.vector.VectorEnv):
        raise ConfigError(
            "an agent trains in one environment, and this is a vector of them: pass a single one, or start several "
            "actors with `robotkit-train train --actors`"
        )
    if not isinstance(env, (str, gym.Env)):
        raise ConfigError(f"an environment is a gymnasium.Env or the id of one, such as 'Pendulum-v1', and not {env!r}")
