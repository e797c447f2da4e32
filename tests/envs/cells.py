"""Cells that the env tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

import envs  # noqa: F401  (registers the ids)

# An action of 1 along three axes moves the target by 0.17 m, more than the fake cell's own limit.
FAKE = {"cell": "fake", "cell_overrides": {"limits.max_translation_step_m": 0.2}}
MUJOCO: dict[str, Any] = {}
IDS = ("PandaPickCube-v0", "PandaPickCubeVision-v0")


@contextmanager
def made(id: str = IDS[0], **kwargs: Any) -> Iterator[gymnasium.Env[Any, Any]]:
    env = gymnasium.make(id, **kwargs)
    try:
        yield env
    finally:
        env.close()


def random_actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 4)).astype(np.float32)


def flat(observation: Any) -> np.ndarray:
    """Every number of an observation's state, keys in alphabetical order."""
    state = observation["state"]
    return np.concatenate([state[key] for key in sorted(state)])
