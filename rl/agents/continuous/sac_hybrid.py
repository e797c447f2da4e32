"""The base classes of the hybrid agents for one and two arms: SAC or DrQ with a grasp critic beside the critics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor, nn

from rl.agents.continuous.drq import DrQAgent, make_drq_modules, shape_pixel_modules, shared_coverage
from rl.agents.continuous.drq_config import DrqConfig
from rl.agents.continuous.sac import LossFunction, SACAgent
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_hybrid_config import HybridConfig
from rl.agents.continuous.sac_hybrid_losses import (
    grasp_critic_loss,
    hybrid_actor_loss,
    hybrid_critic_loss,
    hybrid_pixel_actor_loss,
)
from rl.agents.continuous.sac_hybrid_policy import HybridActor, HybridPolicy, make_grasp_critic_module
from rl.agents.continuous.sac_losses import SacNoise
from rl.agents.continuous.sac_modules import make_state_modules
from rl.common.common import parameters_of
from rl.common.encoding import EncodingWrapper
from rl.common.typing import Batch, Metrics, NetworkNames, Observations
from rl.data.schema import GRASP_PENALTY
from rl.errors import ConfigError, DataError
from rl.nn.layers import materialise


def _hybrid(config: SacConfig) -> HybridConfig:
    if not isinstance(config, HybridConfig):
        raise ConfigError(
            f"a hybrid agent takes a SingleArmConfig or a DualArmConfig, not a {type(config).__name__}: "
            "it has to know how many grippers there are"
        )
    return config


class SACAgentHybrid(SACAgent):
    """Soft actor-critic for the arms' motion, double DQN for what their grippers do; observations are states.

    Batches have a further field `grasp_penalty` (B,): what the grippers' moves cost, at most 0. Its networks are
    `actor`, `critic`, `grasp_critic` and `temperature`.

    Args:
        modules: as for `SACAgent`, and `grasp_critic`.
        config: settings.
        action_dim: length A of a whole action, grippers included.
        seed: see `SACAgent`.
        device: where the networks live.
    """

    losses: ClassVar[Mapping[str, LossFunction]] = {
        **SACAgent.losses,
        "actor": hybrid_actor_loss,
        "critic": hybrid_critic_loss,
        "grasp_critic": grasp_critic_loss,
    }
    critics: ClassVar[frozenset[str]] = frozenset({"critic", "grasp_critic"})
    defaults: ClassVar[HybridConfig]
    """Settings of an agent that is made without any."""
    config: HybridConfig

    def __init__(
        self, modules: nn.ModuleDict, config: HybridConfig, *, action_dim: int, seed: int, device: torch.device
    ) -> None:
        self.layout = config.layout(action_dim)
        if config.target_entropy is None and config.target_entropy_counts_grippers:
            config = replace(config, target_entropy=-action_dim / 2)
        super().__init__(modules, config, action_dim=self.layout.continuous_dim, seed=seed, device=device)

    @classmethod
    def create_states(
        cls,
        observation_dim: int,
        action_dim: int,
        config: SacConfig | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """Make an agent as `SACAgent.create_states` does; A counts the grippers too."""
        own = cls._own(config)
        return super().create_states(observation_dim, action_dim, own, seed=seed, device=device)

    @classmethod
    def _own(cls, config: SacConfig | None) -> HybridConfig:
        """The settings, or the default ones."""
        own = _hybrid(config or cls.defaults)
        if own.arms != cls.defaults.arms:
            raise ConfigError(
                f"{cls.__name__} takes a {type(cls.defaults).__name__}, not a {type(own).__name__}: "
                f"it chooses for {cls.defaults.arms} gripper(s), not {own.arms}"
            )
        return own

    @classmethod
    def _state_modules(
        cls, observation: Tensor, action_dim: int, config: SacConfig, generator: Generator
    ) -> nn.ModuleDict:
        own = _hybrid(config)
        layout = own.layout(action_dim)
        modules = make_state_modules(
            observation,
            layout.continuous_dim,
            config,
            generator,
            critic_action_dim=own.critic_action_dim(action_dim),
        )
        grasp_critic = make_grasp_critic_module(layout.choices, own)
        modules["grasp_critic"] = materialise(grasp_critic, observation, generator=generator)
        return modules

    def _make_policy(self, generator: Generator) -> HybridPolicy:
        online, slow = (
            HybridActor(nets["actor"], nets["grasp_critic"]) for nets in (self.state.modules, self.state.targets)
        )
        averaged = slow if self.config.average_policy else None
        return HybridPolicy(online, generator, self.layout, self.config.grasp_exploration, averaged)

    def update(
        self, batch: Batch, networks_to_update: NetworkNames | None = None, noise: SacNoise | None = None
    ) -> Metrics:
        """Update as `SACAgent.update` does, with `grasp_penalty` in the batch.

        Raises:
            DataError: the batch has no such field, or actions of another length.
        """
        if GRASP_PENALTY not in batch:
            raise DataError(
                "the batch has no field 'grasp_penalty', what the grippers' moves cost: "
                "make the buffer with extras={'grasp_penalty': SCALAR}"
            )
        if batch["actions"].shape[-1] != self.layout.action_dim:
            raise DataError(
                f"the actions have length {batch['actions'].shape[-1]}, this agent's have {self.layout.action_dim}"
            )
        return super().update(batch, networks_to_update, noise)


class DrQAgentHybrid(SACAgentHybrid, DrQAgent):
    """The hybrid agent for images and state: policy, critics and grasp critic share one encoder, trained by critics."""

    losses: ClassVar[Mapping[str, LossFunction]] = {**SACAgentHybrid.losses, "actor": hybrid_pixel_actor_loss}
    config: HybridConfig

    @classmethod
    def create_drq(
        cls,
        observations: Observations,
        action_dim: int,
        config: DrqConfig | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> Self:
        """Make an agent as `DrQAgent.create_drq` does; A counts the grippers too."""
        own = cls._own(config)
        return super().create_drq(observations, action_dim, own, seed=seed, device=device)

    @classmethod
    def _pixel_modules(cls, encoder: EncodingWrapper, sample: Any, action_dim: int, config: DrqConfig) -> nn.ModuleDict:
        return shaped_hybrid_modules(encoder, sample, action_dim, _hybrid(config))

    def _coverage(self, modules: nn.ModuleDict) -> dict[str, list[nn.Parameter]]:
        return {**shared_coverage(modules), "grasp_critic": parameters_of(modules["grasp_critic"])}


def shaped_hybrid_modules(
    encoder: EncodingWrapper, sample: Any, action_dim: int, config: HybridConfig
) -> nn.ModuleDict:
    """All networks around one encoder, with parameters that fit observations like this sample."""
    layout = config.layout(action_dim)
    modules = make_drq_modules(encoder, layout.continuous_dim, config)
    shape_pixel_modules(modules, sample, config.critic_action_dim(action_dim))
    modules["grasp_critic"] = make_grasp_critic_module(layout.choices, config, encoder)
    with torch.no_grad():
        modules["grasp_critic"](sample)
    return modules
