"""Random numbers for batches of images: drawn from a named generator, and spread over the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def draw_uniform(
    shape: Sequence[int], generator: Generator | None, device: torch.device, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Uniform numbers in [low, high) of `shape` on `device`, drawn on the generator's own device."""
    source = device if generator is None else generator.device
    return (torch.rand(*shape, generator=generator, device=source) * (high - low) + low).to(device)


def per_image(values: Tensor) -> Tensor:
    """One value for each image (...), in a shape that meets (..., height, width, channels)."""
    return values[..., None, None, None]
