"""The networks of soft actor-critic, and the draw of the critics that are asked."""

from __future__ import annotations

from functools import partial

import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_policy import make_input_layer, make_policy_module
from rl.networks.actor_critic_nets import Critic, ensemblize
from rl.networks.lagrange import GeqLagrangeMultiplier
from rl.networks.mlp import MLP
from rl.nn.layers import materialise


def make_critic_module(config: SacConfig, input_layer: nn.Module | None = None) -> Critic:
    """The stacked ensemble of critics of `config`, still without parameters."""
    trunk = MLP(config.hidden_dims, config.activations, activate_final=True, use_layer_norm=config.use_layer_norm)
    if input_layer is not None:
        critic = Critic(input_layer, trunk.as_ensemble(config.critic_ensemble_size))
        critic.head.as_ensemble(config.critic_ensemble_size, shared_input=False)
        return critic
    return ensemblize(partial(Critic, None, trunk), config.critic_ensemble_size)()


def make_state_modules(
    observation: Tensor, action_dim: int, config: SacConfig, generator: Generator, *, critic_action_dim: int
) -> nn.ModuleDict:
    """Policy, critics and temperature with parameters, for observations (1, D) like this one."""
    action = torch.zeros(1, critic_action_dim)
    length = observation.shape[-1]
    actor = make_policy_module(action_dim, config, make_input_layer(length, config))
    critic = make_critic_module(config, make_input_layer(length, config))
    return nn.ModuleDict(
        {
            "actor": materialise(actor, observation, generator=generator),
            "critic": materialise(critic, observation, action, generator=generator),
            "temperature": GeqLagrangeMultiplier(config.temperature_init),
        }
    )


def draw_members(config: SacConfig, generator: Generator, *minibatches: int) -> Tensor | None:
    """Indices (*minibatches, M) of the target critics that are asked, on the generator's device; None asks all."""
    size, subset = config.critic_ensemble_size, config.critic_subsample_size
    if subset is None:
        return None
    if config.subsample_with_replacement:
        return torch.randint(size, (*minibatches, subset), generator=generator, device=generator.device)
    keys = torch.rand((*minibatches, size), generator=generator, device=generator.device)
    return keys.argsort(-1)[..., :subset]
