"""DistributedAgent: an agent whose updates all processes of a group compute, each on its shard of every batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rl.agents.continuous.augmentation import Crops, unpack
from rl.agents.continuous.drq import DrQAgent
from rl.agents.continuous.sac import SACAgent
from rl.agents.continuous.sac_losses import SacNoise
from rl.common.typing import Batch, Metrics
from rl.data.batch_sharding import BatchSharding
from rl.data.packing import Packing
from rl.utils.command_channel import CommandChannel
from rl.utils.distributed import ProcessGroup
from rl.utils.tree import map_leaves


class DistributedAgent:
    """The agent of one process of a group. The main process calls `update_high_utd`, the others `run_updates`.

    An update equals that of a single process on the joint batch, up to rounding. Every process draws the noise of the
    whole batch from the same stream, and uses the rows of its shard.

    Args:
        agent: that of this process.
        channel: to the other processes of the group.
        setup: what the main process sends to the others before the first update, to build their agents.
    """

    def __init__(self, agent: SACAgent, channel: CommandChannel, setup: str = "") -> None:
        self._agent, self._channel, self._group = agent, channel, channel.group
        self._setup = setup
        self._packing: Packing | None = None

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        """Update as `SACAgent.update_high_utd` does, on the joint batch; the main process calls it, the others wait.

        Returns:
            The metrics of the joint batch.

        Raises:
            ProcessGroupError: another process is gone.
        """
        sharding = BatchSharding(self._group.size, utd_ratio)
        packing = Packing.of(batch, sharding)
        if self._packing is None:
            self._channel.send(self._setup)
            self._agent.join(self._group)
        self._channel.send("" if packing == self._packing else packing.to_json())
        self._packing = packing
        return self._update(packing, packing.pack(batch, sharding), utd_ratio)

    def run_updates(self, utd_ratio: int) -> None:
        """Compute this process's shard of every update until the main process ends the training.

        Raises:
            ProcessGroupError: another process is gone.
        """
        self._agent.join(self._group)
        while (command := self._channel.receive()) is not None:
            self._packing = Packing.from_json(command) if command else self._packing
            assert self._packing is not None
            self._update(self._packing, None, utd_ratio)

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """The state of the agent's policy."""
        return self._agent.policy_state_dict()

    def state_dict(self) -> dict[str, Any]:
        """The agent's state, which is equal in every process."""
        return self._agent.state_dict()

    def _update(self, packing: Packing, packed: Tensor | None, utd_ratio: int) -> Metrics:
        received = torch.empty(packing.size, dtype=torch.uint8, device=self._agent.device)
        shard = packing.unpack(self._group.scatter(packed, received))
        metrics = update_shard(self._agent, shard, utd_ratio, self._group)
        return dict(zip(metrics, self._group.average(list(metrics.values())), strict=True))


def update_shard(agent: SACAgent, shard: Batch, utd_ratio: int, group: ProcessGroup) -> Metrics:
    """`update_high_utd` on one process's shard of a joint batch, with the noise of that shard.

    Returns:
        The metrics of the shard.
    """
    sharding = BatchSharding(group.size, utd_ratio)
    size = len(shard["rewards"]) * group.size
    crops = None
    # A single process draws crops before noise, and none where nothing is cropped.
    if isinstance(agent, DrQAgent) and agent.config.crop_padding:
        crops = shard_of_crops(draw_joint_crops(agent, shard, size), sharding, group.rank)
    noise = shard_of_noise(agent.draw_noise(size, utd_ratio), sharding, group.rank)
    if isinstance(agent, DrQAgent):
        return agent.update_high_utd(shard, utd_ratio, noise, crops)
    return agent.update_high_utd(shard, utd_ratio, noise)


def draw_joint_crops(agent: DrQAgent, shard: Batch, size: int) -> Crops:
    """The crops of a joint batch of `size` rows; one shard of it gives the shapes of the images."""

    def widened(rows: Tensor) -> Tensor:
        return rows[:1].expand(size, *rows.shape[1:])

    return agent.draw_crops(map_leaves(widened, unpack(shard, agent.image_keys)))


def shard_of_crops(crops: Crops, sharding: BatchSharding, rank: int) -> Crops:
    """The crops of the rows of one process."""

    def own(corners: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {key: sharding.shard(corner, rank) for key, corner in corners.items()}

    return Crops(own(crops.observations), own(crops.next_observations))


def shard_of_noise(noise: SacNoise, sharding: BatchSharding, rank: int) -> SacNoise:
    """The noise of the rows of one process; the subset of critics is the same for all."""

    def own(rows: Tensor) -> Tensor:
        return sharding.shard(rows, rank)

    def own_in_slices(rows: Tensor) -> Tensor:
        return torch.unflatten(own(rows.flatten(0, 1)), 0, (sharding.minibatches, -1))

    return replace(
        noise,
        actor_eps=own(noise.actor_eps),
        critic_eps=own_in_slices(noise.critic_eps),
        temperature_eps=own(noise.temperature_eps),
        actor_keep=tuple(map(own, noise.actor_keep)),
        critic_keep=tuple(map(own_in_slices, noise.critic_keep)),
        temperature_keep=tuple(map(own, noise.temperature_keep)),
    )
