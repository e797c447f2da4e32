"""Experts that take their time, so that a recording can be killed in the middle."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np

from tests.support.lamp_env import Chancer

_STEP_S = 0.01


class SlowFollower:
    """Solves `FollowTarget`."""

    def __init__(self, env: gym.Env) -> None:
        pass

    def reset(self, observation: Any) -> None:
        pass

    def act(self, observation: Any) -> np.ndarray:
        time.sleep(_STEP_S)
        return observation[:1]


class SlowChancer(Chancer):
    """Lights the lamp as `Chancer` does."""

    def act(self, observation: Any) -> np.ndarray:
        time.sleep(_STEP_S)
        return super().act(observation)
