"""`OptimizerConfig`: the settings of an optimizer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OptimizerConfig:
    """The settings that `make_optimizer` takes, as a part of an agent's configuration."""

    learning_rate: float = 3e-4
    """Peak learning rate."""
    warmup_steps: int = 0
    """Steps of linear warm-up from 0."""
    cosine_decay_steps: int | None = None
    """Step at which a cosine reaches 0, warm-up included; `None` keeps the rate."""
    weight_decay: float | None = None
    """Decoupled weight decay on every parameter, biases too."""
    clip_grad_norm: float | None = None
    """Largest global norm of the gradients."""
