"""Sampling of random numbers for batches of images, from a named generator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def draw_uniform(
    shape: Sequence[int], generator: Generator | None, device: torch.device, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Uniform numbers in [low, high) of `shape` on `device`, drawn on the generator's own device."""
    source = device if generator is None else generator.device
    return (torch.rand(*shape, generator=generator, device=source) * (high - low) + low).to(device)


def draw_kept(shape: Sequence[int], rate: float, generator: Generator | None, device: torch.device) -> Tensor:
    """A dropout mask of `shape` on `device`: true, for features that are kept, with a chance of 1 - `rate` > 0.

    16 random bits decide on a feature, a quarter of what a uniform number takes to draw; so the chance is a multiple of
    2^-16, and off by 2^-17 at most.
    """
    source = device if generator is None else generator.device
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=source).random_(-(2**63), None, generator=generator)
    dropped = round(rate * 2**16) - 2**15
    return (bits.view(torch.int16)[:count].view(*shape) >= dropped).to(device)


def per_image(values: Tensor) -> Tensor:
    """One value for each image (...), in a shape that meets (..., height, width, channels)."""
    return values[..., None, None, None]
