"""The positions of the grippers in an action, and the label of their joint move in a table of values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rl.errors import ConfigError

MOVES = 3
"""Number of moves of one gripper: close (-1), stay (0), open (1), in this order."""


@dataclass(frozen=True)
class GripperLayout:
    """Actions (A,) of `arms` equal parts, each of which ends with the arm's gripper.

    With one arm that is (x, y, z, ..., gripper), with two (x, y, z, ..., gripper, x', y', z', ..., gripper'). A label
    counts the joint moves of all grippers: with one arm `round(gripper) + 1`, with two three times that of the first
    plus that of the second.

    Raises:
        ConfigError: the action has no such parts.
    """

    action_dim: int
    """Length A of the whole action."""
    arms: int
    """How many arms it moves."""

    def __post_init__(self) -> None:
        """Refuse actions that do not divide."""
        if self.action_dim % self.arms or self.action_dim < 2 * self.arms:
            raise ConfigError(
                f"an action of length {self.action_dim} is not that of {self.arms} arm(s) with a gripper each: it must "
                f"be a multiple of {self.arms}, with at least one number beside each gripper's"
            )

    @property
    def continuous_dim(self) -> int:
        """Numbers C that are no gripper's."""
        return self.action_dim - self.arms

    @property
    def choices(self) -> int:
        """The number of joint moves of the grippers."""
        return int(MOVES**self.arms)

    def continuous(self, actions: Tensor) -> Tensor:
        """The part of actions (..., A) that is not for a gripper, (..., C)."""
        return self._by_arm(actions)[..., :-1].flatten(-2)

    def moves(self, actions: Tensor) -> Tensor:
        """The grippers' moves -1, 0 or 1 in actions (..., A), (..., arms); numbers between count as the nearest."""
        return self._by_arm(actions)[..., -1].clamp(-1, 1).round()

    def labels(self, actions: Tensor) -> Tensor:
        """The joint moves (...,) int64 in actions (..., A)."""
        digits = self.moves(actions).long() + 1
        return sum((digits[..., arm] * weight for arm, weight in self._weights()), torch.zeros_like(digits[..., 0]))

    def moves_of(self, labels: Tensor) -> Tensor:
        """The grippers' moves (..., arms), float32, that labels (...,) stand for."""
        return torch.stack([labels // weight % MOVES for _, weight in self._weights()], -1).float() - 1

    def join(self, continuous: Tensor, labels: Tensor) -> Tensor:
        """Whole actions (..., A) from (..., C) and labels (...,)."""
        arms = self._by_arm(continuous)
        return torch.cat((arms, self.moves_of(labels).unsqueeze(-1)), -1).flatten(-2)

    def _by_arm(self, actions: Tensor) -> Tensor:
        return torch.unflatten(actions, -1, (self.arms, -1))

    def _weights(self) -> list[tuple[int, int]]:
        """Return each arm with the weight of its digit."""
        return [(arm, int(MOVES ** (self.arms - 1 - arm))) for arm in range(self.arms)]
