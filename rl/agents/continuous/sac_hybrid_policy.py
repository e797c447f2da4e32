"""The acting part of the hybrid agents: a Gaussian policy for the arms, a grasp critic for their grippers."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.drq import make_agent_encoder
from rl.agents.continuous.sac_hybrid_config import HybridConfig
from rl.agents.continuous.sac_hybrid_grippers import GripperLayout
from rl.agents.continuous.sac_policy import SacPolicy, as_tensors, make_policy_module
from rl.common.encoders import frozen_trunk, load_trunk
from rl.common.encoding import EncodingWrapper
from rl.common.typing import Observations
from rl.networks.actor_critic_nets import Policy
from rl.networks.distributions import ActionDistribution
from rl.networks.grasp_critic import GraspCritic
from rl.networks.mlp import MLP
from rl.nn.layers import init_parameters


def make_grasp_critic_module(choices: int, config: HybridConfig, encoder: EncodingWrapper | None = None) -> GraspCritic:
    """The grasp critic of `config` over so many joint moves, still without parameters."""
    trunk = MLP(
        config.grasp_hidden_dims,
        config.activations,
        activate_final=config.grasp_activates_final,
        use_layer_norm=config.use_layer_norm,
    )
    return GraspCritic(encoder, trunk, choices)


class HybridActor(nn.Module):
    """The two networks that choose an action.

    Args:
        policy: distribution of the continuous numbers.
        grasp_critic: values of the grippers' joint moves; it holds the policy's encoder.
    """

    def __init__(self, policy: nn.Module, grasp_critic: nn.Module) -> None:
        super().__init__()
        self.policy = policy
        self.grasp_critic = grasp_critic

    def forward(self, observations: Any, temperature: float = 1.0) -> tuple[ActionDistribution, Tensor]:
        """Distribution of (N, C), and values (N, choices), for a batch, or without N for one observation (D,)."""
        encoder = self.policy.encoder
        if isinstance(encoder, EncodingWrapper):
            observations = encoder.encode_maps(observations)
        return self.policy(observations, temperature), self.grasp_critic(observations)


class HybridPolicy(SacPolicy):
    """Chooses actions (A,) whose grippers are at -1, 0 or 1.

    Args:
        module: both networks, with parameters.
        generator: the source of exploration noise, on the CPU.
        layout: where the grippers sit in an action.
        exploration: probability that the grippers' moves are drawn evenly, where the policy explores.
        averaged: the Polyak average of `module`, which then chooses the actions without noise.
    """

    def __init__(
        self,
        module: HybridActor,
        generator: Generator,
        layout: GripperLayout,
        exploration: float,
        averaged: HybridActor | None = None,
    ) -> None:
        super().__init__(module, generator, averaged)
        self.layout = layout
        self.exploration = exploration

    def _choose(self, module: nn.Module, observations: Any, argmax: bool, temperature: float) -> Tensor:
        single = _is_single(cast(HybridActor, module), observations)
        if single:
            observations = {key: value[None] for key, value in observations.items()}
        distribution, values = module(observations, temperature)
        labels = values.argmax(-1)
        actions = self.layout.join(self._draw(distribution, argmax), labels if argmax else self._explored(labels))
        return actions[0] if single else actions

    def _explored(self, labels: Tensor) -> Tensor:
        """The labels, each with probability `exploration` replaced by a draw."""
        if not self.exploration:
            return labels
        replaced = torch.rand(labels.shape, generator=self.generator) < self.exploration
        drawn = torch.randint(self.layout.choices, labels.shape, generator=self.generator)
        return torch.where(replaced.to(labels.device), drawn.to(labels.device), labels)


def _is_single(module: HybridActor, observations: Any) -> bool:
    """Whether these are images without a batch axis, (T, height, width, channels)."""
    encoder = module.policy.encoder
    return isinstance(encoder, EncodingWrapper) and observations[encoder.image_keys[0]].dim() == 4


def make_hybrid_policy(observation_dim: int, action_dim: int, config: HybridConfig, seed: int = 0) -> HybridPolicy:
    """A policy of its own for an actor process, on the CPU, for observations (D,) and actions (A,)."""
    return _make_policy(torch.zeros(1, observation_dim), None, action_dim, config, seed)


def make_hybrid_pixel_policy(
    observations: Observations, action_dim: int, config: HybridConfig, seed: int = 0
) -> HybridPolicy:
    """A policy of its own for an actor process, on the CPU, for observations with images like this one."""
    sample: Any = as_tensors(observations, torch.device("cpu"))
    return _make_policy(sample, make_agent_encoder(config, sample), action_dim, config, seed)


def _make_policy(
    sample: Any, encoder: EncodingWrapper | None, action_dim: int, config: HybridConfig, seed: int
) -> HybridPolicy:
    layout = config.layout(action_dim)
    generator = Generator().manual_seed(seed)
    policy: Policy = make_policy_module(layout.continuous_dim, config, encoder)
    module = HybridActor(policy, make_grasp_critic_module(layout.choices, config, encoder))
    with torch.no_grad():
        for network in (module.policy, module.grasp_critic):
            network(sample)
    init_parameters(module, generator)
    if encoder is not None:
        load_trunk(frozen_trunk(encoder), config.encoder)
    averaged = copy.deepcopy(module) if config.average_policy else None
    return HybridPolicy(module, generator, layout, config.grasp_exploration, averaged)
