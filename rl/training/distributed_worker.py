"""The other processes of a learner that torchrun started on several: what they are told, and what they do."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict

from rl.agents.continuous.team import TeamAgent
from rl.config import TrainConfig
from rl.link.messages import AgentSpec
from rl.training.agent_factory import KINDS
from rl.utils.orders import Orders


class Assignment(BaseModel):
    """What the first process tells the others before the first update, so that they can make the agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainConfig
    spec: AgentSpec

    def to_json(self) -> str:
        """As text, without the token."""
        return self.model_dump_json(exclude={"config": {"link": {"token"}}})


def follow(orders: Orders, device: torch.device) -> None:
    """Compute this process's part of each update, until the first process says that it is over.

    Its signals are the first process's business: that one ends an update, saves, and then lets the others go.

    Raises:
        TeamError: another process is gone.
    """
    order = orders.hear()
    if order is None:
        return
    assignment = Assignment.model_validate_json(order)
    config = assignment.config
    # The first process's parameters and noise follow: the seed does not matter.
    agent = KINDS[config.agent].make_agent(config, assignment.spec, config.seed, str(device))
    if config.compile:
        agent.compile()
    TeamAgent(agent, orders).follow(config.utd_ratio)
