"""The proposal policy beside the trained one, and the policies that act, with it and without it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.bc import make_bc_module
from rl.agents.continuous.proposal_config import ProposalConfig
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_losses import prefers_second
from rl.agents.continuous.sac_modules import draw_members, make_critic_module
from rl.agents.continuous.sac_policy import SacPolicy, make_input_layer, make_policy_module, tensors_once
from rl.networks.actor_critic_nets import Policy, ask_members
from rl.networks.standardise import Standardise
from rl.nn.layers import materialise


class Proposal(nn.Module):
    """A frozen policy, and how far the critics are that judge its actions.

    Args:
        policy: a policy with parameters.
        trusts_critics_after: steps after which the critics can tell which action is better.
    """

    critic_steps: Tensor
    """Steps that the critics were trained for (1,), as a float."""

    def __init__(self, policy: Policy, trusts_critics_after: int) -> None:
        super().__init__()
        self.policy = policy.requires_grad_(False)
        self._trusts_critics_after = trusts_critics_after
        self.register_buffer("critic_steps", torch.zeros(1))

    @property
    def trusts_critics(self) -> bool:
        """Whether the critics were trained for long enough to be asked."""
        return bool(self.critic_steps >= self._trusts_critics_after)

    def forward(self, observations: Any) -> Tensor:
        """Proposed actions (..., A) in [-1, 1]: the policy's mode."""
        actions: Tensor = self.policy(observations).mode()
        return actions.clamp(-1.0, 1.0)


def make_proposal(observation: Tensor, action_dim: int, config: ProposalConfig) -> Proposal:
    """A proposal for observations (1, D) like this one, before anything is cloned: its values mean nothing yet."""
    policy = make_bc_module(Standardise(observation.shape[-1]), action_dim, config.cloning())
    materialise(policy, observation, generator=Generator().manual_seed(0))
    return Proposal(policy, config.trusts_critics_after)


class ProposedPolicy(SacPolicy):
    """Takes the action with the higher value: the trained policy's, less the margin, or the proposed one.

    The value is the smallest one of the target critics: of a few that are drawn for each action while exploring, as in
    the targets of `config`, and of all of them without noise. The trained policy's action then is its mode. As long as
    the critics cannot tell (`Proposal.trusts_critics`), the proposed action is taken.

    Args:
        module: the trained policy, with parameters.
        generator: the source of exploration noise and of the drawn critics, on the CPU.
        averaged: the Polyak average of `module`, which then chooses the actions without noise.
        proposal: proposes the other action.
        critic: the target critics.
        config: says how many of them are asked.
    """

    def __init__(
        self,
        module: nn.Module,
        generator: Generator,
        averaged: nn.Module | None,
        *,
        proposal: Proposal,
        critic: nn.Module,
        config: SacConfig,
    ) -> None:
        super().__init__(module, generator, averaged)
        self.proposal = proposal
        self.critic = critic
        self._config = config

    def _choose(self, module: nn.Module, observations: Any, argmax: bool, temperature: float) -> Tensor:
        own = super()._choose(module, observations, argmax, temperature)
        proposed: Tensor = self.proposal(observations)
        if not self.proposal.trusts_critics:
            return proposed
        members = None if argmax else draw_members(self._config, self.generator)
        members = None if members is None else members.to(own.device)
        candidates = torch.stack((own, proposed), -2)
        values = ask_members(self.critic, members, observations, candidates).float()
        is_proposed = prefers_second(values, self._config.proposal.margin)
        return torch.where(is_proposed.unsqueeze(-1), proposed, own)

    def _tensors(self) -> dict[str, Tensor]:
        judges = {**tensors_once(self.proposal, "proposal."), **tensors_once(self.critic, "critic.")}
        return {**super()._tensors(), **judges}


def make_policy(observation_dim: int, action_dim: int, config: SacConfig, seed: int = 0) -> SacPolicy:
    """A policy of its own for an actor process, on the CPU; what `config` has proposed comes with the first weights."""
    generator = Generator().manual_seed(seed)
    observation = torch.zeros(1, observation_dim)
    layers = make_policy_module(action_dim, config, make_input_layer(observation_dim, config))
    module = materialise(layers, observation, generator=generator)
    averaged = copy.deepcopy(module) if config.average_policy else None
    if not config.proposal.acts:
        return SacPolicy(module, generator, averaged)
    judge = make_critic_module(config, make_input_layer(observation_dim, config))
    critic = materialise(judge, observation, torch.zeros(1, action_dim), generator=Generator().manual_seed(seed))
    proposal = make_proposal(observation, action_dim, config.proposal)
    return ProposedPolicy(module, generator, averaged, proposal=proposal, critic=critic, config=config)
