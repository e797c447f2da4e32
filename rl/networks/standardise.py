"""Standardise: inputs shifted and scaled by the statistics of a data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SMALLEST_STD = 1e-6


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
        """Take the statistics of vectors (N, length); an element that never changes is only shifted."""
        std, mean = torch.std_mean(vectors, dim=0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std < _SMALLEST_STD, torch.ones_like(std), std))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., length) to (..., length)."""
        scaled = (x - self.mean) / self.std
        return scaled if self._limit is None else scaled.clamp(-self._limit, self._limit)
