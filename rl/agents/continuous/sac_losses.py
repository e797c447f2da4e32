"""The losses of soft actor-critic, pure functions of networks, batch and noise. Original: agents/continuous/sac.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl.agents.continuous.sac_config import SacConfig
from rl.common.typing import Batch, Metrics
from rl.networks.actor_critic_nets import ask_members, call_frozen
from rl.nn.dropout import KeepMasks

Masks: TypeAlias = tuple[Tensor, ...]
"""Dropout masks, true where a feature is kept."""


@dataclass(frozen=True)
class SacNoise:
    """Every random number of one update; B is the batch, A the action's length, M the size of the subset of critics.

    For `update_high_utd` the two fields of the critic have a leading axis of minibatches.
    """

    actor_eps: Tensor
    """Standard normal noise of the actor's loss, (B, A)."""
    critic_eps: Tensor
    """Standard normal noise of the next actions in the critic's target, (B, A)."""
    critic_idx: Tensor | None
    """Indices of the target critics that are asked, (M,) int64; `None` asks all."""
    temperature_eps: Tensor
    """Standard normal noise of the temperature's loss, (B, A)."""
    actor_keep: Masks = ()
    """Dropout masks (B, ...) of the policy in the actor's loss, see `KeepMasks`; none where nothing is dropped."""
    critic_keep: Masks = ()
    """Dropout masks of the policy in the critic's target."""
    temperature_keep: Masks = ()
    """Dropout masks of the policy in the temperature's loss."""

    def rows(self, start: int, stop: int) -> SacNoise:
        """The noise of these rows of the batch."""
        return SacNoise(
            self.actor_eps[start:stop],
            self.critic_eps[start:stop],
            self.critic_idx,
            self.temperature_eps[start:stop],
            *(tuple(mask[start:stop] for mask in keep) for keep in self._keeps()),
        )

    def minibatch(self, index: int) -> SacNoise:
        """The noise of one critic step of `update_high_utd`."""
        idx = None if self.critic_idx is None else self.critic_idx[index]
        keep = tuple(mask[index] for mask in self.critic_keep)
        return replace(self, critic_eps=self.critic_eps[index], critic_idx=idx, critic_keep=keep)

    def joint(self, index: int, start: int, stop: int) -> SacNoise:
        """The noise of the step that trains every network on these rows, slice `index` of `update_high_utd`."""
        rest = self.rows(start, stop)
        return replace(
            self.minibatch(index),
            actor_eps=rest.actor_eps,
            temperature_eps=rest.temperature_eps,
            actor_keep=rest.actor_keep,
            temperature_keep=rest.temperature_keep,
        )

    def _keeps(self) -> tuple[Masks, Masks, Masks]:
        return self.actor_keep, self.critic_keep, self.temperature_keep


def soft_target(rewards: Tensor, masks: Tensor, next_qs: Tensor, discount: float) -> Tensor:
    """Target r + discount * mask * min over members, (B,), for next values (M, B). Chen et al. 2021, eq. 1."""
    return rewards + discount * masks * next_qs.amin(0)


def prefers_second(values: Tensor, margin: float = 0.0) -> Tensor:
    """Whether the second of two candidates is to be taken, (...), by the values of members (M, ..., 2).

    It is unless the smallest value of the first one exceeds its own by more than the margin; without a margin, equal
    values prefer the first one.
    """
    first, second = values.amin(0).unbind(-1)
    return second + margin > first


def beside(actions: Tensor, held: Tensor | None) -> Tensor:
    """The policy's actions (B, A), followed by what critics see of the action beside them, (B, H), if anything."""
    return actions if held is None else torch.cat((actions, held), -1)


@torch.no_grad()
def critic_target(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> Tensor:
    """The target of the critics' regression, (B,).

    With `next_proposed_actions` (B, A) in the batch the next action is the better one of the two, as where the agent
    acts. A proposed one is no draw, and has no entropy.
    """
    next_observations = batch["next_observations"]
    distribution = modules["actor"](next_observations, train=KeepMasks(noise.critic_keep))
    next_actions, log_prob = distribution.sample_and_log_prob(noise.critic_eps)
    next_actions = beside(next_actions, batch.get("next_held_actions"))
    slow_observations = batch.get("target_next_observations", next_observations)
    proposed = batch.get("next_proposed_actions")
    if proposed is not None:
        next_actions = torch.stack((next_actions, proposed), -2)
    next_qs = ask_members(targets["critic"], noise.critic_idx, slow_observations, next_actions).float()
    if proposed is not None:
        is_proposed = prefers_second(next_qs, config.proposal.margin)
        next_qs = torch.where(is_proposed, next_qs[..., 1], next_qs[..., 0])
        log_prob = log_prob.masked_fill(is_proposed, 0.0)
    rewards = batch["rewards"] + config.reward_bias
    target = soft_target(rewards, batch["masks"], next_qs, config.discount)
    if not config.backup_entropy:
        return target
    weight = config.discount * batch["masks"] if config.discount_entropy_backup else 1.0
    soft: Tensor = target - weight * modules["temperature"]() * log_prob
    return soft


def critic_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """Mean squared error of every member against one target, over members and batch."""
    target = critic_target(modules, targets, batch, noise, config)
    predicted = modules["critic"](batch["observations"], batch["actions"]).float()
    loss = F.mse_loss(predicted, target.expand_as(predicted))
    return loss, {"critic_loss": loss.detach(), "predicted_qs": predicted.detach().mean(), "target_qs": target.mean()}


def actor_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """Mean of alpha log pi - Q over the batch, Q being the mean of all members; critics and alpha are constants.

    `mode_penalty` adds its multiple of the squared mode.
    """
    observations = batch["observations"]
    temperature = modules["temperature"]().detach()
    distribution = modules["actor"](observations, train=KeepMasks(noise.actor_keep))
    actions, log_prob = distribution.sample_and_log_prob(noise.actor_eps)
    seen = beside(actions, batch.get("held_actions"))
    values = call_frozen(modules["critic"], observations, seen).float().mean(0)
    loss = (temperature * log_prob - values).mean()
    if config.mode_penalty:
        loss = loss + config.mode_penalty * distribution.mode().square().sum(-1).mean()
    return loss, {"actor_loss": loss.detach(), "temperature": temperature, "entropy": -log_prob.detach().mean()}


def temperature_loss(
    modules: nn.ModuleDict, targets: nn.ModuleDict, batch: Batch, noise: SacNoise, config: SacConfig
) -> tuple[Tensor, Metrics]:
    """Penalty alpha (entropy - target entropy), the entropy estimated at the next observations."""
    with torch.no_grad():
        distribution = modules["actor"](batch["next_observations"], train=KeepMasks(noise.temperature_keep))
        actions, log_prob = distribution.sample_and_log_prob(noise.temperature_eps)
    target = -actions.shape[-1] / 2 if config.target_entropy is None else config.target_entropy
    loss = modules["temperature"](lhs=-log_prob.mean(), rhs=log_prob.new_tensor(target))
    return loss, {"temperature_loss": loss.detach()}
