"""Poolings that keep where in the image a feature is: learned embeddings, spatial softmax, coordinate channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from rl.nn.flax_params import CONV_LEAVES, FlaxLeaf
from rl.nn.initializers import KernelInit, lecun_normal
from rl.nn.layers import InferredModule, unshaped
from rl.vision.layers import from_batch, to_batch


class SpatialLearnedEmbeddings(InferredModule):
    """The weighted sums of each channel over the image, with learned weights (num_features, channel, height, width).

    Args:
        height: rows of the feature map; None takes it, the width and the channels from the first input.
        width: columns of the feature map.
        channel: channels of the feature map.
        num_features: weighted sums of each channel.
        kernel_init: fills the weights.
    """

    flax_leaves: ClassVar[Mapping[str, FlaxLeaf]] = CONV_LEAVES

    def __init__(
        self,
        height: int | None = None,
        width: int | None = None,
        channel: int | None = None,
        num_features: int = 5,
        kernel_init: KernelInit = lecun_normal,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.kernel_init = kernel_init
        self.weight = unshaped()
        self.register_parameter("bias", None)
        if height is not None and width is not None and channel is not None:
            self._materialise((num_features, channel, height, width), ())

    def init_parameters(self, generator: Generator | None) -> None:
        """Draw the weights."""
        self.kernel_init(self.weight, generator)

    def forward(self, features: Tensor) -> Tensor:
        """Map (..., height, width, channel) to (..., channel * num_features), a channel's embeddings side by side."""
        if not self.is_materialised:
            height, width, channel = features.shape[-3:]
            self._materialise((self.num_features, channel, height, width), ())
        maps, lead = to_batch(features)
        pixels = channel_major(maps).flatten(1, 2).permute(2, 1, 0)
        # One small product per channel, with the batch as its longest side: three times as fast as the other way round.
        sums = torch.bmm(self.weight.flatten(2).transpose(0, 1).contiguous(), pixels)
        return from_batch(sums.flatten(0, 1).t(), lead)


def channel_major(maps: Tensor) -> Tensor:
    """Arrange maps (batch, height, width, channel) so that a channel's pixels are side by side in memory.

    Maps that are so already, and rows of them, come back as they are: whoever uses maps several times does this once.
    """
    batch, height, width, channels = maps.shape
    if maps.stride()[1:3] == (width, 1):
        return maps
    # The transposition of a matrix is what torch copies in blocks: four times as fast as any other change of layout.
    pixels = maps.flatten(0, 2).t().contiguous()
    return pixels.view(channels, batch, height, width).permute(1, 2, 3, 0)


def softmax_positions(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Coordinates in [-1, 1] that `SpatialSoftmax` weighs, each (height * width,).

    They are laid out as the original's: as a (width, height) grid. For a square map that is x along the columns and y
    along the rows; for another map the coordinates do not belong to the pixels, which existing checkpoints rely on.
    """
    rows = torch.linspace(-1.0, 1.0, height, device=device)
    columns = torch.linspace(-1.0, 1.0, width, device=device)
    return rows.repeat(width), columns.repeat_interleave(height)


class SpatialSoftmax(nn.Module):
    """Expected image position of each channel under the softmax of its values. Levine et al. 2016, section 5.2.

    Args:
        height: rows of the feature map, for the caller's record: any map that fits the positions is taken.
        width: columns of the feature map.
        channel: channels of the feature map.
        pos_x: first coordinate of each pixel, (height * width,); None takes `softmax_positions` of the input.
        pos_y: second coordinate of each pixel.
        temperature: -1 learns the temperature (starting at 1); any other value stands for 1, as in the original.
    """

    pos_x: Tensor | None
    pos_y: Tensor | None

    def __init__(
        self,
        height: int | None = None,
        width: int | None = None,
        channel: int | None = None,
        pos_x: Tensor | None = None,
        pos_y: Tensor | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("pos_x", pos_x, persistent=False)
        self.register_buffer("pos_y", pos_y, persistent=False)
        self.softmax_temperature = nn.Parameter(torch.ones(1)) if temperature == -1 else None

    def init_parameters(self, generator: Generator | None) -> None:
        """Set a temperature of 1; nothing is drawn."""
        if self.softmax_temperature is not None:
            nn.init.ones_(self.softmax_temperature)

    def forward(self, features: Tensor) -> Tensor:
        """Map (..., height, width, channel) to (..., 2 * channel): all first coordinates, then all second ones."""
        if self.pos_x is None or self.pos_y is None:
            height, width = features.shape[-3:-1]
            pos_x, pos_y = softmax_positions(height, width, features.device)
        else:
            pos_x, pos_y = self.pos_x.flatten(), self.pos_y.flatten()
        values = features.flatten(-3, -2)
        if self.softmax_temperature is not None:
            values = values / self.softmax_temperature
        weights = torch.softmax(values, dim=-2)
        return torch.einsum("...pc,xp->...xc", weights, torch.stack((pos_x, pos_y))).flatten(-2)


class AddSpatialCoordinates(nn.Module):
    """Two more channels: the row and the column of each pixel, from -1 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., height, width, channels) to (..., height, width, channels + 2)."""
        height, width = x.shape[-3:-1]
        rows = torch.linspace(-1.0, 1.0, height, device=x.device, dtype=x.dtype)
        columns = torch.linspace(-1.0, 1.0, width, device=x.device, dtype=x.dtype)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
        return torch.cat((x, grid.expand(*x.shape[:-1], 2)), dim=-1)
