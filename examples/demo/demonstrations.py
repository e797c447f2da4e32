"""Demonstrations by a script that sees what the policy sees."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import gymnasium as gym

from envs.experts.pick_cube import PickCubeExpert, PickCubeStrategy
from rl.data.demos import DemoSummary, record_demos
from rl.recording.record_demos import ExpertWrapper
from rl.wrappers.make_env import EnvAdapterConfig, adapt


def collect(
    env_id: str, cell: str, path: Path, episodes: int, seed: int, adaptation: EnvAdapterConfig, speed: float
) -> DemoSummary:
    """Record successful episodes of the expert, with the observations that the learner will get.

    Args:
        env_id: Gymnasium id of a pick-cube environment.
        cell: name, file or URL of the workcell.
        path: file to write.
        episodes: how many to keep.
        seed: the episodes' seeds are drawn from it.
        adaptation: how the environment will look to the learner.
        speed: of the expert, in (0, 1].
    """
    expert_env = ExpertWrapper(gym.make(env_id, cell=cell), PickCubeExpert(PickCubeStrategy(speed=speed)))
    with closing(adapt(expert_env, adaptation)) as env:
        return record_demos(
            path, env, lambda _: expert_env.act(), episodes, seed, origin={"env": env_id, **asdict(adaptation)}
        )
