"""`EncoderConfig`: the settings of an encoder of observations."""

from __future__ import annotations

from dataclasses import dataclass

from rl.errors import ConfigError
from rl.utils.field_types import check_field_types

ENCODER_TYPES = ("small", "compact", "resnet", "resnet-pretrained")


@dataclass(frozen=True)
class EncoderConfig:
    """The settings of the encoder from images and state to features; the defaults are SERL's.

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
        check_field_types(self)
        if self.encoder_type not in ENCODER_TYPES:
            raise ConfigError(f"no encoder is named {self.encoder_type!r}. Known: {', '.join(ENCODER_TYPES)}")
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
