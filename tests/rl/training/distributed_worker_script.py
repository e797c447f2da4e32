"""The work of each process in `test_distributed_worker`: a few updates of every agent; its last state is stored."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rl.agents.continuous.distributed_agent import DistributedAgent
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.agents.continuous.sac import SACAgent, SacConfig
from rl.common.optimizers import OptimizerConfig
from rl.nn.layers import init_parameters
from rl.utils.command_channel import CommandChannel
from rl.utils.distributed import joined_process_group
from tests.rl.agents import hybrids, pixels, test_hybrid_pixels

ROWS, UTD, UPDATES = 24, 3, 3
FAST = OptimizerConfig(1e-3)
CPU = torch.device("cpu")


def state_agent(seed: int, **changes: Any) -> SACAgent:
    """Soft actor-critic on vectors, over several passes for a minibatch."""
    config = SacConfig(
        critic_ensemble_size=3, hidden_dims=(16,), microbatch_size=3,
        actor_optimizer=FAST, critic_optimizer=FAST, temperature_optimizer=FAST,
    )  # fmt: skip
    return SACAgent.create_states(hybrids.OBSERVATION, 4, replace(config, **changes), seed=seed)


def proposal_agent(seed: int) -> SACAgent:
    """An agent with a proposal policy that is another one for each seed."""
    proposal = ProposalConfig(acts=True, bootstraps=True, trusts_critics_after=2, hidden_dims=(8,))
    agent = state_agent(seed, proposal=proposal)
    assert agent.proposal is not None
    init_parameters(agent.proposal, torch.Generator().manual_seed(seed))
    return agent


SERL_LIKE = replace(pixels.SMALL, crops_as_in_serl=True, actor_on_last_slice=True)

CASES = {
    "sac": (state_agent, lambda seed: hybrids.make_batch(ROWS, seed=seed)),
    "sac-as-in-serl": (
        lambda seed: state_agent(seed, selective_optimizer_steps=False, subsample_with_replacement=True),
        lambda seed: hybrids.make_batch(ROWS, seed=seed),
    ),
    "sac-with-proposal": (proposal_agent, lambda seed: hybrids.make_batch(ROWS, seed=seed)),
    "drq": (
        lambda seed: pixels.make_drq(pixels.TRAINED, seed),
        lambda seed: pixels.make_batch(ROWS, seed, packed=True),
    ),
    "drq-frozen": (
        lambda seed: pixels.make_drq(pixels.FROZEN, seed, SERL_LIKE),
        lambda seed: pixels.make_batch(ROWS, seed),
    ),
    "hybrid": (
        lambda seed: hybrids.make_agent(1, seed),
        lambda seed: hybrids.make_batch(ROWS, seed=seed),
    ),
    "hybrid-pixels": (
        lambda seed: test_hybrid_pixels.make_agent(seed=seed, joint_last_step=True),
        lambda seed: test_hybrid_pixels.make_batch(ROWS, seed=seed, packed=True),
    ),
}


def main(out: Path) -> None:
    """Everything, under torchrun or alone."""
    torch.set_num_threads(1)
    with joined_process_group(CPU) as group:
        for name, (make_agent, make_batch) in CASES.items():
            agent, metrics = make_agent(group.rank), []
            with CommandChannel(group) if group.size > 1 else nullcontext() as channel:
                if channel is not None and not group.is_main:
                    channel.receive()
                    DistributedAgent(agent, channel).run_updates(UTD)
                else:
                    trained = agent if channel is None else DistributedAgent(agent, channel)
                    metrics = [trained.update_high_utd(make_batch(number), UTD) for number in range(UPDATES)]
            torch.save({"state": agent.state_dict(), "metrics": metrics}, out / f"{name}-{group.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
