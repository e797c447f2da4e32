"""Demonstrations by a script that sees what the policy sees."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from envs.experts.pick_cube import PickCubeExpert, PickCubeStrategy
from rl.data.demos import DemoSummary, record_demos
from rl.environments import Adaptation, adapt


class Scripted(gym.Wrapper):
    """Keeps the newest observation for an expert, and starts the expert anew with each episode."""

    def __init__(self, env: gym.Env, expert: PickCubeExpert) -> None:
        super().__init__(env)
        self._expert = expert
        self._observation: dict[str, Any] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset environment and expert."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._expert.reset(self._observation)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        result = self.env.step(action)
        self._observation = result[0]
        return result

    def act(self) -> np.ndarray:
        """What the expert does now."""
        return self._expert.act(self._observation)


def collect(
    env_id: str, cell: str, path: Path, episodes: int, seed: int, adaptation: Adaptation, speed: float
) -> DemoSummary:
    """Record successful episodes of the expert, with the observations that the learner will get.

    Args:
        env_id: Gymnasium id of a pick-cube environment.
        cell: name, file or URL of the workcell.
        path: file to write.
        episodes: how many to keep.
        seed: of the first reset.
        adaptation: how the environment will look to the learner.
        speed: of the expert, in (0, 1].
    """
    scripted = Scripted(gym.make(env_id, cell=cell), PickCubeExpert(PickCubeStrategy(speed=speed)))
    with closing(adapt(scripted, adaptation)) as env:
        origin = {"env": env_id, **asdict(adaptation)}
        return record_demos(path, env, lambda _: scripted.act(), episodes, seed, origin=origin)
