"""The settings of behaviour cloning, with the defaults of SERL's launcher."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from rl.common.encoder_config import EncoderConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.utils.precision import Precision

_STEADY = OptimizerConfig(3e-4)


@dataclass(frozen=True)
class BcConfig:
    """Behaviour cloning, with the defaults of SERL's launcher."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The policy's encoder; without meaning where observations are plain vectors."""
    hidden_dims: tuple[int, ...] = (256, 256)
    """Widths of the trunk."""
    activations: str = "tanh"
    """Name of the trunk's activation."""
    use_layer_norm: bool = False
    """Whether the trunk normalises before each activation."""
    tanh_squash_distribution: bool = False
    """Whether actions are squashed to (-1, 1); demonstrated actions must then lie inside."""
    std_parameterization: str = "exp"
    """How the policy makes its standard deviation: exp, softplus or uniform."""
    std_min: float = 1e-5
    """Lower bound of the standard deviation."""
    std_max: float = 5.0
    """Upper bound of the standard deviation."""
    optimizer: OptimizerConfig = _STEADY
    """Optimizer of the policy and its encoder."""
    crop_padding: int = 0
    """Largest random shift of an image in pixels while training; SERL does not augment."""
    trains_image_encoder: bool = True
    """Whether gradients reach the image encoders. SERL stops them, so that it clones on random image features."""
    standardises: bool = False
    """Whether plain vectors are shifted and scaled by the demonstrations' mean and standard deviation; not in SERL."""
    precision: Precision = "float32"
    """Matrix products of the loss; parameters and moments stay float32."""

    def as_in_serl(self) -> Self:
        """Return these settings with the image encoders left untrained, as SERL does by mistake."""
        return replace(self, trains_image_encoder=False)
