"""Distributed worker: a process of a learner under torchrun that computes its shard of each update."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict

from rl.agents.continuous.distributed_agent import DistributedAgent
from rl.config import TrainConfig
from rl.link.messages import AgentSpec
from rl.training.agent_factory import KINDS
from rl.utils.command_channel import CommandChannel


class WorkerSetup(BaseModel):
    """The settings that the main process sends to the workers before the first update, to build the agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainConfig
    spec: AgentSpec

    def to_json(self) -> str:
        """Return the set-up as text, without the token."""
        return self.model_dump_json(exclude={"config": {"link": {"token"}}})


def run_worker(channel: CommandChannel, device: torch.device) -> None:
    """Compute this process's shard of each update until the main process ends the training.

    The main process alone handles signals: it finishes an update, saves, and then ends the workers.

    Raises:
        ProcessGroupError: another process is gone.
    """
    command = channel.receive()
    if command is None:
        return
    setup = WorkerSetup.model_validate_json(command)
    config = setup.config
    # The main process broadcasts its parameters and noise, so the seed does not matter.
    agent = KINDS[config.agent_name].make_agent(config, setup.spec, config.seed, str(device))
    if config.compile:
        agent.compile()
    DistributedAgent(agent, channel).run_updates(config.utd_ratio)
