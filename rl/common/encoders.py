"""The observation encoders of the pixel agents, by SERL's names: small, resnet and resnet-pretrained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from rl.common.encoding import EncodingWrapper
from rl.errors import ConfigError
from rl.nn.flax_params import load_flax_params
from rl.utils.weights import read_weights
from rl.vision.pooling import PooledEncoder
from rl.vision.resnet_v1 import PreTrainedResNetEncoder, resnetv1_configs
from rl.vision.small_encoders import SmallEncoder


@dataclass(frozen=True)
class EncoderConfig:
    """How images and state become features; the defaults are SERL's.

    Raises:
        ConfigError: an unknown encoder.
    """

    encoder_type: str = "small"
    """`small` (four convolutions), `compact` (three, with learned embeddings: for small images and no GPU), `resnet`
    (ResNet-10 from scratch), or `resnet-pretrained` (a frozen ResNet-10 that all cameras share, with a head for
    each)."""
    image_keys: tuple[str, ...] | None = ("image",)
    """The cameras that are looked at; `None` stands for all that the observation has."""
    use_proprio: bool = True
    """Whether `state` is part of the features."""
    proprio_latent_dim: int = 64
    """Length of the encoded state."""
    pooling_method: str = "spatial_learned_embeddings"
    """Pooling of the ResNets and of `compact`; `small` averages."""
    num_spatial_blocks: int = 8
    """Embeddings of each channel."""
    bottleneck_dim: int = 256
    """Features of each camera."""
    recomputes: bool = False
    """Whether the images' feature maps are computed again for their gradients instead of being kept until then: less
    memory, more time."""
    pretrained_path: str | None = None
    """Weights of the frozen ResNet-10, a `.safetensors` file of Flax paths; `None` leaves them random."""
    pretrained_sha256: str | None = None
    """Checksum of that file."""

    def __post_init__(self) -> None:
        """Refuse an encoder that does not exist."""
        if self.encoder_type not in ENCODERS:
            raise ConfigError(f"no encoder is named {self.encoder_type!r}. Known: {', '.join(ENCODERS)}")
        if self.image_keys is not None and not self.image_keys:
            raise ConfigError("image_keys is empty: an agent for pixels needs at least one camera")

    def cameras(self) -> tuple[str, ...]:
        """The cameras that are looked at.

        Raises:
            ConfigError: nobody has said which they are.
        """
        if self.image_keys is None:
            raise ConfigError("image_keys is None: name the cameras that the agent looks at")
        return self.image_keys


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
    """Fill a frozen trunk, with parameters already, from the weight file in `config`, where both are there.

    The trunk is marked `FROM_FILE`: the checksum in the configuration says which weights it has.

    Raises:
        CheckpointError: the file is not the one that was meant, or does not fit.
    """
    if trunk is None or config.pretrained_path is None:
        return
    weights: dict[str, Tensor] = read_weights(config.pretrained_path, config.pretrained_sha256)
    load_flax_params(trunk, {path: value.numpy() for path, value in weights.items()})
    setattr(trunk, FROM_FILE, True)
