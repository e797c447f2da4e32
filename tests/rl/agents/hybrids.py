"""Small hybrid agents and batches for the tests of the hybrid agents."""

import dataclasses

import torch
from torch import Generator

from rl.agents.continuous.sac_hybrid_dual import DrQAgentHybridDualArm, DualArmConfig, SACAgentHybridDualArm
from rl.agents.continuous.sac_hybrid_single import (
    DrQAgentHybridSingleArm,
    SACAgentHybridSingleArm,
    SingleArmConfig,
)
from rl.common.optimizers import OptimizerConfig

OBSERVATION = 5
ACTION = {1: 4, 2: 8}
"""Length of an action by the number of arms: three numbers and a gripper each."""

FAST = OptimizerConfig(3e-3)
SMALL = {
    "hidden_dims": (16, 16),
    "grasp_hidden_dims": (16,),
    "actor_optimizer": FAST,
    "critic_optimizer": FAST,
    "grasp_critic_optimizer": FAST,
    "temperature_optimizer": FAST,
}
CONFIGS = {1: SingleArmConfig, 2: DualArmConfig}
STATE_AGENTS = {1: SACAgentHybridSingleArm, 2: SACAgentHybridDualArm}
PIXEL_AGENTS = {1: DrQAgentHybridSingleArm, 2: DrQAgentHybridDualArm}


def make_config(arms=1, **changes):
    return CONFIGS[arms](**{**SMALL, **changes})


def make_agent(arms=1, seed=0, action_dim=None, **changes):
    config = make_config(arms, **changes)
    return STATE_AGENTS[arms].create_states(OBSERVATION, action_dim or ACTION[arms], config, seed=seed)


def make_batch(size, action_dim=4, seed=0):
    generator = Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    return {
        "observations": normal(size, OBSERVATION),
        "actions": torch.tanh(normal(size, action_dim)),
        "next_observations": normal(size, OBSERVATION),
        "rewards": normal(size),
        "masks": (normal(size) > -1).float(),
        "grasp_penalty": -0.1 * torch.rand(size, generator=generator),
    }


def loss_of(agent, name, batch, noise=None):
    """A loss of the agent with its metrics, at its present parameters."""
    noise = noise or agent.draw_noise(len(batch["rewards"]))
    return agent.losses[name](agent.state.modules, agent.state.targets, batch, noise, agent.config)


def set_targets_apart(agent, seed=1):
    """Move the targets away from the parameters, as training does."""
    generator = Generator().manual_seed(seed)
    with torch.no_grad():
        for value in agent.state.targets.parameters():
            value += 0.3 * torch.randn(value.shape, generator=generator)
    return agent


def changed(batch, **fields):
    return {**batch, **fields}


def with_config(agent, **changes):
    """The agent's settings with changes."""
    return dataclasses.replace(agent.config, **changes)
