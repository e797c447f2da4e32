"""MobileNet features of torchvision, frozen, with a trainable pooling and bottleneck."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from rl.errors import ConfigError
from rl.nn.dropout import Train
from rl.utils.weights import read_weights
from rl.vision.layers import ImageNetNormalise, from_batch, to_batch
from rl.vision.pooling import PooledEncoder
from rl.vision.torchvision_loader import load_torchvision

MOBILENETS = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")


def mobilenet_features(
    name: str = "mobilenet_v3_small", weights_path: str | os.PathLike[str] | None = None, sha256: str | None = None
) -> nn.Module:
    """The convolutional part of a torchvision MobileNet, mapping images (N, 3, H, W) to feature maps.

    Args:
        name: one of `MOBILENETS`.
        weights_path: torchvision's published weight file; None leaves the network as it is initialised.
        sha256: checksum of that file.

    Raises:
        ConfigError: no such network.
        CheckpointError: the file is not the one that was meant, see `read_weights`.
    """
    if name not in MOBILENETS:
        raise ConfigError(f"no MobileNet is named {name!r}. Known: {', '.join(MOBILENETS)}")
    network: nn.Module = getattr(load_torchvision().models, name)(weights=None)
    if weights_path is not None:
        network.load_state_dict(read_weights(weights_path, sha256))
    return network.get_submodule("features")


class MobileNetEncoder(PooledEncoder):
    """Frozen features, pooling, bottleneck. Original: vision/mobilenet.py.

    Args:
        encoder: maps normalised images (N, 3, H, W) to feature maps (N, C, H', W'); it stays in evaluation mode and
            gets no gradient. See `mobilenet_features`.
        params: state of `encoder`; None leaves it as it is.
        pool_method: "avg", "max" or "spatial_learned_embeddings".
        bottleneck_dim: length of the output; None leaves the pooled features as they are.
        spatial_block_size: embeddings of each channel.
    """

    pooling_methods = ("avg", "max", "spatial_learned_embeddings")

    def __init__(
        self,
        encoder: nn.Module,
        params: Mapping[str, Tensor] | None = None,
        pool_method: str = "spatial_learned_embeddings",
        bottleneck_dim: int | None = None,
        spatial_block_size: int = 8,
    ) -> None:
        super().__init__(pool_method, spatial_block_size, bottleneck_dim=bottleneck_dim)
        if params is not None:
            encoder.load_state_dict(params)
        self.encoder = encoder.requires_grad_(False).eval()
        self.normalise = ImageNetNormalise()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of everything but the frozen features."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def feature_map(self, images: Tensor) -> Tensor:
        """Map pixels 0..255 (batch, height, width, 3) to the frozen network's output."""
        maps: Tensor = self.encoder(self.normalise(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return maps

    def forward(self, observations: Tensor, train: Train = False) -> Tensor:
        """Map pixels 0..255 (..., height, width, 3) to (..., features)."""
        images, lead = to_batch(observations)
        return from_batch(self.head(self.feature_map(images), train), lead)
