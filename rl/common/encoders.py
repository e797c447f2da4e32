"""The observation encoders of the pixel agents, by name; small, resnet and resnet-pretrained are SERL's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from rl.common.encoder_config import EncoderConfig
from rl.common.encoding import EncodingWrapper
from rl.nn.flax_params import load_flax_params
from rl.utils.weights import read_weights
from rl.vision.efficientnet_lite import EfficientNetLite0, imagenet_weights
from rl.vision.pooling import PooledEncoder
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder


def _small(config: EncoderConfig) -> dict[str, PooledEncoder]:
    return {
        key: SmallEncoder(
            (32, 64, 128, 256), (3,) * 4, (2,) * 4, "VALID", "avg", config.bottleneck_dim, config.num_spatial_blocks
        )
        for key in config.cameras()
    }


def _compact(config: EncoderConfig) -> dict[str, PooledEncoder]:
    return {
        key: SmallEncoder(
            (16, 32, 32), (5, 3, 3), (4, 2, 1), "VALID", config.pooling_method, config.bottleneck_dim,
            config.num_spatial_blocks,
        )
        for key in config.cameras()
    }  # fmt: skip


def _resnet(config: EncoderConfig) -> dict[str, PooledEncoder]:
    make = resnetv1_configs["resnetv1-10"]
    return {
        key: make(
            pooling_method=config.pooling_method,
            num_spatial_blocks=config.num_spatial_blocks,
            bottleneck_dim=config.bottleneck_dim,
            pre_pooling=False,
        )
        for key in config.cameras()
    }


def _pretrained(config: EncoderConfig) -> dict[str, PooledEncoder]:
    return pretrained_heads(config, resnetv1_configs["resnetv1-10-frozen"]())


def _efficientnet(config: EncoderConfig) -> dict[str, PooledEncoder]:
    return pretrained_heads(config, EfficientNetLite0())


def pretrained_heads(config: EncoderConfig, trunk: nn.Module) -> dict[str, PooledEncoder]:
    """A trainable head for each camera on one frozen trunk."""
    return {
        key: PreTrainedResNetEncoder(
            config.pooling_method,
            num_spatial_blocks=config.num_spatial_blocks,
            bottleneck_dim=config.bottleneck_dim,
            pretrained_encoder=trunk,
        )
        for key in config.cameras()
    }


ENCODERS: Mapping[str, Callable[[EncoderConfig], dict[str, PooledEncoder]]] = {
    "small": _small,
    "compact": _compact,
    "resnet": _resnet,
    "resnet-pretrained": _pretrained,
    "efficientnet-lite0": _efficientnet,
}


def make_encoder(config: EncoderConfig) -> EncodingWrapper:
    """The encoder of observations with a frame axis, still without parameters."""
    return EncodingWrapper(
        ENCODERS[config.encoder_type](config),
        config.use_proprio,
        config.proprio_latent_dim,
        enable_stacking=True,
        image_keys=config.cameras(),
        recomputes=config.recomputes,
    )


def frozen_trunk(encoder: EncodingWrapper) -> nn.Module | None:
    """The frozen network that the cameras share, or `None` when they are trained."""
    camera = encoder.encoder[encoder.image_keys[0]]
    return camera.pretrained_encoder if isinstance(camera, PreTrainedResNetEncoder) else None


FROM_FILE = "is_from_file"
"""Attribute of a frozen trunk that every process reads for itself: its weights are not published."""


def load_trunk(trunk: nn.Module | None, config: EncoderConfig) -> None:
    """Fill a frozen trunk, with parameters already: EfficientNet-Lite0 from its package, a ResNet from the file given.

    The trunk is marked `FROM_FILE`: a checksum says which weights it has. A ResNet without a file stays as it is.

    Raises:
        CheckpointError: the file is not the one that was meant, or does not fit.
        MissingExtra: the package of the weights is not installed.
    """
    if isinstance(trunk, EfficientNetLite0):
        trunk.fill(imagenet_weights())
    elif trunk is None or config.pretrained_path is None:
        return
    else:
        weights: dict[str, Tensor] = read_weights(config.pretrained_path, config.pretrained_sha256)
        load_flax_params(trunk, {path: value.numpy() for path, value in weights.items()})
    setattr(trunk, FROM_FILE, True)
