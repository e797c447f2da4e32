"""AgentEnv: an environment that a user named or built, with the wrappers that adapt it to an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rl.errors import ConfigError
from rl.wrappers.adapter_config import EnvAdapterConfig
from rl.wrappers.base_observation import add_base_action, add_base_actions, executed_action
from rl.wrappers.make_env import TranslateErrors, adapt, open_env
from rl.wrappers.raw_view import RawView
from rl.wrappers.residual import BasePolicy, Residual, ResidualActions, StatelessBase

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
        self._frame_stack = adaptation.frame_stack
        seen = self.adapted.env if isinstance(self.adapted, ResidualActions) else self.adapted
        self._view = RawView(self.raw, seen, self._frame_stack)

    def predict(self, observation: Any, choose: Callable[[Any], np.ndarray]) -> np.ndarray:
        """The action (A,) of an agent, or a batch (N, A), in the units of the environment.

        Args:
            observation: of the environment, as `RawView.observations` takes it.
            choose: gives the agent's action, or its residual, for what it observes.

        Raises:
            ConfigError: the agent corrects a base policy that knows more than these observations.
            SchemaMismatch: the environment has no such observations, or a number is not finite.
        """
        seen, is_batch = self._view.observations(observation)
        if not isinstance(self.adapted, ResidualActions):
            return self._view.actions(choose(seen))
        base = self._base_actions(self.adapted.base, observation)
        residual = choose((add_base_actions if is_batch else add_base_action)(seen, base))
        return self._view.actions(executed_action(base, residual, self.adapted.scale))

    def _base_actions(self, base: BasePolicy, observation: Any) -> np.ndarray:
        how = (
            "run it in agent.env, whose observations hold the base's action, with "
            "agent.core.sample_actions(observation, argmax=True)"
        )
        if not isinstance(base, StatelessBase):
            raise ConfigError(
                f"this agent corrects a base policy that acts in an episode and not on one observation: {how}"
            )
        if base.frame_stack > self._frame_stack:
            raise ConfigError(
                f"this agent corrects a base policy that looks at {base.frame_stack} observations, and is given "
                f"{self._frame_stack} itself: {how}"
            )
        found = base.actions(observation if base.frame_stack > 1 else self._view.newest(observation))
        return np.clip(np.asarray(found, np.float32), -1.0, 1.0)

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
