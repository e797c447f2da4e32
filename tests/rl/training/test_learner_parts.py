"""What a learner is built of learns from what was stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rl.agents.continuous.sac_config import SacConfig
from rl.config import ReplayConfig, TrainConfig
from rl.data.demos import DemoWriter
from rl.data.journal import IN_MEMORY, TransitionJournal
from rl.link.messages import AgentSpec
from rl.training.learner_parts import Memory, make_agent, make_memory
from rl.utils.seeds import Seeds
from tests.rl.data.transitions import ACTIONS, OBSERVATIONS, numbered, row

DISCOUNT = 0.97
NETWORKS = SacConfig(critic_ensemble_size=2, critic_subsample_size=None, hidden_dims=(8,), discount=DISCOUNT)


class Spaces(gym.Env):
    """Has spaces, and is never stepped."""

    observation_space, action_space = OBSERVATIONS, ACTIONS


SPEC = AgentSpec.of("Spaces-v0", Spaces())


def success(length: int) -> dict[str, np.ndarray]:
    """An episode that pays 1 at its end, and terminates there."""
    last = (np.arange(length) == length - 1).astype(np.float32)
    return {**numbered(0, length), "rewards": last, "masks": 1 - last, "dones": last}


def demonstrations(path: Path, *episodes: dict[str, np.ndarray]) -> Path:
    with DemoWriter(path, OBSERVATIONS, ACTIONS) as writer:
        for episode in episodes:
            writer.write_episode([row(episode, step) for step in range(len(episode["rewards"]))], success=True)
    return path


def filled(settings: TrainConfig, *blocks: dict[str, np.ndarray]) -> Memory:
    """The buffers after these blocks of one actor."""
    agent = make_agent(settings, SPEC, Seeds(0))
    memory = make_memory(settings, SPEC, agent, Seeds(0))
    with TransitionJournal(IN_MEMORY) as journal:
        sent = 0
        for block in blocks:
            journal.append("arm/a", sent, block)
            sent += len(block["rewards"])
        memory.make_loader(settings, agent, journal).poll()
    return memory


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(batch_size=8, utd_ratio=1, compile=False, agent=NETWORKS, **changes)


def test_l3_each_step_of_a_sum_bears_the_bias_live_and_from_demonstrations(tmp_path: Path):
    """With the true values as critic, a step before the end costs 1: n = 3, discount 0.97, bias -1."""
    demos = demonstrations(tmp_path / "demos.sqlite", success(6))
    settings = config(replay=ReplayConfig(n_step=3, demos=(demos,), capacity=20))
    memory = filled(replace(settings, agent=replace(NETWORKS, reward_bias=-1.0)), success(6))
    values = np.array([-sum(DISCOUNT**k for k in range(5 - step)) for step in range(6)] + [17.0])
    np.testing.assert_allclose(values[:6], [-4.71, -3.82, -2.91, -1.97, -1, 0], atol=0.01)
    assert memory.demos is not None
    for buffer in (memory.replay, memory.demos):
        batch = buffer.sample(6, indices=np.arange(6))
        following = values[batch["next_observations"][:, 0].astype(int)]
        targets = batch["rewards"] - 1.0 + DISCOUNT * batch["masks"] * following
        np.testing.assert_allclose(targets, values[:6], atol=1e-5)
