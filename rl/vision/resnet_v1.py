"""ResNet-v1 image encoders, and the frozen pretrained one with a trainable head for each camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from rl.errors import SchemaMismatch
from rl.nn.activations import Activation, activation
from rl.nn.dropout import Train
from rl.nn.layers import Dense
from rl.vision.film_conditioning_layer import FilmConditioning
from rl.vision.layers import ImageNetNormalise, MyGroupNorm, check_rgb, from_batch, halving_max_pool, to_batch
from rl.vision.pooling import PooledEncoder
from rl.vision.resnet_blocks import BottleneckResNetBlock, ResNetBlock, resnet_conv, resnet_norm
from rl.vision.spatial import AddSpatialCoordinates, SpatialLearnedEmbeddings, SpatialSoftmax

__all__ = [
    "AddSpatialCoordinates",
    "BottleneckResNetBlock",
    "MyGroupNorm",
    "PreTrainedResNetEncoder",
    "ResNetBlock",
    "ResNetEncoder",
    "SpatialLearnedEmbeddings",
    "SpatialSoftmax",
    "resnetv1_configs",
    "trunk_features",
]


class ResNetEncoder(PooledEncoder):
    """ImageNet normalisation, 7 x 7 stem, residual stages, pooling, bottleneck. Original: vision/resnet_v1.py.

    Args:
        stage_sizes: number of blocks of each stage; each stage but the first halves the image and doubles the channels.
        block_cls: `ResNetBlock` or `BottleneckResNetBlock`.
        num_filters: channels of the first stage.
        act: activation, a name or a function.
        norm: "group" (4 groups) or "layer".
        add_spatial_coordinates: whether the stem also sees the row and column of each pixel.
        pooling_method: see `PooledEncoder`.
        softmax_temperature: see `PooledEncoder`.
        use_multiplicative_cond: multiply the features after each block by a learned map of `cond_var`.
        num_spatial_blocks: see `PooledEncoder`.
        use_film: modulate the features after each block by `cond_var`, see `FilmConditioning`.
        bottleneck_dim: length of the output; None leaves the pooled features as they are.
        pre_pooling: return the last feature map, through which no gradient flows, for a frozen trunk.
    """

    def __init__(
        self,
        stage_sizes: Sequence[int],
        block_cls: type[ResNetBlock] | type[BottleneckResNetBlock],
        num_filters: int = 64,
        act: str | Activation = "relu",
        norm: str = "group",
        add_spatial_coordinates: bool = False,
        pooling_method: str = "avg",
        softmax_temperature: float = 1.0,
        use_multiplicative_cond: bool = False,
        num_spatial_blocks: int = 8,
        use_film: bool = False,
        bottleneck_dim: int | None = None,
        pre_pooling: bool = True,
    ) -> None:
        super().__init__(pooling_method, num_spatial_blocks, softmax_temperature, bottleneck_dim)
        self.pre_pooling = pre_pooling
        self.activation = activation(act)
        self.block_name = block_cls.__name__
        self.normalise = ImageNetNormalise()
        self.coordinates = AddSpatialCoordinates() if add_spatial_coordinates else None
        self.conv_init = resnet_conv(num_filters, 7, 2, padding=[(3, 3), (3, 3)])
        self.norm_init = resnet_norm(norm)
        self.blocks = nn.ModuleList()
        self.films = nn.ModuleList()
        self.multipliers = nn.ModuleList()
        width = num_filters
        for stage, blocks in enumerate(stage_sizes):
            for index in range(blocks):
                filters = num_filters * 2**stage
                strides = 2 if stage > 0 and index == 0 else 1
                self.blocks.append(block_cls(filters, width, strides, norm, self.activation))
                width = filters * block_cls.expansion
                if use_film:
                    self.films.append(FilmConditioning(width))
                if use_multiplicative_cond:
                    self.multipliers.append(Dense(width))

    @property
    def flax_names(self) -> dict[str, str]:
        """The Flax scope of the parameters of each part; Flax counts the conditioning's Dense layers first."""
        return super().flax_names | {
            "blocks": self.block_name,
            "films": "FilmConditioning",
            "multipliers": "Dense",
            "dense": f"Dense_{len(self.multipliers)}",
        }

    def forward(self, observations: Tensor, train: Train = False, cond_var: Tensor | None = None) -> Tensor:
        """Encode RGB images, or several stacked on the channel axis.

        Args:
            observations: pixels 0..255, (..., height, width, 3 T).
            train: whether dropout is active.
            cond_var: what FiLM or the multiplicative conditioning depends on, (..., condition).

        Returns:
            (..., features), or the feature map (..., height', width', channels) with `pre_pooling` or "none".
        """
        images, lead = to_batch(observations)
        if (self.films or self.multipliers) and cond_var is None:
            raise SchemaMismatch("this encoder is conditioned: pass cond_var of shape (..., condition)")
        condition = None if cond_var is None else cond_var.reshape(len(images), -1)
        if self.pre_pooling:
            with torch.no_grad():
                return from_batch(self.feature_map(images, condition), lead)
        return from_batch(self.head(self.feature_map(images, condition), train), lead)

    def feature_map(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map pixels 0..255 (batch, height, width, 3 T) to the last stage's output, given (batch, condition)."""
        x: Tensor = self.normalise(images)
        x = x if self.coordinates is None else self.coordinates(x)
        x = self.activation(self.norm_init(self.conv_init(x)))
        x = halving_max_pool(x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if self.films:
                x = self.films[index](x, condition)
            if self.multipliers:
                x = x * self.multipliers[index](condition)[:, None, None]
        return x


def trunk_features(trunk: nn.Module, images: Tensor) -> Tensor:
    """Feature maps (..., height', width', T * channels) of a frozen trunk for images (..., height, width, 3 T)."""
    check_rgb(images)
    frames = torch.unflatten(images, -1, (-1, 3)).movedim(-2, -4)
    with torch.no_grad():
        maps: Tensor = trunk(frames).movedim(-4, -2).flatten(-2)
        return maps


class PreTrainedResNetEncoder(PooledEncoder):
    """Pooling and bottleneck of its own on a frozen trunk, which several cameras may share.

    Frames that are stacked on the channel axis go through the trunk one by one: it was trained on single frames.

    Args:
        pooling_method: see `PooledEncoder`.
        softmax_temperature: see `PooledEncoder`.
        num_spatial_blocks: see `PooledEncoder`.
        bottleneck_dim: length of the output; None leaves the pooled features as they are.
        pretrained_encoder: maps images (..., height, width, 3) to feature maps; it gets no gradient.
    """

    def __init__(
        self,
        pooling_method: str = "avg",
        softmax_temperature: float = 1.0,
        num_spatial_blocks: int = 8,
        bottleneck_dim: int | None = None,
        *,
        pretrained_encoder: nn.Module,
    ) -> None:
        super().__init__(pooling_method, num_spatial_blocks, softmax_temperature, bottleneck_dim)
        for parameter in pretrained_encoder.parameters():
            parameter.requires_grad = False
        self.pretrained_encoder = pretrained_encoder

    def feature_map(self, images: Tensor) -> Tensor:
        """The feature maps that `features` gives, for one batch axis."""
        return self.features(images)

    def features(self, observations: Tensor) -> Tensor:
        """Frozen feature maps (..., height', width', T * channels) of pixels (..., height, width, 3 T).

        They do not depend on anything that is trained, so they can be computed once and kept.
        """
        return trunk_features(self.pretrained_encoder, observations)

    def forward(self, observations: Tensor, encode: bool = True, train: Train = False) -> Tensor:
        """Encode images, or feature maps that `features` returned.

        Args:
            observations: pixels (..., height, width, 3 T), or feature maps when `encode` is False.
            encode: whether the trunk has still to run.
            train: whether dropout is active.

        Returns:
            (..., features), or the feature map with "none".
        """
        maps, lead = to_batch(self.features(observations) if encode else observations)
        return from_batch(self.head(maps, train), lead)


resnetv1_configs: dict[str, Callable[..., ResNetEncoder]] = {
    "resnetv1-10": partial(ResNetEncoder, stage_sizes=(1, 1, 1, 1), block_cls=ResNetBlock),
    "resnetv1-10-frozen": partial(ResNetEncoder, stage_sizes=(1, 1, 1, 1), block_cls=ResNetBlock, pre_pooling=True),
    "resnetv1-18": partial(ResNetEncoder, stage_sizes=(2, 2, 2, 2), block_cls=ResNetBlock),
    "resnetv1-34": partial(ResNetEncoder, stage_sizes=(3, 4, 6, 3), block_cls=ResNetBlock),
    "resnetv1-50": partial(ResNetEncoder, stage_sizes=(3, 4, 6, 3), block_cls=BottleneckResNetBlock),
}
"""Encoders by SERL's names, to be called with the remaining arguments."""
