"""Convolution, group norm and pooling with Flax's paddings, on (batch, height, width, channels) tensors.

A contiguous NHWC tensor and a channels-last NCHW tensor are the same memory, so every `permute` here is a free view and
the convolutions run in the channels-last kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rl.errors import ConfigError, SchemaMismatch
from rl.nn.flax_params import CONV_LEAVES, NORM_LEAVES, FlaxLeaf
from rl.nn.initializers import KernelInit, lecun_normal
from rl.nn.layers import InferredModule, unshaped
from rl.nn.products import affine

Padding: TypeAlias = str | int | Sequence[tuple[int, int]]
"""Flax's paddings: "SAME" or "VALID", one number for all sides, or (before, after) for height and width."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after an axis so that ceil(size / stride) windows fit; the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _sides(
    padding: Padding, size: Sequence[int], window: Sequence[int], stride: Sequence[int]
) -> Sequence[tuple[int, int]]:
    if isinstance(padding, int):
        return [(padding, padding)] * 2
    if not isinstance(padding, str):
        return padding
    if padding == "SAME":
        return [same_padding(*axis) for axis in zip(size, window, stride, strict=True)]
    if padding == "VALID":
        return [(0, 0), (0, 0)]
    raise ConfigError(f"padding {padding!r} is not known. Allowed: 'SAME', 'VALID', a number, or two pairs")


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number for both axes, or the two given."""
    height, width = (value, value) if isinstance(value, int) else value
    return height, width


class Conv(InferredModule):
    """Two-dimensional convolution with Flax's names and paddings; weight (features, in, height, width).

    Args:
        features: channels of the output.
        kernel_size: window, one number or (height, width).
        strides: one number or (height, width).
        padding: see `Padding`. "SAME" is asymmetric where Flax's is: the odd row and column go below and right.
        use_bias: whether there is a bias.
        kernel_init: fills the weight; the bias starts at 0.
    """

    flax_leaves: ClassVar[Mapping[str, FlaxLeaf]] = CONV_LEAVES

    def __init__(
        self,
        features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "SAME",
        use_bias: bool = True,
        kernel_init: KernelInit = lecun_normal,
    ) -> None:
        super().__init__()
        self.features = features
        self.kernel_size = pair(kernel_size)
        self.strides = pair(strides)
        self.padding = padding
        self.kernel_init = kernel_init
        self.weight = unshaped()
        self.register_parameter("bias", unshaped() if use_bias else None)

    def init_parameters(self, generator: Generator | None) -> None:
        """Draw the weight and zero the bias."""
        self.kernel_init(self.weight, generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, height, width, in) to (batch, height', width', features)."""
        if not self.is_materialised:
            self._materialise((self.features, x.shape[-1], *self.kernel_size), (self.features,))
            # Weights in the layout of the images: a small batch otherwise waits for them to be rearranged.
            self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        (top, bottom), (left, right) = _sides(self.padding, x.shape[1:3], self.kernel_size, self.strides)
        if top != bottom or left != right:
            x = F.pad(x, (0, 0, left, right, top, bottom))
            top = left = 0
        if self.kernel_size == (1, 1) and top == left == 0:
            # torch has only a slow kernel for this on a single image; as a product it is fast for any number.
            return affine(x[:, :: self.strides[0], :: self.strides[1]], self.weight.flatten(1), self.bias)
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, self.strides, (top, left))
        return y.permute(0, 2, 3, 1)


class MyGroupNorm(InferredModule):
    """Group normalisation over (..., height, width, channels), with or without batch axes.

    Args:
        num_groups: number of groups that the channels are split into.
        epsilon: added to the variance.
        scale_init: initial scale; the bias starts at 0.
    """

    flax_leaves: ClassVar[Mapping[str, FlaxLeaf]] = NORM_LEAVES

    def __init__(self, num_groups: int = 32, epsilon: float = 1e-6, scale_init: float = 1.0) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.epsilon = epsilon
        self.scale_init = scale_init
        self.weight = unshaped()
        self.bias = unshaped()

    def init_parameters(self, generator: Generator | None) -> None:
        """Constant scale and bias; nothing is drawn."""
        nn.init.constant_(self.weight, self.scale_init)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each sample's groups of channels; the shape stays."""
        if not self.is_materialised:
            self._materialise((x.shape[-1],), (x.shape[-1],))
        flat, lead = to_batch(x)
        y = F.group_norm(flat.permute(0, 3, 1, 2), self.num_groups, self.weight, self.bias, self.epsilon)
        return from_batch(y.permute(0, 2, 3, 1), lead)


def check_rgb(images: Tensor) -> None:
    """Refuse (..., channels) whose channels are no whole RGB frames.

    Raises:
        SchemaMismatch: the number of channels is not a multiple of 3.
    """
    if images.shape[-1] % 3:
        raise SchemaMismatch(f"images have {images.shape[-1]} channels, expected RGB frames: a multiple of 3")


class ImageNetNormalise(nn.Module):
    """Pixels 0..255 of RGB frames, one or several on the channel axis, to ImageNet's zero mean and unit variance."""

    scale: Tensor
    offset: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (..., 3 T) of any type to float32 of the same shape.

        Raises:
            SchemaMismatch: the number of channels is not a multiple of 3.
        """
        check_rgb(images)
        frames = images.shape[-1] // 3
        return torch.addcmul(self.offset.repeat(frames), images.float(), self.scale.repeat(frames))


def halving_max_pool(x: Tensor) -> Tensor:
    """Maximum over 3 x 3 windows at stride 2 with "SAME" padding, of (batch, height, width, channels)."""
    # ceil_mode lets the last window hang over the edge, which is the "odd one goes after" of SAME without a copy.
    before = [same_padding(size, 3, 2)[0] for size in x.shape[1:3]]
    return F.max_pool2d(x.permute(0, 3, 1, 2), 3, 2, before, ceil_mode=True).permute(0, 2, 3, 1)


def to_batch(images: Tensor) -> tuple[Tensor, torch.Size]:
    """Gather all leading axes of (..., height, width, channels) into one, and what they were."""
    return images.reshape(-1, *images.shape[-3:]), images.shape[:-3]


def from_batch(features: Tensor, lead: torch.Size) -> Tensor:
    """Give the first axis of `features` back the leading axes that `to_batch` took."""
    return features.reshape(*lead, *features.shape[1:])
