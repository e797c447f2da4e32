"""`OptimizerConfig`: the settings of an optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rl.errors import ConfigError
from rl.utils.field_types import check_field_types


@dataclass(frozen=True)
class OptimizerConfig:
    """The settings that `make_optimizer` takes, as a part of an agent's configuration.

    Raises:
        ConfigError: a value is outside its range.
    """

    learning_rate: float = 3e-4
    """Peak learning rate."""
    warmup_steps: int = 0
    """Steps of linear warm-up from 0."""
    cosine_decay_steps: int | Literal["run"] | None = None
    """Step at which a cosine reaches 0, warm-up included; `run` is the last one of the run, whatever --steps says;
    `None` keeps the rate."""
    weight_decay: float | None = None
    """Decoupled weight decay on every parameter, biases too."""
    clip_grad_norm: float | None = None
    """Largest global norm of the gradients."""

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        check_field_types(self)
        if not 0 <= self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate must be a finite number of at least 0, not {self.learning_rate}")
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps must be at least 0, not {self.warmup_steps}")
        if isinstance(self.cosine_decay_steps, int) and self.cosine_decay_steps <= self.warmup_steps:
            raise ConfigError(
                f"cosine_decay_steps must be above warmup_steps, which it includes, not {self.cosine_decay_steps} with "
                f"{self.warmup_steps}"
            )
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"weight_decay must be a finite number of at least 0, or None, not {self.weight_decay}")
        if self.clip_grad_norm is not None and not self.clip_grad_norm > 0:
            raise ConfigError(f"clip_grad_norm must be above 0, or None, not {self.clip_grad_norm}")
