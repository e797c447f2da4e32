"""Flax's weight initialisers on torch tensors of shape (..., out, in), each from an explicit generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Generator, Tensor

KernelInit: TypeAlias = Callable[[Tensor, "Generator | None"], None]
"""Fills a weight of shape (out, in, ...) in place; `(weight, generator) -> None`."""

# Standard deviation of a unit normal cut at two sigmas; Flax divides by it so that the variance is as asked.
_TRUNCATED_STD = 0.87962566103423978


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a weight (out, in, *kernel): each counts the kernel's taps."""
    taps = math.prod(weight.shape[2:])
    return weight.shape[1] * taps, weight.shape[0] * taps


@torch.no_grad()
def xavier_uniform(weight: Tensor, generator: Generator | None = None) -> None:
    """Uniform with variance 2 / (fan_in + fan_out). Glorot and Bengio 2010, eq. 16."""
    bound = math.sqrt(6.0 / sum(fans(weight)))
    weight.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def _truncated_normal(weight: Tensor, variance: float, generator: Generator | None) -> None:
    std = math.sqrt(variance) / _TRUNCATED_STD
    torch.nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)


def lecun_normal(weight: Tensor, generator: Generator | None = None) -> None:
    """Normal cut at two sigmas with variance 1 / fan_in: Flax's default for Dense and Conv."""
    _truncated_normal(weight, 1.0 / fans(weight)[0], generator)


def kaiming_normal(weight: Tensor, generator: Generator | None = None) -> None:
    """Normal cut at two sigmas with variance 2 / fan_in. He et al. 2015, eq. 10."""
    _truncated_normal(weight, 2.0 / fans(weight)[0], generator)


def uniform(bound: float) -> KernelInit:
    """Uniform in [-bound, bound].

    SERL's `init_final` passed the bound as the dtype and drew from (-bound, 0] alone; here it is symmetric.
    """

    @torch.no_grad()
    def fill(weight: Tensor, generator: Generator | None = None) -> None:
        weight.uniform_(-bound, bound, generator=generator)

    return fill
