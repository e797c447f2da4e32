"""The beginning of a residual: a new agent corrects nothing, so that its success is the base's."""

from __future__ import annotations

import torch

from rl.agents.continuous.sac import SACAgent
from rl.config import TrainConfig
from rl.networks.actor_critic_nets import Policy


@torch.no_grad()
def start_at_base(agent: SACAgent, config: TrainConfig) -> None:
    """Let the policy of a new run have the mode 0 in every state, if it corrects a base policy.

    Its last layer is set to 0, the layers before it keep their values. Silver et al. 2018 (arXiv:1812.06298), sec. 4.
    """
    if not config.corrects_base:
        return
    for modules in (agent.state.modules, agent.state.targets):
        if isinstance(policy := dict(modules.items()).get("actor"), Policy):
            for parameter in policy.mean_head.parameters():
                parameter.zero_()
