"""One checkpoint, two cells: what was learned in the MuJoCo cell runs unchanged on the Franka driver, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import robotkit as rk
from rl.agents.continuous.sac_config import SacConfig
from rl.cli import main
from rl.config import TrainConfig, load_config, save_config
from rl.link.messages import AgentSpec
from rl.training.learner_parts import make_agent
from rl.training.processes import load_policy
from rl.utils.checkpoint import Checkpoints
from rl.utils.run_directory import CHECKPOINTS
from rl.utils.seeds import Seeds
from rl.wrappers.make_env import make_env
from tests.end_to_end.runs import end, start
from tests.serving import served
from tests.support.franky_sim import shared_simulator
from tests.support.franky_sim.cells import franka_cell
from tests.support.franky_sim.clock import SimulatedTime

ENV = "envs:PandaReach-v0"
LAB = str(Path(__file__).parents[3] / "examples" / "cells" / "mujoco.toml")

TRAINING = (
    *("--env", ENV, "--cell", LAB, "--steps", "4000", "--random-steps", "300", "--training-starts", "300"),
    *("--utd-ratio", "4", "--env-steps-per-update", "1", "--max-lead", "16", "--batch-size", "128"),
    *("--agent.critic-ensemble-size", "2", "--agent.discount", "0.9", "--agent.hidden-dims", "128", "128"),
    *("--agent.activations", "tanh"),
    *("--agent.actor-optimizer.learning-rate", "1e-3", "--agent.actor-optimizer.warmup-steps", "0"),
    *("--agent.critic-optimizer.learning-rate", "1e-3", "--agent.critic-optimizer.warmup-steps", "0"),
    *("--evaluation.every-steps", "1000", "--evaluation.episodes", "10", "--learner-threads", "1"),
)
"""As in docs/control_pc.md; two minutes on two cores."""


@pytest.fixture
def franka_url() -> Iterator[str]:
    """The Franka driver behind the HTTP server; its control periods last as long in the arm's own time."""
    cell = rk.make_workcell(franka_cell(shared_simulator().host))
    cell.clock = SimulatedTime(shared_simulator())
    with served(cell) as url:
        cell.robot.recover()  # a server of a real arm starts with the arm stopped
        yield url


def clone_expert(out: Path) -> None:
    """Leave a run in `out` whose small policy imitates a scripted controller, as seen in the MuJoCo cell."""
    config = TrainConfig(env=ENV, cell=LAB, out=out, agent=SacConfig(hidden_dims=(64, 64)), compile=False)
    env = make_env(ENV, LAB, config.adaptation())
    observations, actions = expert_steps(env, episodes=10)
    agent = make_agent(config, AgentSpec.of(ENV, env), Seeds(0))
    env.close()
    torch.manual_seed(0)
    module = agent.policy.module
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    for _ in range(400):
        rows = torch.randint(len(observations), (256,))
        loss = torch.nn.functional.mse_loss(module(observations[rows], 1.0).mode(), actions[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_config(config, out / "config.json")
    Checkpoints(out / CHECKPOINTS).save(1, {"agent": agent.state_dict(), "updates": 0})


def expert_steps(env: gymnasium.Env, episodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations, and what the controller does there; noise in what is done shows the way back too."""
    rng = np.random.default_rng(0)
    observations, actions = [], []
    for _ in range(episodes):
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        for _ in range(40):
            _, speed, way = np.split(observation, 3)
            action = np.clip(20.0 * (way - 0.15 * speed), -0.95, 0.95).astype(np.float32)
            observations.append(observation)
            actions.append(action)
            observation, *_ = env.step(np.clip(action + rng.normal(0.0, 0.3, 3), -1, 1).astype(np.float32))
    return torch.tensor(np.array(observations)), torch.tensor(np.array(actions))


def success_rate(out: Path, episodes: int, capsys: pytest.CaptureFixture[str], *others: str) -> float:
    """What `robotkit-train evaluate` prints."""
    main(["evaluate", "--out", str(out), "--episodes", str(episodes), *others])
    found = re.search(r"success +(\d+)%", capsys.readouterr().out)
    assert found is not None
    return int(found[1]) / 100


def final_distances_m(out: Path, cell: str, episodes: int) -> np.ndarray:
    """Distance from tool to goal at the end of each episode, from the same goals in every cell."""
    config = load_config(out / "config.json")
    env = make_env(config.env, cell, config.adaptation())
    _, policy = load_policy(config, None, AgentSpec.of(config.env, env))
    found = []
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        is_over = False
        while not is_over:
            action = policy.sample_actions(observation, argmax=True)
            observation, _, terminated, truncated, info = env.step(action)
            is_over = terminated or truncated
        found.append(info["distance_m"])
    env.close()
    return np.array(found)


def test_a_policy_from_the_mujoco_cell_reaches_with_the_franka_driver(franka_url, tmp_path, capsys):
    clone_expert(tmp_path)
    assert success_rate(tmp_path, 5, capsys) == 1.0
    assert success_rate(tmp_path, 2, capsys, "--cell", franka_url) == 1.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_policy_trained_in_the_mujoco_cell_reaches_with_the_franka_driver(franka_url, tmp_path, capsys):
    process = start("train", *TRAINING, "--out", tmp_path, log=tmp_path / "train.log")
    try:
        assert process.wait(1200) == 0, (tmp_path / "train.log").read_text()
    finally:
        end(process)
    rates = success_rate(tmp_path, 10, capsys), success_rate(tmp_path, 10, capsys, "--cell", franka_url)
    for name, rate, cell in zip(("MuJoCo", "Franka driver"), rates, (LAB, franka_url), strict=True):
        off_mm = 1e3 * final_distances_m(tmp_path, cell, 10)
        with capsys.disabled():
            print(f"{name}: success {rate:.0%}, final distance {off_mm.mean():.2f} mm, at most {off_mm.max():.2f} mm")
        assert rate >= 0.9
        assert off_mm.mean() < 10.0
