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
from rl.data.journal import TransitionJournal
from rl.data.sqlite_file import IN_MEMORY
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


def steered(start: int, count: int) -> dict[str, np.ndarray]:
    """Transitions of one long episode, in every second of which a human acted."""
    return {**numbered(start, count), "is_intervention": (np.arange(count) % 2).astype(np.float32)}


def test_l17_interventions_drive_out_no_demonstration_and_their_own_oldest_go(tmp_path: Path):
    demos = demonstrations(tmp_path / "demos.sqlite", success(6))
    settings = config(replay=ReplayConfig(demos=(demos,), capacity=200, interventions=10), steps=2000)
    memory = filled(settings, steered(1000, 100))
    assert memory.demos is not None
    assert memory.interventions is not None
    drawn = np.concatenate([next(memory.batches)["observations"][:, 0] for _ in range(300)])
    own = {1000 + number for number in range(100)}
    humans = {float(number) for number in range(1081, 1100, 2)}
    seen = set(drawn.tolist())
    assert set(range(6)) <= seen, "every demonstration is still drawn"
    assert humans <= set(memory.interventions.sample(10, indices=np.arange(10))["observations"][:, 0])
    assert seen <= set(range(6)) | own
    from_demos = np.isin(drawn, range(6)).mean()
    assert abs(from_demos - 0.5 * 6 / 16) < 0.03, "uniform over demonstrations and interventions together"


def test_l17_the_draws_of_a_checkpoint_go_on(tmp_path: Path):
    demos = demonstrations(tmp_path / "demos.sqlite", success(6))
    settings = config(replay=ReplayConfig(demos=(demos,), capacity=200, interventions=10), steps=2000)
    straight, resumed = filled(settings, steered(1000, 100)), filled(settings, steered(1000, 100))
    for _ in range(5):
        next(straight.batches)
    resumed.batches.load_state_dict(straight.batches.state_dict())
    for _ in range(5):
        np.testing.assert_array_equal(next(straight.batches)["observations"], next(resumed.batches)["observations"])
