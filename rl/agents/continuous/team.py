"""TeamAgent: one agent whose updates are computed by all processes of a team, each on its part of every batch."""

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
from rl.data.packing import Packing
from rl.data.shares import Shares
from rl.utils.distributed import Team
from rl.utils.orders import Orders
from rl.utils.tree import map_leaves


class TeamAgent:
    """What one process holds of the joint agent: in the first one what a learner's loop uses, in the others `follow`.

    An update is that of one process on the joint batch, up to rounding. Every process draws the noise of the whole
    batch from the same stream, and takes the rows that are its own.

    Args:
        agent: that of this process.
        orders: of the team.
        assignment: what the first process tells the others before the first update, so that they can make their agents.
    """

    def __init__(self, agent: SACAgent, orders: Orders, assignment: str = "") -> None:
        self._agent, self._orders, self._team = agent, orders, orders.team
        self._assignment = assignment
        self._packing: Packing | None = None

    def update_high_utd(self, batch: Batch, utd_ratio: int) -> Metrics:
        """As `SACAgent.update_high_utd` on the joint batch, for which the others wait; in the first process.

        Returns:
            The metrics of the joint batch.

        Raises:
            TeamError: another process is gone.
        """
        shares = Shares(self._team.size, utd_ratio)
        packing = Packing.of(batch, shares)
        if self._packing is None:
            self._orders.give(self._assignment)
            self._agent.join(self._team)
        self._orders.give("" if packing == self._packing else packing.to_json())
        self._packing = packing
        return self._update(packing, packing.pack(batch, shares), utd_ratio)

    def follow(self, utd_ratio: int) -> None:
        """Compute this process's part of every update until the first process says that it is over; in the others.

        Raises:
            TeamError: another process is gone.
        """
        self._agent.join(self._team)
        while (order := self._orders.hear()) is not None:
            self._packing = Packing.from_json(order) if order else self._packing
            assert self._packing is not None
            self._update(self._packing, None, utd_ratio)

    def policy_state_dict(self) -> dict[str, np.ndarray]:
        """As the agent's."""
        return self._agent.policy_state_dict()

    def state_dict(self) -> dict[str, Any]:
        """As the agent's: the state of every process, as all are equal."""
        return self._agent.state_dict()

    def _update(self, packing: Packing, packed: Tensor | None, utd_ratio: int) -> Metrics:
        received = torch.empty(packing.size, dtype=torch.uint8, device=self._agent.device)
        part = packing.unpack(self._team.hand_out(packed, received))
        metrics = update_part(self._agent, part, utd_ratio, self._team)
        return dict(zip(metrics, self._team.average(list(metrics.values())), strict=True))


def update_part(agent: SACAgent, part: Batch, utd_ratio: int, team: Team) -> Metrics:
    """`update_high_utd` on one process's part of a joint batch, with that part of everything random.

    Returns:
        The metrics of the part.
    """
    shares = Shares(team.size, utd_ratio)
    size = len(part["rewards"]) * team.size
    crops = None
    # One process draws crops before noise, and none where nothing is cropped.
    if isinstance(agent, DrQAgent) and agent.config.crop_padding:
        crops = part_of_crops(draw_joint_crops(agent, part, size), shares, team.rank)
    noise = part_of_noise(agent.draw_noise(size, utd_ratio), shares, team.rank)
    if isinstance(agent, DrQAgent):
        return agent.update_high_utd(part, utd_ratio, noise, crops)
    return agent.update_high_utd(part, utd_ratio, noise)


def draw_joint_crops(agent: DrQAgent, part: Batch, size: int) -> Crops:
    """The crops of a joint batch of `size` rows, of which a part shows what images look like."""

    def widened(rows: Tensor) -> Tensor:
        return rows[:1].expand(size, *rows.shape[1:])

    return agent.draw_crops(map_leaves(widened, unpack(part, agent.image_keys)))


def part_of_crops(crops: Crops, shares: Shares, rank: int) -> Crops:
    """The crops of the rows of one process."""

    def own(corners: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {key: shares.part(corner, rank) for key, corner in corners.items()}

    return Crops(own(crops.observations), own(crops.next_observations))


def part_of_noise(noise: SacNoise, shares: Shares, rank: int) -> SacNoise:
    """The noise of the rows of one process; which critics are asked is the same for all."""

    def own(rows: Tensor) -> Tensor:
        return shares.part(rows, rank)

    def own_in_slices(rows: Tensor) -> Tensor:
        return own(rows.flatten(0, 1)).unflatten(0, (shares.minibatches, -1))

    return replace(
        noise,
        actor_eps=own(noise.actor_eps),
        critic_eps=own_in_slices(noise.critic_eps),
        temperature_eps=own(noise.temperature_eps),
        actor_keep=tuple(map(own, noise.actor_keep)),
        critic_keep=tuple(map(own_in_slices, noise.critic_keep)),
        temperature_keep=tuple(map(own, noise.temperature_keep)),
    )
