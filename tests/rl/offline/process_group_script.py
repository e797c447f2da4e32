"""The work of each process in `test_process_group`: clone, classify and learn, and store the last weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from rich.console import Console

from rl.agents.continuous.bc import BcConfig
from rl.agents.continuous.sac import SACAgent, SacConfig, batch_rows
from rl.common.optimizers import OptimizerConfig
from rl.offline.bc import TrainBcOptions, train_bc
from rl.utils.distributed import ProcessGroup, joined_process_group
from rl.utils.subprocesses import StopSignal

ENV = "tests.support.tiny_env:FollowTarget-v0"
ROWS = 24
CPU = torch.device("cpu")


def clone(demos: Path, out: Path) -> None:
    """Behaviour cloning through the command's own function."""
    config = BcConfig(hidden_dims=(16,), optimizer=OptimizerConfig(1e-2), std_min=0.1, standardises=True)
    options = TrainBcOptions(
        (demos,), out, ENV, epochs=4, batch_size=20, held_out=0.2, checkpoint_every=2, threads=1, bc=config
    )
    train_bc(options, StopSignal(), Console(quiet=True))


def learn(group: ProcessGroup) -> dict[str, torch.Tensor]:
    """A few updates of soft actor-critic, on this process's rows of one joint batch; the rank must not matter."""
    optimizer = OptimizerConfig(1e-2)
    config = SacConfig(
        critic_ensemble_size=3, hidden_dims=(16,),
        actor_optimizer=optimizer, critic_optimizer=optimizer, temperature_optimizer=optimizer,
    )  # fmt: skip
    agent = SACAgent.create_states(3, 2, config, seed=group.rank)
    agent.state.join(group)
    generator = torch.Generator().manual_seed(5)
    shard = ROWS // group.size
    start, stop = group.rank * shard, (group.rank + 1) * shard
    joint = SACAgent.create_states(3, 2, config, seed=9)
    for _ in range(4):
        batch = {
            "observations": torch.randn(ROWS, 3, generator=generator),
            "next_observations": torch.randn(ROWS, 3, generator=generator),
            "actions": torch.rand(ROWS, 2, generator=generator) * 1.8 - 0.9,
            "rewards": torch.randn(ROWS, generator=generator),
            "masks": torch.ones(ROWS),
        }
        noise = joint.draw_noise(ROWS)
        agent.update(batch_rows(batch, start, stop), noise=noise.rows(start, stop))
    return {**agent.state.modules.state_dict(), **agent.state.targets.state_dict(prefix="target.")}


def main(demos: Path, out: Path) -> None:
    """Everything, under torchrun or alone."""
    torch.set_num_threads(1)
    with joined_process_group(CPU) as group:
        clone(demos, out / "bc")
        torch.save(learn(group), out / f"sac-{group.rank}.pt")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
