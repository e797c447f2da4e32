"""`EncoderConfig`: the settings of an encoder of observations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rl.errors import ConfigError
from rl.utils.field_types import check_field_types
from rl.utils.option_words import option
from rl.vision.lite0_weights import weight_file

ENCODER_TYPES = ("small", "compact", "resnet", "resnet-pretrained", "efficientnet-lite0")
FROZEN_TYPES = ("resnet-pretrained", "efficientnet-lite0")
"""Encoders whose feature maps never change: only what pools them is trained."""


@dataclass(frozen=True)
class EncoderConfig:
    """The settings of the encoder from images and state to features; the defaults are SERL's.

    Raises:
        ConfigError: an unknown encoder, or a weight file for one that takes none.
    """

    encoder_type: str = "small"
    """`small` (four convolutions), `compact` (three, with learned embeddings: for small images and no GPU), `resnet`
    (ResNet-10 from scratch), `resnet-pretrained` (a frozen ResNet-10 that all cameras share, with a head for each), or
    `efficientnet-lite0` (the same with the first five stages of an EfficientNet-Lite0, whose ImageNet weights come with
    the extra `pretrained`)."""
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
        check_field_types(self)
        if self.encoder_type not in ENCODER_TYPES:
            raise ConfigError(f"no encoder is named {self.encoder_type!r}. Known: {', '.join(ENCODER_TYPES)}")
        if self.image_keys is not None and not self.image_keys:
            raise ConfigError("image_keys is empty: an agent for pixels needs at least one camera")
        if self.encoder_type == "efficientnet-lite0" and self.pretrained_path is not None:
            raise ConfigError(
                "pretrained_path is for the encoder resnet-pretrained; efficientnet-lite0 has its weights from the "
                "extra `pretrained`: leave pretrained_path out"
            )

    @property
    def is_frozen(self) -> bool:
        """True when the feature map of an image never changes."""
        return self.encoder_type in FROZEN_TYPES

    def require_weights(self, field: str) -> None:
        """Refuse a frozen encoder without weights: what it observes would be random for ever.

        Args:
            field: of the configuration that holds these settings.

        Raises:
            ConfigError: no file of them is given, or there is none.
            MissingExtra: they come with a package that is not installed.
        """
        if self.encoder_type == "efficientnet-lite0":
            weight_file()
        path = self.pretrained_path
        if self.encoder_type == "resnet-pretrained" and (path is None or not Path(path).is_file()):
            fault = "none are given" if path is None else f"{path} is no file"
            raise ConfigError(
                f"the encoder resnet-pretrained needs its weights, and {fault}: give "
                f"{option(f'{field}.pretrained_path')} and {option(f'{field}.pretrained_sha256')}, or choose "
                f"{option(f'{field}.encoder_type', 'efficientnet-lite0')} or "
                f"{option(f'{field}.encoder_type', 'small')}"
            )

    def cameras(self) -> tuple[str, ...]:
        """The cameras that are looked at.

        Raises:
            ConfigError: nobody has said which they are.
        """
        if self.image_keys is None:
            raise ConfigError("image_keys is None: name the cameras that the agent looks at")
        return self.image_keys
