"""The settings of VICE, with the defaults of SERL's launcher."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rl.agents.continuous.drq_config import DrqConfig
from rl.common.optimizer_config import OptimizerConfig
from rl.errors import ConfigError

_STEADY = OptimizerConfig(3e-4)


@dataclass(frozen=True)
class ViceConfig(DrqConfig):
    """DrQ whose reward is a success classifier that is trained along with it. Fu et al. 2018 (arXiv:1805.11686).

    The classifier looks at feature maps of a frozen ResNet-10: the one of `encoder`, or one of its own when the agent's
    images have another encoder.

    Raises:
        ConfigError: `vice_image_keys` names a camera that the agent does not look at, or images are not kept.
    """

    vice_image_keys: tuple[str, ...] | None = None
    """Cameras that the classifier looks at; `None` takes the agent's."""
    vice_optimizer: OptimizerConfig = _STEADY
    """Optimizer of the classifier."""
    vice_hidden_dims: tuple[int, ...] = (256,)
    """Widths of the classifier's trunk."""
    vice_activations: str = "leaky_relu"
    """Name of that trunk's activation."""
    vice_use_layer_norm: bool = True
    """Whether that trunk normalises before each activation."""
    vice_dropout_rate: float = 0.1
    """Share of that trunk's features that is dropped while training."""
    vice_bottleneck_dim: int = 512
    """Features of each of the classifier's cameras."""
    label_smoothing: float = 0.2
    """Labels are this share of the way from 0 and 1 to 1/2."""
    gradient_penalty: float = 10.0
    """Weight of the squared distance of the gradient's norm from 1. Gulrajani et al. 2017, eq. 3."""
    reward_threshold: float = 0.5
    """Probability of success from which on the reward is 1; below, it is 0."""

    def __post_init__(self) -> None:
        """Refuse what cannot train, and cameras that are not there."""
        super().__post_init__()
        for name in ("vice_dropout_rate", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is a share, at least 0 and below 1, not {getattr(self, name)}")
        if not 0 <= self.gradient_penalty < math.inf:
            raise ConfigError(f"gradient_penalty must be at least 0 and finite, not {self.gradient_penalty}")
        if not 0 <= self.reward_threshold <= 1:
            raise ConfigError(f"reward_threshold is a probability from 0 to 1, not {self.reward_threshold}")
        if self.cached_features != "no":
            raise ConfigError("cached_features keeps no images, which VICE's classifier is trained on: leave it at no")
        all_cameras = self.encoder.image_keys is None
        if missing := set() if all_cameras else set(self.vice_image_keys or ()) - set(self.encoder.cameras()):
            raise ConfigError(
                f"vice_image_keys names {sorted(missing)}, which the agent does not look at. "
                f"It looks at: {', '.join(self.encoder.cameras())}"
            )

    @property
    def classifier_cameras(self) -> tuple[str, ...]:
        """The cameras that the classifier looks at."""
        return self.vice_image_keys or self.encoder.cameras()

    def optimizers(self) -> dict[str, OptimizerConfig]:
        """The optimizer of each network."""
        return {**super().optimizers(), "vice": self.vice_optimizer}
