"""`ChunkingWrapper`: observes a history of observations, and takes a sequence of actions."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from envs.wrappers.action_repeat import take_steps
from envs.wrappers.action_view import INTERVENE_ACTION
from robotkit import InvalidConfiguration


def stack_obs(observations: Sequence[Any]) -> Any:
    """Stack arrays, or dicts of arrays, along a new first axis."""
    first = observations[0]
    if isinstance(first, Mapping):
        return {key: stack_obs([observation[key] for observation in observations]) for key in first}
    return np.stack(observations)


def space_stack(space: spaces.Space[Any], repeat: int) -> spaces.Space[Any]:
    """The space of `repeat` elements of `space`, stacked by `stack_obs`.

    Raises:
        InvalidConfiguration: only boxes, discrete numbers and dicts of them can be stacked.
    """
    if isinstance(space, spaces.Box):
        low, high = (np.repeat(bound[None], repeat, axis=0) for bound in (space.low, space.high))
        return spaces.Box(low, high, dtype=space.dtype.type)
    if isinstance(space, spaces.Discrete):
        return spaces.MultiDiscrete([space.n] * repeat, start=[space.start] * repeat)
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: space_stack(part, repeat) for key, part in space.items()})
    raise InvalidConfiguration(f"cannot stack a space of type {type(space).__name__}; use Box, Discrete or Dict")


class ChunkingWrapper(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Shows the last `obs_horizon` observations and takes `act_exec_horizon` actions at a time.

    Every leaf of the observation gains a first axis of length `obs_horizon`, oldest first; the first observation of an
    episode fills it. Rewards of the actions taken are summed, and an episode that ends on the way ends at once.

    Args:
        env: what is wrapped.
        obs_horizon: observations shown, at least 1.
        act_exec_horizon: actions taken a step, of which the policy may give more; None takes one plain action.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], obs_horizon: int, act_exec_horizon: int | None = None) -> None:
        RecordConstructorArgs.__init__(self, obs_horizon=obs_horizon, act_exec_horizon=act_exec_horizon)
        super().__init__(env)
        if obs_horizon < 1 or (act_exec_horizon is not None and act_exec_horizon < 1):
            raise InvalidConfiguration(f"horizons are at least 1, got {obs_horizon=}, {act_exec_horizon=}")
        self._act_exec_horizon = act_exec_horizon
        self._history: deque[Any] = deque(maxlen=obs_horizon)
        self.observation_space = space_stack(env.observation_space, obs_horizon)
        if act_exec_horizon is not None:
            self.action_space = space_stack(env.action_space, act_exec_horizon)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, and fill the history with the first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._history.extend([observation] * (self._history.maxlen or 1))
        return stack_obs(self._history), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take the first `act_exec_horizon` of the given actions.

        Raises:
            InvalidConfiguration: fewer actions were given.
        """
        actions = self._actions(action)
        result = take_steps(self.env, actions)
        self._history.extend(result.observations)
        if any(taken is not None for taken in result.steered):
            done = [given if taken is None else taken for given, taken in zip(actions, result.steered, strict=False)]
            taken_and_left = np.stack([*done, *actions[len(done) :]])
            result.info[INTERVENE_ACTION] = taken_and_left[0] if self._act_exec_horizon is None else taken_and_left
        return stack_obs(self._history), result.reward, result.terminated, result.truncated, result.info

    def _actions(self, action: Any) -> Any:
        if self._act_exec_horizon is None:
            return [action]
        if len(action) < self._act_exec_horizon:
            raise InvalidConfiguration(f"{self._act_exec_horizon} actions are taken a step, got only {len(action)}")
        return action[: self._act_exec_horizon]
