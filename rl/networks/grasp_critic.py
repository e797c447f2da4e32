"""GraspCritic: the value of every discrete grasp action at once. Original: networks/actor_critic_nets.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from rl.networks.actor_critic_nets import encode, in_float32
from rl.nn.dropout import Train
from rl.nn.initializers import uniform, xavier_uniform
from rl.nn.layers import Dense


class GraspCritic(nn.Module):
    """Action values Q(s, .) of `output_dim` grasp actions.

    Args:
        encoder: observation to features (B, F), or `None`.
        network: trunk over the features.
        output_dim: how many grasp actions there are.
        init_final: bound of the head's uniform initialisation; Xavier when `None`.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"head": "Dense_0"}

    def __init__(
        self, encoder: nn.Module | None, network: nn.Module, output_dim: int = 3, init_final: float | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.head = Dense(output_dim, xavier_uniform if init_final is None else uniform(init_final))

    def forward(self, observations: Any, train: Train = False) -> Tensor:
        """Map (B, D) to (B, output_dim); a single observation (D,) to (output_dim,)."""
        values: Tensor = in_float32(self.head, self.network(encode(self.encoder, observations), train=train))
        return values
