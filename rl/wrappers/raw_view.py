"""RawView: observations and actions of an environment, translated to those of an agent and back without a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from rl.errors import SchemaMismatch
from rl.utils.tree import stack
from rl.wrappers.scaled_actions import ScaledActions


class RawView:
    """The conversion of observations and actions by the wrappers between an environment and an agent.

    Args:
        raw: the environment as it is.
        adapted: the same one in the wrappers of `rl.wrappers.make_env.adapt`.
        frame_stack: newest observations that the agent sees together.
    """

    def __init__(self, raw: gym.Env, adapted: gym.Env, frame_stack: int) -> None:
        self._space, self._frame_stack = raw.observation_space, frame_stack
        self._action_space = raw.action_space
        self._seen_space = adapted.observation_space
        self._wrappers: list[gym.Wrapper] = []
        while adapted is not raw:
            assert isinstance(adapted, gym.Wrapper)
            self._wrappers.append(adapted)
            adapted = adapted.env

    def observations(self, raw: Any) -> tuple[Any, bool]:
        """The agent's observation that belongs to one of the environment.

        Args:
            raw: an observation of the environment. Of environments whose observation is one array also a batch of them,
                (N, …); and with `frame_stack` > 1 the newest ones, oldest first: a sequence, or an array (T, …). Where
                fewer are given, the first one is repeated, as at the beginning of an episode.

        Returns:
            An observation or a batch for the policy, and whether it is a batch.

        Raises:
            SchemaMismatch: the environment has no such observations, or a number is not finite.
        """
        try:
            if self._frame_stack > 1:
                return self._seen(self._history(raw)), False
            if self._has_another_axis(raw):
                return self._stacked([self._seen([one]) for one in raw]), True
            return self._seen([raw]), False
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise self._mismatch(raw) from error

    def newest(self, raw: Any) -> Any:
        """The newest one of observations that `observations` takes; a batch of single ones stays a batch."""
        return self._history(raw)[-1] if self._frame_stack > 1 else raw

    def actions(self, chosen: np.ndarray) -> np.ndarray:
        """The environment's action for one of the agent's in [-1, 1], or a batch of them."""
        for wrapper in self._wrappers:
            if isinstance(wrapper, gym.ActionWrapper):
                chosen = wrapper.action(chosen)
        return np.asarray(chosen, self._action_space.dtype)

    def agent_actions(self, taken: np.ndarray) -> np.ndarray:
        """The agent's action in [-1, 1] for one of the environment, such as an expert's, or a batch of them."""
        for wrapper in reversed(self._wrappers):
            if isinstance(wrapper, ScaledActions):
                taken = wrapper.agent_action(taken)
        return taken

    def _history(self, raw: Any) -> list[Any]:
        if isinstance(raw, (list, tuple)) or self._has_another_axis(raw):
            given = list(raw)[-self._frame_stack :]
        else:
            given = [raw]
        return [given[0]] * (self._frame_stack - len(given)) + given

    def _has_another_axis(self, raw: Any) -> bool:
        shape = self._space.shape
        return isinstance(self._space, gym.spaces.Box) and shape is not None and np.ndim(raw) == len(shape) + 1

    def _seen(self, history: list[Any]) -> Any:
        for observation in history:
            if isinstance(self._space, gym.spaces.Box) and np.shape(observation) != self._space.shape:
                raise self._mismatch(observation)
        seen = history
        for wrapper in reversed(self._wrappers):
            if isinstance(wrapper, gym.wrappers.FrameStackObservation):
                space = wrapper.env.observation_space
                room: Any = create_empty_array(space, len(seen))
                seen = [concatenate(space, seen, room)]
            elif isinstance(wrapper, gym.ObservationWrapper):
                seen = [wrapper.observation(one) for one in seen]
        return self._checked(seen[0])

    def _checked(self, seen: Any) -> Any:
        shapes = {name: np.shape(value) for name, value in seen.items()} if isinstance(seen, dict) else np.shape(seen)
        space = self._seen_space
        wanted = (
            {name: inner.shape for name, inner in space.spaces.items()}
            if isinstance(space, gym.spaces.Dict)
            else space.shape
        )
        if shapes != wanted:
            raise self._mismatch(seen)
        if not all(np.isfinite(value).all() for value in (seen.values() if isinstance(seen, dict) else (seen,))):
            raise SchemaMismatch("this observation has numbers that are not finite: find out where they come from")
        return seen

    @staticmethod
    def _stacked(seen: Sequence[Any]) -> Any:
        return stack(list(seen)) if isinstance(seen[0], dict) else np.stack(seen)

    def _mismatch(self, raw: Any) -> SchemaMismatch:
        parts = {name: np.asarray(value) for name, value in sorted(raw.items())} if isinstance(raw, dict) else {}
        inner = ", ".join(f"{name!r}: {value.dtype} of shape {value.shape}" for name, value in parts.items())
        what = f"the keys {{{inner}}}" if isinstance(raw, dict) else f"shape {np.shape(raw)}"
        return SchemaMismatch(
            f"this is no observation of the environment: it has {what}, and the environment gives {self._space}. Pass "
            "what env.reset() or env.step() returned"
        )
