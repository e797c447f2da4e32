"""A run that was interrupted ends with the very same networks as one that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl.agents.continuous.sac_config import SacConfig
from rl.config import ReplayConfig, TrainConfig
from rl.data.demos import record_demos
from rl.data.journal import TransitionJournal
from rl.link.hub import LearnerHub
from rl.link.messages import AgentSpec
from rl.training.processes import learn
from rl.training.trainer import Progress
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS, JOURNAL
from rl.utils.seeds import Seeds
from rl.utils.subprocesses import StopSignal
from rl.utils.tree import stack
from rl.wrappers.make_env import make_env

ENV = "tests.support.tiny_env:FollowTarget-v0"


def config(out: Path, steps: int, demos: Path) -> TrainConfig:
    return TrainConfig(
        env=ENV,
        out=out,
        steps=steps,
        batch_size=16,
        utd_ratio=2,
        env_steps_per_update=4,
        training_starts=100,
        compile=False,
        checkpoint_every=0,
        learner_threads=1,
        agent=SacConfig(critic_ensemble_size=3, hidden_dims=(16, 16)),
        replay=ReplayConfig(n_step=3, demos=(demos,)),
    )


def collect(env: gym.Env, out: Path, steps: int = 300) -> None:
    """A journal as an actor leaves it."""
    out.mkdir()
    with TransitionJournal(out / JOURNAL) as journal:
        observation, _ = env.reset(seed=0)
        for number in range(steps):
            action = np.array([np.sin(number)], np.float32)
            following, reward, terminated, truncated, _ = env.step(action)
            row = {
                "observations": observation,
                "actions": action,
                "next_observations": following,
                "rewards": np.float32(reward),
                "masks": np.float32(not terminated),
                "dones": np.float32(terminated or truncated),
            }
            journal.append("arm/a", number, stack([row]))
            observation = env.reset()[0] if truncated else following


def trained(settings: TrainConfig, spec: AgentSpec) -> dict[str, Any]:
    """Train in this process and return what the last checkpoint holds."""
    seeds = Seeds(settings.seed)
    seeds.seed_globals()
    out = settings.directory()
    with TransitionJournal(out / JOURNAL) as journal:
        learn(settings, seeds, LearnerHub(journal, settings.env, spec), spec, Progress(settings.steps), StopSignal())
    return Checkpoints(out / CHECKPOINTS).load()[1]


@pytest.mark.usefixtures("_one_thread")
def test_an_interruption_changes_nothing(tmp_path: Path):
    env = make_env(ENV)
    spec = AgentSpec.of(ENV, env)
    demos = tmp_path / "demos.sqlite"
    record_demos(demos, env, lambda observation: observation[:1], 5, seed=1)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for out in (whole, torn):
        collect(env, out)
    straight = trained(config(whole, 300, demos), spec)
    first_half = config(torn, 200, demos)
    assert trained(first_half, spec)["updates"] == 25
    resumed = trained(replace(first_half, steps=300), spec)
    assert straight["updates"] == resumed["updates"] == 50
    assert_same(straight, resumed, "state")


def assert_same(first: Any, second: Any, where: str, tolerance: float = 0.0) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for name in first:
            assert_same(first[name], second[name], f"{where}/{name}", tolerance)
    elif isinstance(first, (list, tuple)):
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{where}/{index}", tolerance)
    elif isinstance(first, torch.Tensor):
        if tolerance and first.is_floating_point():
            torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance, msg=where)
        else:
            assert torch.equal(first, second), where
    else:
        assert first == second, where


@pytest.fixture
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
