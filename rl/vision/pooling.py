"""The last part of every image encoder: pooling of a feature map, then an optional bottleneck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from rl.errors import ConfigError
from rl.nn.dropout import Train, dropout
from rl.nn.layers import Dense, LayerNorm
from rl.vision.spatial import SpatialLearnedEmbeddings, SpatialSoftmax, channel_major

EMBEDDING_DROPOUT = 0.1
"""Share of the learned embeddings that is dropped while training."""


class PooledEncoder(nn.Module, ABC):
    """Pooling of a feature map (batch, height, width, channels), then Dense, layer norm and tanh.

    Args:
        pooling_method: "avg", "max", "spatial_learned_embeddings", "spatial_softmax" or "none".
        num_spatial_blocks: embeddings of each channel, for "spatial_learned_embeddings".
        softmax_temperature: for "spatial_softmax": -1 learns it, any other value stands for 1.
        bottleneck_dim: length of the output; None leaves the pooled features as they are.
    """

    pooling_methods: ClassVar[tuple[str, ...]] = (
        "avg", "max", "spatial_learned_embeddings", "spatial_softmax", "none",
    )  # fmt: skip

    def __init__(
        self,
        pooling_method: str,
        num_spatial_blocks: int = 8,
        softmax_temperature: float = 1.0,
        bottleneck_dim: int | None = None,
    ) -> None:
        super().__init__()
        if pooling_method not in self.pooling_methods:
            raise ConfigError(f"pooling {pooling_method!r} is not known. Allowed: {', '.join(self.pooling_methods)}")
        self.pooling_method = pooling_method
        embeds = pooling_method == "spatial_learned_embeddings"
        attends = pooling_method == "spatial_softmax"
        self.embeddings = SpatialLearnedEmbeddings(num_features=num_spatial_blocks) if embeds else None
        self.softmax = SpatialSoftmax(temperature=softmax_temperature) if attends else None
        self.dense = None if bottleneck_dim is None else Dense(bottleneck_dim)
        self.norm = None if bottleneck_dim is None else LayerNorm()

    @property
    def flax_names(self) -> dict[str, str]:
        """The Flax scope of the parameters of each part."""
        return {
            "embeddings": "SpatialLearnedEmbeddings_0",
            "softmax": "SpatialSoftmax_0",
            "dense": "Dense_0",
            "norm": "LayerNorm_0",
        }

    def pool(self, x: Tensor, train: Train) -> Tensor:
        """Pool (batch, height, width, channels) to (batch, features); "none" keeps the map."""
        if self.embeddings is not None:
            embedded: Tensor = self.embeddings(x)
            # They come transposed, which a product takes as it is, but which does not lie as masks do.
            return dropout(embedded.contiguous(), EMBEDDING_DROPOUT, train) if train else embedded
        if self.softmax is not None:
            points: Tensor = self.softmax(x)
            return points
        if self.pooling_method == "none":
            return x
        return x.mean((1, 2)) if self.pooling_method == "avg" else x.amax((1, 2))

    @abstractmethod
    def feature_map(self, images: Tensor) -> Tensor:
        """Map pixels (batch, height, width, channels) to what `head` takes: all that precedes the pooling."""

    def arrange(self, maps: Tensor) -> Tensor:
        """Bring feature maps into the memory order that the pooling reads, once for every pooling of them."""
        return maps if self.embeddings is None else channel_major(maps)

    @property
    def dropout_width(self) -> int:
        """Features that dropout acts on while training; 0 for a pooling without dropout."""
        return 0 if self.embeddings is None else self.embeddings.weight.shape[:2].numel()

    def head(self, x: Tensor, train: Train) -> Tensor:
        """Pool, then squeeze through the bottleneck where there is one."""
        x = self.pool(x, train)
        return x if self.dense is None or self.norm is None else torch.tanh(self.norm(self.dense(x)))
