"""The residual blocks of ResNet-v1. He et al. 2016 (arXiv:1512.03385), figures 2 and 5."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

from torch import Generator, Tensor, nn

from rl.errors import ConfigError
from rl.nn.activations import Activation
from rl.nn.initializers import kaiming_normal
from rl.nn.layers import LayerNorm
from rl.vision.layers import Conv, MyGroupNorm, Padding

Norm: TypeAlias = "ChannelNorm | MyGroupNorm"

FLAX_NORMS = {"group": "MyGroupNorm", "layer": "LayerNorm"}
"""Flax's name of each kind of norm that an encoder may have."""


class ChannelNorm(LayerNorm):
    """Layer norm over the channels of each pixel with a chosen initial scale."""

    def __init__(self, eps: float, scale_init: float) -> None:
        super().__init__(eps)
        self.scale_init = scale_init

    def init_parameters(self, generator: Generator | None) -> None:
        """Constant scale and bias; nothing is drawn."""
        nn.init.constant_(self.weight, self.scale_init)
        nn.init.zeros_(self.bias)


def resnet_conv(features: int, kernel_size: int, strides: int = 1, padding: Padding = "SAME") -> Conv:
    """A convolution as all of ResNet's are: without bias, Kaiming's initialisation."""
    return Conv(features, kernel_size, strides, padding, use_bias=False, kernel_init=kaiming_normal)


def resnet_norm(kind: str, scale_init: float = 1.0) -> Norm:
    """Normalisation over groups of channels of the whole image ("group") or over the channels of a pixel ("layer").

    Raises:
        ConfigError: no normalisation has that name.
    """
    if kind == "group":
        return MyGroupNorm(num_groups=4, epsilon=1e-5, scale_init=scale_init)
    if kind == "layer":
        return ChannelNorm(eps=1e-5, scale_init=scale_init)
    raise ConfigError(f"norm {kind!r} is not known. Allowed: {', '.join(FLAX_NORMS)}")


class _Block(nn.Module, ABC):
    """Convolutions with norms, added to the input; the input is projected where the shape changes.

    Args:
        filters: channels of the inner convolutions.
        in_filters: channels of the input.
        strides: stride of the block.
        norm: kind of normalisation, see `resnet_norm`.
        act: activation between the convolutions and after the sum.
    """

    expansion: ClassVar[int] = 1
    """Channels of the output for each inner one."""
    last_scale: ClassVar[float] = 1.0
    """Initial scale of the last norm; 0 makes the block start as its shortcut."""

    def __init__(self, filters: int, in_filters: int, strides: int, norm: str, act: Activation) -> None:
        super().__init__()
        self.activation = act
        self.convs = nn.ModuleList(self._convs(filters, strides))
        last = len(self.convs) - 1
        self.norms = nn.ModuleList(
            resnet_norm(norm, self.last_scale if index == last else 1.0) for index in range(len(self.convs))
        )
        out_filters = filters * self.expansion
        projects = strides != 1 or in_filters != out_filters
        self.conv_proj = resnet_conv(out_filters, 1, strides) if projects else None
        self.norm_proj = resnet_norm(norm) if projects else None
        self.flax_names = {"convs": "Conv", "norms": FLAX_NORMS[norm]}

    @abstractmethod
    def _convs(self, filters: int, strides: int) -> list[Conv]: ...

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, height, width, in_filters) to (batch, height', width', filters * expansion)."""
        y = x
        last = len(self.convs) - 1
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y))
            y = self.activation(y) if index < last else y
        if self.conv_proj is not None and self.norm_proj is not None:
            x = self.norm_proj(self.conv_proj(x))
        return self.activation(x + y)


class ResNetBlock(_Block):
    """Two 3 x 3 convolutions."""

    def _convs(self, filters: int, strides: int) -> list[Conv]:
        return [resnet_conv(filters, 3, strides), resnet_conv(filters, 3)]


class BottleneckResNetBlock(_Block):
    """A 3 x 3 convolution between two 1 x 1 ones, the last of which widens four times."""

    expansion = 4
    last_scale = 0.0

    def _convs(self, filters: int, strides: int) -> list[Conv]:
        return [resnet_conv(filters, 1), resnet_conv(filters, 3, strides), resnet_conv(4 * filters, 1)]
