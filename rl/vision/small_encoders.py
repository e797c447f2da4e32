"""SmallEncoder: a few plain convolutions, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from rl.nn.dropout import Train
from rl.vision.layers import Conv, Padding, from_batch, to_batch
from rl.vision.pooling import PooledEncoder


class SmallEncoder(PooledEncoder):
    """Pixels / 255, convolutions with relu, pooling, bottleneck. Original: vision/small_encoders.py.

    Args:
        features: channels of each convolution.
        kernel_sizes: window of each convolution.
        strides: stride of each convolution.
        padding: padding of all convolutions.
        pool_method: "avg", "max" or "spatial_learned_embeddings".
        bottleneck_dim: length of the output; None leaves the pooled features as they are.
        spatial_block_size: embeddings of each channel.
    """

    pooling_methods = ("avg", "max", "spatial_learned_embeddings")

    def __init__(
        self,
        features: Sequence[int] = (16, 16, 16),
        kernel_sizes: Sequence[int] = (3, 3, 3),
        strides: Sequence[int] = (1, 1, 1),
        padding: Padding = 1,
        pool_method: str = "spatial_learned_embeddings",
        bottleneck_dim: int | None = None,
        spatial_block_size: int = 8,
    ) -> None:
        super().__init__(pool_method, spatial_block_size, bottleneck_dim=bottleneck_dim)
        self.convs = nn.ModuleList(
            Conv(*layer, padding=padding) for layer in zip(features, kernel_sizes, strides, strict=True)
        )

    @property
    def flax_names(self) -> dict[str, str]:
        """The Flax scope of the parameters of each part."""
        return super().flax_names | {"convs": "Conv"}

    def feature_map(self, images: Tensor) -> Tensor:
        """Map pixels 0..255 (batch, height, width, channels) to the last convolution's output."""
        x = images.float() / 255
        for conv in self.convs:
            x = relu(conv(x))
        return x

    def forward(self, observations: Tensor, train: Train = False) -> Tensor:
        """Map pixels 0..255 (..., height, width, channels) to (..., features)."""
        images, lead = to_batch(observations)
        return from_batch(self.head(self.feature_map(images), train), lead)
