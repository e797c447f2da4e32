"""Adapters of HIL-SERL's hybrid agents that learn from states: whole updates with recorded noise, and actions."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from rl.agents.continuous.sac_hybrid import SACAgentHybrid
from rl.agents.continuous.sac_hybrid_dual import SACAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_policy import make_grasp_critic_module
from rl.agents.continuous.sac_hybrid_single import SACAgentHybridSingleArm
from rl.agents.continuous.sac_policy import make_policy_module
from rl.common.optimizers import OptimizerConfig
from rl.networks.actor_critic_nets import Critic
from rl.networks.lagrange import GeqLagrangeMultiplier
from rl.networks.mlp import MLP
from rl.nn.flax_params import load_flax_params, without_stacked_level
from rl.nn.layers import materialise
from tests.golden.adapters_sac import assert_losses, assert_parameters, noise_of
from tests.golden.serl import Fixture, adapter

AGENTS: dict[str, type[SACAgentHybrid]] = {
    "agents.continuous.sac_hybrid_single.SACAgentHybridSingleArm": SACAgentHybridSingleArm,
    "agents.continuous.sac_hybrid_dual.SACAgentHybridDualArm": SACAgentHybridDualArm,
}
ECHOED = {"critic/rewards"}
"""Metrics of the original that say nothing of the agent: the mean of the batch's own rewards."""


class HilSerlFixture(Fixture):
    """A recording of HIL-SERL, with its arrays at the paths that SERL has."""

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        return without_stacked_level(super().arrays)


def widths(params: dict[str, np.ndarray], network: str) -> tuple[int, ...]:
    kernels = sorted(path for path in params if path.startswith(f"{network}/network/Dense_") and "/kernel" in path)
    return tuple(params[path].shape[-1] for path in kernels)


def hybrid_agent(fixture: Fixture) -> SACAgentHybrid:
    """An agent in the original's mode at the recorded initial state; its critics share their last layer."""
    params, batch = fixture.below("init", "params"), fixture.tensors("step0", "batch")
    kind = AGENTS[fixture.target]
    rates = {
        f"{name}_optimizer": OptimizerConfig(rate["lr"], warmup_steps=rate["warmup_steps"])
        for name, rate in fixture.entry["learning_rates"].items()
    }
    settings: dict[str, Any] = {
        **fixture.entry["config"],
        **rates,
        "hidden_dims": widths(params, "modules_actor"),
        "grasp_hidden_dims": widths(params, "modules_grasp_critic"),
    }
    has_norm_at_the_end = len(widths(params, "modules_grasp_critic")) == sum(
        "modules_grasp_critic/network/LayerNorm_" in path and path.endswith("/scale") for path in params
    )
    config = replace(type(kind.defaults)(**settings).as_in_serl(), grasp_activates_final=has_norm_at_the_end)
    observation, action_dim = batch["observations"][:1], batch["actions"].shape[-1]
    layout = config.layout(action_dim)
    trunk = MLP(config.hidden_dims, config.activations, activate_final=True, use_layer_norm=True)
    critic = Critic(None, trunk.as_ensemble(config.critic_ensemble_size))
    modules = nn.ModuleDict(
        {
            "actor": materialise(make_policy_module(layout.continuous_dim, config), observation),
            "critic": materialise(critic, observation, torch.zeros(1, layout.continuous_dim)),
            "grasp_critic": materialise(make_grasp_critic_module(layout.choices, config), observation),
            "temperature": GeqLagrangeMultiplier(config.temperature_init),
        }
    )
    agent = kind(modules, config, action_dim=action_dim, seed=0, device=torch.device("cpu"))
    load_flax_params(agent.state.modules, params)
    load_flax_params(agent.state.targets, fixture.below("init", "target_params"))
    return agent


@adapter(*AGENTS)
def check_hybrid(recorded: Fixture) -> None:
    """Four chained updates: losses, gradients, metrics, parameters and targets of each; the last agent's actions."""
    fixture, agent = HilSerlFixture(recorded.entry), hybrid_agent(recorded)
    for index, taken in enumerate(fixture.entry["steps"]):
        step = f"step{index}"
        assert_losses(agent, fixture, step)
        batch = fixture.tensors(step, "batch")
        metrics = agent.update(batch, frozenset(taken["networks"]), noise_of(fixture, step))
        for name in fixture.below(step, "info").keys() - ECHOED:
            fixture.assert_close(metrics[name], f"{step}/info/{name}")
        assert_parameters(agent, fixture, step)
        counts = {name: optimizer.count for name, optimizer in agent.state.optimizers.items()}
        assert counts == dict.fromkeys(agent.losses, fixture.arrays[f"{step}/step"]), counts
    fixture.assert_close(agent.sample_actions(fixture.arrays["act/in"], argmax=True), "act/argmax")
