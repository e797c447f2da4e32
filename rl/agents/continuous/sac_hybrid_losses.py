"""The losses of the hybrid agents, pure functions: SAC's on the continuous part, and the grasp critic's own."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl.agents.continuous.drq import pixel_actor_loss
from rl.agents.continuous.sac_config import SacConfig
from rl.agents.continuous.sac_hybrid_config import HybridConfig
from rl.agents.continuous.sac_losses import SacNoise, actor_loss, critic_loss
from rl.common.typing import Batch, Metrics
from rl.data.schema import GRASP_PENALTY


def double_dqn_target(
    rewards: Tensor, masks: Tensor, next_online: Tensor, next_slow: Tensor, discount: float
) -> Tensor:
    """Target r + discount * mask * Q_slow(s', argmax Q_online(s', .)), (B,), for next values (B, K).

    van Hasselt et al. 2016 (arXiv:1509.06461).
    """
    best = next_online.argmax(-1, keepdim=True)
    return rewards + discount * masks * next_slow.gather(-1, best).squeeze(-1)


def grasp_critic_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """Mean squared error of the values of what the grippers did; its reward includes `grasp_penalty` (B,), <= 0."""
    hybrid = cast(HybridConfig, config)
    actions, next_observations = batch["actions"], batch["next_observations"]
    rewards = batch["rewards"] + hybrid.reward_bias + batch[GRASP_PENALTY]
    with torch.no_grad():
        next_online = modules["grasp_critic"](next_observations).float()
        next_slow = targets["grasp_critic"](batch.get("target_next_observations", next_observations)).float()
        target = double_dqn_target(rewards, batch["masks"], next_online, next_slow, config.discount)
    labels = hybrid.layout(actions.shape[-1]).labels(actions)
    values = modules["grasp_critic"](batch["observations"]).float()
    predicted = values.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    loss = F.mse_loss(predicted, target)
    return loss, {
        "grasp_critic_loss": loss.detach(),
        "predicted_grasp_qs": predicted.detach().mean(),
        "target_grasp_qs": target.mean(),
        "grasp_rewards": rewards.mean(),
    }


@torch.no_grad()
def best_moves(modules: nn.ModuleDict, observations: Tensor, action_dim: int, config: HybridConfig) -> Tensor:
    """The best moves at observations according to the grasp critic, (B, arms)."""
    return config.layout(action_dim).moves_of(modules["grasp_critic"](observations).argmax(-1))


def hybrid_critic_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """SAC's loss of the critics on the continuous part of the actions, and on the grippers' moves where they are seen.

    The grasp penalty is no part of it: that is for the grippers alone.
    """
    hybrid, actions = cast(HybridConfig, config), batch["actions"]
    layout = hybrid.layout(actions.shape[-1])
    view = {**batch, "actions": layout.continuous(actions)}
    if hybrid.critic_sees_gripper:
        view["actions"] = torch.cat((view["actions"], layout.moves(actions)), -1)
        view["next_held_actions"] = best_moves(modules, batch["next_observations"], actions.shape[-1], hybrid)
    return critic_loss(modules, targets, view, noise, config)


def hybrid_actor_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """SAC's loss of the policy, which moves all but the grippers."""
    return actor_loss(modules, targets, _held(modules, batch, config), noise, config)


def hybrid_pixel_actor_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """DrQ's loss of the policy, which moves all but the grippers."""
    return pixel_actor_loss(modules, targets, _held(modules, batch, config), noise, config)


def _held(modules: nn.ModuleDict, batch: Batch, config: SacConfig) -> Batch:
    """The batch with the moves that the grippers would make, where the critics see them."""
    hybrid = cast(HybridConfig, config)
    if not hybrid.critic_sees_gripper:
        return batch
    return {**batch, "held_actions": best_moves(modules, batch["observations"], batch["actions"].shape[-1], hybrid)}
