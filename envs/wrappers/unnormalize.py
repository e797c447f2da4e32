"""`UnnormalizeActionProprio`: a policy that was trained on normalised data acts in the original units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.wrappers.action_view import ActionView
from robotkit import InvalidConfiguration


@dataclass(frozen=True)
class Scaling:
    """x = offset + scale * normalised x, number by number."""

    offset: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, kind: Literal["normal", "bounds"], first: Any, second: Any) -> Scaling:
        """Make the scaling from the statistics of a data set.

        Args:
            kind: "normal" normalises to mean 0 and deviation 1, "bounds" to [-1, 1].
            first: the mean, or the minimum; shape (n,).
            second: the standard deviation, or the maximum; shape (n,).

        Raises:
            InvalidConfiguration: the shapes differ, or a number never varied.
        """
        a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
        if kind not in ("normal", "bounds") or a.ndim != 1 or a.shape != b.shape:
            raise InvalidConfiguration(
                f'statistics are two rows of equal length and "normal" or "bounds", got {a.shape}, {b.shape}, {kind!r}'
            )
        offset, scale = (a, b) if kind == "normal" else ((a + b) / 2, (b - a) / 2)
        if not (np.isfinite(offset) & (scale > 0.0) & np.isfinite(scale)).all():
            raise InvalidConfiguration(f"every number must vary in the data (spread above 0), got {b.tolist()}")
        return cls(offset, scale)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Return `values` as the policy's numbers, float32."""
        normal: np.ndarray = ((values - self.offset) / self.scale).astype(np.float32)
        return normal

    def restore(self, values: np.ndarray) -> np.ndarray:
        """Return `values` as the original numbers, float32."""
        original: np.ndarray = (self.offset + values * self.scale).astype(np.float32)
        return original


class UnnormalizeActionProprio(ActionView):
    """Actions are restored on their way in; the state is normalised at resets and at steps alike.

    Args:
        env: its actions are a flat Box; its state, when `proprio` is given, a flat vector (SERL's layout).
        action: statistics of the actions that the policy was trained on.
        proprio: of the state; None leaves it alone.
        key: the state's name in the observation.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], action: Scaling, proprio: Scaling | None = None, key: str = "state"
    ) -> None:
        super().__init__(env)
        self._action, self._proprio, self._key = action, proprio, key
        actions = env.action_space
        _require_length("the action", actions, action)
        assert isinstance(actions, spaces.Box)
        low, high = action.normalise(actions.low), action.normalise(actions.high)
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        if proprio is not None:
            space = env.observation_space
            state = space.spaces.get(key) if isinstance(space, spaces.Dict) else None
            _require_length(f"observation[{key!r}]", state, proprio)
            assert isinstance(space, spaces.Dict)
            assert isinstance(state, spaces.Box)
            normal = spaces.Box(proprio.normalise(state.low), proprio.normalise(state.high), dtype=np.float32)
            self.observation_space = spaces.Dict({**space.spaces, key: normal})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset, and normalise the state."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._normalised(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step with the restored action, and normalise the state."""
        observation, *rest = super().step(action)
        return self._normalised(observation), *rest

    def inward(self, action: np.ndarray) -> np.ndarray:
        """The original action."""
        return self._action.restore(action)

    def outward(self, action: np.ndarray) -> np.ndarray:
        """The normalised action."""
        return self._action.normalise(action)

    def _normalised(self, observation: Any) -> Any:
        if self._proprio is None:
            return observation
        return {**observation, self._key: self._proprio.normalise(observation[self._key])}


def _require_length(what: str, space: spaces.Space[Any] | None, scaling: Scaling) -> None:
    if not isinstance(space, spaces.Box) or space.shape != scaling.offset.shape:
        raise InvalidConfiguration(f"{what} must be a flat vector of {scaling.offset.size} numbers, it is {space}")
