"""The base policy's action as a part of the observation: how it is added, taken out, and corrected by a residual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from rl.utils.tree import map_leaves
from rl.wrappers.pixel_observation import STATE


def executed_action(base: np.ndarray, residual: np.ndarray, scale: Sequence[float]) -> np.ndarray:
    """`clip(base + scale * residual, -1, 1)`, float32.

    Silver et al. 2018 (arXiv:1812.06298) and Johannink et al. 2019 (arXiv:1812.03201), with the residual bounded.

    Args:
        base: actions (..., A) of the base policy.
        residual: what the agent chose (..., A), in [-1, 1].
        scale: largest correction of each number (A,).
    """
    corrected = np.asarray(base, np.float64) + np.asarray(scale) * np.asarray(residual, np.float64)
    executed: np.ndarray = np.clip(corrected, -1.0, 1.0).astype(np.float32)
    return executed


def residual_of(executed: np.ndarray, base: np.ndarray, scale: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The residuals (..., A), float32, that come nearest to executed actions, and whether each (...) is clipped.

    Args:
        executed: actions (..., A) in [-1, 1], such as a human's.
        base: actions (..., A) of the base policy in the same states.
        scale: largest correction of each number (A,).
    """
    wanted = (np.asarray(executed, np.float64) - np.asarray(base, np.float64)) / np.asarray(scale)
    residual = np.clip(wanted, -1.0, 1.0)
    is_clipped = (np.abs(wanted) > 1.0 + 1e-6).any(-1)
    return residual.astype(np.float32), is_clipped


def add_base_action(observation: Any, base: np.ndarray) -> Any:
    """An observation with the base's action (A,) at the end: of the vector, or of each stacked state beside images."""
    if not isinstance(observation, dict):
        return np.concatenate((observation, base)).astype(np.float32)
    frames = len(next(iter(observation.values())))
    repeated = np.broadcast_to(base, (len(observation.get(STATE, ())) or frames, len(base)))
    state = np.concatenate((observation[STATE], repeated), -1) if STATE in observation else repeated
    return {**observation, STATE: state.astype(np.float32)}


def add_base_actions(observations: Any, base: np.ndarray) -> Any:
    """A batch of observations (N, …), each with the base's action of its row (N, A), as `add_base_action` adds it."""
    if not isinstance(observations, dict):
        return np.concatenate((observations, base), -1).astype(np.float32)
    rows = [
        add_base_action(map_leaves(lambda array, row=row: array[row], observations), base[row])
        for row in range(len(base))
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def add_base_space(space: gym.Space[Any], action_dim: int) -> gym.Space[Any]:
    """The space of observations to which the base's action was added."""
    if isinstance(space, gym.spaces.Dict):
        frames = next(iter(space.spaces.values())).shape[0]  # type: ignore[index]
        state = space.spaces.get(STATE, gym.spaces.Box(0.0, 0.0, (frames, 0), np.float32))
        return gym.spaces.Dict({**space.spaces, STATE: add_base_space(state, action_dim)})
    assert isinstance(space, gym.spaces.Box)
    pad = [(0, 0)] * (len(space.shape) - 1) + [(0, action_dim)]
    low, high = (
        np.pad(bound.astype(np.float32), pad, constant_values=end)
        for bound, end in ((space.low, -1.0), (space.high, 1.0))
    )
    return gym.spaces.Box(low, high, dtype=np.float32)


def without_base_space(space: gym.Space[Any], action_dim: int) -> gym.Space[Any]:
    """The space of the observations before the base's action was added."""
    if isinstance(space, gym.spaces.Dict):
        state = without_base_space(space.spaces[STATE], action_dim)
        is_empty = not state.shape or not state.shape[-1]
        parts = {name: inner for name, inner in space.spaces.items() if name != STATE}
        return gym.spaces.Dict(parts if is_empty else {**parts, STATE: state})
    assert isinstance(space, gym.spaces.Box)
    return gym.spaces.Box(space.low[..., :-action_dim], space.high[..., :-action_dim], dtype=np.float32)


def base_action_in(observations: Any, action_dim: int) -> np.ndarray:
    """The base's actions (..., A) in observations that hold them, one or a batch."""
    if isinstance(observations, dict):
        return np.asarray(observations[STATE])[..., -1, -action_dim:]
    return np.asarray(observations)[..., -action_dim:]
