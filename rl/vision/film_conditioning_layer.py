"""FiLM: scale and shift of feature maps by a conditioning vector. Perez et al. 2018 (arXiv:1709.07871), eq. 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Generator, Tensor, nn

from rl.nn.layers import Dense


def _zeros(weight: Tensor, generator: Generator | None) -> None:
    nn.init.zeros_(weight)


class FilmConditioning(nn.Module):
    """Features times (1 + scale) plus shift, both affine in the condition; the identity at the start.

    Args:
        num_channels: channels of the feature maps; they are modulated one by one.
    """

    flax_names: ClassVar[Mapping[str, str]] = {"scale": "Dense_0", "shift": "Dense_1"}

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.scale = Dense(num_channels, _zeros)
        self.shift = Dense(num_channels, _zeros)

    def forward(self, conv_filters: Tensor, conditioning: Tensor) -> Tensor:
        """Modulate (batch, height, width, channels) by (batch, condition)."""
        scale: Tensor = self.scale(conditioning)[:, None, None]
        shift: Tensor = self.shift(conditioning)[:, None, None]
        return conv_filters * (1 + scale) + shift
