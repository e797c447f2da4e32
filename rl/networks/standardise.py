"""Standardise: inputs shifted and scaled by the statistics of a data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STILL = 1e-3
"""Share of its own size below which a number hardly moves: a gripper that is open in all of the data, for example."""
_NOTHING = 1e-4
"""Spread, and size, below which a number tells nothing in any unit that observations have."""


class Standardise(nn.Module):
    """(x - mean) / std, element by element; the identity until `fit` is called.

    Args:
        length: of a vector.
        limit: results are kept in [-limit, limit]; None leaves them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, length: int, limit: float | None = None) -> None:
        super().__init__()
        self._limit = limit
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("std", torch.ones(length))

    def fit(self, vectors: Tensor) -> None:
        """Take the statistics of vectors (N, length).

        A number that hardly moves is scaled by its size and one that is always about 0 is only shifted: by its spread
        either would be blown up as soon as it moves.
        """
        std, mean = torch.std_mean(vectors, dim=0, correction=0)
        size = (std.square() + mean.square()).sqrt()
        own_size = torch.where(size < _NOTHING, torch.ones_like(size), size)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std < (_STILL * size).clamp(min=_NOTHING), own_size, std))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., length) to (..., length)."""
        scaled = (x - self.mean) / self.std
        return scaled if self._limit is None else scaled.clamp(-self._limit, self._limit)
